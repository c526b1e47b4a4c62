"""Decides whether the process that started a run is still there.

On the same machine a process is known by its number and the instant of its start, so a number that was given to another process
later is not mistaken for it. Of a process elsewhere (another host, another container) only its heartbeat tells.

Must not know: runs.
"""

from __future__ import annotations

import os
import platform
import sqlite3
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import psutil

#: How often a kernel with live runs says that it lives, and how long after the last time one elsewhere counts as gone.
BEAT_SECONDS, SILENT_SECONDS = 5.0, 60.0
#: Two readings of one process's start may differ by this much.
_BORN_SLACK_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Kernel:
    """A process that starts runs.

    Attributes:
        host: its machine, that machine's boot and its namespace of processes.
        pid: its number there; 0 once it has said goodbye.
        born: when it was started, UTC seconds by its machine's clock.
    """

    host: str
    pid: int
    born: float

    def lives(self, beat_at: float, now: float) -> bool:
        """Whether it is there.

        Args:
            beat_at: when it last said so, UTC seconds.
            now: UTC seconds.
        """
        if not self.pid:
            return False
        if self.host != _host():
            return now - beat_at < SILENT_SECONDS
        try:
            process = psutil.Process(self.pid)
            return bool(abs(process.create_time() - self.born) < _BORN_SLACK_SECONDS and process.status() != psutil.STATUS_ZOMBIE)
        except psutil.NoSuchProcess:
            return False
        except psutil.AccessDenied:
            return True


def this_kernel() -> Kernel:
    """The process that this is called in."""
    return Kernel(_host(), os.getpid(), psutil.Process().create_time())


@cache
def _host() -> str:
    parts = [platform.node()]
    for path in ("/proc/sys/kernel/random/boot_id", "/proc/self/ns/pid"):
        try:
            parts.append(str(Path(path).readlink()) if path.endswith("/pid") else Path(path).read_text(encoding="ascii").strip())
        except OSError:
            parts.append("")
    return "/".join(parts)


def enrol(connection: sqlite3.Connection, kernel: Kernel, notebook: str) -> int:
    """Write a kernel down; returns its id."""
    cursor = connection.execute(
        "INSERT INTO kernels (host, pid, born, beat_at, notebook) VALUES (?, ?, ?, ?, ?)",
        (kernel.host, kernel.pid, kernel.born, time.time(), notebook),
    )
    assert cursor.lastrowid is not None  # noqa: S101 - it was just inserted
    return cursor.lastrowid


def beat(connection: sqlite3.Connection, kernel: int) -> None:
    """Say that a kernel lives."""
    connection.execute("UPDATE kernels SET beat_at = ? WHERE id = ?", (time.time(), kernel))


def dismiss(connection: sqlite3.Connection, kernel: int) -> None:
    """Say that a kernel starts and continues no more runs."""
    connection.execute("UPDATE kernels SET pid = 0 WHERE id = ?", (kernel,))


def living(connection: sqlite3.Connection, besides: int | None) -> set[int]:
    """Ids of the kernels that are there and have runs that go on, one left out."""
    rows = connection.execute(
        "SELECT DISTINCT k.id, k.host, k.pid, k.born, k.beat_at FROM kernels k JOIN runs r ON r.kernel = k.id WHERE r.ended_at IS NULL"
    )
    now = time.time()
    return {kernel for kernel, host, pid, born, beat_at in rows if kernel != besides and Kernel(host, pid, born).lives(beat_at, now)}


def started_by(environment: Mapping[str, str] = os.environ, argv: Sequence[str] = sys.argv) -> str:
    """The notebook or script that this process runs, as a path; empty if that is not known."""
    notebook = environment.get("JPY_SESSION_NAME", "")
    if notebook:
        return notebook
    script = argv[0] if argv else ""
    return str(Path(script).absolute()) if script.endswith(".py") and "ipykernel" not in script else ""
