"""Decides which calls of a run need not run: what an earlier run left comes first, then the cache of results.

Part of the controller (pure). Must not know: what makes a call the same as an earlier one (`recovery`, `reuse`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from flyte_nb.core.current import Context
from flyte_nb.core.events import ActionsRecovered, ActionsReused, Event, ReportWritten
from flyte_nb.core.payloads import Item
from flyte_nb.engine import answers
from flyte_nb.engine.desk import Desk
from flyte_nb.engine.records import RunRecord


@dataclass(frozen=True, slots=True)
class Earlier:
    """Earlier results, as one run uses them.

    Args:
        run, desk: what `RunControl` has.
        record: applies and records an event.
        ended: (rows, now): rows reached a terminal phase.
        queue_root: starts the root.
    """

    run: RunRecord
    desk: Desk
    record: Callable[[Event], None]
    ended: Callable[[Sequence[int], float], None]
    queue_root: Callable[[], None]

    def root_left(self, key: str, now: float) -> bool:
        """Whether the root is to run; if not, it has been given its output."""
        recovery, state = self.run.recovery, self.run.state
        if recovery is not None:
            output = recovery.root(state)
            if output is not None:
                self._recovered([0], output, now)
                return False
            self._hand_over_steps(0)
        return not key or bool(self._left_by_cache([0], [key], now))

    def left(self, rows: range, keys: Sequence[str], sequences: Sequence[int], now: float) -> Sequence[int]:
        """Answer those of some new calls that can be; the rest is to run.

        Args:
            rows: calls of one task by one action in one group.
            keys: what their results are cached under, or nothing.
            sequences: which of the action's identical calls they are, where that is known.
            now: UTC seconds.
        """
        recovery, state = self.run.recovery, self.run.state
        left: Sequence[int] = rows
        if recovery is not None:
            first = rows.start
            found = recovery.calls(
                state.parent_of(first), state.task_of(first), state.group_of(first), state.inputs_of(rows), first, sequences
            )
            if found.rows:
                self._recovered(found.rows, found.outputs, now)
                for row, tabs in found.reports.items():
                    self.record(ReportWritten(state.name, row, tuple(tabs.items())))
                left = [first + offset for offset in found.left]
                keys = [keys[offset] for offset in found.left] if keys else keys
            for row in left:
                self._hand_over_steps(row)
        return self._left_by_cache(left, keys, now) if keys and left else left

    def _hand_over_steps(self, row: int) -> None:
        """An action is to run: it replays the steps that it took in the earlier run."""
        recovery = self.run.recovery
        steps = recovery.steps(row) if recovery is not None else {}
        if steps:
            self.run.recorded[row] = steps

    def _recovered(self, rows: Sequence[int], outputs: Sequence[Item], now: float) -> None:
        self.record(ActionsRecovered(self.run.state.name, rows, outputs, now))
        self.desk.order_all(answers.outputs(self.run, rows, outputs))
        self.ended(rows, now)

    def _left_by_cache(self, rows: Sequence[int], keys: Sequence[str], now: float) -> Sequence[int]:
        """End the calls whose results are known; the rest is to run."""
        return self.desk.reuse.call(self.run, rows, keys, now, reused=self._reused, queue=self._queue)

    def _queue(self, rows: Sequence[int]) -> None:
        """Calls that waited for a result are to run after all: in the order in which they were made, behind those that wait already."""
        run, state = self.run, self.run.state
        if rows[0] == 0:
            self.queue_root()
            rows = rows[1:]
        lanes: dict[tuple[int, Context], list[int]] = {}
        for row in sorted(rows):
            lanes.setdefault((state.node_ids[row], run.context_of(row)), []).append(row)
        for (node_id, context), members in lanes.items():
            node = state.nodes[node_id]
            pace = self.desk.pace(state.tasks[node.task].name)
            adjacent = range(members[0], members[-1] + 1)
            run.lane(node.task, run.depth(node.parent), context, pace).put(adjacent if len(adjacent) == len(members) else members)

    def _reused(self, rows: Sequence[int], outputs: Sequence[Item], now: float) -> None:
        self.record(ActionsReused(self.run.state.name, rows, outputs, now))
        self.desk.order_all(answers.outputs(self.run, rows, outputs))
        self.ended(rows, now)
