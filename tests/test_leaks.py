"""The leak check itself: what it reports, and what it lets pass."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.leaks import LeakCheck, Resources

SOON = 0.05  # long enough for two looks


@pytest.fixture
def before() -> Resources:
    """Return what was there before the test."""
    return Resources.now()


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    """Yield a child process that lives until its input ends."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process
        process.communicate(b"\n")


def test_nothing_left_is_no_leak(before: Resources) -> None:
    """A test that does nothing leaves nothing."""
    assert LeakCheck().leaks(before) == []


def test_a_running_thread_is_reported_by_name(before: Resources) -> None:
    """A thread that outlives its test is named."""
    gate = threading.Event()
    thread = threading.Thread(target=gate.wait, name="left-over")
    thread.start()
    try:
        left = LeakCheck(SOON).leaks(before)
    finally:
        gate.set()
        thread.join()

    assert left == ["thread 'left-over'"]


def test_a_daemon_thread_is_no_leak(before: Resources) -> None:
    """A daemon thread promises to bother nobody."""
    gate = threading.Event()
    thread = threading.Thread(target=gate.wait, daemon=True)
    thread.start()
    try:
        left = LeakCheck(SOON).leaks(before)
    finally:
        gate.set()
        thread.join()

    assert left == []


def test_a_thread_that_ends_before_the_deadline_is_no_leak(before: Resources) -> None:
    """What is still shutting down gets the time it needs."""
    looked = threading.Event()
    thread = threading.Thread(target=looked.wait)
    thread.start()
    check = LeakCheck()

    def ends_after_the_first_look(_: threading.Thread) -> bool:
        looked.set()
        return False

    with check.allow_thread(ends_after_the_first_look):
        left = check.leaks(before)

    assert left == []


def test_a_living_child_process_is_reported(before: Resources, child: subprocess.Popen[bytes]) -> None:
    """A child process that outlives its test is reported with its command line."""
    left = LeakCheck(SOON).leaks(before, descriptors=1)

    assert [line.split(": ")[0] for line in left] == [f"process {child.pid}"]
    assert left[0].endswith("-c input()")


def test_an_allowed_child_is_no_leak_while_it_is_allowed(before: Resources, child: subprocess.Popen[bytes]) -> None:
    """A fixture's rule covers its own processes, and only as long as it lasts."""
    check = LeakCheck(SOON)
    with check.allow_child(lambda process: process.pid == child.pid):
        allowed = check.leaks(before, descriptors=1)
    afterwards = check.leaks(before, descriptors=1)

    assert (allowed, len(afterwards)) == ([], 1)


def test_an_open_file_is_reported(before: Resources, tmp_path: Path) -> None:
    """A file that stays open is reported with its name, where the system tells it."""
    with (tmp_path / "left-open").open("w"):
        left = LeakCheck(SOON).leaks(before)
        enough = LeakCheck(SOON).leaks(before, descriptors=1)

    assert (len(left), enough) == (1, [])
    assert left[0].startswith("1 open file descriptors (0 allowed)")
    assert "left-open" in left[0] or "descriptor " in left[0]


def test_a_leaking_test_fails_with_what_it_left(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """The fixture turns a leak into an error of the test that made it, and its neighbour passes."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]))
    pytester.makeconftest(
        """
        import pytest
        from tests.conftest import _leaves_nothing_behind
        from tests.leaks import LeakCheck

        @pytest.fixture(scope="session")
        def leak_check():
            return LeakCheck(deadline_seconds=0)
        """,
    )
    pytester.makepyfile(
        """
        import os

        def test_leaks():
            os.open(os.devnull, os.O_RDONLY)

        def test_is_clean():
            pass
        """,
    )

    result = pytester.runpytest_subprocess("-p", "no:cacheprovider")

    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(["*test_leaks*", "the test left behind:", "*1 open file descriptors (0 allowed)*"])
