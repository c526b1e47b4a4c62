"""Decides how views keep up with a run of any size: numpy copies of its columns, brought up to date in short slices.

The engine's lock is held for one slice at a time (about a millisecond), so that a view of a million actions does not
hold up the run. What cannot change any more is copied once: the instant of a call, and every row up to the first one
that is still open. Everything that a view sorts, filters and counts by is worked out from these copies.

Must not know: what is asked of the rows (`query`, `grouptree`, `timeline`), or how it is shown.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

import numpy as np

from flyte_nb.core.costs import UNIT_BYTES
from flyte_nb.core.events import TaskFacts
from flyte_nb.core.phases import CODE, PHASES, TERMINAL_CODES, ActionPhase
from flyte_nb.core.state import RunState

Result = TypeVar("Result")
Numbers = np.ndarray[Any, np.dtype[Any]]

#: Rows that are copied while the engine waits: 23 bytes each, well under a millisecond.
SLICE_ROWS = 65_536
#: Nodes are objects and cost more.
SLICE_NODES = 4_096

#: A succeeded action without an attempt took an earlier result. Views show that as a phase of its own.
CACHED = len(PHASES)
SHOWN_PHASES: tuple[str, ...] = (*(phase.value for phase in PHASES), "cached")
SHOWN_CODE: dict[str, int] = {word: code for code, word in enumerate(SHOWN_PHASES)}
SUCCEEDED = CODE[ActionPhase.SUCCEEDED]
FAILED_CODES = (CODE[ActionPhase.FAILED], CODE[ActionPhase.TIMED_OUT])

_CHANGING: tuple[tuple[str, type[np.generic]], ...] = (
    ("phases", np.uint8),
    ("attempts", np.uint16),
    ("worker_ids", np.uint16),
    ("started_ats", np.float64),
    ("ended_ats", np.float64),
)
_FIXED: tuple[tuple[str, type[np.generic]], ...] = (("node_ids", np.uint32), ("called_at", np.float64))


class ReadRun(Protocol):
    """What a view's data need of a run."""

    def read(self, reader: Callable[[RunState], Result]) -> Result:
        """Call a function with the run's state while nothing changes it."""
        ...


def lookup(codes: tuple[int, ...] | frozenset[int]) -> Numbers:
    """A table that tells of each code whether it is one of these: `lookup(codes)[column]` is a mask."""
    table = np.zeros(256, bool)
    table[list(codes)] = True
    return table


_OPEN = ~lookup(TERMINAL_CODES)


