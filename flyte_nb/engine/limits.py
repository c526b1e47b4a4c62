"""Decides what follows from the time limits of waiting: how long an attempt may be queued, how long all may take.

The limit on running is in `run_control`, beside the stopping of what runs.

Part of the controller (pure). Must not know: workers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from flyte_nb import errors
from flyte_nb.core.failure import Failure, of_ours
from flyte_nb.core.phases import CODE, TERMINAL_CODES, ActionPhase
from flyte_nb.engine.desk import Desk
from flyte_nb.engine.records import RunRecord

_QUEUED = CODE[ActionPhase.QUEUED]


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of one run.

    Args:
        run, desk: what `RunControl` has.
        stop: (row, failure, now): stop an attempt that a worker holds; the failure is then what became of it.
        fail_queued: (row, failure, now): an attempt that no worker holds has failed.
    """

    run: RunRecord
    desk: Desk
    stop: Callable[[int, Failure, float], None]
    fail_queued: Callable[[int, Failure, float], None]
    _since: dict[int, float] = field(default_factory=dict)

    def called(self, rows: Sequence[int], now: float) -> None:
        """Adjacent calls of one task were made: all their attempts together have this long."""
        timeout = self.run.state.task_of(rows[0]).timeout
        seconds = timeout.deadline_seconds
        if seconds:
            self.desk.at(now + seconds, self.run.state.name, lambda later: self._over(rows, seconds, later))
        self.queued(rows, now)

    def queued(self, rows: Sequence[int], now: float) -> None:
        """Attempts are queued: they have this long to start."""
        seconds = self.run.state.task_of(rows[0]).timeout.max_queued_seconds
        if seconds:
            self._since.update(dict.fromkeys(rows, now))
            self.desk.at(now + seconds, self.run.state.name, lambda later: self._waited(rows, now, seconds, later))

    def _waited(self, rows: Sequence[int], since: float, seconds: float, now: float) -> None:
        state = self.run.state
        for row in rows:
            if self._since.get(row) == since and state.phases[row] == _QUEUED and row not in self.run.stopping:
                del self._since[row]
                self._end(row, queue_failure(seconds), now)

    def _over(self, rows: Sequence[int], seconds: float, now: float) -> None:
        for row in rows:
            if self.run.state.phases[row] not in TERMINAL_CODES and row not in self.run.stopping:
                self._since.pop(row, None)
                self._end(row, deadline_failure(seconds), now)

    def _end(self, row: int, failure: Failure, now: float) -> None:
        if self.run.tokens[row]:
            self.stop(row, failure, now)
        else:
            self.fail_queued(row, failure, now)


def queue_failure(seconds: float) -> Failure:
    """The failure of an attempt that waited too long for its start."""
    text = (
        f"The attempt was queued for longer than its limit of {seconds:g} s. Raise Timeout(max_queued_time=...), add workers, "
        "or call fewer actions at once."
    )
    return of_ours(errors.MaxQueuedTimeExceededError(text), retryable=True)


def deadline_failure(seconds: float) -> Failure:
    """The failure of an action whose attempts took too long together."""
    text = (
        f"The action did not end within its deadline of {seconds:g} s, all attempts and waits together. "
        "Raise Timeout(deadline=...) or make the work smaller."
    )
    return of_ours(errors.DeadlineExceededError(text))
