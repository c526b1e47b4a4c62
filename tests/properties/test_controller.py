"""Random schedules of calls, ends, faults and stops: whatever happens, every run ends, and its books are right."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fakes.bench import Bench, task
from tests.fakes.model_cluster import ModelCluster

SCHEDULES = st.lists(st.integers(0, 2**20), min_size=10, max_size=120)


@settings(max_examples=150)
@given(SCHEDULES, st.integers(1, 3), st.sampled_from([0, 1]))
def test_every_run_ends_with_its_books_in_order(schedule: list[int], workers: int, retries: int) -> None:
    """Two runs side by side, with drivers in the kernel; faults of all kinds at any moment.

    After each step no action is stranded or held twice and no worker is counted wrongly; in the end each accepted result
    came from the chunk that held the action, no call was answered twice, attempts are bounded, and workers are free.
    """
    bench = Bench()
    cluster = ModelCluster(bench)
    for _ in range(workers):
        cluster.join()
    cluster.obey(bench.start("r", task("root", retries=retries)))
    cluster.obey(bench.start("s", task("root", timeout=3, retries=retries)))
    for number in schedule:
        cluster.step(number)
        bench.check()
    cluster.finish()
    cluster.check_ends()


@settings(max_examples=50)
@given(SCHEDULES, st.booleans())
def test_a_root_on_a_worker_ends_too(schedule: list[int], is_async: bool) -> None:  # noqa: FBT001 - drawn
    """The root may lose its worker like any other action; what it called is taken over or ends."""
    bench = Bench()
    cluster = ModelCluster(bench)
    cluster.obey(bench.start("r", task("root", is_async=is_async), in_kernel=False))
    cluster.join()
    for number in schedule:
        cluster.step(number)
        bench.check()
    cluster.finish()
    cluster.check_ends()


@settings(max_examples=40)
@given(st.integers(0, 2**32), st.integers(1, 3))
def test_long_schedules_end_too(seed: int, workers: int) -> None:
    """Chance makes what shrinking avoids: deep trees, many deaths, suspects that are tried apart while others are lost with them."""
    chance = random.Random(seed)  # noqa: S311 - no secret
    bench = Bench()
    cluster = ModelCluster(bench)
    for _ in range(workers):
        cluster.join()
    cluster.obey(bench.start("r", task("root", retries=1)))
    for _ in range(200):
        cluster.step(chance.getrandbits(20))
        bench.check()
    cluster.finish()
    cluster.check_ends()