class Columns:
    """Copies of one run's columns. Used by one thread at a time.

    Attributes:
        version: the state's version that the copies are of; -1 before the first `refresh`.
        count: rows, the root's included.
        tasks, groups, workers: what the ids in the columns stand for.
        ended_at: when the run ended; None while it goes on.
    """

    def __init__(self, run: ReadRun) -> None:
        self._run = run
        self._all: dict[str, Numbers] = {name: np.empty(0, kind) for name, kind in (*_CHANGING, *_FIXED)}
        self._nodes: dict[str, Numbers] = {name: np.empty(0, np.int64) for name in ("parent", "group", "task")}
        self._settled = 1
        self._known_nodes = 0
        self.version = -1
        self.count = 0
        self.node_count = 0
        self.tasks: list[TaskFacts] = []
        self.groups: list[str] = []
        self.workers: list[str] = []
        self.started_at = 0.0
        self.ended_at: float | None = None
        self._looks: Numbers | None = None
        self._changed: Numbers | None = None
        self._node_sizes: Numbers | None = None

    # ------------------------------------------------------------------ keeping up
    def refresh(self, limit: int | None = None) -> bool:
        """Copy what changed (of the first `limit` rows); returns whether anything did."""
        version, count = self._run.read(lambda state: (state.version, state.count))
        if version == self.version:
            return False
        count = count if limit is None else min(count, limit)
        known = self.count
        self._make_room(count)
        for lo in (0, *range(self._settled, count, SLICE_ROWS)):
            stop = 1 if lo == 0 else min(lo + SLICE_ROWS, count)
            self._run.read(lambda state, lo=lo, stop=stop: self._copy(state, lo, stop, known))  # type: ignore[misc]  # bound now
        self.version, self.count = version, count
        new_nodes = self.node_ids[known:]
        self.node_count = max(self.node_count, int(new_nodes.max()) + 1 if len(new_nodes) else 0)
        while self._run.read(self._copy_nodes):
            pass
        self._run.read(self._copy_words)
        self._settle()
        self._looks = self._changed = None
        if count > known:
            self._node_sizes = None
        return True

    def _copy_words(self, state: RunState) -> None:
        self.started_at, self.ended_at = state.started_at, state.ended_at
        for name in ("tasks", "groups", "workers"):
            words = getattr(self, name)
            words.extend(getattr(state, name)[len(words) :])

    def _make_room(self, count: int) -> None:
        if count > len(self._all["phases"]):
            room = max(count, 2 * len(self._all["phases"]))
            for name, column in self._all.items():
                self._all[name] = np.concatenate([column, np.zeros(room - len(column), column.dtype)])

    def _copy(self, state: RunState, lo: int, stop: int, known: int) -> None:
        # A view of an array forbids it to grow, so none may outlive the statement that makes it.
        for name, kind in _CHANGING:
            self._all[name][lo:stop] = np.frombuffer(getattr(state, name), kind)[lo:stop]
        new = max(lo, known)
        if new < stop:
            for name, kind in _FIXED:
                self._all[name][new:stop] = np.frombuffer(getattr(state, name), kind)[new:stop]

    def _copy_nodes(self, state: RunState) -> bool:
        """Copy a slice of the new nodes that the rows belong to; returns whether there are more."""
        lo, stop = self._known_nodes, min(self._known_nodes + SLICE_NODES, self.node_count)
        if stop > len(self._nodes["parent"]):
            room = max(self.node_count, 2 * len(self._nodes["parent"]))
            for name, column in self._nodes.items():
                self._nodes[name] = np.concatenate([column, np.zeros(room - len(column), column.dtype)])
        for name, column in self._nodes.items():
            column[lo:stop] = [getattr(node, name) for node in state.nodes[lo:stop]]
        self._known_nodes = stop
        return stop < self.node_count

    def _settle(self) -> None:
        """Move the mark up to which every row but the root's has ended."""
        still_open = _OPEN[self.phases[self._settled :]]
        self._settled += int(still_open.argmax()) if still_open.any() else len(still_open)

    # ------------------------------------------------------------------ columns by row
    @property
    def phases(self) -> Numbers:
        """Phase codes."""
        return self._all["phases"][: self.count]

    @property
    def shown_phases(self) -> Numbers:
        """Codes into `SHOWN_PHASES`: as `phases`, and cached results apart."""
        if self._looks is None:
            self._looks = np.where((self.phases == SUCCEEDED) & (self.attempts == 0), np.uint8(CACHED), self.phases)
        return self._looks

    @property
    def attempts(self) -> Numbers:
        """Attempts that have started."""
        return self._all["attempts"][: self.count]

    @property
    def worker_ids(self) -> Numbers:
        """Positions in `workers`."""
        return self._all["worker_ids"][: self.count]

    @property
    def node_ids(self) -> Numbers:
        """Positions in the columns of nodes."""
        return self._all["node_ids"][: self.count]

    @property
    def called(self) -> Numbers:
        """UTC seconds of the call."""
        return self._all["called_at"][: self.count]

    @property
    def started(self) -> Numbers:
        """UTC seconds of the last attempt's start; 0 before."""
        return self._all["started_ats"][: self.count]

    @property
    def ended(self) -> Numbers:
        """UTC seconds of the end; 0 before."""
        return self._all["ended_ats"][: self.count]

    @property
    def changed(self) -> Numbers:
        """UTC seconds of the last change."""
        if self._changed is None:
            self._changed = np.maximum(self.called, self.started)
            np.maximum(self._changed, self.ended, out=self._changed)
        return self._changed

    def seconds(self, now: float) -> Numbers:
        """How long the last attempt took, or has been going on; NaN before its start."""
        taken = self.ended - self.started
        goes_on = self.ended <= 0
        taken[goes_on] = now - self.started[goes_on]
        np.maximum(taken, 0.0, out=taken)
        taken[self.started <= 0] = np.nan
        return taken

    def costs(self) -> tuple[Numbers, Numbers]:
        """Seconds of processor time and bytes of memory; NaN where they are not known."""
        seconds, memory = self._run.read(lambda state: (np.array(state.costs.cpu_seconds, float), np.array(state.costs.memory, float)))
        made = np.full((2, self.count), np.nan)
        known = min(self.count, len(seconds))
        made[0, :known] = np.where(seconds >= 0, seconds, np.nan)[:known]
        made[1, :known] = np.where(memory > 0, memory * UNIT_BYTES, np.nan)[:known]
        return made[0], made[1]

    # ------------------------------------------------------------------ columns by node
    @property
    def node_parents(self) -> Numbers:
        """The row that called the node's actions."""
        return self._nodes["parent"][: self.node_count]

    @property
    def node_groups(self) -> Numbers:
        """Positions in `groups`."""
        return self._nodes["group"][: self.node_count]

    @property
    def node_tasks(self) -> Numbers:
        """Positions in `tasks`."""
        return self._nodes["task"][: self.node_count]

    @property
    def node_sizes(self) -> Numbers:
        """How many actions each node has."""
        if self._node_sizes is None:
            self._node_sizes = np.bincount(self.node_ids, minlength=self.node_count)
        return self._node_sizes

    def node_counts(self) -> Numbers:
        """How many actions of each node are in each shown phase: nodes by `SHOWN_PHASES`."""
        width = len(SHOWN_PHASES)
        cells = np.bincount(self.node_ids.astype(np.int64) * width + self.shown_phases, minlength=self.node_count * width)
        return cells.reshape(-1, width)[: self.node_count]
