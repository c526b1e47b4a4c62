"""Every test of this ring runs twice: on threads of this process, and on worker processes of the embedded cluster."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from flyte_nb import remote, workspace
from flyte_nb.authoring import fanout
from flyte_nb.remote import Run
from flyte_nb.settings import Settings
from flyte_nb.workspace import Workspace
from tests.leaks import LeakCheck

KINDS = ("inline", "dask")
#: Longer than anything here lasts on a busy machine: a test that runs into it has hung.
PATIENCE = 40


#: Descriptors that a workspace which outlives a test may add in it: loops of workers are made when they are first needed
#: (three each, at most four in two workers), and a replaced worker process has other connections than the one before.
DESCRIPTORS = 30


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the workspaces of the session keep what they opened; `test_closing` sees to it that they give it back."""
    for item in items:
        if item.path.parent == Path(__file__).parent and not item.get_closest_marker("leaves"):
            item.add_marker(pytest.mark.leaves(descriptors=DESCRIPTORS))


def make_space(kind: str, workers: int) -> Workspace:
    """A workspace of its own, so many workers with one thread each."""
    return Workspace(Settings(cluster="inline" if kind == "inline" else None, workers=workers, memory_limit=0, block=False))


def belongs_to_a_cluster(process: psutil.Process) -> bool:
    """A rule for leak checks: workers come and go with what tests do to them; `test_closing` sees to it that all go in the end."""
    line = " ".join(process.cmdline())
    return "multiprocessing.spawn" in line or "flyte_nb-reaper" in line


class Spaces:
    """Workspaces that live as long as the session, made when first asked for."""

    def __init__(self, leak_check: LeakCheck, stack: contextlib.ExitStack) -> None:
        self._leak_check, self._stack = leak_check, stack
        self._made: dict[tuple[str, int], Workspace] = {}

    def get(self, kind: str, workers: int) -> Workspace:
        """The workspace, with its cluster started."""
        key = (kind, workers)
        if key not in self._made:
            space = self._made[key] = make_space(kind, workers)
            self._stack.callback(space.close)
            space.start_cluster()
            if kind == "dask":
                self._stack.enter_context(self._leak_check.allow_child(belongs_to_a_cluster))
        return self._made[key]


@pytest.fixture(scope="session")
def spaces(leak_check: LeakCheck) -> Iterator[Spaces]:
    """All workspaces of the session; closed at its end."""
    with contextlib.ExitStack() as stack:
        yield Spaces(leak_check, stack)


@contextlib.contextmanager
def current(space: Workspace) -> Iterator[Workspace]:
    """Make a workspace the one that `flyte.run` and `flyte.map` use."""
    before = workspace._current
    workspace._current = space
    remote.set_home(space)
    fanout.set_enter_run(space.enter_run)
    try:
        yield space
    finally:
        workspace._current = before
        left = [name for name in space.live_runs() if not space.wait_ended(name, 1)]  # one that has just ended is still being told
        for name in left:
            space.abort(name, 0, "left over by a test")
            space.wait_ended(name, PATIENCE)
        assert left == [], "the test left runs behind"


@pytest.fixture(params=KINDS, scope="session", autouse=True)
def kind(request: pytest.FixtureRequest, spaces: Spaces) -> str:
    """The kind of cluster. Its workspaces are started before the first test that is watched for leaks."""
    for workers in (1, 2):
        spaces.get(request.param, workers)
    return str(request.param)


@pytest.fixture
def space(kind: str, spaces: Spaces) -> Iterator[Workspace]:
    """The workspace of the test: two workers with one thread each."""
    with current(spaces.get(kind, 2)) as made:
        yield made


@pytest.fixture
def narrow_space(kind: str, spaces: Spaces) -> Iterator[Workspace]:
    """One worker with one thread."""
    with current(spaces.get(kind, 1)) as made:
        yield made


def finished(run: Run) -> Run:
    """The run, when it has ended; its state's invariants hold."""
    run.wait(timeout=PATIENCE)
    run.state.check()
    return run


def output(run: Run) -> object:
    """The run's output, when it has ended well."""
    return finished(run).outputs()[0]


def phases(run: Run) -> dict[str, int]:
    """Counts of the run's actions by phase, the root left out."""
    return {phase.value: count for phase, count in run.summary().counts.items()}
