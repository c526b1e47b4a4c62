"""Results in the store's file: what is kept, what goes, and who may compute what is missing."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from flyte_nb.core.caching import CachedResult, CacheLine, Wanted
from flyte_nb.core.payloads import Blob, Item, StoredBlob, pack, unpack
from flyte_nb.store import place
from flyte_nb.store.cachetable import ENTRY_BYTES, LEASE_SECONDS, CacheTable
from flyte_nb.store.database import Database
from flyte_nb.store.kernels import Kernel, this_kernel
from flyte_nb.store.keys import Seal
from flyte_nb.store.values import Values

SEAL = Seal(bytes(32))


class Shelf:
    """A store's file with a clock, and those who use its cache."""

    def __init__(self, folder: Path) -> None:
        self.now = 1_000.0
        self.folder = folder
        place.prepare(folder / "store")
        self.database = Database(folder / "store" / place.DATABASE)
        self.values = Values(folder / "store" / place.VALUES, self.database)
        self.connection = self.database.open_reader()

    def table(self, holder: str = "me", *, kernel: Kernel | None = None, seal: Seal = SEAL, most_bytes: int = 10**9) -> CacheTable:
        """The cache as one process uses it."""
        return CacheTable(self.values, seal, kernel or this_kernel(), holder, most_bytes=most_bytes, now=lambda: self.now)

    def keep(self, table: CacheTable, **outputs: Item) -> None:
        """Keep results of one task, now."""
        table.keep(self.connection, [(key, CachedResult(output, self.now, "r", "env.task")) for key, output in outputs.items()])

    def found(self, table: CacheTable, *keys: str, oldest_at: float = 0.0) -> dict[str, object]:
        """Values that are there."""
        found = table.read(self.connection, [Wanted(key, "env.task", oldest_at) for key in keys])
        return {key: unpack(result.output) for key, result in found.items()}

    def granted(self, table: CacheTable, *keys: str) -> list[str]:
        """Keys of which somebody gets the lease."""
        return table.read_or_lease(self.connection, [Wanted(key, "env.task") for key in keys])[1]

    def close(self) -> None:
        """Give everything back."""
        self.connection.close()
        self.values.close()
        self.database.close()


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Shelf]:
    """A new store."""
    made = Shelf(tmp_path)
    yield made
    made.close()


def large(folder: Path) -> Item:
    """A value in a file of its run."""
    (folder / "large").write_bytes(b"L" * 400_000)
    return StoredBlob(str(folder / "large"), 400_000, raw=True)


@pytest.mark.parametrize(
    "make",
    [
        lambda _folder: None,
        lambda _folder: 7,
        lambda _folder: "text",
        lambda _folder: b"bytes",
        lambda _folder: b"B" * 300_000,
        lambda _folder: pack({"a": [1, 2]}),
        lambda _folder: pack(list(range(100_000))),
        large,
    ],
    ids=["nothing", "number", "text", "bytes", "large bytes", "small value", "large value", "file"],
)
def test_every_kind_of_value_comes_back(shelf: Shelf, make: Callable[[Path], Item]) -> None:
    """Also to another process, and when the file that it came from is gone."""
    item = make(shelf.folder)
    value = unpack(item)
    shelf.keep(shelf.table(), k=item)
    (shelf.folder / "large").unlink(missing_ok=True)

    assert shelf.found(shelf.table("other"), "k", "unknown") == {"k": value}


def test_a_result_that_is_kept_again_replaces_the_old_one(shelf: Shelf) -> None:
    """With its large value; when it was made and by whom is told."""
    table = shelf.table()
    shelf.keep(table, k=pack(list(range(100_000))))
    shelf.now += 5
    shelf.keep(table, k="new")

    assert table.read(shelf.connection, [Wanted("k", "")]) == {"k": CachedResult("new", 1_005.0, "r", "env.task")}
    table.clear(shelf.connection, "nothing of this task")  # what nobody refers to goes when something is dropped
    assert shelf.connection.execute("SELECT COUNT(*) FROM blobs").fetchone() == (0,)
    assert shelf.values.files() == []


