"""Decides what actions do, the same for every system: nothing, sleep, compute, return a large value.

Must not know: any system.
"""

import asyncio
import random
import time
from typing import Literal

Order = Literal["first", "last", "shuffled"]

MEGABYTE = 1_000_000
SHORT_SECONDS, LONG_SECONDS, LONG_COUNT = 0.001, 0.5, 16


def noop(x: int) -> int:
    """Do nothing."""
    return x


def sleep_for(seconds: float) -> float:
    """Wait in the thread."""
    time.sleep(seconds)
    return seconds


def spin_for(seconds: float) -> float:
    """Keep a core busy for a time on the clock."""
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        pass
    return seconds


def burn_for(seconds: float) -> float:
    """Use up a core's time, however long that takes: neighbours on the same core make it longer."""
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        pass
    return seconds


async def sleep_async(seconds: float) -> float:
    """Wait on the loop."""
    await asyncio.sleep(seconds)
    return seconds


def megabyte(number: int) -> bytes:
    """Return a large value."""
    return bytes([number % 256]) * MEGABYTE


def heavy_tail(count: int, order: Order) -> list[float]:
    """Return seconds of sleep: short ones and a few long ones, where the order says."""
    rare = min(LONG_COUNT, count)
    durations = [LONG_SECONDS] * rare + [SHORT_SECONDS] * (count - rare)
    if order == "shuffled":
        random.Random(1).shuffle(durations)  # noqa: S311 - the same order each time, not a secret
    return durations[::-1] if order == "last" else durations


def bound(durations: list[float], slots: int) -> float:
    """Return the seconds that nobody can beat."""
    return max(sum(durations) / slots, *durations)
