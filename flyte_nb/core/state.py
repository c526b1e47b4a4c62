"""Decides what a run looks like after its events: the fold of the log, and nothing but the fold.

Rule 1: every change of a run goes through `RunState.apply`. Rule 2: `apply` needs the event alone: no clock, no I/O,
so that a run read back from a store is the very same object as the live one.

A run may hold a million actions, so an action is a row in typed columns (about 45 bytes) and adjacent rows are
written by slices. Rows that share parent, group and task share a `Node`, which keeps their counts; counts are
therefore always at hand. What few rows have (failures, logs, earlier attempts) lives in dictionaries.

Must not know: why something happened (controller), or how it is shown (summary, views).
"""

from __future__ import annotations

from array import array
from collections import Counter, deque
from collections.abc import Callable, Sequence
from typing import Any

from flyte_nb.core.costs import Costs
from flyte_nb.core.events import (
    ActionFailed,
    ActionPaused,
    ActionsAborted,
    ActionsCalled,
    ActionsRecovered,
    ActionsReused,
    ActionsSucceeded,
    AttemptFailed,
    AttemptsLost,
    AttemptsMeasured,
    AttemptsStarted,
    Event,
    Inputs,
    LogWritten,
    ReportWritten,
    Rows,
    RunStarted,
    StopsOverdue,
    TaskDeclared,
    TaskFacts,
)
from flyte_nb.core.failure import Failure
from flyte_nb.core.invariants import check
from flyte_nb.core.names import NameIndex
from flyte_nb.core.payloads import Blob, Item, StoredBlob
from flyte_nb.core.phases import ALLOWED, CODE, PHASES, TERMINAL_CODES, ActionPhase
from flyte_nb.core.printed import Printed
from flyte_nb.core.rows import AttemptRecord, Cause, InvalidTransition, Node
from flyte_nb.core.stories import story_of

QUEUED, RUNNING = CODE[ActionPhase.QUEUED], CODE[ActionPhase.RUNNING]
SUCCEEDED, FAILED = CODE[ActionPhase.SUCCEEDED], CODE[ActionPhase.FAILED]
ABORTED, TIMED_OUT = CODE[ActionPhase.ABORTED], CODE[ActionPhase.TIMED_OUT]
RECOVERED = CODE[ActionPhase.RECOVERED]

#: The pace of a run is read from this many samples, at least this many seconds apart.
PACE_SAMPLES, PACE_GAP_SECONDS = 24, 0.5

_MOST_REASONS = 256
#: Bytes of a pickled task that is kept in memory when its run is over.
CODE_LIMIT = 1024 * 1024