def test_a_result_that_is_too_old_is_not_found(shelf: Shelf) -> None:
    """The one who asks says how old it may be."""
    shelf.keep(shelf.table(), k=1)

    assert shelf.found(shelf.table(), "k", oldest_at=1_000.1) == {}
    assert shelf.found(shelf.table(), "k", oldest_at=1_000.0) == {"k": 1}


@pytest.mark.parametrize("column", ["key", "task", "run", "at", "item", "mark"])
def test_what_somebody_else_wrote_is_not_taken(shelf: Shelf, column: str) -> None:
    """Nothing of a planted or changed row is unpickled; the result is computed and replaces it."""
    shelf.keep(shelf.table(), k=1, other=2)
    planted = {"key": "planted", "at": 2_000.0}.get(column, b"planted" if column in {"item", "mark"} else "planted")
    shelf.connection.execute(f"UPDATE cache SET {column} = ? WHERE key = 'k'", (planted,))  # noqa: S608 - the columns above

    assert shelf.found(shelf.table(), "k", "planted", "other") == {"other": 2}
    assert shelf.granted(shelf.table(), "k") == ["k"]
    shelf.keep(shelf.table(), k=3)
    assert shelf.found(shelf.table(), "k") == {"k": 3}


def test_results_of_another_key_are_not_taken(shelf: Shelf) -> None:
    """A store that was copied from another user."""
    shelf.keep(shelf.table(seal=Seal(b"x" * 32)), k=1)

    assert shelf.found(shelf.table(), "k") == {}


# ------------------------------------------------------------------ leases
def test_one_of_two_gets_a_lease(shelf: Shelf) -> None:
    """The other one gets the keys that the first did not ask for; results are no question of leases."""
    one, two = shelf.table("one"), shelf.table("two")
    shelf.keep(one, known=1)

    assert shelf.granted(one, "a", "b", "known") == ["a", "b"]
    assert shelf.granted(two, "a", "b", "c") == ["c"]
    assert shelf.granted(one, "a") == ["a"]


@pytest.mark.parametrize("ending", ["result", "given back", "all given back", "expired"])
def test_a_lease_ends(shelf: Shelf, ending: str) -> None:
    """With the result, or when somebody gives it up, or does not renew it."""
    one, two = shelf.table("one"), shelf.table("two")
    shelf.granted(one, "k")
    if ending == "result":
        shelf.keep(one, k=1)
    elif ending == "given back":
        one.release(shelf.connection, ["k"])
    elif ending == "all given back":
        one.give_up(shelf.connection)
    else:
        shelf.now += LEASE_SECONDS + 1

    assert (shelf.found(two, "k"), shelf.granted(two, "k")) == (({"k": 1}, []) if ending == "result" else ({}, ["k"]))


def test_a_lease_that_is_renewed_stays(shelf: Shelf) -> None:
    """However long the result takes; another one's is not renewed with it."""
    one, two = shelf.table("one"), shelf.table("two")
    shelf.granted(one, "k")
    shelf.granted(two, "theirs")
    for _ in range(3):
        shelf.now += LEASE_SECONDS - 1
        one.renew(shelf.connection)

    assert (shelf.granted(two, "k"), shelf.granted(one, "theirs")) == ([], ["theirs"])
    shelf.now += 4_000
    one.renew(shelf.connection)
    assert shelf.connection.execute("SELECT key FROM leases ORDER BY key").fetchall() == [("k",), ("theirs",)]
    one.give_up(shelf.connection)
    shelf.granted(two, "left")
    shelf.now += 4_000
    one.renew(shelf.connection)
    assert shelf.connection.execute("SELECT key FROM leases").fetchall() == []


def test_the_lease_of_a_process_that_is_gone_is_taken_over_at_once(shelf: Shelf) -> None:
    """Nobody waits for a process that died on this machine; one elsewhere has its time."""
    here = this_kernel()
    shelf.granted(shelf.table("dead", kernel=replace(here, born=here.born - 1_000)), "k")
    shelf.granted(shelf.table("elsewhere", kernel=Kernel("other machine", os.getpid(), here.born)), "far")

    assert shelf.granted(shelf.table("me"), "k", "far") == ["k"]


