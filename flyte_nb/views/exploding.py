"""Decides what `run.results.explode_frames()` is: outputs that are frames, one below the other, each with the inputs it came of.

Must not know: runs.
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from flyte_nb.views.frames import OUTPUTS, RESERVED
from flyte_nb.views.plots import SweepPlots

#: What an index without a name is called once others stand beside it.
UNNAMED = "action"


class ResultsFrame(pd.DataFrame):
    """Inputs and outputs side by side: a DataFrame whose frames can be put one below the other.

    Args:
        table: as `results_frame` makes it; what operations give is a plain DataFrame.
    """

    _outputs: list[Hashable]

    def __init__(self, table: pd.DataFrame) -> None:
        super().__init__(table)  # type: ignore[call-arg]  # pandas' stubs type `__new__` only
        object.__setattr__(self, "_outputs", list(table.attrs.pop(OUTPUTS, ())))

    @property
    def _constructor(self) -> Callable[..., pd.DataFrame]:
        return pd.DataFrame

    def __reduce__(self) -> tuple[Any, ...]:
        return pd.DataFrame, (pd.DataFrame(self),)

    @property
    def plot(self) -> SweepPlots:
        """All that `DataFrame.plot` has, and `heatmap`, `parallel` and `best_so_far`."""
        return SweepPlots(self)

    def explode_frames(self, column: Hashable | None = None) -> pd.DataFrame:
        """Outputs that are frames, one below the other, with the other columns of their row repeated.

        Args:
            column: the output that is taken, where several hold frames.

        Returns:
            The row's columns, then those of the frames. The index has the row's labels, then those of the frames. Rows without
            a frame (they failed, or go on) are left out, and a warning tells how many.

        Raises:
            ValueError: no output holds frames, or several do and `column` does not say which.
        """
        return explode_frames(pd.DataFrame(self), self._outputs, column)


def explode_frames(table: pd.DataFrame, outputs: Sequence[Hashable], column: Hashable | None = None) -> pd.DataFrame:
    """Outputs that are frames, one below the other, with the other columns of their row repeated.

    Args:
        table: inputs and outputs side by side.
        outputs: which of its columns are outputs.
        column: the output that is taken, where several hold frames.

    Returns:
        The row's columns, then those of the frames; one of these that is named like one of those gets the prefix
        `output_`. The index has the row's labels, then those of the frames. Rows without a frame (they failed, or go on) are left
        out, and a warning tells how many.

    Raises:
        ValueError: no output holds frames, or several do and `column` does not say which.
    """
    chosen = _chosen(table, outputs, column)
    cells = [_as_pandas(cell) for cell in table[chosen]]
    places = [place for place, cell in enumerate(cells) if cell is not None]
    frames = [cell for cell in cells if cell is not None]
    _tell_of_missing(table, places)
    lengths = [len(frame) for frame in frames]
    filled = [frame for frame in frames if len(frame)] or frames  # an empty frame has columns of another type
    inner = pd.concat(filled) if filled else pd.DataFrame()
    rows = np.repeat(np.array(places, np.intp), lengths)
    kept = [label for label in table.columns if label != chosen and label not in RESERVED and not table[label].map(_is_frame).any()]
    outer = table[kept].iloc[rows]
    index = _index(table.index.take(rows), inner.index)
    taken = set(kept)
    inner.columns = pd.Index([f"output_{label}" if label in taken else label for label in inner.columns])
    return pd.concat([outer.set_axis(index), inner.set_axis(index)], axis=1)


def _chosen(table: pd.DataFrame, outputs: Sequence[Hashable], column: Hashable | None) -> Hashable:
    if column is not None:
        if column not in outputs:
            raise ValueError(f"explode_frames({column!r}): the outputs are {_listed(outputs)}.")
        return column
    holding = [label for label in outputs if table[label].dtype == object and table[label].map(_is_frame).any()]
    if len(holding) == 1:
        return holding[0]
    if not holding:
        raise ValueError(f"No output of this run is a frame (so far); its outputs are {_listed(outputs)}.")
    raise ValueError(f"Several outputs are frames, {_listed(holding)}: say which, as explode_frames({holding[0]!r}).")


def _listed(labels: Sequence[Hashable]) -> str:
    return ", ".join(map(repr, labels)) or "none"


def _index(outer: pd.Index[Any], inner: pd.Index[Any]) -> pd.MultiIndex:
    """The labels of both, level beside level."""
    levels = [outer.get_level_values(level) for level in range(outer.nlevels)]
    names: list[Hashable] = [UNNAMED if name is None and outer.nlevels == 1 else name for name in outer.names]
    levels += [inner.get_level_values(level) for level in range(inner.nlevels)]
    return pd.MultiIndex.from_arrays(levels, names=[*names, *inner.names])


def _tell_of_missing(table: pd.DataFrame, places: Sequence[int]) -> None:
    left = np.ones(len(table), bool)
    left[list(places)] = False
    if not left.any():
        return
    words = ""
    labels: list[Any] = table.columns.tolist()
    for label in reversed(labels):
        if label == "phase" or (isinstance(label, tuple) and label[0] == "phase"):
            phases = table.loc[left, label].replace({"succeeded": "without a frame", "recovered": "without a frame"})
            words = f" ({', '.join(f'{count} {word}' for word, count in phases.value_counts().items())})"
            break
    warnings.warn(f"explode_frames: {left.sum()} of {len(table)} rows are left out{words}.", stacklevel=4)


# ------------------------------------------------------------------ frames of any library
def _library(value: object) -> tuple[str, str]:
    return type(value).__module__.partition(".")[0], type(value).__name__


def _is_frame(value: object) -> bool:
    return isinstance(value, pd.DataFrame) or _library(value) in _READERS


def _as_pandas(value: Any) -> pd.DataFrame | None:
    """A frame of any library as one of pandas; None for what is no frame."""
    if isinstance(value, pd.DataFrame):
        return pd.DataFrame(value)
    read = _READERS.get(_library(value))
    return None if read is None else read(value)


def _of_polars(value: Any) -> pd.DataFrame:
    return pd.DataFrame(value.to_dict(as_series=False))


_READERS: dict[tuple[str, str], Callable[[Any], pd.DataFrame]] = {
    ("polars", "DataFrame"): _of_polars,
    ("polars", "LazyFrame"): lambda value: _of_polars(value.collect()),
    ("pyarrow", "Table"): lambda value: value.to_pandas(),
    ("pyarrow", "RecordBatch"): lambda value: value.to_pandas(),
    ("flyte_nb", "DataFrame"): lambda value: value.table_as(importlib.import_module("pandas").DataFrame),
}
