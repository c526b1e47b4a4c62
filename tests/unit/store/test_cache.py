"""Kernels that share a cache: what one computes the others take, and nobody waits for ever."""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from flyte_nb.core.caching import CachedResult, Sought, Wanted
from flyte_nb.core.payloads import unpack
from flyte_nb.store import place
from flyte_nb.store.cache import SqliteResults
from flyte_nb.store.database import Database
from flyte_nb.store.kernels import this_kernel
from flyte_nb.store.keys import Seal
from flyte_nb.store.values import Values

PATIENCE = 20


class Kernel:
    """One of those that share the cache: asks, and hears what comes of it."""

    def __init__(self, folder: Path) -> None:
        self.database = Database(folder / place.DATABASE)
        self.values = Values(folder / place.VALUES, self.database)
        self.results = SqliteResults(self.database, self.values, Seal(bytes(32)), this_kernel(), most_bytes=10**9)
        self.results.listen(self._told)
        self.found: dict[str, object] = {}
        self.granted: list[str] = []
        self._wake = threading.Condition()

    def _told(self, sought: Sought) -> None:
        with self._wake:
            self.found |= {key: unpack(result.output) for key, result in sought.found.items()}
            self.granted += sought.granted
            self._wake.notify_all()

    def ask(self, *keys: str) -> None:
        """Ask for results of one task."""
        assert self.results.seek([Wanted(key, "env.task") for key in keys]) == Sought({})

    def keep(self, key: str, output: int) -> None:
        """Have computed one."""
        self.results.keep([(key, CachedResult(output, 1.0, "r", "env.task"))])

    def wait(self, *keys: str) -> None:
        """Wait until something has come of all of these."""
        with self._wake:
            assert self._wake.wait_for(lambda: {*self.found, *self.granted} >= {*keys}, PATIENCE), f"{self.found} {self.granted}"

    def wait_found(self, key: str) -> object:
        """Wait for a result."""
        with self._wake:
            assert self._wake.wait_for(lambda: key in self.found, PATIENCE), f"{self.found} {self.granted}"
            return self.found[key]

    def close(self) -> None:
        """Give everything back."""
        self.results.close()
        self.values.close()
        self.database.close()


@pytest.fixture
def kernels(tmp_path: Path) -> Iterator[tuple[Kernel, Kernel]]:
    """Two kernels of one project."""
    place.prepare(tmp_path / "store")
    both = Kernel(tmp_path / "store"), Kernel(tmp_path / "store")
    yield both
    for each in both:
        each.close()


def test_what_one_computes_the_other_takes(kernels: tuple[Kernel, Kernel]) -> None:
    """Before, while and after it is computed."""
    one, two = kernels
    one.ask("a", "b")
    one.wait("a", "b")
    two.ask("a", "b", "c")
    two.wait("c")
    one.keep("a", 1)
    one.results.release(["b"])
    two.wait("a", "b")
    one.ask("a")

    assert one.wait_found("a") == 1
    assert (one.granted, one.found) == (["a", "b"], {"a": 1})
    assert (two.granted, two.found) == (["c", "b"], {"a": 1})


def test_a_kernel_that_closes_gives_its_keys_back(kernels: tuple[Kernel, Kernel]) -> None:
    """And is asked again afterwards: it starts anew."""
    one, two = kernels
    one.ask("k")
    one.wait("k")
    two.ask("k")
    one.results.close()
    two.wait("k")
    two.keep("k", 5)
    one.ask("k")

    assert one.wait_found("k") == 5
    assert two.granted == ["k"]


def test_a_file_that_cannot_be_used_stops_nobody(
    kernels: tuple[Kernel, Kernel], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Everything is granted, nothing is kept, and that is said once; later it is tried again."""
    one, two = kernels
    one.ask("busy")
    one.wait("busy")
    two.ask("busy")

    def broken() -> sqlite3.Connection:
        raise sqlite3.OperationalError("disk I/O error")

    works = two.results._connect
    monkeypatch.setattr(two.results, "_connect", broken)
    two.results._post(lambda _connection: two.results._drop_connection())
    with caplog.at_level(logging.WARNING, "flyte_nb"):
        two.ask("k")
        two.wait("k", "busy")
        two.keep("k", 1)
        two.ask("other")
        two.wait("other")
    monkeypatch.setattr(two.results, "_connect", works)
    two.keep("k", 2)
    two.results.lines()  # it is written by then
    one.ask("k")

    assert sorted(two.granted) == ["busy", "k", "other"]
    assert one.wait_found("k") == 2
    assert [record.message.count("disk I/O error") for record in caplog.records if "cache" in record.message] == [1]


def test_uses_are_told_and_results_are_dropped(kernels: tuple[Kernel, Kernel]) -> None:
    """By task, and at once for all kernels."""
    one, two = kernels
    one.keep("k", 1)
    one.ask("k")
    one.wait_found("k")

    assert [(line.task, line.results, line.hits) for line in one.results.lines()] == [("env.task", 1, 1)]
    assert (two.results.clear("other"), two.results.clear()) == (0, 1)
    assert one.results.lines() == []
