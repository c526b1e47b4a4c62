"""Decides which actions of a run have ended since one last asked, in the order of their ends.

The same for a run that goes on, one that is over, and one that was read from the store. What was told is a byte an action; the
engine waits for slices of a millisecond, and only what follows the first open action is looked at. The ends of one look are in
order; what ends between two looks comes with the later one.

Must not know: who waits for the ends, or what a row is made into.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from flyte_nb.core.phases import TERMINAL_CODES
from flyte_nb.core.state import RunState
from flyte_nb.views.columns import SLICE_ROWS, Numbers, ReadRun, lookup

_TERMINAL = lookup(TERMINAL_CODES)

#: Tells of a node of the state (parent, group, task) whether its actions are wanted.
Wanted = Callable[[RunState, int], bool]


class EndedRows:
    """Tells of each action's end once. Used by one thread at a time.

    Args:
        run: whose actions; the root is none of them.
        wanted: of which nodes; all by default.
    """

    def __init__(self, run: ReadRun, wanted: Wanted | None = None) -> None:
        self._run, self._wanted = run, wanted
        self._told = np.zeros(1, bool)
        self._settled = 1
        self._version = -1
        self._nodes = np.zeros(0, bool)

    def more(self) -> Numbers:
        """Rows that have ended and were not told of, by the instant of their end."""
        version, count = self._run.read(lambda state: (state.version, state.count))
        if version == self._version:
            return np.zeros(0, np.int64)
        if count > len(self._told):
            self._told = np.concatenate([self._told, np.zeros(max(count, 2 * len(self._told)) - len(self._told), bool)])
        rows, ends = [np.zeros(0, np.int64)], [np.zeros(0)]
        for lo in range(self._settled, count, SLICE_ROWS):
            stop = min(lo + SLICE_ROWS, count)
            found, at = self._run.read(lambda state, lo=lo, stop=stop: self._look(state, lo, stop))  # type: ignore[misc]  # bound now
            rows.append(found)
            ends.append(at)
        self._version = version
        self._settle(count)
        found = np.concatenate(rows)
        order = np.argsort(np.concatenate(ends), kind="stable")
        return self._only_wanted(found[order])

    def _look(self, state: RunState, lo: int, stop: int) -> tuple[Numbers, Numbers]:
        # A view of an array forbids it to grow, so none may outlive the statement that makes it.
        ended = _TERMINAL[np.frombuffer(state.phases, np.uint8)[lo:stop]]
        rows = np.flatnonzero(ended & ~self._told[lo:stop]) + lo
        self._told[rows] = True
        return rows, np.frombuffer(state.ended_ats, np.float64)[rows]

    def _settle(self, count: int) -> None:
        """Move the mark up to which everything was told."""
        rest = self._told[self._settled : count]
        self._settled += len(rest) if rest.all() else int(rest.argmin())

    def _only_wanted(self, rows: Numbers) -> Numbers:
        wanted = self._wanted
        if wanted is None or not len(rows):
            return rows

        def look(state: RunState) -> Numbers:
            new = [wanted(state, node) for node in range(len(self._nodes), len(state.nodes))]
            self._nodes = np.concatenate([self._nodes, np.array(new, bool)])
            return np.frombuffer(state.node_ids, np.uint32)[rows]

        nodes = self._run.read(look)
        return rows[self._nodes[nodes]]
