"""Decides how long the files of a run are kept: as long as the run, one that took results from it, or a cached result of it.

A run that recovers another one takes its outputs, and with them references to files in the other one's folder. So do results
in the cache. The folder of a run that is taken away stays while one of these does.

Must not know: what is in the files.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Sequence
from pathlib import Path


def note_source(connection: sqlite3.Connection, run: int, source: str) -> None:
    """A run (by id) takes results from another one (by name), and from those that this one took some from."""
    connection.execute(
        "INSERT OR IGNORE INTO sources (run, name) SELECT :run, :source UNION"
        " SELECT :run, sources.name FROM sources JOIN runs ON runs.id = sources.run WHERE runs.name = :source",
        {"run": run, "source": source},
    )


def remove_files(connection: sqlite3.Connection, gone: Sequence[str], files: Path) -> None:
    """Remove the folders of runs that were just taken away, or earlier, if nobody needs them any more."""
    connection.executemany("INSERT OR IGNORE INTO left_files (name) VALUES (?)", [(name,) for name in gone])
    unneeded = connection.execute(
        "SELECT name FROM left_files WHERE NOT EXISTS (SELECT 1 FROM sources WHERE sources.name = left_files.name)"
        " AND NOT EXISTS (SELECT 1 FROM cache WHERE cache.run = left_files.name)"
        " AND NOT EXISTS (SELECT 1 FROM runs WHERE runs.name = left_files.name)"
    ).fetchall()
    for (name,) in unneeded:
        folder = files / name
        if folder.parent == files and folder.is_dir() and not folder.is_symlink():
            shutil.rmtree(folder, ignore_errors=True)
    connection.executemany("DELETE FROM left_files WHERE name = ?", unneeded)
