"""Workspaces for tests that run real tasks, and ways to wait for what their runs do."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator

import psutil

from flyte_nb import workspace
from flyte_nb.authoring import fanout
from flyte_nb.engine import nursery
from flyte_nb.remote import Run
from flyte_nb.remote.home import set_home
from flyte_nb.settings import Settings
from flyte_nb.workspace import Workspace
from tests.leaks import LeakCheck

#: Longer than anything here lasts on a busy machine: a test that runs into it has hung.
PATIENCE = 40


def make_space(kind: str, workers: int) -> Workspace:
    """A workspace of its own, so many workers with one thread each."""
    return Workspace(Settings(cluster="inline" if kind == "inline" else None, workers=workers, memory_limit=0, block=False))


def belongs_to_a_cluster(process: psutil.Process) -> bool:
    """A rule for leak checks: workers come and go with what tests do to them; `test_closing` sees to it that all go in the end."""
    line = " ".join(process.cmdline())
    forked = "multiprocessing.forkserver" in line and process.ppid() in {os.getpid(), nursery.pid()}  # not what a task started
    return forked or "multiprocessing.spawn" in line or "flyte_nb-reaper" in line


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

    def close_all(self) -> None:
        """Give all clusters back; the next `get` makes new ones."""
        for space in self._made.values():
            space.close()
        self._made.clear()


def _make_current(space: Workspace | None) -> None:
    workspace._current = space
    if space is not None:
        set_home(space)
        fanout.set_enter_run(space.enter_run)


@contextlib.contextmanager
def current(space: Workspace) -> Iterator[Workspace]:
    """Make a workspace the one that `flyte.run` and `flyte.map` use."""
    before = workspace._current
    _make_current(space)
    try:
        yield space
    finally:
        _make_current(before)
        left = [name for name in space.live_runs() if not space.wait_ended(name, 1)]  # one that has just ended is still being told
        for name in left:
            space.abort(name, 0, "left over by a test")
            space.wait_ended(name, PATIENCE)
        assert left == [], "the test left runs behind"


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


def wait_until(reached: Callable[[], bool]) -> None:
    """Wait for something that only another thread or process can bring about, with a look every few milliseconds."""
    deadline = time.monotonic() + PATIENCE
    while not reached():
        assert time.monotonic() < deadline, "not reached in time"
        time.sleep(0.01)


def running(run: Run, count: int) -> Callable[[], bool]:
    """Whether so many actions of a run run."""
    return lambda: phases(run).get("running", 0) >= count
