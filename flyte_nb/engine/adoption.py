"""Decides which calls of a new attempt are answered from an earlier attempt of the same action.

An action whose worker died, or whose body failed and is tried again, makes the same calls once more. The same call is
the one with the same task, inputs and group, made for the same time: the rule that actions are named by. So the first
identical call of the new attempt stands for the first one of the earlier attempts, the second for the second, in
whatever order loops make them.

What the earlier attempt left, and whether it counts:

    ================  ===================  =======================
    the child         its worker was lost  its body failed
    ================  ===================  =======================
    succeeded         its output           its output
    failed            its failure          called again
    open              waited for           was stopped; called again
    aborted by a      its abort            called again
    person
    stopped by us     called again         called again
    ================  ===================  =======================

Pure. Must not know: who asks, or how answers travel.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from flyte_nb.core.names import hash_of_inputs, identity
from flyte_nb.core.phases import CODE, ActionPhase
from flyte_nb.core.state import RunState
from flyte_nb.engine.stimuli import Called

#: Why we stop actions that nobody wants any more. What was stopped for these reasons is called again.
CALLER_CANCELLED = "cancelled by its caller"
CALLER_ENDED = "its caller has ended"
CALLER_FAILED = "its caller's attempt failed"
OURS = frozenset({CALLER_CANCELLED, CALLER_ENDED, CALLER_FAILED})

_SUCCEEDED = frozenset({CODE[ActionPhase.SUCCEEDED], CODE[ActionPhase.RECOVERED]})
_ABORTED = CODE[ActionPhase.ABORTED]

_Key = tuple[str, str, str, int]


@dataclass(frozen=True, slots=True)
class Claim:
    """A call that an earlier attempt made already: its position among the calls, and the action."""

    offset: int
    row: int


@dataclass(frozen=True, slots=True)
class NewCalls:
    """Adjacent calls that were not made before, and which of the parent's identical calls each one is."""

    offset: int
    sequences: Sequence[int]


class Offer:
    """What an action called in its earlier attempts, offered to its next one.

    Args:
        state: the run.
        parent: the action.
        settled: of the children below this row only those that succeeded count: an earlier attempt failed after them.
    """

    def __init__(self, state: RunState, parent: int, settled: int) -> None:
        self._state, self._parent, self.settled = state, parent, settled
        self._rows: dict[_Key, int] | None = None
        self._seen: Counter[tuple[str, str, str]] = Counter()

    def claim(self, call: Called, stopping: dict[int, str]) -> list[Claim | NewCalls]:
        """Tell the calls that were made before from the new ones, in order.

        Args:
            call: calls of the action's next attempt.
            stopping: open actions that were told to stop, and why.
        """
        if self._rows is None:  # now and not before: most actions that are tried again call nothing
            self._rows = self._index()
        task = next(task for task in self._state.tasks if task.key == call.task_key)
        name, ignored = identity(task), task.cache.ignored
        parts: list[Claim | NewCalls] = []
        fresh: list[int] = []
        for offset, inputs in enumerate(call.inputs):
            key = (name, hash_of_inputs(inputs, ignored), call.group)
            self._seen[key] += 1
            sequence = self._seen[key]
            row = self._rows.get((*key, sequence))
            if row is None or not self._counts(row, stopping):
                fresh.append(sequence)
                continue
            if fresh:
                parts.append(NewCalls(offset - len(fresh), fresh))
                fresh = []
            parts.append(Claim(offset, row))
        if fresh:
            parts.append(NewCalls(len(call.inputs) - len(fresh), fresh))
        return parts

    def _index(self) -> dict[_Key, int]:
        """The children by the call that made them; of several for one call the newest."""
        state, found = self._state, dict[_Key, int]()
        seen: Counter[tuple[str, str, str]] = Counter()
        for block in state.children.get(self._parent, ()):
            for row in block:
                task = state.task_of(row)
                if task.kind == "trace":  # handed over in another way: see `asides`
                    continue
                key = (identity(task), hash_of_inputs(state.inputs(row), task.cache.ignored), state.group_of(row))
                sequence = state.sequences.get(row) or seen[key] + 1
                seen[key] = max(sequence, seen[key])
                found[*key, sequence] = row
        return found

    def _counts(self, row: int, stopping: dict[int, str]) -> bool:
        code = self._state.phases[row]
        if code in _SUCCEEDED:
            return True
        if row < self.settled:
            return False
        reason = self._state.abort_reason(row) if code == _ABORTED else stopping.get(row, "")
        return reason not in OURS
