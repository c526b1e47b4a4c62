"""Decides which calls of a run are answered from the earlier run that it recovers.

An action of the new run is that one of the earlier run which has the same name: the same parent, task, version of the
task's code, inputs, group, and the same place among identical calls. Order in time counts for nothing. An action that
was edited has another name and runs; but what it calls is still looked for below the earlier action that it stands for
(the same but for the code), so that editing a driver does not repeat all that it called.

What the earlier run left, and what becomes of the same call now:

    ==============================  ============================================================
    succeeded (or recovered)        its output is taken; the action is `recovered` and runs nothing
    ... but something that it       called again, since what failed can only be run again by its
    called has failed               caller; what else it called is recovered
    ... but it is to be forced, or  called again
    its output is gone
    failed, aborted, never ended    called again; what it called is recovered
    traced step                     replayed when its caller comes to it, unless it is to be tried again
    condition with an answer        answered
    ==============================  ============================================================

The earlier run may itself have recovered another one: below a recovered driver it has no actions, but that other run
has. So there is a chain of runs, the latest first; the first that knows a call decides about it.

All that is looked up is worked out when a recovery is made, in the thread that asks for it: the engine's thread pays for
a hash of inputs and a lookup per call, and for nothing at all in a run that recovers none.

Pure. Must not know: who calls, or how answers travel.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

from flyte_nb.core.events import Inputs, Relation, TaskFacts
from flyte_nb.core.failure import Failure
from flyte_nb.core.names import hash_of_inputs, identity
from flyte_nb.core.payloads import Item, StoredBlob
from flyte_nb.core.phases import CODE, ActionPhase
from flyte_nb.core.state import RunState

_DONE = frozenset({CODE[ActionPhase.SUCCEEDED], CODE[ActionPhase.RECOVERED]})
_FAILED = frozenset({CODE[ActionPhase.FAILED], CODE[ActionPhase.TIMED_OUT]})

#: Calls of one task by one parent in one group: (identity of the task, group).
_Site = tuple[str, str]


@dataclass(slots=True)
class _Below:
    """What one action of an earlier run called: rows by call, and the rows of its steps.

    `loose` holds the calls that called others themselves, without regard to their code.
    """

    calls: dict[_Site, dict[str, int]] = field(default_factory=dict)
    loose: dict[tuple[str, str, str], list[int]] = field(default_factory=dict)
    steps: list[int] = field(default_factory=list)


class _Source:
    """One earlier run as a lookup table."""

    def __init__(self, state: RunState, force: Collection[str]) -> None:
        self.state = state
        self.below: dict[int, _Below] = {}
        failed: list[tuple[dict[str, int], str, int]] = []
        for parent in state.children:
            self.below[parent] = self._look_below(parent, failed)
        forced = (state.row_of(name) for name in force)
        self._not_done = {row for row in forced if row is not None}
        for calls, key, row in failed:
            if calls[key] == row:  # and not made again since, by another attempt of its caller
                self._taint(row)

    def _look_below(self, parent: int, failed: list[tuple[dict[str, int], str, int]]) -> _Below:
        state, below = self.state, _Below()
        seen: dict[_Site, Counter[str]] = {}
        for row in (row for block in state.children[parent] for row in block):
            task = state.task_of(row)
            if task.kind != "task":
                below.steps.append(row)
                continue
            site, hashed = (identity(task), state.group_of(row)), hash_of_inputs(state.inputs(row), task.cache.ignored)
            counts = seen.setdefault(site, Counter())
            sequence = state.sequences.get(row) or counts[hashed] + 1
            counts[hashed] = max(sequence, counts[hashed])
            calls, key = below.calls.setdefault(site, {}), _numbered(hashed, sequence)
            calls[key] = row  # of several for one call the newest
            if state.phases[row] in _FAILED:
                failed.append((calls, key, row))
            if row in state.children:
                below.loose.setdefault((task.name, site[1], hashed), []).append(row)
        return below

    def _taint(self, row: int) -> None:
        """Something failed: whoever called it has to be run for it to be run again."""
        while row:
            row = self.state.parent_of(row)
            if row in self._not_done:
                return
            self._not_done.add(row)

    def is_done(self, row: int) -> bool:
        """Whether an action's output stands for the same call now."""
        return self.state.phases[row] in _DONE and row not in self._not_done and not _is_gone(self.state.output(row))

    def forces(self, row: int) -> bool:
        """Whether a step or condition is to be run again."""
        return row in self._not_done


def _is_gone(output: Item) -> bool:
    """Whether an output was lost before it could be stored."""
    return isinstance(output, StoredBlob) and not (output.path or output.digest)


def _numbered(hashed: str, sequence: int) -> str:
    return hashed if sequence == 1 else f"{hashed}#{sequence}"


@dataclass(frozen=True, slots=True)
class KeptStep:
    """A traced step or an answered condition of an earlier run: what it was a call of, and what came of it."""

    task: TaskFacts
    group: str
    inputs: Inputs
    result: Item | Failure


@dataclass(slots=True)
class Recovered:
    """Which of some calls are answered (`rows`, `outputs`), and which are to run (`left`: positions among the calls).

    `reports` are those that the answered ones wrote, by row.
    """

    rows: list[int] = field(default_factory=list)
    outputs: list[Item] = field(default_factory=list)
    reports: dict[int, dict[str, str]] = field(default_factory=dict)
    left: list[int] = field(default_factory=list)


