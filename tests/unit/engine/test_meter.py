"""What actions cost: the processor's clock, read rarely, and the memory of the process since an instant."""

from __future__ import annotations

import time

from hypothesis import given
from hypothesis import strategies as st

from flyte_nb.engine.meter import CLOCK_SECONDS, Clock, Memory, Meter


class _Process:
    """A process whose memory a test says, at an instant that it says."""

    def __init__(self) -> None:
        self.now, self.resident, self.record = 0.0, 100, 100
        self.memory = Memory(lambda: self.resident, lambda: self.record, lambda: self.now)

    def has(self, now: float, resident: int, record: int = 0) -> None:
        """It is that large at that instant, and was so large at most."""
        self.now, self.resident = now, resident
        self.record = max(self.record, record)
        self.memory.sample()


def test_the_peak_is_that_since_the_start() -> None:
    """What was before does not count, and what is now does."""
    process = _Process()
    for now, resident in ((1.0, 900), (2.0, 300), (3.0, 500), (4.0, 200)):
        process.has(now, resident)

    assert [process.memory.peak_since(at) for at in (0.5, 1.5, 3.5)] == [900, 500, 200]
    process.now, process.resident = 5.0, 250
    assert process.memory.peak_since(4.5) == 250


def test_a_peak_between_two_readings_is_known_from_the_record() -> None:
    """A body that takes a lot for a moment is caught, if it was more than ever before."""
    process = _Process()
    process.has(1.0, 100)
    process.has(2.0, 120, record=5_000)
    process.has(3.0, 130)

    assert (process.memory.peak_since(1.5), process.memory.peak_since(2.5)) == (5_000, 130)


def test_readings_from_before_all_that_runs_are_dropped() -> None:
    """However long a worker lives; the last one stays."""
    process = _Process()
    for step in range(100):
        process.has(float(step), 1_000 - step)
    process.memory.forget_before(98.0)
    assert len(process.memory._at) == 2
    process.memory.forget_before(1_000.0)
    assert process.memory.peak_since(99.0) == 901


@given(st.lists(st.tuples(st.integers(1, 50), st.integers(1, 1_000)), min_size=1, max_size=40), st.integers(0, 500))
def test_the_peak_is_the_most_of_all_readings(readings: list[tuple[int, int]], started: int) -> None:
    """Whatever is thrown away on the way; where nothing was read since, it is the last reading."""
    process, at, taken = _Process(), 0.0, []
    for gap, resident in readings:
        at += gap
        process.has(at, resident)
        taken.append((at, resident))
    since = [resident for when, resident in taken if when >= started]

    assert process.memory.peak_since(started) == max(since or [taken[-1][1]])


def test_this_process_has_memory_and_spends_time() -> None:
    """Real readings: memory is a few MiB at least, and waiting is no work."""
    meter = Meter(Memory())
    began = time.perf_counter()
    assert began > meter.clock.stale_at
    meter.clock.mark(began)
    idle, memory = meter.cost(time.time())
    until = time.thread_time() + 0.02
    while time.thread_time() < until:
        pass
    busy, _memory = meter.cost(time.time())

    assert idle < 0.02 <= busy
    assert memory > 1024 * 1024


def test_a_reading_is_fresh_for_a_moment() -> None:
    """So that a thousand short actions ask the processor's clock a few times."""
    clock = Clock()
    clock.mark(10.0)

    assert clock.stale_at == 10.0 + CLOCK_SECONDS
