"""Decides how it is measured what actions cost: processor time of their own code, and the memory of their process.

Asking a clock of the processor costs about as much as a very short action, so a clock's reading is kept for a
millisecond and only actions of `MEASURED_SECONDS` and more are measured: what they are charged may be off by that much.
Memory belongs to the process, not to an action: what is told is the most that the process had while the action ran.

Must not know: chunks, slots, loops.
"""

from __future__ import annotations

import sys
import threading
import time
from bisect import bisect_left
from collections.abc import Callable

import psutil

try:
    import resource
except ImportError:  # there is none on Windows
    resource = None  # type: ignore[assignment]  # asked for below

#: What is over sooner is not measured.
MEASURED_SECONDS = 0.01
#: How old a reading of the processor's clock may be, and one of memory.
CLOCK_SECONDS, MEMORY_SECONDS = 0.001, 0.005
#: `ru_maxrss` is in KiB, but for macOS.
_UNIT = 1 if sys.platform == "darwin" else 1024


class Memory:
    """The memory that this process has had since an instant; thread-safe.

    Readings are kept as long as no later one is as large: the first one that was taken since an instant is then the most.

    Args:
        resident: bytes that the process has in memory now.
        record: the most bytes that it ever had, as far as the system knows; 0 where it does not tell.
        clock: UTC seconds.
    """

    def __init__(
        self,
        resident: Callable[[], int] | None = None,
        record: Callable[[], int] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._resident, self._record, self._clock = resident or _resident_of_this_process(), record or _record, clock
        self._guard = threading.Lock()
        self._at: list[float] = []
        self._bytes: list[int] = []
        self._highest = self._record()

    def sample(self) -> None:
        """Read how much it is now."""
        with self._guard:
            self._sample(self._clock())

    def _sample(self, now: float) -> None:
        most, record = self._resident(), self._record()
        if record > self._highest:  # a peak since the last reading, however short it was
            most = self._highest = max(most, record)
        while self._bytes and self._bytes[-1] <= most:
            self._bytes.pop()
            self._at.pop()
        self._bytes.append(most)
        self._at.append(now)

    def peak_since(self, started: float) -> int:
        """The most bytes since an instant."""
        with self._guard:
            now = self._clock()
            if not self._at or now - self._at[-1] > MEMORY_SECONDS:
                self._sample(now)
            return self._bytes[min(bisect_left(self._at, started), len(self._at) - 1)]

    def forget_before(self, started: float) -> None:
        """Drop readings that are older than all that runs."""
        with self._guard:
            stale = min(bisect_left(self._at, started), len(self._at) - 1)
            if stale > 0:
                del self._at[:stale], self._bytes[:stale]


def _resident_of_this_process() -> Callable[[], int]:
    process = psutil.Process()
    return lambda: int(process.memory_info().rss)


def _record() -> int:
    return int(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) * _UNIT if resource is not None else 0


class Clock:
    """The processor's clock of one thread, read rarely. Used in that thread only.

    Attributes:
        stale_at: from this instant of `time.perf_counter` on, `mark` has to be called before a body runs.
    """

    __slots__ = ("_reading", "stale_at")

    def __init__(self) -> None:
        self._reading = self.stale_at = 0.0

    def mark(self, now: float) -> None:
        """Read it: what is spent is counted from here."""
        self._reading = time.thread_time()
        self.stale_at = now + CLOCK_SECONDS

    def spent(self) -> float:
        """Seconds since the last mark."""
        return time.thread_time() - self._reading


class Meter:
    """What one action after the other costs in a slot's thread."""

    __slots__ = ("clock", "memory")

    def __init__(self, memory: Memory) -> None:
        self.memory, self.clock = memory, Clock()

    def cost(self, started: float) -> tuple[float, int]:
        """(seconds of processor time, bytes) of the action that is about to end in this thread."""
        return self.clock.spent(), self.memory.peak_since(started)
