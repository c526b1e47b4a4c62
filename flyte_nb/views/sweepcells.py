"""Decides what the Results tab shows of a sweep beside inputs and outputs: which rows an action holds, and their other columns.

Must not know: how the tab is drawn, what else stands in it; and pandas, where the run is no sweep.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from flyte_nb.core.batching import SPLIT_SUFFIX, Span, spans_of, split_spans
from flyte_nb.core.sweep import Streamed, is_sweep
from flyte_nb.views.columns import FAILED_CODES, Columns, Numbers, ReadRun, lookup
from flyte_nb.views.values import value_text
from flyte_nb.views.wording import count as number_words

if TYPE_CHECKING:  # pandas takes half a second to load, and most runs are no sweeps
    import pandas as pd

    from flyte_nb.views.swept import Mapped

#: The column that tells the rows, and those of the frame's other columns (a number follows).
ROW, ASIDE = "row", "aside"
#: Other columns that are shown; of a wide frame the first ones.
MOST_ASIDE = 16
_FAILED = lookup(FAILED_CODES)


@dataclass(slots=True)
class _Places:
    """Which rows the actions hold, at one version of the run.

    Attributes:
        version: of the run.
        whole: actions that hold a row, or a batch, in order; parts: those that hold parts of batches that failed.
        spans: what the parts hold.
    """

    version: int
    whole: Numbers
    parts: Numbers
    spans: list[Span]


class SweepCells:
    """Cells of a sweep's frame, by action.

    Args:
        run: a run; if it is no sweep, there are none.
    """

    def __init__(self, run: ReadRun) -> None:
        self._run = run
        self._mapped: Mapped | None = None
        self._is_asked = False
        self._places: _Places | None = None

    @property
    def mapped(self) -> Mapped | None:
        """What was mapped, found out once."""
        if not self._is_asked:
            self._is_asked = True
            if self._run.read(lambda state: is_sweep(state.root)):
                from flyte_nb.views.swept import mapped_by  # noqa: PLC0415 - see above

                self._mapped = mapped_by(self._run)
        return self._mapped

    def titles(self, inputs: list[str]) -> list[tuple[str, str]]:
        """Key and title of each column; nothing if the run is no sweep.

        Args:
            inputs: names of columns that are there as inputs.
        """
        mapped = self.mapped
        if mapped is None:
            return []
        if isinstance(mapped.frame, Streamed):
            return [] if mapped.batch_size is not None else [(ROW, "Row")]
        title = "Rows" if mapped.batch_size is not None else " / ".join(str(name) for name in mapped.frame.index.names if name) or "Row"
        return [(ROW, title), *(self._aside(mapped.frame, inputs) if mapped.batch_size is None else [])]

    @staticmethod
    def _aside(frame: pd.DataFrame, inputs: list[str]) -> list[tuple[str, str]]:
        others = [(place, str(label)) for place, label in enumerate(frame.columns) if label not in inputs]
        return [(f"{ASIDE}{place}", title) for place, title in others[:MOST_ASIDE]]

    def cells(self, row: int, columns: Columns) -> dict[str, str]:
        """The cells of an action, by the columns' keys."""
        mapped = self.mapped
        span = None if mapped is None else self._span(row, columns, mapped)
        if mapped is None or span is None:
            return {}
        frame = mapped.frame
        if isinstance(frame, Streamed):
            return {ROW: number_words(span.start)}
        if span.start + span.count > len(frame):
            return {}
        first, last = _label(frame, span.start), _label(frame, span.start + span.count - 1)
        if mapped.batch_size is None:
            values = {f"{ASIDE}{place}": _text(frame.iloc[span.start, place]) for place in range(len(frame.columns))}
            return {ROW: first, **values}
        return {ROW: first if span.count == 1 else f"{first} – {last} ({number_words(span.count)})"}

    def _span(self, row: int, columns: Columns, mapped: Mapped) -> Span | None:
        """What an action holds."""
        if self._places is None or self._places.version != columns.version:
            self._places = _placed(columns, mapped)
        places = self._places
        position = int(np.searchsorted(places.whole, row))
        if position < len(places.whole) and places.whole[position] == row:
            if mapped.batch_size is None:
                return Span(position, 1)
            if isinstance(mapped.frame, Streamed):
                return None
            start = position * mapped.batch_size
            return Span(start, min(mapped.batch_size, len(mapped.frame) - start))
        position = int(np.searchsorted(places.parts, row))
        is_part = position < len(places.spans) and places.parts[position] == row
        return places.spans[position] if is_part else None


def _placed(columns: Columns, mapped: Mapped) -> _Places:
    nodes = columns.node_ids
    is_call = np.array([task.kind == "task" for task in columns.tasks], bool)[columns.node_tasks]
    is_part = np.array([group.endswith(SPLIT_SUFFIX) for group in columns.groups], bool)[columns.node_groups]
    is_child = (columns.node_parents == 0) & is_call
    is_part &= is_child & (mapped.batch_size is not None)
    whole, parts = (np.flatnonzero(mask[nodes]) for mask in (is_child & ~is_part, is_part))
    whole = whole[whole > 0]  # the root is a child of itself
    spans: list[Span] = []
    if mapped.batch_size is not None and mapped.splits and not isinstance(mapped.frame, Streamed):
        batches = spans_of(len(mapped.frame), mapped.batch_size)[: len(whole)]
        failed = _FAILED[columns.phases]
        spans = split_spans(list(zip(batches, failed[whole].tolist(), strict=False)), failed[parts].tolist())
    return _Places(columns.version, whole, parts, spans)


def _label(frame: pd.DataFrame, position: int) -> str:
    return _text(frame.index[position])


def _text(value: Any) -> str:
    """A value of a frame, as a cell shows it."""
    import pandas as pd  # noqa: PLC0415 - see above

    if isinstance(value, str):
        return value
    if isinstance(value, tuple):
        return " / ".join(map(_text, value))
    if value is None or value is pd.NA or value is pd.NaT:
        return ""
    if isinstance(value, float | np.floating):
        return "" if np.isnan(value) else f"{value:.6g}"
    if isinstance(value, pd.Timestamp | pd.Timedelta):
        return str(value)
    return value_text(value.item() if isinstance(value, np.generic) else value)
