"""Decides how the outputs of a run become columns while they arrive: read once each, slice by slice, in a thread if many.

An output that is a dict with names, a dataclass, a named tuple or a declared tuple is a value for each of its fields;
anything else is a value of the column without a name. Values that are neither number nor text count as missing for
sorting and counting, and are still shown.

Must not know: queries, or how a column is shown.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from flyte_nb.core.events import TaskFacts
from flyte_nb.core.payloads import Blob, Item
from flyte_nb.core.phases import CODE, ActionPhase
from flyte_nb.core.state import RunState
from flyte_nb.views.columns import Numbers, ReadRun, lookup
from flyte_nb.views.fields import Field
from flyte_nb.views.slices import Slices
from flyte_nb.views.spread import MAX_SPREAD, fields_of
from flyte_nb.views.values import Unreadable, known_value
from flyte_nb.views.wording import encodable

#: Outputs that are read at a time.
SLICE = 1_024
_HAS_OUTPUT = lookup(frozenset({CODE[ActionPhase.SUCCEEDED], CODE[ActionPhase.RECOVERED]}))


def parts_of(value: Any, task: TaskFacts) -> Mapping[str, Any]:
    """An output by field (names that can be sent); of one without fields, itself under the empty name."""
    if isinstance(value, tuple) and not hasattr(value, "_fields") and len(task.outputs) > 1 and len(value) == len(task.outputs):
        return dict(zip(task.outputs, value, strict=True))
    fields = None if isinstance(value, Unreadable) else fields_of(value)
    return {"": value} if fields is None or len(fields) > MAX_SPREAD else {encodable(name): part for name, part in fields.items()}


def value_of(item: Item) -> Any:
    """An output as far as it may be unpacked."""
    return known_value(item) if isinstance(item, Blob) else item


class Outputs:
    """The outputs of one run's actions as columns by field.

    Args:
        run: whose actions.
        notify: called (from the thread) when more was read.

    Attributes:
        making: held while columns change; hold it while several of them are read.
    """

    def __init__(self, run: ReadRun, notify: Callable[[], None] = lambda: None) -> None:
        self._run = run
        self._fields: dict[str, Field] = {}
        self._first: dict[str, tuple[int, int]] = {}
        self._done = np.zeros(0, bool)
        self._todo: list[Numbers] = []
        self.making = threading.RLock()
        self._slices = Slices("flyte_nb-outputs", self._read_slice, notify)

    # ------------------------------------------------------------------ asking
    def advance(self) -> int:
        """Read for a moment, and go on in a thread if that was not all; returns how many outputs have been read."""
        self._slices.advance()
        with self.making:
            return int(self._done.sum())

    @property
    def is_reading(self) -> bool:
        """Whether the thread reads on."""
        return self._slices.is_working

    def names(self) -> list[str]:
        """The fields, in the order of the first actions that have them; of too many, only the whole value."""
        with self.making:
            names = sorted(self._first, key=self._first.__getitem__)
        return names if len(names) <= MAX_SPREAD else [""]

    def field(self, name: str, count: int) -> Field:
        """The column of a field, with so many rows."""
        with self.making:
            field = self._fields.get(name) or Field()
            field.grow(count)
            return field

    def read_mask(self, count: int) -> Numbers:
        """Which rows' outputs have been read."""
        with self.making:
            mask = np.zeros(max(count, len(self._done)), bool)
            mask[: len(self._done)] = self._done
            return mask[:count]

    # ------------------------------------------------------------------ reading
    def _read_slice(self) -> bool:
        """Read some outputs; returns whether there may be more."""
        with self.making:
            if not self._todo:
                self._look()
            if self._todo:
                rows = self._todo.pop()
                read = self._run.read(lambda state: _read(state, rows.tolist()))
                for task, chosen, items in _by_task(rows, *read):
                    self._put(task, chosen, items)
                self._done[rows] = True
            return bool(self._todo)

    def _look(self) -> None:
        """Find what has come since the last look."""
        phases = self._run.read(lambda state: np.frombuffer(bytes(state.phases), np.uint8))
        self._done = np.concatenate([self._done, np.zeros(len(phases) - len(self._done), bool)])
        fresh = np.flatnonzero(_HAS_OUTPUT[phases] & ~self._done)
        fresh = fresh[fresh > 0]
        self._todo = [fresh[lo : lo + SLICE] for lo in range(0, len(fresh), SLICE)][::-1]

    def _put(self, task: TaskFacts, rows: Numbers, items: Sequence[Item]) -> None:
        if not any(isinstance(item, Blob) for item in items):  # nothing to take apart
            self._put_field("", rows, items, int(rows[0]), 0)
            return
        names: dict[str, tuple[list[int], list[Any], int]] = {}
        for row, item in zip(rows.tolist(), items, strict=True):
            for place, (name, value) in enumerate(parts_of(value_of(item), task).items()):
                places, values, _ = names.setdefault(name, ([], [], place))
                places.append(row)
                values.append(plain(value))
        for name, (places, values, place) in names.items():
            self._put_field(name, np.array(places), values, places[0], place)

    def _put_field(self, name: str, rows: Numbers, values: Sequence[Item], row: int, place: int) -> None:
        self._first[name] = min(self._first.get(name, (row, place)), (row, place))
        if name not in self._fields and len(self._fields) > MAX_SPREAD:
            return
        field = self._fields.setdefault(name, Field())
        field.grow(len(self._done))
        field.put(rows, values)

    def join(self, timeout: float | None = None) -> None:
        """Wait until the thread has read what there is."""
        self._slices.join(timeout)


def plain(value: Any) -> Item:
    """A value as a scalar, where it is one in another dress (numpy's numbers); None if it is none."""
    if isinstance(value, str | int | float):
        return value
    if isinstance(value, np.generic) and value.ndim == 0:
        made = value.item()
        return made if isinstance(made, str | int | float) else None
    return None


def _read(state: RunState, rows: list[int]) -> tuple[list[TaskFacts], list[Item]]:
    return [state.task_of(row) for row in rows], state.outputs_of(rows)


def _by_task(rows: Numbers, tasks: list[TaskFacts], items: list[Item]) -> Iterator[tuple[TaskFacts, Numbers, list[Item]]]:
    """Cut where the task changes."""
    cuts = [0, *(place for place in range(1, len(tasks)) if tasks[place] is not tasks[place - 1]), len(tasks)]
    for lo, hi in pairwise(cuts):
        if lo < hi:
            yield tasks[lo], rows[lo:hi], items[lo:hi]
