"""How many CPUs and how much memory there are: limits of version 1 and 2, wherever in the tree they stand."""

from __future__ import annotations

import os
from pathlib import Path

import psutil
import pytest

from flyte_nb.engine import container

GIB = 2**30


@pytest.fixture(autouse=True)
def _machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with 16 CPUs and 64 GiB."""
    memory = psutil.virtual_memory()._replace(total=64 * GIB)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: set(range(16)), raising=False)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory)


def seen(folder: Path, membership: str, **files: str) -> tuple[int, int]:
    """(CPUs, bytes) with this membership and these files; `__` in a name is a folder, `_dot_` a dot."""
    for name, text in files.items():
        file = folder / "cgroup" / name.replace("__", "/").replace("_dot_", ".")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text + "\n")
    folder.mkdir(exist_ok=True)
    member = folder / "membership"
    member.write_text(membership)
    return (
        container.available_cpus(folder / "cgroup", member),
        container.available_memory(folder / "cgroup", member),
    )


def test_without_limits_it_is_the_machine(tmp_path: Path) -> None:
    """No file, or files that say so."""
    assert seen(tmp_path / "a", "0::/\n") == (16, 64 * GIB)
    assert seen(tmp_path / "b", "0::/\n", cpu_dot_max="max 100000", memory_dot_max="max") == (16, 64 * GIB)
    assert seen(
        tmp_path / "c", "4:memory:/\n1:cpu:/\n", cpu__cpu_dot_cfs_quota_us="-1", memory__memory_dot_limit_in_bytes="9223372036854771712"
    ) == (16, 64 * GIB)


def test_limits_of_version_2(tmp_path: Path) -> None:
    """At the root, as a container with a namespace of its own sees them."""
    assert seen(tmp_path, "0::/\n", cpu_dot_max="250000 100000", memory_dot_max=str(3 * GIB)) == (2, 3 * GIB)


def test_limits_of_version_1(tmp_path: Path) -> None:
    """A tree for each resource."""
    limits = {
        "cpu__cpu_dot_cfs_quota_us": "400000",
        "cpu__cpu_dot_cfs_period_us": "100000",
        "memory__memory_dot_limit_in_bytes": str(8 * GIB),
    }

    assert seen(tmp_path, "11:memory:/\n3:cpu,cpuacct:/\n1:name=systemd:/\n", **limits) == (4, 8 * GIB)


@pytest.mark.parametrize("where", ["", "user_dot_slice__", "user_dot_slice__job__"])
def test_the_tightest_limit_around_us_counts(tmp_path: Path, where: str) -> None:
    """Whether it is of our own group or of one around it: a batch system limits the job, not the process."""
    limits = {f"{where}cpu_dot_max": "300000 100000", f"{where}memory_dot_max": str(4 * GIB)}
    loose = {"user_dot_slice__job__step__cpu_dot_max": "800000 100000", "user_dot_slice__job__step__memory_dot_max": str(9 * GIB)}

    assert seen(tmp_path, "0::/user.slice/job/step\n", **loose, **limits) == (3, 4 * GIB)


def test_limits_of_a_nested_group_of_version_1(tmp_path: Path) -> None:
    """Its path differs from tree to tree."""
    limits = {
        "memory__jobs__7__memory_dot_limit_in_bytes": str(2 * GIB),
        "memory__other__memory_dot_limit_in_bytes": "1",
        "cpu__cpu_dot_cfs_quota_us": "150000",
        "cpu__cpu_dot_cfs_period_us": "100000",
    }

    assert seen(tmp_path, "4:memory:/jobs/7\n1:cpu,cpuacct:/docker/abc\n0::/\n", **limits) == (1, 2 * GIB)


def test_less_than_a_cpu_is_one(tmp_path: Path) -> None:
    """Somebody must do the work."""
    assert seen(tmp_path, "0::/\n", cpu_dot_max="20000 100000")[0] == 1


def test_what_cannot_be_read_is_no_limit(tmp_path: Path) -> None:
    """Nonsense, an empty file, a missing membership."""
    assert seen(tmp_path, "", cpu_dot_max="", memory_dot_max="a lot", cpu__cpu_dot_cfs_quota_us="100000") == (16, 64 * GIB)
    assert container.available_cpus(tmp_path / "nowhere", tmp_path / "nobody") == 16
