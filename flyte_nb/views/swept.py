"""Decides how a sweep reads as a table: the frame that was mapped, with the outputs of its rows joined.

A sweep (`flyte.map_frame`) keeps what it mapped as its root's input, and its root calls rows in their order, so the table
is made from the records alone: while the run goes on, after it, and of a stored run. Rows that were not called yet are
`queued`. Of a stream the table has the rows that were called: their inputs, and what the root kept beside them.

Must not know: how a sweep is driven, or how a table is displayed.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

import numpy as np
import pandas as pd

from flyte_nb.core.payloads import Blob, Item, unpack
from flyte_nb.core.state import RunState
from flyte_nb.core.sweep import Streamed, is_sweep
from flyte_nb.views.columns import ReadRun
from flyte_nb.views.frames import results_frame
from flyte_nb.views.joining import join, typed
from flyte_nb.views.sweeprows import SweepRows, called_rows

#: Frames of so many sweeps are kept unpacked: a table that refreshes itself asks for its frame five times a second.
_KEPT_FRAMES = 4
_frames: OrderedDict[int, tuple[Blob, pd.DataFrame]] = OrderedDict()


@dataclass(frozen=True, slots=True)
class Mapped:
    """What a sweep mapped.

    Attributes:
        frame: the input frame, or what stands for a stream.
        batch_size: most rows in one call; None if there is a call for each.
        splits: whether the halves of failed batches are called again.
    """

    frame: pd.DataFrame | Streamed
    batch_size: int | None
    splits: bool


def results_table(run: ReadRun, *, limit: int | None = None) -> pd.DataFrame:
    """What `run.results` is: the table of a sweep, or that of any other run."""
    mapped = mapped_by(run)
    return results_frame(run, limit=limit) if mapped is None else swept_frame(run, mapped, limit=limit)


def mapped_by(run: ReadRun) -> Mapped | None:
    """What a run mapped; None if it is no sweep, or its frame cannot be read here."""
    items = run.read(_root_inputs)
    if items is None:
        return None
    try:
        frame = _frame(items["frame"])
        size = unpack(items["batch_size"])
    except Exception:  # noqa: BLE001 - a class that is no longer there, for instance: then it reads as any other run
        return None
    if not isinstance(frame, pd.DataFrame | Streamed):
        return None
    return Mapped(frame, size if isinstance(size, int) else None, unpack(items["on_batch_error"]) == "split")


def swept_frame(run: ReadRun, mapped: Mapped, *, limit: int | None = None) -> pd.DataFrame:
    """The table of a sweep.

    Args:
        run: a sweep.
        mapped: what it mapped.
        limit: at most so many rows, from the first on.

    Returns:
        The columns and the index of the input frame, then outputs, `phase` and `error`. An input column named `task`, `phase`
        or `error` gets the prefix `input_`, an output named like an input column the prefix `output_`.
    """
    if isinstance(mapped.frame, pd.DataFrame):
        rows = called_rows(run, len(mapped.frame), mapped.batch_size, splits=mapped.splits, limit=limit)
        frame = mapped.frame if limit is None else mapped.frame.iloc[:limit]
    else:
        counted = mapped.frame.frame_parameter or next(iter(mapped.frame.labels), "")
        rows = called_rows(run, None, mapped.batch_size, splits=mapped.splits, counted=counted, limit=limit)
        frame = _streamed_frame(rows, mapped.frame)
        frame = frame if limit is None else frame.iloc[:limit]
    return join(frame, rows.outputs(len(frame)), rows.phases(len(frame)), rows.errors(len(frame)))


def row_count(run: ReadRun) -> int | None:
    """Rows of what a sweep mapped, where each is known by now; None for other runs, and for streams."""
    mapped = mapped_by(run)
    return len(mapped.frame) if mapped is not None and isinstance(mapped.frame, pd.DataFrame) else None


def _root_inputs(state: RunState) -> dict[str, Item] | None:
    if not is_sweep(state.root):
        return None
    return dict(zip(state.root.parameters, state.inputs(0), strict=False))


def _frame(item: Item) -> object:
    """The frame, unpacked once; it must not be changed."""
    if not isinstance(item, Blob):
        return item
    key = id(item)
    if key not in _frames:
        value = unpack(item)
        if not isinstance(value, pd.DataFrame):
            return value
        _frames[key] = (item, value)  # the item too: an id is only unique while the object lives
        while len(_frames) > _KEPT_FRAMES:
            _frames.popitem(last=False)
    _frames.move_to_end(key)
    return _frames[key][1]


# ------------------------------------------------------------------ streams
def _streamed_frame(rows: SweepRows, streamed: Streamed) -> pd.DataFrame:
    """The rows of a stream that were called, from their inputs."""
    kept = _kept_frame(rows)
    if streamed.frame_parameter:
        parts = [part for part in rows.inputs(streamed.frame_parameter, by_item=False) if isinstance(part, pd.DataFrame)]
        taken = pd.concat(parts).set_axis(kept.index) if sum(map(len, parts)) == len(kept) and parts else pd.DataFrame(index=kept.index)
    else:
        columns = {label: typed(np.fromiter(rows.inputs(name), object, len(kept))) for name, label in streamed.labels.items()}
        taken = pd.DataFrame({label: column.array for label, column in columns.items()}, index=kept.index)
    for label in kept.columns:
        if label not in taken.columns and label not in kept.index.names:
            taken[label] = kept[label].array
    return taken


def _kept_frame(rows: SweepRows) -> pd.DataFrame:
    """What was kept of the rows beside their inputs; where nothing was, they are counted."""
    parts: list[pd.DataFrame] = []
    count = 0
    for first, part in rows.kept():
        if first > count:
            parts.append(pd.DataFrame(index=pd.RangeIndex(count, first)))
        parts.append(part)
        count = first + len(part)
    total = rows.count
    if total > count:
        parts.append(pd.DataFrame(index=pd.RangeIndex(count, total)))
    kept = pd.concat(parts) if parts else pd.DataFrame(index=pd.RangeIndex(0))
    return kept.iloc[:total]


__all__ = ["Mapped", "mapped_by", "results_table", "row_count", "swept_frame"]
