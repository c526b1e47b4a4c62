"""Decides how many CPUs and how much memory there are for us: the limits of the container count, not the machine's size.

Linux puts limits on groups of processes (cgroups): version 2 in one tree, version 1 in one tree for each resource. A
limit anywhere between our group and the root holds, so all are looked at. Inside of a container the path that
`/proc/self/cgroup` tells is often the host's and is not there; then the root of what is mounted is the container's.

Must not know: workers.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import psutil

MOUNT = Path("/sys/fs/cgroup")
MEMBERSHIP = Path("/proc/self/cgroup")


def available_cpus(mount: Path = MOUNT, membership: Path = MEMBERSHIP) -> int:
    """CPUs that this process may use, at least 1: those of the machine, its affinity and the quotas of its groups (rounded down)."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, int(min([count, *_cpu_quotas(mount, membership)])))


def available_memory(mount: Path = MOUNT, membership: Path = MEMBERSHIP) -> int:
    """Bytes of memory that this process and its children may use together."""
    return min([int(psutil.virtual_memory().total), *_memory_limits(mount, membership)])


def _cpu_quotas(mount: Path, membership: Path) -> Iterator[float]:
    for group in _groups(mount, membership, ""):
        words = _read(group / "cpu.max").split()
        if len(words) == 2 and words[0].isdigit() and int(words[1]):  # noqa: PLR2004 - quota and period, in microseconds
            yield int(words[0]) / int(words[1])
    for group in _groups(mount, membership, "cpu"):
        quota, period = _read(group / "cpu.cfs_quota_us"), _read(group / "cpu.cfs_period_us")
        if quota.isdigit() and period.isdigit() and int(period):  # "-1" is no limit
            yield int(quota) / int(period)


def _memory_limits(mount: Path, membership: Path) -> Iterator[int]:
    for controller, name in (("", "memory.max"), ("memory", "memory.limit_in_bytes")):
        for group in _groups(mount, membership, controller):
            limit = _read(group / name)
            if limit.isdigit():  # "max" is no limit
                yield int(limit)


def _groups(mount: Path, membership: Path, controller: str) -> list[Path]:
    """The folders of our group and of all around it, for a controller of version 1 or ("") for version 2."""
    top = mount / controller if controller else mount
    path = "/"
    for line in _read(membership).splitlines():
        _number, _, rest = line.partition(":")
        names, _, its_path = rest.partition(":")
        if controller in names.split(","):
            path = its_path
            break
    inner = PurePosixPath(path.lstrip("/"))
    return [top / each for each in (inner, *inner.parents)]


def _read(file: Path) -> str:
    try:
        return file.read_text().strip()
    except (OSError, ValueError):  # not there, not for us, or no text
        return ""
