"""Decides how many workers an adaptive cluster should have.

Dask's own adaptivity looks at Dask's tasks, and ours never become any. So the load is measured here: slots that are at
work, and the time that what is queued would take. More workers are asked for at once; fewer after a while of calm, so
that a pause between two cells costs nothing.

Pure. Must not know: clusters, clocks.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from flyte_nb.engine.lanes import WINDOW_ROWS, Lane

#: What is queued should be done within this time; a task of which nothing is known counts as one second.
TARGET_SECONDS, UNKNOWN_SECONDS = 2.0, 1.0
#: So many looks in a row must find too many workers before any goes.
CALM_LOOKS = 10


def backlog_slots(lanes: Iterable[Lane]) -> float:
    """How many slots it takes to do what is queued within the target time."""
    slots = 0.0
    for lane in lanes:
        if lane.is_async:
            step = lane.pace.step_seconds or 0.0
            slots += max(lane.count / WINDOW_ROWS, lane.count * step / TARGET_SECONDS)
        else:
            seconds = lane.pace.seconds if lane.pace.seconds is not None else UNKNOWN_SECONDS
            slots += min(lane.count, lane.count * seconds / TARGET_SECONDS)
    return slots


@dataclass(slots=True)
class Adapting:
    """How a cluster follows its load.

    Attributes:
        minimum, maximum: workers.
    """

    minimum: int
    maximum: int
    _calm: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.minimum <= self.maximum or self.maximum < 1:
            raise ValueError(f"adaptive takes two whole numbers, the first one not above the second, got {self.minimum} and {self.maximum}")

    def decide(self, workers: int, slots_in_use: int, backlog: float, slots_per_worker: float) -> int:
        """How many workers to have from now on; call at regular intervals.

        Args:
            workers: how many there are, or are being started.
            slots_in_use: slots that are at work.
            backlog: slots that the queue asks for (see `backlog_slots`).
            slots_per_worker: slots of one worker.
        """
        wanted = math.ceil((slots_in_use + backlog) / max(1.0, slots_per_worker) - 1e-9)
        wanted = min(self.maximum, max(self.minimum, wanted))
        if wanted >= workers:
            self._calm = 0
            return wanted
        self._calm += 1
        if self._calm < CALM_LOOKS and workers <= self.maximum:
            return workers
        self._calm = 0
        return wanted
