"""Decides how browser tests share a server and a browser, and what is kept of a test that fails.

One JupyterLab and one Chromium for all tests of the ring; a page of its own for each, whose kernel ends with the test.
"""

import signal
import threading
from collections.abc import Callable, Generator, Iterator
from typing import NoReturn

import psutil
import pytest
from playwright.sync_api import Browser

from tests.browser import labkit
from tests.browser.labkit import Lab, Server, Tab
from tests.leaks import LeakCheck
from tests.tooling import chromium

FAILED = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Note on the test that it failed, for the fixtures that end after it."""
    report = yield
    if report.failed:
        item.stash[FAILED] = True
    return report


@pytest.fixture(scope="session")
def _stops_on_sigterm() -> Iterator[None]:
    """Let a stopped test run end its server and browser: by default SIGTERM ends Python without unwinding."""

    def stop(_signal: int, _frame: object) -> NoReturn:
        raise SystemExit(128 + signal.SIGTERM)

    before = signal.signal(signal.SIGTERM, stop)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture(scope="session")
def server(_stops_on_sigterm: None) -> Iterator[Server]:
    """Yield a JupyterLab server."""
    with Server() as started:
        yield started


@pytest.fixture(scope="session")
def browser(_stops_on_sigterm: None, leak_check: LeakCheck) -> Iterator[Browser]:
    """Yield a headless Chromium."""

    def belongs_to_chromium(process: psutil.Process) -> bool:
        return any(part.startswith("--type=") for part in process.cmdline())

    def belongs_to_playwright(thread: threading.Thread) -> bool:
        return thread.name.startswith("asyncio_")  # the executor of its event loop, made on first use

    try:
        executable = chromium.find()
    except chromium.ChromiumMissingError as error:
        pytest.fail(str(error), pytrace=False)
    with (
        leak_check.allow_child(belongs_to_chromium),
        leak_check.allow_thread(belongs_to_playwright),
        labkit.browser(executable) as started,
    ):
        yield started


@pytest.fixture
def tab(browser: Browser) -> Iterator[Tab]:
    """Yield a fresh page that may only talk to this machine."""
    with labkit.tab(browser) as opened:
        yield opened


@pytest.fixture
def open_lab(request: pytest.FixtureRequest, server: Server, tab: Tab) -> Iterator[Callable[[str], Lab]]:
    """Yield a function that opens a notebook of the server's folder; keeps a picture of the page if the test fails."""
    lab = Lab(tab, server)
    opened = False

    def open_notebook(name: str) -> Lab:
        nonlocal opened
        lab.open(name)
        opened = True
        return lab

    yield open_notebook
    if request.node.stash.get(FAILED, False):
        lab.screenshot(f"failed-{request.node.name}")
    if opened:
        lab.close()
