"""What actions ask of workers: how many slots that is, who can take it, and what is said if nobody can."""

from __future__ import annotations

import pytest

from flyte_nb.core.policy import Resources
from flyte_nb.engine.fitting import Capacity, Need, too_large_failure

GIB = 2**30
SMALL, LARGE = Capacity(1, 4 * GIB, 0), Capacity(4, 16 * GIB, 1)


@pytest.mark.parametrize(
    "resources,need",
    [
        (Resources(), None),
        (Resources(cpu=1), None),
        (Resources(cpu="500m"), None),
        (Resources(cpu=2), Need(2.0, 0, 0)),
        (Resources(cpu=(3, 8), memory=("1Gi", "2Gi")), Need(3.0, GIB, 0)),
        (Resources(gpu="T4:2"), Need(0.0, 0, 2)),
    ],
)
def test_a_task_that_asks_for_no_more_than_a_slot_needs_nothing(resources: Resources, need: Need | None) -> None:
    """Only what a slot may not have is looked at; of a range its lower end."""
    assert Need.of(resources) == need


@pytest.mark.parametrize(
    "need,on_small,on_large",
    [
        (Need(1.0, GIB, 0), (1, True), (1, True)),
        (Need(1.5, 0, 0), (2, False), (2, True)),
        (Need(0.0, 5 * GIB, 0), (2, False), (2, True)),
        (Need(0.0, 4 * GIB, 0), (1, True), (1, True)),
        (Need(4.0, 17 * GIB, 0), (5, False), (5, False)),
        (Need(0.0, 0, 1), (1, False), (1, True)),
    ],
)
def test_slots_and_fit(need: Need, on_small: tuple[int, bool], on_large: tuple[int, bool]) -> None:
    """A slot is a core and its share of the memory; accelerators are counted by themselves."""
    assert ((need.slots(SMALL), need.fits(SMALL)), (need.slots(LARGE), need.fits(LARGE))) == (on_small, on_large)


def test_memory_counts_nothing_where_it_is_not_known() -> None:
    """A worker without a limit takes every request."""
    assert Need(1.0, 1000 * GIB, 0).fits(Capacity(1, 0, 0))


def test_an_accelerator_is_more_than_a_slot() -> None:
    """So such actions are placed one by one."""
    assert Need(0.0, 0, 1).is_more_than_a_slot(LARGE)
    assert not Need(1.0, GIB, 0).is_more_than_a_slot(LARGE)


def test_the_failure_names_the_need_the_largest_worker_and_the_remedy() -> None:
    """What is asked for, what there is, and how to get it."""
    failure = too_large_failure("etl.fit", Need(8.0, 32 * GIB, 0), [SMALL, LARGE], ours=True)

    assert (failure.kind, failure.code, failure.retryable) == ("user", "ResourcesUnavailableError", False)
    assert "etl.fit asks for 8 CPUs and 32.0 GiB of memory" in failure.message
    assert "the largest of 2 has 4 CPUs, 16.0 GiB of memory and 1 GPU" in failure.message
    assert 'flyte.init(workers=1, threads_per_worker=8, memory_limit="32768MiB")' in failure.message


def test_of_a_foreign_cluster_nothing_is_promised() -> None:
    """Its workers are not made by init()."""
    assert "add larger workers to the cluster" in too_large_failure("t", Need(8.0, 0, 0), [SMALL], ours=False).message


def test_missing_accelerators_are_said_so() -> None:
    """More threads would not help."""
    assert "Ask for fewer GPUs (this machine shows none" in too_large_failure("t", Need(0.0, 100 * 2**20, 2), [SMALL], ours=True).message
    assert "(no worker has that many)" in too_large_failure("t", Need(0.0, 0, 2), [SMALL, LARGE], ours=True).message
