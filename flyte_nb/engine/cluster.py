"""Decides what the embedded cluster looks like: how many workers, how much memory, what it listens on.

Sized by what this container really has (cgroup limits, CPU affinity), on loopback only, with TLS made for this kernel.

Must not know: actions.
"""

from __future__ import annotations

import copy
import os
import threading
from dataclasses import dataclass
from functools import cache
from multiprocessing import spawn
from typing import TYPE_CHECKING, Any

import dask.config
import distributed.utils
from dask.utils import parse_bytes
from distributed import LocalCluster, Nanny
from distributed.core import Status
from distributed.security import Security

from flyte_nb.engine import nursery
from flyte_nb.engine.container import available_cpus, available_memory
from flyte_nb.engine.hush import own_level

if TYPE_CHECKING:
    from distributed import SpecCluster

#: What Dask calls a process of a worker.
_METHOD = "distributed.worker.multiprocessing-method"
_WORKER_PROCESS = "Dask Worker process (from Nanny)"
#: Share of the memory that workers get together; the rest is for the kernel and everything else.
MEMORY_SHARE = 0.8
#: No worker by default gets less than this: a bare one takes about half of it.
LEAST_MEMORY_BYTES = 256 * 2**20
#: What the embedded cluster's scheduler is started with, and nothing outside of it: a worker that dies is ours to handle.
CONFIG = {
    "distributed.scheduler.allowed-failures": 0,
    # Its scheduler would end a worker whose compiled code keeps the interpreter's lock for five minutes: we see a process end.
    "distributed.scheduler.worker-ttl": None,
    "distributed.admin.system-monitor.interval": "2s",
    "distributed.scheduler.http.routes": [
        "distributed.http.scheduler.prometheus",
        "distributed.http.scheduler.info",
        "distributed.http.scheduler.json",
        "distributed.http.health",
        "distributed.http.proxy",
        "distributed.http.statics",
    ],
}


#: What its workers are started with, those that come later included.
WORKER_CONFIG = {"distributed.admin.system-monitor.interval": "2s", "distributed.worker.profile.enabled": False}


@dataclass(frozen=True, slots=True)
class ClusterSize:
    """What the user asked for; None is: as much as there is.

    Attributes:
        adaptive: (least, most) workers of a cluster that follows the load; it starts with `workers`, or the least.
    """

    workers: int | None = None
    threads_per_worker: int = 1
    memory_limit: str | int | None = None
    adaptive: tuple[int, int] | None = None


@cache
def _spare_main() -> None:
    """Keep workers from importing the program that starts them.

    A spawned process imports its parent's main module first, so a script without `if __name__ == "__main__"` would be
    run again by each worker, and one read from a pipe could not be found. Workers need nothing of it: what is defined
    there travels with the tasks.
    """
    original = spawn.get_preparation_data

    def prepared(name: str) -> dict[str, Any]:
        found = original(name)
        if name == _WORKER_PROCESS:
            found.pop("init_main_from_path", None)
            found.pop("init_main_from_name", None)
        return found

    spawn.get_preparation_data = prepared


class _Forking:
    """While entered, processes that Dask starts are forked from the server in `nursery`.

    Its configuration is one for the whole process, and workers start side by side: the first sets it, the last sets it back.
    """

    def __init__(self) -> None:
        self._lock, self._depth = threading.Lock(), 0
        self._before: Any = None

    def __enter__(self) -> None:
        with self._lock:
            if self._depth == 0:
                self._before = dask.config.get(_METHOD)
                dask.config.set({_METHOD: "forkserver"})
            self._depth += 1

    def __exit__(self, *_exc: object) -> None:
        with self._lock:
            self._depth -= 1
            if self._depth == 0:
                dask.config.set({_METHOD: self._before})


_forking = _Forking()


class QuietNanny(Nanny):
    """A nanny that leaves the level of the log in this process as it is."""

    def __init__(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401 - Dask's own
        with own_level():
            super().__init__(*arguments, **options)


class ForkingNanny(QuietNanny):
    """A nanny whose worker's process is forked from a server, with the environment of the moment."""

    async def instantiate(self) -> Status:
        """Start the process; called again for each that takes the place of one that died."""
        # Else Dask would import here what it wants in the server, numpy and pandas with it: for nothing, since the server runs.
        distributed.utils._forkserver_preload_set = True  # noqa: SLF001 - no public way
        self.env = {**os.environ, **self.env}
        if self.process is not None:
            self.process.env = self.env
        with _forking:
            return await super().instantiate()


def workers_of(size: ClusterSize) -> int:
    """How many workers a cluster of that size starts with."""
    if size.adaptive is not None:
        least, most = size.adaptive
        return min(most, max(least, size.workers or least))
    return size.workers or default_workers(size)


def most_workers(size: ClusterSize) -> int:
    """How many workers it is planned for: they share the memory."""
    return max(size.adaptive[1], 1) if size.adaptive is not None else max(workers_of(size), 1)


def default_workers(size: ClusterSize) -> int:
    """How many workers there are if nobody says: as many as CPUs and memory allow, at least 1."""
    by_cpus = available_cpus() // size.threads_per_worker
    each = LEAST_MEMORY_BYTES if size.memory_limit is None else _bytes(size.memory_limit)
    by_memory = int(available_memory() * MEMORY_SHARE) // each if each else by_cpus
    return max(1, min(by_cpus, by_memory))


def memory_limit_of(size: ClusterSize, workers: int) -> str | int:
    """The memory limit of each of so many workers, as Dask takes it."""
    if size.memory_limit is not None:
        return size.memory_limit
    return int(available_memory() * MEMORY_SHARE / max(workers, 1))


def _bytes(limit: str | int) -> int:
    """A memory limit in bytes; 0 if there is none, or if only Dask knows."""
    if isinstance(limit, str) and limit.lower() in {"auto", "none"}:
        return 0
    return int(parse_bytes(limit))


def start_embedded(size: ClusterSize, security: Security, *, folder: str, asynchronous: bool) -> SpecCluster:
    """Make (not yet start, if asynchronous) the embedded cluster; `folder` is where its workers spill, "" for Dask's own place."""
    _spare_main()
    with dask.config.set(WORKER_CONFIG):
        config = {"distributed": copy.deepcopy(dask.config.get("distributed"))}  # a nanny takes whole sections
    with dask.config.set(CONFIG), own_level() as silence:
        return LocalCluster(
            n_workers=workers_of(size),
            threads_per_worker=size.threads_per_worker,
            memory_limit=memory_limit_of(size, most_workers(size)),
            processes=True,
            worker_class=ForkingNanny if nursery.available() else QuietNanny,
            host="127.0.0.1",
            protocol="tls://",
            security=security,
            dashboard_address="127.0.0.1:0",
            worker_dashboard_address=None,
            silence_logs=silence,
            config=config,
            local_directory=folder or None,
            asynchronous=asynchronous,
        )
