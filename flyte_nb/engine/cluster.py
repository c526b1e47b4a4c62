"""Decides what the embedded cluster looks like: how many workers, how much memory, what it listens on.

Sized by what this container really has (cgroup limits, CPU affinity), on loopback only, with TLS made for this kernel.

Must not know: actions.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import dask.config
import psutil
from distributed import LocalCluster
from distributed.security import Security

if TYPE_CHECKING:
    from distributed import SpecCluster

_CGROUP = Path("/sys/fs/cgroup")
#: Share of the memory that workers get together; the rest is for the kernel and everything else.
MEMORY_SHARE = 0.8
#: What the embedded cluster is started with, and nothing outside of it: a worker that dies is ours to handle, and
#: a task may start processes of its own (daemons may not).
CONFIG = {
    "distributed.scheduler.allowed-failures": 0,
    "distributed.worker.daemon": False,
    "distributed.admin.system-monitor.interval": "2s",
    "distributed.worker.profile.enabled": False,
    "distributed.scheduler.http.routes": [
        "distributed.http.scheduler.prometheus",
        "distributed.http.scheduler.info",
        "distributed.http.scheduler.json",
        "distributed.http.health",
        "distributed.http.proxy",
        "distributed.http.statics",
    ],
}


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


def start_embedded(size: ClusterSize, *, asynchronous: bool) -> SpecCluster:
    """Make (not yet start, if asynchronous) the embedded cluster."""
    workers = size.workers or max(1, available_cpus() // size.threads_per_worker)
    limit: str | int = size.memory_limit if size.memory_limit is not None else int(available_memory() * MEMORY_SHARE / workers)
    with dask.config.set(CONFIG):
        return LocalCluster(
            n_workers=workers,
            threads_per_worker=size.threads_per_worker,
            memory_limit=limit,
            processes=True,
            host="127.0.0.1",
            protocol="tls://",
            security=Security.temporary(),
            dashboard_address="127.0.0.1:0",
            worker_dashboard_address=None,
            silence_logs=50,
            asynchronous=asynchronous,
        )
