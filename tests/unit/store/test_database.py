"""One thread writes, in batches; what fails is told to whom it belongs; files of earlier versions become current."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from flyte_nb.store import schema
from flyte_nb.store.database import Database, Job


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """Return a file with a table of numbers beside its own."""
    path = tmp_path / "store.sqlite3"
    path.touch()
    made = Database(path)
    made.transact(lambda connection: connection.execute("CREATE TABLE numbers (number INTEGER UNIQUE)"))
    yield made
    made.close()


def insert(number: int, failed: list[str]) -> Job:
    """Write a number."""
    return Job(
        write=lambda connection: connection.execute("INSERT INTO numbers VALUES (?)", (number,)),
        failed=lambda error: failed.append(f"{number}: {error}"),
    )


def _break() -> None:
    raise ArithmeticError("not today")


def numbers(database: Database) -> list[int]:
    """What was written."""
    with database.reading() as connection:
        return [row[0] for row in connection.execute("SELECT number FROM numbers ORDER BY number")]


def test_many_jobs_are_one_transaction(database: Database) -> None:
    """Those that came while the writer was busy, or nobody was waiting."""
    begun, go_on = threading.Event(), threading.Event()

    def hold(_connection: sqlite3.Connection) -> None:
        begun.set()
        assert go_on.wait(20)

    transactions: list[int] = []
    database.post(Job(write=hold, failed=print))
    assert database.when_durable(lambda: None) is False
    assert begun.wait(20)
    for number in range(100):
        database.post(insert(number, []))
    database.post(Job(write=lambda connection: transactions.append(connection.total_changes), failed=print))
    go_on.set()
    database.flush()
    assert numbers(database) == list(range(100))
    assert transactions == [100]


def test_a_job_that_fails_does_not_take_the_others_along(database: Database) -> None:
    """Each is then tried by itself; the one that cannot be written is told."""
    failed: list[str] = []
    database.transact(lambda connection: connection.execute("INSERT INTO numbers VALUES (2)"))
    for number in (1, 2, 3):
        database.post(insert(number, failed))
    database.post(Job(write=print, failed=lambda error: failed.append(str(error)), prepare=_break))
    database.flush()
    assert numbers(database) == [1, 2, 3]
    assert failed == ["not today", "2: UNIQUE constraint failed: numbers.number"]


def test_those_who_wait_are_called_though_one_of_them_fails(database: Database, caplog: pytest.LogCaptureFixture) -> None:
    """And the writer goes on."""
    order: list[int] = []
    database.post(insert(1, []))
    database.when_durable(lambda: order.append(1 // 0))
    database.when_durable(lambda: order.append(2))
    database.flush()
    assert order == [2]
    assert "somebody who waited" in caplog.text
    assert database.when_durable(order.clear)


def test_a_database_that_was_closed_writes_again_when_it_is_asked_to(database: Database) -> None:
    """And what is left at its end is written."""
    for number in (1, 2):
        database.post(insert(number, []))
        database.close()
        assert numbers(database) == list(range(1, number + 1))


def test_the_writer_asks_for_its_pulse(tmp_path: Path) -> None:
    """Every few seconds while there is nothing else to do."""
    path = tmp_path / "store.sqlite3"
    path.touch()
    beaten = threading.Event()
    beats: list[Job | None] = [Job(write=lambda _connection: beaten.set(), failed=print)]
    with closing(Database(path, pulse=lambda: beats.pop() if beats else None, pulse_seconds=0.01)) as database:
        database.post(Job(write=lambda _connection: None, failed=print))
        assert beaten.wait(20)


@pytest.mark.parametrize("shared, mode", [(False, "wal"), (True, "truncate")])
def test_the_journal_fits_the_filesystem(tmp_path: Path, shared: bool, mode: str) -> None:  # noqa: FBT001 - a case
    """A write-ahead log rests on memory that machines do not share."""
    path = tmp_path / "store.sqlite3"
    path.touch()
    with closing(Database(path, shared=shared)) as database, database.reading() as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone()[0] in {mode, "delete"}  # truncate is a connection's own


def test_a_file_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    """Whoever opens it has made it, closed to others."""
    with pytest.raises(sqlite3.OperationalError):
        Database(tmp_path / "none.sqlite3")


# ------------------------------------------------------------------ versions
def test_a_file_of_every_earlier_version_becomes_a_current_one(tmp_path: Path) -> None:
    """Step by step, and what was in it stays; a current one is left alone."""
    steps = (
        *schema.STEPS,
        "CREATE TABLE extra (a TEXT); INSERT INTO extra VALUES ('a;b');",
        "ALTER TABLE extra ADD COLUMN b TEXT DEFAULT 'x';",
    )
    for version in range(len(steps) + 1):
        with closing(sqlite3.connect(tmp_path / f"{version}.sqlite3", isolation_level=None)) as connection:
            schema.migrate(connection, steps[:version])
            if version:
                connection.execute("INSERT INTO kernels (host, pid, born, beat_at, notebook) VALUES ('h', 1, 2.0, 3.0, 'n')")
            assert schema.migrate(connection, steps) is (version < len(steps))
            assert not schema.migrate(connection, steps)
            assert connection.execute("SELECT a, b FROM extra").fetchall() == [("a;b", "x")]
            assert connection.execute("SELECT count(*) FROM kernels").fetchone()[0] == bool(version)


def test_a_step_that_fails_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    """All of it or nothing."""
    with closing(sqlite3.connect(tmp_path / "s.sqlite3", isolation_level=None)) as connection:
        schema.migrate(connection)
        with pytest.raises(sqlite3.OperationalError):
            schema.migrate(connection, (*schema.STEPS, "CREATE TABLE extra (a TEXT); CREATE TABLE runs (b TEXT);"))
        assert connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'extra'").fetchone() == (0,)
        assert connection.execute("PRAGMA user_version").fetchone() == (len(schema.STEPS),)


def test_files_of_later_versions_and_of_others_are_refused(tmp_path: Path) -> None:
    """They are not ours to change."""
    with closing(sqlite3.connect(tmp_path / "s.sqlite3", isolation_level=None)) as connection:
        schema.migrate(connection, (*schema.STEPS, "CREATE TABLE extra (a TEXT);"))
        with pytest.raises(schema.TooNewError, match="later version"):
            schema.migrate(connection)
        connection.execute("PRAGMA application_id = 7")
        with pytest.raises(schema.TooNewError, match="another program"):
            schema.migrate(connection)
