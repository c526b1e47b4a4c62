"""Decides how the versions of tasks' code are kept in the store's file, so that their story outlives a kernel.

What is kept are texts and digests, for people to read: nothing here is unpickled, or decides what runs.

Must not know: what makes a version.
"""

from __future__ import annotations

import json
import logging
import sqlite3
import zlib
from contextlib import closing

from flyte_nb.core.codeversions import MOST_VERSIONS, PartRecord, VersionRecord
from flyte_nb.store.database import Database, Job
from flyte_nb.store.sqlite_store import SqliteStore

logger = logging.getLogger("flyte_nb")


class VersionTable:
    """Versions in the store's file: see `VersionKeeper`. What cannot be read or written is passed over: no run needs it.

    Args:
        database: the store's file.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._own: dict[str, list[VersionRecord]] = {}

    def versions(self, task: str) -> list[VersionRecord]:
        """See `VersionKeeper`; those of this process are there before they are written."""
        try:
            with closing(self._database.open_reader()) as connection:
                rows = connection.execute("SELECT version, at, parts FROM versions WHERE task = ? ORDER BY id", (task,)).fetchall()
            found = [VersionRecord(task, version, at, _opened(parts)) for version, at, parts in rows]
        except (sqlite3.Error, zlib.error, TypeError, ValueError) as error:
            logger.info("flyte_nb: the versions of %s cannot be read", task, exc_info=error)
            found = []
        written = {(record.version, record.at) for record in found}
        return found + [record for record in self._own.get(task, ()) if (record.version, record.at) not in written]

    def keep(self, record: VersionRecord) -> None:
        """See `VersionKeeper`; of very many the oldest goes."""
        own = self._own.setdefault(record.task, [])
        own.append(record)
        del own[:-MOST_VERSIONS]
        task, parts = record.task, _packed(record)

        def write(connection: sqlite3.Connection) -> None:
            connection.execute(
                "INSERT INTO versions (task, version, at, parts) VALUES (?, ?, ?, ?)", (task, record.version, record.at, parts)
            )
            connection.execute(
                "DELETE FROM versions WHERE task = ? AND id NOT IN (SELECT id FROM versions WHERE task = ? ORDER BY id DESC LIMIT ?)",
                (task, task, MOST_VERSIONS),
            )

        self._database.post(Job(write=write, failed=_failed))


def keeper_of(store: object) -> VersionTable | None:
    """Where versions are kept beside a store; None if it has no file that can be written."""
    return VersionTable(store.database) if isinstance(store, SqliteStore) and not store.read_only else None


def _packed(record: VersionRecord) -> bytes:
    return zlib.compress(json.dumps([(part.path, part.digest, part.text) for part in record.parts]).encode("ascii"))


def _opened(parts: bytes) -> tuple[PartRecord, ...]:
    return tuple(PartRecord(path, digest, text) for path, digest, text in json.loads(zlib.decompress(parts)))


def _failed(error: Exception) -> None:
    logger.info("flyte_nb: a version of a task's code could not be kept", exc_info=error)
