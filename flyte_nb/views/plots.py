"""Decides what is drawn of a sweep: a heat map of two parameters, parallel coordinates, and the best score so far.

Small on purpose: each is one picture of a table, on the plotting library that the reader has (matplotlib; plotly where it is
asked for, or where pandas' option `plotting.backend` says so). Rows without a score are left out of a picture and counted in it.

Must not know: runs, or where the table comes from. What is computed here is what is drawn by `plots_matplotlib` and `plots_plotly`.
"""

from __future__ import annotations

import importlib
import importlib.util
from dataclasses import dataclass
from typing import Any, Final, Protocol, cast

import numpy as np
import pandas as pd
from pandas.plotting import PlotAccessor

from flyte_nb.views.scores import column_of, frame_of, good_rows, positions_of, scores_of
from flyte_nb.views.wording import one_line

#: Columns that parallel coordinates choose by themselves at most, and rows that are drawn (the best are always among them).
MOST_AXES, MOST_LINES = 8, 2_000
#: A column whose positive values span more than this is drawn on a logarithmic axis.
LOGARITHMIC_FROM: Final = 100.0
#: What may be made of several rows in one cell of a heat map.
AGGREGATES: Final[tuple[Any, ...]] = ("mean", "max", "min", "median", "std", "sum", "count", "first", "last")
_NOT_PARAMETERS = frozenset({"task", "phase", "error", "action", "group", "parent", "worker", "attempt", "started"})
_BACKENDS = ("matplotlib", "plotly")


