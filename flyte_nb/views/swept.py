"""Decides how a sweep reads as a table: the frame that was mapped, with the outputs of its rows joined.

A sweep (`flyte.map_frame`) keeps what it mapped as its root's input, and its root calls rows in their order, so the table
is made from the records alone: while the run goes on, after it, and of a stored run. Rows that were not called yet are
`queued`.

Must not know: how a sweep is driven, or how a table is displayed.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from flyte_nb.core.payloads import Blob, Item, unpack
from flyte_nb.core.phases import ActionPhase
from flyte_nb.core.state import RunState
from flyte_nb.core.sweep import is_sweep
from flyte_nb.views.columns import Columns, Numbers, ReadRun
from flyte_nb.views.frames import RESERVED, Results, output_columns, phase_words, results_frame, results_of
from flyte_nb.views.spread import Unpacker
from flyte_nb.views.textcolumns import sparse_text

#: Frames of so many sweeps are kept unpacked: a table that refreshes itself asks for its frame five times a second.
_KEPT_FRAMES = 4
_frames: OrderedDict[int, tuple[Blob, pd.DataFrame]] = OrderedDict()


@dataclass(frozen=True, slots=True)
class Mapped:
    """What a sweep mapped.

    Attributes:
        frame: the input frame, a row an action.
        rename: parameters by column.
    """

    frame: pd.DataFrame
    rename: dict[Hashable, str]


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
        rename = unpack(items["rename"]) or {}
    except Exception:  # noqa: BLE001 - a class that is no longer there, for instance: then it reads as any other run
        return None
    return Mapped(frame, dict(rename)) if isinstance(frame, pd.DataFrame) and isinstance(rename, dict) else None


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
    frame = mapped.frame if limit is None else mapped.frame.iloc[:limit]
    rows = _rows_of_children(run, len(frame))
    joined = frame.copy(deep=False)
    joined.columns = pd.Index(_input_labels(frame.columns), tupleize_cols=False) if frame.columns.nlevels == 1 else frame.columns
    labels = _Labels(joined.columns)
    for name, values in output_columns(rows, Unpacker()).items():
        _join(joined, labels.free(name), values, len(rows.phases))
    phases = np.full(len(frame), ActionPhase.QUEUED.value, object)
    phases[: len(rows.phases)] = phase_words(rows)
    joined[labels.exact("phase")] = phases
    joined[labels.exact("error")] = sparse_text(rows.errors, len(frame))
    return joined


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


def _rows_of_children(run: ReadRun, most: int) -> Results:
    """The results of what the root called, in order."""
    children = run.read(lambda state: _children(state, most))
    columns = Columns(run)
    columns.refresh(int(children[-1]) + 1 if len(children) else 1)
    return results_of(run, columns, children)


def _children(state: RunState, most: int) -> Numbers:
    parts: list[Numbers] = []
    count = 0
    for rows in state.children.get(0, ()):
        if state.task_of(rows[0]).kind == "task":
            parts.append(np.arange(rows.start, rows.stop))
            count += len(rows)
        if count >= most:
            break
    return np.concatenate(parts)[:most] if parts else np.empty(0, np.int64)


def _input_labels(columns: pd.Index[Any]) -> list[Hashable]:
    return [f"input_{label}" if label in RESERVED else label for label in columns]


class _Labels:
    """Labels for columns that are joined to a frame's own."""

    def __init__(self, taken: pd.Index[Any]) -> None:
        self._taken = set(taken)
        self._levels = taken.nlevels

    def free(self, name: str) -> Hashable:
        """A label that no input has."""
        while self.exact(name) in self._taken or name in RESERVED:
            name = f"output_{name}"
        self._taken.add(self.exact(name))
        return self.exact(name)

    def exact(self, name: str) -> Hashable:
        """A name as a label; with several levels the others are empty."""
        return name if self._levels == 1 else (name, *[""] * (self._levels - 1))


def _join(joined: pd.DataFrame, label: Hashable, values: Any, known: int) -> None:
    column = np.full(len(joined), np.nan, object)
    column[:known] = values
    joined[label] = pd.Series(column, index=joined.index).infer_objects().array
