"""Versions of code in the store's file: their story outlives a kernel."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from flyte_nb.core.codeversions import MOST_VERSIONS, PartRecord, VersionRecord
from flyte_nb.store import place
from flyte_nb.store.database import Database
from flyte_nb.store.versions import VersionTable


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """A new store's file."""
    place.prepare(tmp_path / "store")
    made = Database(tmp_path / "store" / place.DATABASE)
    yield made
    made.close()


def record(version: str, at: float = 1.0, task: str = "env.task") -> VersionRecord:
    """A version that depends on one thing."""
    return VersionRecord(task, version, at, (PartRecord("f > RATE", version, "\ud800 odd text"),))


def test_versions_come_back_in_order_in_another_kernel(database: Database) -> None:
    """Each with its parts; those of other tasks apart."""
    one = VersionTable(database)
    kept = [record("a"), record("b", 2.0), record("a", 3.0)]
    for each in (*kept, record("x", task="env.other")):
        one.keep(each)
    at_once = one.versions("env.task")
    database.flush()

    assert at_once == one.versions("env.task") == VersionTable(database).versions("env.task") == kept


def test_the_latest_versions_are_kept(database: Database) -> None:
    """A cell that is edited a thousand times does not fill the file."""
    table = VersionTable(database)
    for number in range(MOST_VERSIONS + 5):
        table.keep(record(str(number), float(number)))
    database.flush()

    assert [each.version for each in VersionTable(database).versions("env.task")][::49] == ["5", "54"]


def test_what_cannot_be_read_is_passed_over(database: Database, tmp_path: Path) -> None:
    """The story is for people; no run depends on it."""
    table = VersionTable(database)
    table.keep(record("a"))
    database.flush()
    database.transact(lambda connection: connection.execute("UPDATE versions SET parts = 'damaged'"))
    assert [each.version for each in table.versions("env.task")] == ["a"]
    (tmp_path / "store" / place.DATABASE).write_bytes(b"no database")

    assert VersionTable(database).versions("env.task") == []
