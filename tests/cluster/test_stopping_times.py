"""How long it takes from an abort until no more code of the action runs: the figures are told when the tests have run."""

from __future__ import annotations

import asyncio
import contextlib
import os
import statistics
import struct
import subprocess
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import psutil
import pytest

import flyte_nb as flyte
from flyte_nb.remote import Run
from tests.cluster.conftest import FIGURES, wait_for_workers, wait_until

GRACE_SECONDS = 2.0
SETTINGS = {"grace_seconds": GRACE_SECONDS}
pytestmark = [pytest.mark.usefixtures("embedded"), pytest.mark.leaves(descriptors=40)]

#: Promised: so many seconds for what can be told to stop, and grace and two seconds for what must be ended.
AT_ONCE, BY_FORCE = 0.1, GRACE_SECONDS + 2.0
#: Aborts of each kind. The one in the middle counts: a neighbour on the machine may hold up any of them.
TIMES_AT_ONCE, TIMES_BY_FORCE = 7, 3
#: Code that has not written for so long does not run any more.
SILENCE_SECONDS = 0.3
LONG = 60.0
env = flyte.TaskEnvironment("stopping")


@contextlib.contextmanager
def clock(path: str) -> Iterator[Callable[[], object]]:
    """A function that writes down that its caller runs, and when; so does the end. The time is one for all processes."""
    file = os.open(path, os.O_RDWR | os.O_CREAT)

    def tick() -> None:
        os.pwrite(file, struct.pack("d", time.monotonic()), 0)

    try:
        yield tick
    finally:
        tick()
        os.close(file)


@env.task
async def waits(path: str) -> None:
    """An async body."""
    with clock(path) as tick:
        while True:
            tick()
            await asyncio.sleep(0.001)


@env.task
def computes(path: str) -> None:
    """A loop in pure Python."""
    with clock(path) as tick:
        while True:
            tick()
            sum(range(100))


@env.task
def blocks(path: str) -> None:
    """A body that blocks in C code, where no exception reaches it."""
    Path(path).write_text(f"{os.getpid()}")
    time.sleep(LONG)


@env.task
def runs_another(path: str) -> None:
    """A body that waits for a program that it started, as `subprocess.run` does."""
    subprocess.run(["/bin/sh", "-c", f"echo $$ > {path}; exec sleep {LONG:g}"], check=True)


def has_begun(path: Path) -> bool:
    """Whether something was written down."""
    return path.exists() and path.stat().st_size > 0


def last_tick(path: str) -> float:
    """When the code ran last."""
    while True:
        (last,) = struct.unpack("d", Path(path).read_bytes())
        if time.monotonic() - last > SILENCE_SECONDS:
            return float(last)
        time.sleep(0.02)


def end_of_process(path: str) -> float:
    """When the process that was written down is gone."""
    pid = int(Path(path).read_text())
    wait_until(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE, "its process ends")
    return time.monotonic()


@pytest.mark.parametrize(
    "task,seconds,count,stopped_at",
    [
        (waits, AT_ONCE, TIMES_AT_ONCE, last_tick),
        (computes, AT_ONCE, TIMES_AT_ONCE, last_tick),
        (blocks, BY_FORCE, TIMES_BY_FORCE, end_of_process),
        (runs_another, BY_FORCE, TIMES_BY_FORCE, end_of_process),
    ],
    ids=["async", "pure-Python", "sleep-in-C", "a-program-of-its-own"],
)
def test_an_abort_stops_what_runs_in_the_time_that_is_promised(
    task: flyte.Task[[str], None],
    seconds: float,
    count: int,
    stopped_at: Callable[[str], float],
    tmp_path: Path,
) -> None:
    """From `abort()` to the last of the action's own code, or to the end of the program that it runs."""
    found = []
    for number in range(count):
        wait_for_workers(2)
        path = tmp_path / str(number)
        run = flyte.with_runcontext(driver="cluster").run(task, str(path))
        wait_until(partial(has_begun, path), "the action runs")
        began = time.monotonic()
        run.abort()
        found.append(stopped_at(str(path)) - began)
        ended(run)
    FIGURES.append(f"from abort to stopped, {task.short_name}: {statistics.median(found):.3f} s (of {count}, at most {max(found):.3f} s)")

    assert statistics.median(found) < seconds


def ended(run: Run) -> None:
    """The run has ended as an aborted one."""
    run.wait(timeout=30)
    run.state.check()
    assert run.phase is flyte.ActionPhase.ABORTED


@env.task
async def leaves(path: str) -> float:
    """A root that ends while what it called goes on; tells when."""
    left = [asyncio.ensure_future(waits(f"{path}.waits")), asyncio.ensure_future(computes.aio(f"{path}.computes"))]
    await asyncio.to_thread(wait_until, lambda: has_begun(Path(f"{path}.waits")) and has_begun(Path(f"{path}.computes")), "both run")
    return time.monotonic() if left else 0.0


@pytest.mark.parametrize("kind", ["waits", "computes"])
def test_the_end_of_the_root_stops_what_it_left_in_the_time_that_is_promised(kind: str, tmp_path: Path) -> None:
    """Nobody has to abort anything: the run's own end does."""
    found = []
    for number in range(TIMES_AT_ONCE):
        wait_for_workers(2)
        path = tmp_path / str(number)
        run = flyte.run(leaves, str(path))
        run.wait(timeout=30)
        run.state.check()
        assert [action.phase for action in run.root.children] == [flyte.ActionPhase.ABORTED] * 2
        found.append(last_tick(f"{path}.{kind}") - run.outputs()[0])
    FIGURES.append(
        f"from the root's end to stopped, {kind}: {statistics.median(found):.3f} s (of {len(found)}, at most {max(found):.3f} s)"
    )

    assert statistics.median(found) < AT_ONCE
