"""The embedded cluster for tests that kill its workers."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import pytest

from flyte_nb import workspace
from flyte_nb.engine.dask_backend import DaskBackend
from tests.fakes.spaces import belongs_to_a_cluster
from tests.leaks import LeakCheck

#: Lines that tests want to be seen at the end, whether they passed or not.
FIGURES: list[str] = []
START = Callable[..., AbstractContextManager[None]]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Tell the figures that tests have measured."""
    if FIGURES:
        terminalreporter.section("figures")
        for line in FIGURES:
            terminalreporter.write_line(line)


@contextlib.contextmanager
def cluster(**settings: Any) -> Iterator[None]:
    """A cluster with these settings, and the settings as they were afterwards."""
    home = workspace.current()
    before = home.settings
    home.configure(**{"workers": 2, "cluster": None, **settings})
    home.start_cluster()
    try:
        yield
    finally:
        home.close_cluster()
        home.settings = before


@pytest.fixture(scope="module")
def embedded(request: pytest.FixtureRequest, leak_check: LeakCheck) -> Iterator[None]:
    """The embedded cluster, with the module's SETTINGS; workers that replace others are no leak."""
    settings = getattr(request.module, "SETTINGS", {})
    with leak_check.allow_child(belongs_to_a_cluster), cluster(**settings):
        yield


def backend() -> DaskBackend:
    """The backend of the cluster that runs."""
    found = workspace.current().runner.backend
    assert isinstance(found, DaskBackend)
    return found


def worker_pids() -> list[int]:
    """Process ids of the workers that are connected."""
    return [hello.pid for hello in list(backend()._hellos.values())]


def wait_until(truth: Callable[[], object], what: str, seconds: float = 30) -> None:
    """Wait for something that happens elsewhere; it is looked at, not slept for."""
    deadline = time.monotonic() + seconds
    while not truth():
        if time.monotonic() > deadline:
            raise AssertionError(f"within {seconds} s it did not happen: {what}")
        time.sleep(0.02)


def wait_for_workers(count: int) -> None:
    """Wait until so many workers take work."""
    wait_until(lambda: workspace.current().load()[0] == count, f"{count} workers")
