"""Decides how many actions travel together: the adaptive batching of actions into chunks.

A *lane* holds the queued actions of one task at one depth of one run. Its *pace* is what was learnt of the task:
how long an action takes, and how long its code keeps the thread (or the loop) to itself. From these follow chunks
that last about `TARGET_SECONDS`, never more than the lane's fair share (unless that is worth less than a chunk's own
price), and small ones while nothing is known.

Pure: no clock, no I/O. Must not know: workers, links, or what an action is beyond its row.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from flyte_nb.core.current import Context
from flyte_nb.engine.fitting import Need

#: A chunk should last about this long: long enough that its price does not matter, short enough to stay fair.
TARGET_SECONDS = 0.1
#: A chunk's own price is about as much as this; fairness does not make chunks whose work is worth less.
PRICE_SECONDS = 0.001
#: A sync chunk that has used this much hands back what it has not started.
BUDGET_SECONDS = 0.15
#: Actions in a chunk at most; above this the price of a chunk is already below 1 us an action.
MAX_ROWS = 2_000
#: First chunk of a task about which nothing is known.
PROBE_ROWS = 8
#: Async actions in flight on one worker at most, when they mostly wait.
WINDOW_ROWS = 4_000
#: The same while nothing is known.
WINDOW_PROBE_ROWS = 32
#: Weight of the newest measurement, and what it may be at most: so many times the estimate, plus this.
_NEW, _MOST_GROWTH, _LEAST_SECONDS = 0.5, 3.0, 1e-4


@dataclass(slots=True)
class Pace:
    """What was learnt of a task.

    Attributes:
        seconds: how long an action lasts.
        step_seconds: how long its code computes without a pause.
        calls_others: its sync body waits for children; then its actions travel alone: a waiting one would hold up the others.
    """

    seconds: float | None = None
    step_seconds: float | None = None
    calls_others: bool = False

    def learn(self, count: int, seconds: float) -> None:
        """Take in that `count` actions lasted `seconds` together."""
        if count:
            self.seconds = _blend(self.seconds, seconds / count)

    def learn_steps(self, count: int, busy_seconds: float) -> None:
        """Take in that the code of `count` actions computed for `busy_seconds` together."""
        if count:
            self.step_seconds = _blend(self.step_seconds, busy_seconds / count)


def _blend(old: float | None, new: float) -> float:
    """The next estimate. One report can at most double it: a single long action says little about the next ones."""
    return new if old is None else old * (1 - _NEW) + min(new, _MOST_GROWTH * old + _LEAST_SECONDS) * _NEW


@dataclass(slots=True)
class Lane:
    """Queued actions of one task at one depth: ranges where rows are adjacent, lists where they are not.

    `in_flight` counts async actions by worker: parents that wait for children must not use up the children's window.
    `last_chunk` is the newest chunk that was made of it: among lanes of one depth, the one served longest ago is next.
    `need` is what its actions ask of a worker beyond a slot; `unfit_since` tells since when no worker could take them.
    """

    run: str
    task: int
    depth: int
    is_async: bool
    custom_context: Context
    concurrency: int = 0
    pace: Pace = field(default_factory=Pace)
    count: int = 0
    last_chunk: int = 0
    alone: bool = False
    need: Need | None = None
    unfit_since: float = 0.0
    in_flight: Counter[str] = field(default_factory=Counter)
    _pieces: deque[Sequence[int]] = field(default_factory=deque)
    _alone: deque[Sequence[int]] = field(default_factory=deque)

    def put(self, rows: Sequence[int]) -> None:
        """Queue rows behind the others."""
        last = self._pieces[-1] if self._pieces else None
        if isinstance(last, range) and isinstance(rows, range) and last.stop == rows.start:
            self._pieces[-1] = range(last.start, rows.stop)
        else:
            self._pieces.append(rows)
        self.count += len(rows)

    def put_front(self, rows: Sequence[int]) -> None:
        """Queue rows before the others: they were handed back, or are tried again."""
        if len(rows):
            self._pieces.appendleft(rows)
            self.count += len(rows)

    def put_apart(self, rows: Sequence[int]) -> None:
        """Queue rows whose worker died: in two halves, and by themselves, so that the one to blame is found."""
        middle = (len(rows) + 1) // 2
        for half in (rows[:middle], rows[middle:]):
            if len(half):
                self._alone.append(half)
                self.count += len(half)

    def take(self, most: int, wanted: Callable[[int], bool] | None = None) -> Sequence[int]:
        """Take up to `most` rows off the queue, none if there are none; rows that are not `wanted` any more are dropped."""
        if wanted is None:
            return self._take(most)
        while self._alone:
            kept = [row for row in self._take(most) if wanted(row)]
            if kept:
                return kept
        kept = []
        while self.count and len(kept) < most:
            kept += [row for row in self._take(most - len(kept)) if wanted(row)]
        block = range(kept[0], kept[0] + len(kept)) if kept else ()
        return block if kept == list(block) else kept

    def _take(self, most: int) -> Sequence[int]:
        if self._alone:
            piece = self._alone.popleft()
            self.count -= len(piece)
            return piece
        first = self._cut(most)
        if len(first) < most and self._pieces:
            taken = list(first)
            while self._pieces and len(taken) < most:
                taken.extend(self._cut(most - len(taken)))
            first = taken
        return first

    def _cut(self, most: int) -> Sequence[int]:
        if not self._pieces:
            return ()
        piece = self._pieces[0]
        if len(piece) <= most:
            self._pieces.popleft()
        else:
            self._pieces[0] = piece[most:]
            piece = piece[:most]
        self.count -= len(piece)
        return piece

    def rows(self) -> list[int]:
        """All that is queued."""
        return [row for piece in (*self._alone, *self._pieces) for row in piece]

    def clear(self) -> None:
        """Drop everything."""
        self._pieces.clear()
        self._alone.clear()
        self.count = 0


def sync_rows(lane: Lane, slots: int) -> int:
    """How many actions the next sync chunk should have, with `slots` of them running at once in the cluster."""
    fair = math.ceil(lane.count / max(1, 2 * slots))
    if lane.pace.calls_others:
        return 1
    if lane.pace.seconds is None:
        return max(1, min(fair, PROBE_ROWS))
    seconds = max(lane.pace.seconds, 1e-9)
    return max(1, min(max(fair, int(PRICE_SECONDS / seconds)), MAX_ROWS, int(TARGET_SECONDS / seconds)))


def async_rows(lane: Lane, workers: int, in_flight: int) -> int:
    """How many async actions to hand to a worker that has `in_flight` of them; 0 if it has enough."""
    fair = math.ceil(lane.count / max(1, workers))
    step = lane.pace.step_seconds
    # Code that computes for long without a pause is handed out like sync code: about two targets' worth at a time.
    window = WINDOW_PROBE_ROWS if step is None else min(WINDOW_ROWS, max(2, int(2 * TARGET_SECONDS / max(step, 1e-9))))
    if lane.concurrency:
        window = min(window, lane.concurrency)
    return max(0, min(fair, MAX_ROWS, window - in_flight))