class Recovery:
    """What a new run takes over of earlier ones.

    Args:
        states: the run to recover, then the one that it recovered, and so on. They must not change any more.
        force: names of actions of the first of them that are to run again although they succeeded; unknown ones are ignored.
    """

    def __init__(self, states: Sequence[RunState], force: Collection[str] = ()) -> None:
        self._sources = [_Source(state, () if number else force) for number, state in enumerate(states)]
        self._places: dict[int, list[tuple[_Source, int]]] = {0: [(source, 0) for source in self._sources]}
        self._seen: dict[int, dict[_Site, Counter[str]]] = {}
        self._steps: dict[int, dict[str, KeptStep]] = {}

    def root(self, state: RunState) -> tuple[Item] | None:
        """The output of the root, if it need not run: nothing was edited, changed, forced, or has failed."""
        source = self._sources[0]
        earlier, task = source.state, state.root
        same = identity(earlier.root) == identity(task) and _inputs_hash(earlier) == _inputs_hash(state)
        return (earlier.output(0),) if same and source.is_done(0) else None

    def calls(self, parent: int, task: TaskFacts, group: str, inputs: Sequence[Inputs], first: int, sequences: Sequence[int]) -> Recovered:
        """Tell the calls that are answered from those that are to run.

        Args:
            parent: the action that calls.
            task: what it calls.
            group: in which group.
            inputs: one entry a call.
            first: the row of the first call; the others follow.
            sequences: which of the parent's identical calls each one is, where that is known already.
        """
        places = self._places.get(parent)
        if not places:
            return Recovered(left=list(range(len(inputs))))
        made, site = Recovered(), (identity(task), group)
        counts = self._seen.setdefault(parent, {}).setdefault(site, Counter())
        tables = [(source, source.below.get(row)) for source, row in places]
        for offset, items in enumerate(inputs):
            hashed = hash_of_inputs(items, task.cache.ignored)
            sequence = sequences[offset] if sequences else counts[hashed] + 1
            counts[hashed] = max(sequence, counts[hashed])
            key = _numbered(hashed, sequence)
            found = next(_rows(tables, site, key), None)
            if found is not None and found[0].is_done(found[1]):
                source, row = found
                made.rows.append(first + offset)
                made.outputs.append(source.state.output(row))
                if row in source.state.reports:
                    made.reports[first + offset] = source.state.reports[row]
            else:
                made.left.append(offset)
                self._stand_in(first + offset, tables, site, task.name, hashed, sequence)
        return made

    def _stand_in(self, row: int, tables: list[tuple[_Source, _Below | None]], site: _Site, name: str, hashed: str, sequence: int) -> None:
        """An action is to run: remember which earlier ones it stands for, if they called anything."""
        places = []
        for source, below in tables:
            if below is None:
                continue
            same = below.calls.get(site, {}).get(_numbered(hashed, sequence))
            others = below.loose.get((name, site[1], hashed))
            if same is None and others:
                same = others[min(sequence, len(others)) - 1]
            if same is not None and same in source.below:
                places.append((source, same))
        if places:
            self._places[row] = places

    def steps(self, row: int) -> dict[str, Item | Failure]:
        """What steps and conditions of an action that is to run gave before, by key."""
        kept: dict[str, KeptStep | None] = {}
        for source, old in self._places.get(row, ()):
            below = source.below.get(old)
            for step in below.steps if below is not None else ():
                key = _step_key(source.state, step, row)
                if key:
                    kept.setdefault(key, None if source.forces(step) else _kept(source.state, step))
        found = {key: step for key, step in kept.items() if step is not None}
        if found:
            self._steps[row] = found
        return {key: step.result for key, step in found.items()}

    def replayed(self, row: int, key: str) -> KeptStep | None:
        """A step that an action has replayed; None if it is none of an earlier run, or was told before."""
        return self._steps.get(row, {}).pop(key, None)

    def forget(self, rows: Sequence[int]) -> None:
        """Actions have ended: they call no more."""
        for row in rows:
            self._places.pop(row, None)
            self._seen.pop(row, None)
            self._steps.pop(row, None)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a run comes from: the earlier run that it repeats, how, and what it takes over."""

    source: str = ""
    relation: Relation = ""
    recovery: Recovery | None = None


NO_ORIGIN = Origin()


def _inputs_hash(state: RunState) -> str:
    return hash_of_inputs(state.inputs(0), state.root.cache.ignored)


def _rows(tables: list[tuple[_Source, _Below | None]], site: _Site, key: str) -> Iterator[tuple[_Source, int]]:
    for source, below in tables:
        calls = below.calls.get(site) if below is not None else None
        row = calls.get(key) if calls is not None else None
        if row is not None:
            yield source, row


def _step_key(state: RunState, step: int, row: int) -> str:
    """The key under which a row that stands for the step's parent looks for it; empty if it does not."""
    task = state.task_of(step)
    if task.kind == "condition":  # `condition:<row>:<name>:<number>`
        return f"condition:{row}:{task.key.split(':', 2)[2]}"
    return state.steps.get(step, "")


def _kept(state: RunState, step: int) -> KeptStep | None:
    task, phase = state.task_of(step), state.phases[step]
    failure = state.failures.get(step)
    result: Item | Failure
    if phase in _DONE:
        result = state.output(step)
    elif task.kind == "trace" and failure is not None and not failure.retryable:
        result = failure
    else:
        return None
    return KeptStep(task, state.group_of(step), state.inputs(step), result)


__all__ = ["NO_ORIGIN", "KeptStep", "Origin", "Recovered", "Recovery"]