class RunState:
    """One run, folded from its events. See the module's text for the layout."""

    def __init__(self, started: RunStarted) -> None:
        self.name, self.root = started.run, started.task
        self.custom_context, self.labels = started.custom_context, started.labels
        self.settings, self.source, self.relation = started.settings, started.source, started.relation
        self.reused: set[int] = set()
        self.overdue: set[int] = set()
        self.reports: dict[int, dict[str, str]] = {}
        self.started_at = started.at
        self.ended_at: float | None = None
        self.tasks: list[TaskFacts] = [started.task]
        self.blobs: dict[int, Blob] = _kept_blob(0, started.blob)
        self.groups: list[str] = [""]
        self.workers: list[str] = [""]
        self.nodes: list[Node] = []
        self.node_ids = array("I")
        self.phases = bytearray()
        self.attempts = array("H")
        self.worker_ids = array("H")
        self.called_at = array("d")
        self.started_ats = array("d")
        self.ended_ats = array("d")
        self.failures: dict[int, Failure] = {}
        self.reasons: list[str] = [""]
        self.reason_ids = bytearray()
        self.past: dict[int, list[AttemptRecord]] = {}
        self.costs = Costs()
        self.children: dict[int, list[range]] = {}
        self.sequences: dict[int, int] = {}
        self.steps: dict[int, str] = {}
        self.totals = [0] * len(PHASES)
        self.causes: dict[tuple[int, str], Cause] = {}
        self.pace: deque[tuple[float, int]] = deque(maxlen=PACE_SAMPLES)
        self.version = 0
        self._inputs: list[Inputs] = []
        self._outputs: list[Item] = []
        self._printed = Printed()
        self._node_index: dict[tuple[int, int, int], int] = {}
        self._group_index: dict[str, int] = {"": 0}
        self._worker_index: dict[str, int] = {"": 0}
        self._names = NameIndex(self)
        self._append(0, 0, 0, [started.inputs], started.at)

    # ------------------------------------------------------------------ the fold
    def apply(self, event: Event) -> None:
        """Fold one event in.

        Raises:
            InvalidTransition: the event asks for a move that the phase table does not have.
        """
        self.version += 1
        _APPLY[type(event)](self, event)

    def _append(self, parent: int, group: int, task: int, inputs: Sequence[Inputs], at: float) -> range:
        lo, count = len(self.phases), len(inputs)
        key = (parent, group, task)
        node_id = self._node_index.get(key)
        if node_id is None:
            node_id = len(self.nodes)
            self._node_index[key if lo else (-1, 0, 0)] = node_id  # what the root calls is below it, also where it calls its own task
            self.nodes.append(Node(parent, group, task, first_called_at=at))
        self.node_ids.extend(array("I", (node_id,)) * count)
        self.attempts.extend(array("H", (0,)) * count)
        self.worker_ids.extend(array("H", (0,)) * count)
        self.called_at.extend(array("d", (at,)) * count)
        self.started_ats.extend(array("d", (0.0,)) * count)
        self.ended_ats.extend(array("d", (0.0,)) * count)
        self._inputs.extend(inputs)
        self._outputs.extend([None] * count)
        self.phases.extend(bytes((QUEUED,)) * count)
        self.reason_ids.extend(bytes(count))
        self.nodes[node_id].counts[QUEUED] += count
        self.totals[QUEUED] += count
        return range(lo, lo + count)

    def _called(self, event: ActionsCalled) -> None:
        if event.first != len(self.phases):
            raise InvalidTransition(f"run {self.name}: rows from {event.first} called, but {len(self.phases)} are known")
        group = self._group_index.get(event.group)
        if group is None:
            group = self._group_index[event.group] = len(self.groups)
            self.groups.append(event.group)
        rows = self._append(event.parent, group, event.task, event.inputs, event.at)
        self.sequences.update(zip(rows, event.sequences, strict=False))
        if event.step:
            self.steps[rows.start] = event.step
        ranges = self.children.setdefault(event.parent, [])
        if ranges and ranges[-1].stop == rows.start:
            ranges[-1] = range(ranges[-1].start, rows.stop)
        else:
            ranges.append(rows)

    def _declared(self, event: TaskDeclared) -> None:
        self.blobs |= _kept_blob(len(self.tasks), event.blob)
        self.tasks.append(event.task)

    def _move(self, rows: Rows, to: int) -> bool:
        """Change the phase of rows; true if they were one adjacent block, all queued, all of one node."""
        if isinstance(rows, range) and rows.step == 1 and len(rows):
            lo, hi, count = rows.start, rows.stop, len(rows)
            node_id = self.node_ids[lo]
            if self.phases[lo:hi] == bytes((QUEUED,)) * count and (count == 1 or self.node_ids[lo:hi] == array("I", (node_id,)) * count):
                self.phases[lo:hi] = bytes((to,)) * count
                self._count(node_id, QUEUED, to, count)
                return True
        refused = [row for row in rows if not ALLOWED[self.phases[row]][to]]
        if refused:  # before the first is moved: a refused event changes nothing
            row = refused[0]
            story = "\n".join(self.story(row))
            move = f"from {self.phase_of(row)} to {PHASES[to]}"
            raise InvalidTransition(f"run {self.name}: action {row} cannot go {move}. Its story:\n{story}")
        moves: Counter[tuple[int, int]] = Counter()
        for row in rows:
            moves[self.node_ids[row], self.phases[row]] += 1
            self.phases[row] = to
        for (node_id, was), count in moves.items():
            self._count(node_id, was, to, count)
        return False

    def _count(self, node_id: int, was: int, to: int, count: int) -> None:
        counts = self.nodes[node_id].counts
        counts[was] -= count
        counts[to] += count
        self.totals[was] -= count
        self.totals[to] += count

    def _worker(self, name: str) -> int:
        known = self._worker_index.get(name)
        if known is None:
            known = self._worker_index[name] = len(self.workers)
            self.workers.append(name)
        return known

    def _started(self, event: AttemptsStarted) -> None:
        worker = self._worker(event.worker)
        self._move(event.rows, RUNNING)
        for row, at in zip(event.rows, event.at, strict=True):
            self.attempts[row] += 1
            self.worker_ids[row] = worker
            self.started_ats[row] = at

    def _succeeded(self, event: ActionsSucceeded) -> None:
        worker, rows = self._worker(event.worker), event.rows
        fresh = self._fresh(rows)
        if self._move(rows, SUCCEEDED):
            lo, hi = rows[0], rows[-1] + 1
            if fresh:
                self.attempts[lo:hi] = array("H", (1,)) * len(rows)
            else:
                for row in rows:
                    self.attempts[row] += 1
            self.worker_ids[lo:hi] = array("H", (worker,)) * len(rows)
            self.started_ats[lo:hi] = event.started
            self.ended_ats[lo:hi] = event.ended
            self._outputs[lo:hi] = event.outputs
            node = self.nodes[self.node_ids[lo]]
            node.busy_seconds += sum(event.ended) - sum(event.started)
            node.last_ended_at = max(node.last_ended_at, max(event.ended))  # noqa: PLW3301 - flat would unpack thousands
        else:
            self._succeeded_apart(event, worker)
        self._after_end(rows)

    def _fresh(self, rows: Rows) -> bool:
        """Whether no attempt of these adjacent rows has started before."""
        if not isinstance(rows, range) or not len(rows):
            return False
        return self.attempts[rows.start : rows.stop] == array("H", (0,)) * len(rows)

    def _succeeded_apart(self, event: ActionsSucceeded, worker: int) -> None:
        for row, output, began, ended in zip(event.rows, event.outputs, event.started, event.ended, strict=True):
            self._start_unless_told(row, worker, began)
            self.ended_ats[row] = ended
            self._outputs[row] = output
            self._spent(row)

    def _reused(self, event: ActionsReused | ActionsRecovered) -> None:
        """Taken from the cache or from an earlier run: no attempt was made, and it took no time."""
        if type(event) is ActionsReused:
            self._move(event.rows, SUCCEEDED)
            self.reused.update(event.rows)
        else:
            self._move(event.rows, RECOVERED)
        for row, output in zip(event.rows, event.outputs, strict=True):
            self.started_ats[row] = self.ended_ats[row] = event.at
            self._outputs[row] = output
            self._spent(row)
        self._after_end(event.rows)

    def _measured(self, event: AttemptsMeasured) -> None:
        self.costs.put(event.rows, event.cpu_seconds, event.memory)

    def _paused(self, event: ActionPaused) -> None:
        self._move((event.row,), CODE[ActionPhase.PAUSED])

    def _report(self, event: ReportWritten) -> None:
        self.reports[event.row] = dict(event.tabs)

    def _start_unless_told(self, row: int, worker: int, began: float) -> None:
        """Record the start of an attempt whose end comes without an `AttemptsStarted` before it."""
        if self.started_ats[row] == 0.0:
            self.attempts[row] += 1
            self.worker_ids[row] = worker
            self.started_ats[row] = began

    def _spent(self, row: int) -> None:
        node = self.nodes[self.node_ids[row]]
        began = self.started_ats[row]
        node.busy_seconds += self.ended_ats[row] - began if began else 0.0
        node.last_ended_at = max(node.last_ended_at, self.ended_ats[row])

    def _close_attempt(self, row: int, at: float, ending: str, reason: str) -> None:
        """Keep what is known of the attempt that just ended without success."""
        began = self.started_ats[row]
        if began or ending != "aborted":
            cost = self.costs.of(row) if self.phases[row] in TERMINAL_CODES else self.costs.take(row)
            record = AttemptRecord(self.attempts[row], self.workers[self.worker_ids[row]], began, at, ending, reason, cost)
            self.past.setdefault(row, []).append(record)

    def _attempt_failed(self, event: AttemptFailed) -> None:
        row = event.row
        self._start_unless_told(row, self._worker(event.failure.worker), event.started)
        if self.phases[row] == QUEUED:
            self._move((row,), RUNNING)
        self._close_attempt(row, event.ended, event.failure.kind, event.failure.headline())
        self._move((row,), QUEUED)
        self.started_ats[row] = 0.0

    def _failed(self, event: ActionFailed) -> None:
        row = event.row
        if event.started:
            self._start_unless_told(row, self._worker(event.failure.worker), event.started)
        self._move((row,), CODE[event.phase])
        self.ended_ats[row] = event.ended
        self.failures[row] = event.failure
        if row:  # the root's own is the run's message
            cause = self.causes.setdefault((self.nodes[self.node_ids[row]].task, event.failure.headline()), Cause(row))
            cause.count += 1
        self._close_attempt(row, event.ended, event.phase.value, event.failure.headline())
        self._spent(row)
        self._after_end((row,))

    def _lost(self, event: AttemptsLost) -> None:
        for row in event.rows:
            if self.started_ats[row]:
                self._close_attempt(row, event.at, "lost", event.reason)
                self._move((row,), QUEUED)
                self.started_ats[row] = 0.0

    def _aborted(self, event: ActionsAborted) -> None:
        self._move(event.rows, ABORTED)
        reason = self._reason(event.reason)
        for row in event.rows:
            self.reason_ids[row] = reason
            self.ended_ats[row] = event.at
            if self.started_ats[row]:
                self._close_attempt(row, event.at, "aborted", event.reason)
                self._spent(row)
        if event.rows:
            last = self.nodes[self.node_ids[event.rows[-1]]]
            last.last_ended_at = max(last.last_ended_at, event.at)
        self._after_end(event.rows)

    def _overdue(self, event: StopsOverdue) -> None:
        self.overdue.update(row for row in event.rows if self.phases[row] not in TERMINAL_CODES)

    def _reason(self, reason: str) -> int:
        """The id of a reason for aborts; one byte, so reasons beyond 255 share the last id."""
        if reason not in self.reasons and len(self.reasons) < _MOST_REASONS:
            self.reasons.append(reason)
        return self.reasons.index(reason) if reason in self.reasons else _MOST_REASONS - 1

    def _log(self, event: LogWritten) -> None:
        self._printed.add(event.row, event.text)

    def _after_end(self, rows: Rows) -> None:
        """The run has ended when the root and all its descendants have."""
        if self.overdue:
            self.overdue.difference_update(rows)
        if rows:
            at = self.ended_ats[rows[-1]]
            if not self.pace or at >= self.pace[-1][0] + PACE_GAP_SECONDS:
                self.pace.append((at, self.count - self.open_count))
        if self.phases[0] in TERMINAL_CODES and self.open_count == 0:
            ends = [self.ended_ats[0], *(self.ended_ats[row] for row in (rows[0], rows[-1]) if rows)]
            self.ended_at = max(ends)

    # ------------------------------------------------------------------ reading
    @property
    def count(self) -> int:
        """Number of rows; row 0 is the root action."""
        return len(self.phases)

    @property
    def open_count(self) -> int:
        """Actions that are not in a terminal phase."""
        return self.count - sum(self.totals[code] for code in TERMINAL_CODES)

    @property
    def phase(self) -> ActionPhase:
        """The run's phase: the root's, but `running` until every descendant has ended."""
        root = PHASES[self.phases[0]]
        return ActionPhase.RUNNING if root.is_terminal and self.open_count else root

    def phase_of(self, row: int) -> ActionPhase:
        """The phase of one action."""
        return PHASES[self.phases[row]]

    def task_of(self, row: int) -> TaskFacts:
        """The task that an action called."""
        return self.tasks[self.nodes[self.node_ids[row]].task]

    def parent_of(self, row: int) -> int:
        """The row of an action's parent (the root's is 0)."""
        return self.nodes[self.node_ids[row]].parent

    def group_of(self, row: int) -> str:
        """The group that an action was called in; empty for none."""
        return self.groups[self.nodes[self.node_ids[row]].group]

    @property
    def task_ids(self) -> array[int]:
        """Per row: position in `tasks`."""
        nodes = [node.task for node in self.nodes]
        return array("I", [nodes[node_id] for node_id in self.node_ids])

    @property
    def group_ids(self) -> array[int]:
        """Per row: position in `groups`."""
        nodes = [node.group for node in self.nodes]
        return array("I", [nodes[node_id] for node_id in self.node_ids])

    @property
    def parents(self) -> array[int]:
        """Per row: the parent's row."""
        nodes = [node.parent for node in self.nodes]
        return array("I", [nodes[node_id] for node_id in self.node_ids])

    def inputs(self, row: int) -> Inputs:
        """The items that an action was called with, in parameter order."""
        return self._inputs[row]

    def inputs_of(self, rows: range) -> list[Inputs]:
        """The inputs of adjacent actions."""
        return self._inputs[rows.start : rows.stop]

    def output(self, row: int) -> Item:
        """The item that an action returned (None unless it succeeded)."""
        return self._outputs[row]

    def outputs_of(self, rows: Sequence[int]) -> list[Item]:
        """The outputs of several actions."""
        return list(map(self._outputs.__getitem__, rows))

    def abort_reason(self, row: int) -> str:
        """Why an action was aborted; empty if it was not."""
        return self.reasons[self.reason_ids[row]]

    def logs(self, row: int) -> str:
        """What an action printed; of very much the beginning."""
        return self._printed.of(row)

    def action_name(self, row: int) -> str:
        """The deterministic name of an action; the root is `a0`."""
        return self._names.name(row)

    def name_within(self, row: int, steps: int) -> str | None:
        """The name of an action if so many steps are enough; None if it has to be asked for again."""
        return self._names.within(row, steps)

    def row_of(self, name: str) -> int | None:
        """The row of a named action, or None."""
        return self._names.row(name)

    def sequence_of(self, row: int) -> int:
        """Which of its parent's identical calls an action is, from 1."""
        return self._names.sequence(row)

    def depth_of(self, row: int) -> int:
        """How many parents an action has; the root has none."""
        depth = 0
        while row:
            row, depth = self.parent_of(row), depth + 1
        return depth

    def phase_counts(self) -> dict[ActionPhase, int]:
        """How many actions are in each phase, the root left out."""
        counts = dict(zip(PHASES, self.totals, strict=True))
        counts[PHASES[self.phases[0]]] -= 1
        return counts

    def story(self, row: int) -> list[str]:
        """What happened to one action, in order, a line each."""
        return story_of(self, row)

    def check(self) -> None:
        """Assert every invariant. Costs a pass over all rows: for tests and for reading a store."""
        check(self)


def _kept_blob(task: int, blob: Item) -> dict[int, Blob]:
    """A pickled task by its number, if it is small, or lies in a store anyway."""
    keeps = isinstance(blob, StoredBlob) or (isinstance(blob, Blob) and blob.size_bytes <= CODE_LIMIT)
    return {task: blob} if keeps else {}  # type: ignore[dict-item]  # the line above is the narrowing


_APPLY: dict[type, Callable[[RunState, Any], None]] = {
    TaskDeclared: RunState._declared,
    ActionsCalled: RunState._called,
    AttemptsStarted: RunState._started,
    AttemptsMeasured: RunState._measured,
    ActionsSucceeded: RunState._succeeded,
    ActionsReused: RunState._reused,
    ActionsRecovered: RunState._reused,
    ActionPaused: RunState._paused,
    AttemptFailed: RunState._attempt_failed,
    ActionFailed: RunState._failed,
    AttemptsLost: RunState._lost,
    ActionsAborted: RunState._aborted,
    StopsOverdue: RunState._overdue,
    LogWritten: RunState._log,
    ReportWritten: RunState._report,
}

__all__ = ["AttemptRecord", "InvalidTransition", "Node", "RunState"]
