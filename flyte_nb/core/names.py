"""Decides when action names are worked out: on demand, parent by parent.

Most of a large run's names are never asked for, and a name costs more than the rest of an action's bookkeeping, so
they are computed when somebody looks, from what the columns hold (see `ids.action_name` for the rule).

Must not know: anything but the state that it reads.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from flyte_nb.core import ids
from flyte_nb.core.events import Inputs, TaskFacts
from flyte_nb.core.hashing import digest

if TYPE_CHECKING:  # the state owns its index; the index only needs the state's shape
    from flyte_nb.core.state import RunState


class NameIndex:
    """Names and call sequences of one run's actions, filled as far as asked."""

    def __init__(self, state: RunState) -> None:
        self._state = state
        self._names: dict[int, tuple[str, int]] = {0: (ids.ROOT_ACTION, 1)}
        self._rows: dict[str, int] = {ids.ROOT_ACTION: 0}
        self._seen: dict[int, Counter[tuple[str, str, str]]] = {}
        self._upto: dict[int, int] = {}

    def name(self, row: int) -> str:
        """The name of an action."""
        return self._entry(row)[0]

    def sequence(self, row: int) -> int:
        """Which of its parent's identical calls an action is, from 1."""
        return self._entry(row)[1]

    def row(self, name: str) -> int | None:
        """The row of a name, or None."""
        if name not in self._rows:
            for row in range(self._state.count):
                self._entry(row)
        return self._rows.get(name)

    def _entry(self, row: int) -> tuple[str, int]:
        unnamed = []
        while row not in self._names:  # a loop, not recursion: actions may be nested deeper than Python's stack
            unnamed.append(row)
            row = self._state.parent_of(row)
        while unnamed:
            row = unnamed.pop()
            self._fill(self._state.parent_of(row), row)
        return self._names[row]

    def _fill(self, parent: int, row: int) -> None:
        """Name the children of `parent` up to `row`, in the order in which they were called."""
        state = self._state
        parent_name = self.name(parent)
        seen = self._seen.setdefault(parent, Counter())
        upto = self._upto.get(parent, 0)
        for children in state.children[parent]:
            for child in range(max(children.start, upto), min(children.stop, row + 1)):
                task, group = identity(state.task_of(child)), state.group_of(child)
                hashed = inputs_hash(state, child)
                sequence = state.sequences.get(child) or seen[task, hashed, group] + 1
                seen[task, hashed, group] = max(sequence, seen[task, hashed, group])
                name = ids.action_name(parent_name, hashed, task, sequence, group)
                self._names[child] = (name, sequence)
                self._rows[name] = child
        self._upto[parent] = max(upto, row + 1)


def identity(task: TaskFacts) -> str:
    """What a task counts as in names: its name and its code with all that it uses, so that an edited task makes new actions."""
    code = task.version or task.code
    return f"{task.name}@{code}" if code else task.name


def inputs_hash(state: RunState, row: int) -> str:
    """A hash of an action's inputs; those that the task's cache ignores are left out."""
    return hash_of_inputs(state.inputs(row), state.task_of(row).cache.ignored)


def hash_of_inputs(inputs: Inputs, ignored: tuple[int, ...] = ()) -> str:
    """A hash of inputs, the same for equal ones."""
    return ":".join(digest(item) for place, item in enumerate(inputs) if place not in ignored)