@dataclass(frozen=True, slots=True)
class HeatMap:
    """What a heat map draws.

    Attributes:
        x, y: names of the two columns.
        x_labels, y_labels: their values, in order.
        cells: a row for each value of y, NaN where no row has a score.
        title: what a cell is.
        note: what is left out; empty if nothing is.
    """

    x: str
    y: str
    x_labels: list[str]
    y_labels: list[str]
    cells: np.ndarray[Any, np.dtype[np.float64]]
    title: str
    note: str


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis of parallel coordinates.

    Attributes:
        name: of the column.
        places: where each row crosses it, from 0 to 1.
        ticks: places from 0 to 1, and what stands there.
    """

    name: str
    places: np.ndarray[Any, np.dtype[np.float64]]
    ticks: list[tuple[float, str]]


@dataclass(frozen=True, slots=True)
class Parallel:
    """What parallel coordinates draw: a line a row, the best last.

    Attributes:
        axes: from left to right; the last one is the score.
        scores: of the rows.
        score: name of the score.
        minimize: whether the smallest is the best.
        note: what is left out; empty if nothing is.
    """

    axes: list[Axis]
    scores: np.ndarray[Any, np.dtype[np.float64]]
    score: str
    minimize: bool
    note: str


@dataclass(frozen=True, slots=True)
class BestSoFar:
    """What a curve of the best score draws.

    Attributes:
        places: of the rows that have a score, counted from 1 in their order.
        scores, best: of these, their score and the best one up to them.
        score: name of the score.
        order: what the order is.
        note: what is left out; empty if nothing is.
    """

    places: np.ndarray[Any, np.dtype[np.int64]]
    scores: np.ndarray[Any, np.dtype[np.float64]]
    best: np.ndarray[Any, np.dtype[np.float64]]
    score: str
    order: str
    note: str


class Drawer(Protocol):
    """A plotting library: the module that draws with it."""

    def heatmap(self, made: HeatMap, ax: Any) -> Any:
        """Draw it; returns axes or figure."""
        ...

    def parallel(self, made: Parallel, ax: Any) -> Any:
        """Draw it; returns axes or figure."""
        ...

    def best_so_far(self, made: BestSoFar, ax: Any) -> Any:
        """Draw it; returns axes or figure."""
        ...


class SweepPlots(PlotAccessor):
    """`run.results.plot`: all that `DataFrame.plot` has, and three pictures of a sweep.

    They are also functions of any table: `flyte.plots.heatmap(frame, ...)`.
    """

    def __init__(self, table: pd.DataFrame) -> None:
        super().__init__(table)
        self._table = table

    def heatmap(self, x: str, y: str, by: str = "score", **options: Any) -> Any:
        """A heat map of two parameters; see `flyte_nb.plots.heatmap`."""
        return heatmap(self._table, x, y, by, **options)

    def parallel(self, by: str = "score", **options: Any) -> Any:
        """Parallel coordinates; see `flyte_nb.plots.parallel`."""
        return parallel(self._table, by, **options)

    def best_so_far(self, by: str = "score", **options: Any) -> Any:
        """The best score up to each row; see `flyte_nb.plots.best_so_far`."""
        return best_so_far(self._table, by, **options)


# ------------------------------------------------------------------ the three
def heatmap(results: Any, x: str, y: str, by: str = "score", *, agg: str = "mean", ax: Any = None, backend: str | None = None) -> Any:
    """See `flyte_nb.plots.heatmap`."""
    return _drawer(backend, ax).heatmap(heatmap_of(frame_of(results), x, y, by, agg), ax)


def parallel(
    results: Any,
    by: str = "score",
    *,
    columns: list[str] | None = None,
    minimize: bool = False,
    ax: Any = None,
    backend: str | None = None,
) -> Any:
    """See `flyte_nb.plots.parallel`."""
    return _drawer(backend, ax).parallel(parallel_of(frame_of(results), by, columns, minimize=minimize), ax)


def best_so_far(
    results: Any,
    by: str = "score",
    *,
    minimize: bool = False,
    order: str | None = None,
    ax: Any = None,
    backend: str | None = None,
) -> Any:
    """See `flyte_nb.plots.best_so_far`."""
    return _drawer(backend, ax).best_so_far(best_so_far_of(frame_of(results), by, order, minimize=minimize), ax)


# ------------------------------------------------------------------ what is drawn
def heatmap_of(frame: pd.DataFrame, x: str, y: str, by: str, agg: Any) -> HeatMap:
    """A table as a heat map.

    Raises:
        KeyError: there is no such column.
        TypeError: the score holds something else than numbers.
        ValueError: x and y are one column, `agg` is no way to sum up, or no row has a score.
    """
    if x == y:
        raise ValueError(f"A heat map needs two different columns, got {x!r} twice.")
    if agg not in AGGREGATES:
        raise ValueError(f"agg must be one of {', '.join(map(repr, AGGREGATES))}, got {agg!r}")
    rows = positions_of(frame, by)
    _refuse_nothing(rows, by)
    x_codes, x_values = _coded(column_of(frame, x).iloc[rows])
    y_codes, y_values = _coded(column_of(frame, y).iloc[rows])
    table = pd.DataFrame({"x": x_codes, "y": y_codes, "score": scores_of(frame, by).to_numpy(float)})
    table = table[(table.x >= 0) & (table.y >= 0)]
    _refuse_nothing(list(table.index), by)
    groups = table.groupby(["y", "x"])["score"]
    cells = np.full((len(y_values), len(x_values)), np.nan)
    for (row, column), value in groups.agg(agg).items():
        cells[row, column] = value
    most = int(groups.size().max())
    title = by if most == 1 else f"{agg} of {by} (up to {most} rows a cell)"
    return HeatMap(x, y, list(map(_label, x_values)), list(map(_label, y_values)), cells, title, _note(frame, len(table)))


def parallel_of(frame: pd.DataFrame, by: str, columns: list[str] | None, *, minimize: bool) -> Parallel:
    """A table as parallel coordinates.

    Raises:
        KeyError: there is no such column.
        TypeError: the score holds something else than numbers.
        ValueError: no row has a score, or there is no column beside it to draw.
    """
    rows = positions_of(frame, by)
    _refuse_nothing(rows, by)
    scores = scores_of(frame, by).to_numpy(float)
    names = [name for name in columns if name != by] if columns is not None else _parameters(frame.iloc[rows], by)
    if not names:
        raise ValueError(f"There is no column beside {by!r} whose values differ: name some with columns=[...].")
    best_last = np.argsort(-scores if minimize else scores, kind="stable")[-MOST_LINES:]
    table = frame.iloc[rows].iloc[best_last]
    axes = [_axis(column_of(table, name), str(name)) for name in names]
    scores = scores[best_last]
    return Parallel([*axes, _axis(pd.Series(scores), by)], scores, by, minimize, _note(frame, len(table)))


def best_so_far_of(frame: pd.DataFrame, by: str, order: str | None, *, minimize: bool) -> BestSoFar:
    """A table as a curve of the best score.

    Raises:
        KeyError: there is no such column.
        TypeError: the score holds something else than numbers.
        ValueError: no row has a score.
    """
    if order is not None:
        frame = frame.iloc[column_of(frame, order).reset_index(drop=True).sort_values(kind="stable").index]
    rows = positions_of(frame, by)
    _refuse_nothing(rows, by)
    scores = scores_of(frame, by).to_numpy(float)
    best = np.minimum.accumulate(scores) if minimize else np.maximum.accumulate(scores)
    where = "row" if order is None else f"row, by {order}"
    return BestSoFar(np.array(rows) + 1, scores, best, by, where, _note(frame, len(rows)))


# ------------------------------------------------------------------ parts
def _drawer(backend: str | None, ax: Any) -> Drawer:
    """The library that is asked for, or that pandas draws with.

    Raises:
        ValueError: it is none that is known here.
        ImportError: it is not installed.
    """
    if backend is not None and backend not in _BACKENDS:
        raise ValueError(f"backend is {' or '.join(map(repr, _BACKENDS))}, got {backend!r}")
    chosen = backend or str(pd.get_option("plotting.backend"))
    if chosen not in _BACKENDS:  # one that pandas knows and we do not
        chosen = "matplotlib"
    if ax is not None and chosen == "plotly":
        raise ValueError("ax= is of matplotlib; a plotly figure is returned, and can be changed.")
    if importlib.util.find_spec(chosen) is None:
        other = next((name for name in _BACKENDS if name != chosen and importlib.util.find_spec(name)), None)
        hint = f", or give backend={other!r}, which is there" if other else ""
        raise ImportError(f"These pictures are drawn with {chosen}, which is not installed: pip install {chosen}{hint}.", name=chosen)
    return cast(Drawer, importlib.import_module(f"flyte_nb.views.plots_{chosen}"))


def _refuse_nothing(rows: list[int], by: str) -> None:
    if not rows:
        raise ValueError(f"No row has a score in column {by!r}, so there is nothing to draw (yet).")


def _note(frame: pd.DataFrame, drawn: int) -> str:
    """What is not in the picture."""
    left = len(frame) - drawn
    failed = int((~good_rows(frame)).sum())
    of = f" ({failed:,} without success)" if failed else ""
    return f"{drawn:,} of {len(frame):,} rows{of}" if left else ""


def _parameters(frame: pd.DataFrame, by: str) -> list[str]:
    """Columns to the left of the score whose values differ and are numbers, words or truth values."""
    found = []
    for name in frame.columns:
        if name == by:
            break
        if name not in _NOT_PARAMETERS and _is_simple(frame[name]) and len(frame[name].unique()) > 1:
            found.append(name)
    return found[:MOST_AXES]


def _is_simple(column: Any) -> bool:
    if not isinstance(column, pd.Series):  # a name that is there twice
        return False
    kinds = set(map(type, column.dropna().head(1000)))
    return all(issubclass(kind, bool | int | float | str | np.number | np.bool_) or hasattr(kind, "__members__") for kind in kinds)


def _axis(column: pd.Series[Any], name: str) -> Axis:
    if pd.api.types.is_numeric_dtype(column.dtype) and not pd.api.types.is_bool_dtype(column.dtype):
        values = column.to_numpy(float, na_value=np.nan)
        finite = values[np.isfinite(values)]
        low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 0.0)
        is_log = low > 0 and high / low > LOGARITHMIC_FROM
        if is_log:
            values, ends = np.log10(values), (np.log10(low), np.log10(high))
        else:
            ends = (low, high)
        width = ends[1] - ends[0]
        places = np.where(np.isfinite(values), (values - ends[0]) / width if width else 0.5, np.nan)
        steps = (0.0, 0.5, 1.0) if width else (0.5,)
        at = [ends[0] + step * width if width else ends[0] for step in steps]
        return Axis(
            name + (" (log)" if is_log else ""), places, [(s, _label(10**v if is_log else v)) for s, v in zip(steps, at, strict=True)]
        )
    codes, words = _coded(column)
    last = max(1, len(words) - 1)
    return Axis(name, np.where(codes >= 0, codes / last, np.nan), [(code / last, _label(word)) for code, word in enumerate(words)])


def _coded(column: pd.Series[Any]) -> tuple[np.ndarray[Any, np.dtype[np.int64]], list[Any]]:
    """A column's values as positions among its different values, which are in order; -1 for what is missing.

    Values that cannot be told apart by themselves, such as lists, are by their text.
    """
    values = [None if missing else _hashable(value) for value, missing in zip(column, column.isna(), strict=True)]
    words = _sorted({value for value in values if value is not None})
    codes = {word: code for code, word in enumerate(words)}
    return np.array([-1 if value is None else codes[value] for value in values], np.int64), words


def _hashable(value: Any) -> Any:
    try:
        hash(value)
    except TypeError:
        return repr(value)
    return value


def _sorted(values: Any) -> list[Any]:
    try:
        return sorted(values)
    except TypeError:  # of several types
        return sorted(values, key=str)


def _label(value: Any) -> str:
    if isinstance(value, bool | np.bool_):
        return str(bool(value))
    if isinstance(value, float | np.floating):
        return f"{float(value):.4g}"
    if hasattr(value, "name") and hasattr(type(value), "__members__"):  # a member of an enum
        return str(value.name)
    return one_line(str(value), 24)
