"""Decides which stored runs are kept, and takes the others away with all that belongs to them.

Runs go the oldest first, when they ended too long ago or when all of them together are too large. A run that goes on stays.
Values go when no run and nothing else refers to them.

Must not know: what is in a run.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from flyte_nb.store.kept_files import remove_files
from flyte_nb.store.recording import remove_runs
from flyte_nb.store.values import Values

DAY_SECONDS = 86_400
#: As days: nothing is kept.
EVERYTHING = float("-inf")


@dataclass(frozen=True, slots=True)
class Retention:
    """How long runs are kept.

    Attributes:
        days: after its end; 0 is without limit.
        size_bytes: of all runs together; 0 is without limit.
        runs: most runs; 0 is without limit.
    """

    days: float = 0
    size_bytes: int = 0
    runs: int = 0


@dataclass(frozen=True, slots=True)
class Pruned:
    """What was taken away, or would be: names of runs, and bytes."""

    runs: tuple[str, ...]
    size_bytes: int


def expired(connection: sqlite3.Connection, keep: Retention, now: float, besides: Collection[str] = ()) -> list[tuple[int, str, int]]:
    """Runs that are to go: (id, name, bytes), the oldest first.

    Args:
        connection: to read with.
        keep: what stays.
        now: UTC seconds.
        besides: names of runs that stay whatever their age.
    """
    rows = connection.execute(
        "SELECT id, name, bytes, ended_at FROM runs WHERE ended_at IS NOT NULL ORDER BY started_at DESC, id DESC"
    ).fetchall()
    gone, total = [], 0
    for position, (run, name, size, ended_at) in enumerate(rows):
        total += size
        old = bool(keep.days) and ended_at < now - keep.days * DAY_SECONDS
        large = bool(keep.size_bytes) and total > keep.size_bytes
        many = bool(keep.runs) and position >= keep.runs
        if (old or large or many) and name not in besides:
            gone.append((run, name, size))
            total -= size
    return gone[::-1]


def remove(connection: sqlite3.Connection, runs: list[tuple[int, str, int]], values: Values, files: Path) -> Pruned:
    """Take runs away, with what nobody refers to afterwards: values, and folders of files."""
    remove_runs(connection, [run for run, _name, _size in runs])
    size = values.collect(connection)
    remove_files(connection, [name for _run, name, _size in runs], files)
    connection.execute("DELETE FROM kernels WHERE pid = 0 AND NOT EXISTS (SELECT 1 FROM runs WHERE runs.kernel = kernels.id)")
    return Pruned(tuple(name for _run, name, _size in runs), size + sum(each for *_names, each in runs))
