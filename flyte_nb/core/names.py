"""Decides when action names are worked out: on demand, parent by parent.

Most of a large run's names are never asked for, and a name costs more than the rest of an action's bookkeeping, so
they are computed when somebody looks, from what the columns hold (see `ids.action_name` for the rule).

Must not know: anything but the state that it reads.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from flyte_nb.core import ids
from flyte_nb.core.events import Inputs, TaskFacts
from flyte_nb.core.hashing import digest
from flyte_nb.core.payloads import Item

if TYPE_CHECKING:  # the state owns its index; the index only needs the state's shape
    from flyte_nb.core.state import RunState

#: Types of inputs of which equal ones are the same, and how many digests of them are kept: sweeps repeat their values.
_REPEATED = frozenset({int, str})
MOST_DIGESTS = 10_000


class NameIndex:
    """Names and call sequences of one run's actions, filled as far as asked."""

    def __init__(self, state: RunState) -> None:
        self._state = state
        self._names: dict[int, str] = {0: ids.ROOT_ACTION}
        self._rows: dict[str, int] = {ids.ROOT_ACTION: 0}
        self._sequences: dict[int, int] = {}
        self._repeated: dict[str, int] = {}
        self._upto: dict[int, int] = {}
        self._digests: dict[Item, str] = {}

    def name(self, row: int) -> str:
        """The name of an action."""
        self._name(row)
        return self._names[row]

    def sequence(self, row: int) -> int:
        """Which of its parent's identical calls an action is, from 1."""
        self._name(row)
        return self._sequences.get(row, 1)

    def row(self, name: str) -> int | None:
        """The row of a name, or None."""
        if name not in self._rows:
            for row in range(self._state.count):
                self._name(row)
        return self._rows.get(name)

    def within(self, row: int, steps: int) -> str | None:
        """The name of an action if it takes no more than so many steps; the steps are taken, so it may be asked again."""
        self._name(row, steps)
        return self._names.get(row)

    def _name(self, row: int, steps: int | None = None) -> None:
        unnamed = []
        while row not in self._names:  # a loop, not recursion: actions may be nested deeper than Python's stack
            unnamed.append(row)
            row = self._state.parent_of(row)
        while unnamed and (steps is None or steps > 0):
            row = unnamed.pop()
            done = self._fill(self._state.parent_of(row), row, steps)
            steps = None if steps is None else steps - done

    def _fill(self, parent: int, row: int, steps: int | None) -> int:
        """Name the children of `parent` up to `row`, in the order of their calls, so many at most; returns how many."""
        upto, done = self._upto.get(parent, 0), 0
        for children in self._state.children[parent]:
            stop = min(children.stop, row + 1)
            for lo, hi in self._alike(range(max(children.start, upto), stop)):
                most = hi if steps is None else min(hi, lo + steps - done)
                self._name_alike(parent, range(lo, most))
                done += most - lo
                self._upto[parent] = most
                if most < hi or done == steps:
                    return done
        return done

    def _alike(self, rows: range) -> Iterator[tuple[int, int]]:
        """Cut adjacent rows where their node changes."""
        nodes, lo = self._state.node_ids, rows.start
        for row in rows:
            if nodes[row] != nodes[lo]:
                yield lo, row
                lo = row
        if lo < rows.stop:
            yield lo, rows.stop

    def _name_alike(self, parent: int, rows: range) -> None:
        """Name calls of one task in one group."""
        if not rows:
            return
        state, names, known = self._state, self._names, self._rows
        task = state.task_of(rows.start)
        text, group, ignored = identity(task), state.group_of(rows.start), task.cache.ignored
        parent_name, given = names[parent], state.sequences
        for row, inputs in zip(rows, state.inputs_of(rows), strict=True):
            hashed = ":".join([self._digest(item) for place, item in enumerate(inputs) if place not in ignored])
            name = ids.action_name(parent_name, hashed, text, 1, group)
            if name in known or row in given or name in self._repeated:
                seen = max(self._repeated.get(name, 0), int(name in known))
                sequence = given.get(row) or seen + 1
                self._repeated[name] = max(sequence, seen)
                if sequence != 1:
                    self._sequences[row] = sequence
                    name = ids.action_name(parent_name, hashed, text, sequence, group)
            names[row] = name
            known[name] = row

    def _digest(self, item: Item) -> str:
        """The digest of an item; of whole numbers and texts those that were met before are at hand."""
        if type(item) not in _REPEATED:  # 0.0 equals -0.0, and 1 equals True, but they are not the same value
            return digest(item)
        found = self._digests.get(item)
        if found is None:
            if len(self._digests) >= MOST_DIGESTS:
                self._digests.clear()
            found = self._digests[item] = digest(item)
        return found


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
