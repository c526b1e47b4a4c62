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
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dask.config
import distributed.utils
import psutil
from distributed import LocalCluster, Nanny
from distributed.core import Status
from distributed.security import Security

from flyte_nb.engine import nursery

if TYPE_CHECKING:
    from distributed import SpecCluster

_CGROUP = Path("/sys/fs/cgroup")
#: What Dask calls a process of a worker.
_METHOD = "distributed.worker.multiprocessing-method"
_WORKER_PROCESS = "Dask Worker process (from Nanny)"
#: Share of the memory that workers get together; the rest is for the kernel and everything else.
MEMORY_SHARE = 0.8
#: What the embedded cluster's scheduler is started with, and nothing outside of it: a worker that dies is ours to handle.
CONFIG = {
    "distributed.scheduler.allowed-failures": 0,
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
    """What the user asked for; None is: as much as there is."""

    workers: int | None = None
    threads_per_worker: int = 1
    memory_limit: str | int | None = None


def available_cpus() -> int:
    """CPUs that this process may use: affinity and cgroup quota."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _cgroup_quota()
    return max(1, min(count, int(quota)) if quota and quota >= 1 else count if not quota else 1)


def _cgroup_quota() -> float | None:
    try:
        quota, period = (_CGROUP / "cpu.max").read_text().split()
        return None if quota == "max" else int(quota) / int(period)
    except (OSError, ValueError):
        pass
    try:
        micros = int((_CGROUP / "cpu" / "cpu.cfs_quota_us").read_text())
        return None if micros <= 0 else micros / int((_CGROUP / "cpu" / "cpu.cfs_period_us").read_text())
    except (OSError, ValueError):
        return None


def available_memory() -> int:
    """Bytes of memory that this container may use."""
    total = psutil.virtual_memory().total
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        try:
            text = (_CGROUP / name).read_text().strip()
        except OSError:
            continue
        if text.isdigit():
            total = min(total, int(text))
    return int(total)


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


class ForkingNanny(Nanny):
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
    """How many workers a cluster of that size has."""
    return size.workers or max(1, available_cpus() // size.threads_per_worker)


def start_embedded(size: ClusterSize, security: Security, *, folder: str, asynchronous: bool) -> SpecCluster:
    """Make (not yet start, if asynchronous) the embedded cluster; `folder` is where its workers spill, "" for Dask's own place."""
    _spare_main()
    workers = workers_of(size)
    limit: str | int = size.memory_limit if size.memory_limit is not None else int(available_memory() * MEMORY_SHARE / workers)
    with dask.config.set(WORKER_CONFIG):
        config = {"distributed": copy.deepcopy(dask.config.get("distributed"))}  # a nanny takes whole sections
    with dask.config.set(CONFIG):
        return LocalCluster(
            n_workers=workers,
            threads_per_worker=size.threads_per_worker,
            memory_limit=limit,
            processes=True,
            worker_class=ForkingNanny if nursery.available() else Nanny,
            host="127.0.0.1",
            protocol="tls://",
            security=security,
            dashboard_address="127.0.0.1:0",
            worker_dashboard_address=None,
            silence_logs=50,
            config=config,
            local_directory=folder or None,
            asynchronous=asynchronous,
        )
