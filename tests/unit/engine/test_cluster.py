"""How large the embedded cluster is, from what the user said and what there is."""

from __future__ import annotations

import pytest

from flyte_nb.engine import cluster
from flyte_nb.engine.cluster import ClusterSize, memory_limit_of, most_workers, workers_of

GIB, MIB = 2**30, 2**20


@pytest.fixture(autouse=True)
def _container(monkeypatch: pytest.MonkeyPatch) -> None:
    """A container with 8 CPUs and 10 GiB, of which workers get 8."""
    monkeypatch.setattr(cluster, "available_cpus", lambda: 8)
    monkeypatch.setattr(cluster, "available_memory", lambda: 10 * GIB)


@pytest.mark.parametrize(
    "size,starts,most,limit",
    [
        (ClusterSize(), 8, 8, GIB),
        (ClusterSize(threads_per_worker=4), 2, 2, 4 * GIB),
        (ClusterSize(threads_per_worker=16), 1, 1, 8 * GIB),
        (ClusterSize(workers=2), 2, 2, 4 * GIB),
        (ClusterSize(workers=16), 16, 16, GIB // 2),
        (ClusterSize(memory_limit="4GiB"), 2, 2, "4GiB"),
        (ClusterSize(memory_limit="100GiB"), 1, 1, "100GiB"),
        (ClusterSize(memory_limit=0), 8, 8, 0),
        (ClusterSize(memory_limit="auto"), 8, 8, "auto"),
        (ClusterSize(workers=3, memory_limit=GIB), 3, 3, GIB),
        (ClusterSize(adaptive=(1, 4)), 1, 4, 2 * GIB),
        (ClusterSize(adaptive=(0, 16)), 0, 16, GIB // 2),
        (ClusterSize(workers=3, adaptive=(1, 4)), 3, 4, 2 * GIB),
        (ClusterSize(workers=9, adaptive=(1, 4)), 4, 4, 2 * GIB),
    ],
)
def test_the_size_of_a_cluster(size: ClusterSize, starts: int, most: int, limit: str | int) -> None:
    """One worker a CPU, all of them together within the memory; what is said is taken as it is."""
    assert (workers_of(size), most_workers(size), memory_limit_of(size, most_workers(size))) == (starts, most, limit)


def test_many_cpus_and_little_memory_make_few_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that cannot hold its own libraries would be ended again and again."""
    monkeypatch.setattr(cluster, "available_memory", lambda: 1280 * MIB)
    few = workers_of(ClusterSize())
    monkeypatch.setattr(cluster, "available_memory", lambda: 100 * MIB)

    assert (few, workers_of(ClusterSize())) == (4, 1)