def test_a_lease_that_was_lost_is_not_given_back_by_the_one_that_lost_it(shelf: Shelf) -> None:
    """A process that slept for too long does not end another one's lease; its result counts all the same."""
    one, two = shelf.table("one"), shelf.table("two")
    shelf.granted(one, "a", "b")
    shelf.now += LEASE_SECONDS + 1
    shelf.granted(two, "a", "b")
    one.release(shelf.connection, ["a"])
    shelf.keep(one, b=1)

    assert shelf.granted(one, "a") == []
    assert shelf.found(two, "b") == {"b": 1}


# ------------------------------------------------------------------ how much there is
def test_what_was_not_used_longest_goes_first(shelf: Shelf) -> None:
    """Down to nine tenths of what there may be."""
    size = ENTRY_BYTES + 100
    table = shelf.table(most_bytes=10 * size)
    for number in range(10):
        shelf.now += 1
        shelf.keep(table, **{f"k{number}": "x" * 80})
    shelf.now += 1
    table.used(shelf.connection, {"k0": 2})
    shelf.keep(table, last="x" * 80)

    found = shelf.found(table, "last", *[f"k{number}" for number in range(10)])
    assert ("k0" in found, "k1" in found, "k9" in found, "last" in found) == (True, False, True, True)
    assert sum(line.size_bytes for line in table.lines(shelf.connection)) <= 9 * size


def test_a_result_that_alone_is_too_large_is_not_kept(shelf: Shelf) -> None:
    """It would push out all others; its lease ends."""
    table = shelf.table(most_bytes=5_000)
    shelf.keep(table, small=1)
    shelf.granted(table, "large")
    shelf.keep(table, large="x" * 10_000)

    assert shelf.found(table, "small", "large") == {"small": 1}
    assert shelf.granted(shelf.table("other"), "large") == ["large"]


def test_a_value_that_a_run_refers_to_survives_the_cache(shelf: Shelf) -> None:
    """Values go when nobody at all refers to them."""
    value = Blob(b"v" * 300_000)
    shelf.keep(shelf.table(), k=value)
    (digest,) = shelf.connection.execute("SELECT digest FROM blobs").fetchone()
    shelf.connection.execute("INSERT INTO refs (kind, owner, digest) VALUES ('run', 1, ?)", (digest,))

    assert shelf.table().clear(shelf.connection, "") == 1
    assert shelf.values.load(digest) == value.data


def test_lines_tell_of_each_task(shelf: Shelf) -> None:
    """How many, how large, how often taken, and when; one task's results can be dropped alone."""
    table = shelf.table()
    shelf.keep(table, a=1, b=2)
    shelf.now += 10
    table.keep(shelf.connection, [("c", CachedResult("x" * 1_000, shelf.now, "r", "env.other"))])
    table.used(shelf.connection, {"a": 3, "b": 1})

    lines = {line.task: line for line in table.lines(shelf.connection)}

    assert lines["env.task"] == CacheLine("env.task", 2, lines["env.task"].size_bytes, 4, 1_000.0, 1_000.0, 1_010.0)
    assert (lines["env.other"].results, lines["env.other"].size_bytes > 1_000) == (1, True)
    assert (table.clear(shelf.connection, "env.task"), [line.task for line in table.lines(shelf.connection)]) == (2, ["env.other"])


def test_a_failure_in_the_middle_changes_nothing(shelf: Shelf) -> None:
    """All of an answer is one transaction."""
    table = shelf.table()
    with closing(shelf.database.open_reader()) as other:
        other.execute("BEGIN IMMEDIATE")
        shelf.connection.execute("PRAGMA busy_timeout = 10")
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            shelf.granted(table, "k")
        other.execute("COMMIT")

    assert shelf.granted(shelf.table("other"), "k") == ["k"]
