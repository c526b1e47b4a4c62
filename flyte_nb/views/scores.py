"""Decides what of a table of results counts as a score, and which rows are the best.

A row has a score if its action succeeded and the column holds a number there: failures, missing values and NaN have none. The
order of equal scores is that of the rows.

Must not know: runs (a run is asked for its table), or how scores are drawn.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from flyte_nb.core.phases import ActionPhase

if TYPE_CHECKING:  # pandas takes half a second to load, and `import flyte_nb` must not pay for it
    import pandas as pd

_PHASES = {phase.value for phase in ActionPhase}
_GOOD = (ActionPhase.SUCCEEDED.value, ActionPhase.RECOVERED.value)
_LISTED = 20


def best(
    results: Any,
    by: str = "score",
    *,
    n: int | None = None,
    maximize: bool | None = None,
    minimize: bool | None = None,
) -> Any:
    """The best row of a run's results, or of any table like it.

    Args:
        results: a run, `run.results`, or a DataFrame.
        by: the column that is compared.
        n: so many rows, the best first; by default the best one alone.
        maximize: the largest is the best (the default).
        minimize: the smallest is the best.

    Returns:
        A row as a Series, whose `name` is its label in the index; with `n` a DataFrame of at most so many rows. Rows of actions that
        did not succeed, and those whose value is missing, are left out; of equal ones the first is the better.

    Raises:
        KeyError: there is no such column; the nearest names are in the message.
        TypeError: it holds something else than numbers, or what was given is no table.
        ValueError: no row has a value in it, `n` is below 1, or both directions were asked for.

    Example:
        >>> table = flyte.grid(lr=[0.1, 0.2, 0.3])
        >>> table["loss"] = [3.0, None, 1.5]
        >>> float(flyte.best(table, by="loss", minimize=True).lr)
        0.3
    """
    if maximize is not None and minimize is not None and bool(maximize) == bool(minimize):
        raise ValueError(f"best() either maximizes or minimizes, got maximize={maximize!r} and minimize={minimize!r}")
    if n is not None and (isinstance(n, bool) or not hasattr(n, "__index__") or n < 1):
        raise ValueError(f"n is a number of rows from 1 on, got {n!r}")
    frame = frame_of(results)
    scores = scores_of(frame, by)
    if not len(scores):
        raise ValueError(f"No row has a score in column {by!r}: {_why_none(frame)}")
    smallest = bool(minimize) or (maximize is not None and not maximize)
    order = scores.reset_index(drop=True).sort_values(ascending=smallest, kind="stable").index[: 1 if n is None else int(n)]
    found = frame.iloc[positions_of(frame, by)].iloc[order]
    return found.iloc[0] if n is None else found


def frame_of(results: Any) -> pd.DataFrame:
    """The table that was given, as a plain DataFrame.

    Raises:
        TypeError: it is none, and has none.
    """
    import pandas as pd  # noqa: PLC0415 - see above

    if isinstance(results, pd.DataFrame):
        return pd.DataFrame(results)
    for name in ("results", "frame", "to_pandas"):  # a run, a live question, a table of another library
        held = getattr(results, name, None)
        table = held() if name == "to_pandas" and callable(held) else held
        if isinstance(table, pd.DataFrame):
            return pd.DataFrame(table)
    raise TypeError(f"A run, run.results or a DataFrame is needed here, got a {type(results).__name__}.")


def column_of(frame: pd.DataFrame, name: Any) -> pd.Series[Any]:
    """A column of a table.

    Raises:
        KeyError: it has none of this name, or several.
    """
    count = sum(name == each for each in frame.columns)
    if count == 1:
        column: pd.Series[Any] = frame[name]
        return column
    if count:
        raise KeyError(f"The table has {count} columns {name!r}.")
    raise KeyError(_about_missing(name, frame.columns))


def _about_missing(name: Any, columns: Iterable[Any]) -> str:
    names = [str(each) for each in columns]
    near = difflib.get_close_matches(str(name), names, n=3, cutoff=0.5)
    hint = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
    listed = ", ".join(names[:_LISTED]) + (f" and {len(names) - _LISTED} more" if len(names) > _LISTED else "")
    return f"There is no column {name!r}.{hint} Columns: {listed or 'none'}."


def good_rows(frame: pd.DataFrame) -> pd.Series[bool]:
    """Which rows are of actions that succeeded: all, where the table does not say."""
    import pandas as pd  # noqa: PLC0415 - see above

    every = pd.Series(True, index=frame.index)  # noqa: FBT003 - a value
    if sum(each == "phase" for each in frame.columns) != 1 or not frame["phase"].isin(_PHASES).all():
        return every  # a column of the user's own
    return frame["phase"].isin(_GOOD)


def scores_of(frame: pd.DataFrame, by: Any) -> pd.Series[Any]:
    """The scores of those rows that have one, as numbers.

    Raises:
        KeyError: there is no such column.
        TypeError: it holds something else than numbers.
    """
    return _numbers(frame, by).iloc[positions_of(frame, by)]


def positions_of(frame: pd.DataFrame, by: Any) -> list[int]:
    """The positions of the rows that have a score."""
    import numpy as np  # noqa: PLC0415 - it comes with pandas

    has = good_rows(frame).to_numpy(bool) & _numbers(frame, by).notna().to_numpy(bool)
    return [int(each) for each in np.flatnonzero(has)]


def _numbers(frame: pd.DataFrame, by: Any) -> pd.Series[Any]:
    """The column as numbers; NaN where it has none."""
    import pandas as pd  # noqa: PLC0415 - see above

    column = column_of(frame, by)
    if pd.api.types.is_bool_dtype(column.dtype) or not pd.api.types.is_numeric_dtype(column.dtype):
        return _read(column, by)
    if pd.api.types.is_complex_dtype(column.dtype):
        raise TypeError(f"Column {by!r} holds complex numbers, which have no order.")
    return column


def _read(column: pd.Series[Any], by: Any) -> pd.Series[Any]:
    """A column of objects as numbers."""
    import pandas as pd  # noqa: PLC0415 - see above

    values: list[float] = []
    for label, value in column.items():
        if value is None or value is pd.NA or value is pd.NaT:
            values.append(float("nan"))
        elif isinstance(value, str | bytes | complex) or not hasattr(value, "__float__"):
            raise TypeError(f"Column {by!r} holds something else than numbers: {value!r:.80} in row {label!r}.")
        else:
            values.append(_as_float(value, label, by))
    return pd.Series(values, index=column.index, name=column.name, dtype=float)


def _as_float(value: Any, label: Any, by: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError) as error:
        raise TypeError(f"Column {by!r} holds something else than numbers: {value!r:.80} in row {label!r}.") from error


def _why_none(frame: pd.DataFrame) -> str:
    if not len(frame):
        return "the table is empty."
    if sum(each == "phase" for each in frame.columns) == 1 and frame["phase"].isin(_PHASES).all():
        counts = ", ".join(f"{count:,} {phase}" for phase, count in frame["phase"].value_counts().items())
        return f"of {len(frame):,} rows, {counts}."
    return f"all {len(frame):,} values are missing."
