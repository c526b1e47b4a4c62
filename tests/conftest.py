"""Decides what holds for every test: its ring, the order of the rings, and that it leaves nothing behind.

A test's folder is its ring; cheap rings run first, so that a broken core is reported before a browser is started.
"""

import atexit
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from tests.leaks import LeakCheck, Resources

HERE = Path(__file__).parent

# Runs of tests are kept on disk like anybody's, but in no project: a folder of this session, there already, so that no line tells of it.
_STORE = Path(tempfile.mkdtemp(prefix="flyte_nb-tests-"))
(_STORE / "store").mkdir(mode=0o700)
os.environ |= {"FLYTE_NB_HOME": str(_STORE / "store"), "FLYTE_NB_KEY_FILE": str(_STORE / "key")}
atexit.register(shutil.rmtree, _STORE, ignore_errors=True)
RINGS = ("unit", "contract", "properties", "", "cluster", "notebook", "browser")  # "" is this folder's own test files
MARKED_RINGS = {"cluster", "notebook", "browser"}

# Descriptors that a ring's libraries keep for reuse after their first use (connection pools, event loops): at most 3 were seen
# after a first test and none after the next; twice that keeps a slow leak from hiding for long.
RING_DESCRIPTORS = {"cluster": 6, "notebook": 6, "browser": 6}

hypothesis.settings.register_profile("ci", derandomize=True, deadline=None, print_blob=True)
hypothesis.settings.register_profile("dev", deadline=None)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "dev")


# A shell that starts this in the background has it ignore interrupts, and all that it starts, too; tests send some.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def ring_of(path: Path) -> str:
    """Return the name of the ring that a test file belongs to."""
    first = path.relative_to(HERE).parts[0]
    return first if first in RINGS else ""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test with its ring, and put the rings in order."""
    for item in items:
        ring = ring_of(item.path)
        if ring in MARKED_RINGS:
            item.add_marker(ring)
    items.sort(key=lambda item: RINGS.index(ring_of(item.path)))


@pytest.fixture(scope="session")
def leak_check() -> LeakCheck:
    """Return the session's leak rules, for fixtures that must allow something."""
    return LeakCheck()


@pytest.fixture(autouse=True)
def _leaves_nothing_behind(request: pytest.FixtureRequest, leak_check: LeakCheck) -> Iterator[None]:
    """Fail a test that leaves threads, child processes or open descriptors behind."""
    marker = request.node.get_closest_marker("leaves")
    ring = next((name for name in RING_DESCRIPTORS if request.node.get_closest_marker(name)), "")
    allowed = marker.kwargs["descriptors"] if marker else RING_DESCRIPTORS.get(ring, 0)
    before = Resources.now()
    yield
    left = leak_check.leaks(before, descriptors=allowed)
    if left:
        pytest.fail("the test left behind:\n" + "\n".join(f"  {line}" for line in left), pytrace=False)
