"""Hundreds of runs of every fate leave kernel and workers as they were: threads, files, processes, books, memory."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

import flyte_nb as flyte
from flyte_nb import errors, workspace
from flyte_nb.engine.workforce import Workforce
from flyte_nb.remote import Run
from tests.cluster.conftest import backend, wait_until

WORKERS = 2
SETTINGS = {"grace_seconds": 0.5, "workers": WORKERS}
pytestmark = pytest.mark.usefixtures("embedded")

RUNS = 300
#: Live runs at one time, as from several cells.
AT_ONCE = 6
#: What is kept of a run that has ended (its state, to be looked at), and what an allocator does not give back.
KEPT_BYTES_A_RUN = 40_000
env = flyte.TaskEnvironment("leaks")


@env.task
async def wait(seconds: float) -> float:
    """Wait."""
    await asyncio.sleep(seconds)
    return seconds


@env.task
def compute(value: int) -> int:
    """Compute, and print."""
    print(value)  # noqa: T201 - what it prints is kept with its run
    return value * value


@env.task
def spin(seconds: float) -> float:
    """Compute for a long time."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        pass
    return seconds


@env.task(retries=1)
def fail(value: int) -> int:
    """Fail, twice."""
    raise ValueError(value)


@env.task
def nest(value: int) -> int:
    """A driver on a worker."""
    return sum(result for result in flyte.map(compute, range(value)) if isinstance(result, int))


@env.task
async def goes_well(value: int) -> int:
    """All succeed, on two levels."""
    return sum(await asyncio.gather(*(nest.aio(value) for _ in range(3)), *(compute.aio(each) for each in range(value))))


@env.task
async def goes_wrong(value: int) -> list[object]:
    """Some fail, and are caught; then the root fails."""
    found = await asyncio.gather(compute.aio(value), fail.aio(value), fail.aio(value), return_exceptions=True)
    raise errors.RuntimeUserError("Enough", str(found))


@env.task
async def gives_up(value: int) -> int:
    """Some are cancelled by their caller."""
    try:
        async with asyncio.timeout(0.05):
            await asyncio.gather(*(wait(60.0) for _ in range(value)), spin.aio(60.0))
    except TimeoutError:
        return value
    return 0


@env.task
async def leaves_behind(value: int) -> int:
    """It ends before what it called."""
    calls = [asyncio.ensure_future(wait(60.0)) for _ in range(value)]
    await asyncio.sleep(0)
    return len(calls)


@env.task
async def goes_on(value: int) -> int:
    """It goes on until it is aborted."""
    await asyncio.gather(*(wait(60.0) for _ in range(value)), spin.aio(60.0))
    return value


def ends_by_itself(task: Any, phase: str) -> Callable[[int], Callable[[], None]]:
    """A fate: start such a run; what is returned waits for its end."""

    def start(number: int) -> Callable[[], None]:
        run = flyte.run(task, number % 5 + 1)
        return lambda: check(run, phase)

    return start


def is_aborted(number: int) -> Callable[[], None]:
    """A fate: the run is aborted in the middle."""
    run = flyte.run(goes_on, number % 5 + 1)

    def end() -> None:
        wait_until(lambda: run.state.count > 1, "its calls")
        run.abort("enough")
        check(run, "aborted")

    return end


def check(run: Run, phase: str) -> None:
    """The run ends as it should."""
    run.wait(timeout=60)
    assert run.phase.value == phase
    run.state.check()


FATES = [
    ends_by_itself(goes_well, "succeeded"),
    ends_by_itself(goes_wrong, "failed"),
    ends_by_itself(gives_up, "succeeded"),
    ends_by_itself(leaves_behind, "succeeded"),
    is_aborted,
]


def many(count: int) -> None:
    """Runs of all fates, a few at a time."""
    for start in range(0, count, AT_ONCE):
        for end in [FATES[number % len(FATES)](number) for number in range(start, min(start + AT_ONCE, count))]:
            end()


@env.task
def inventory(folder: str) -> dict[str, int]:
    """What a worker holds; told when another worker is asked, too."""
    (Path(folder) / str(os.getpid())).touch()
    wait_until(lambda: len(list(Path(folder).iterdir())) == WORKERS, "all workers are asked")
    gc.collect()
    agents = [each for each in gc.get_objects() if type(each).__name__ == "Agent"]
    return {
        "pid": os.getpid(),
        "chunks": sum(len(agent._active) + len(agent._queue) + len(agent._current) for agent in agents),
        "mailboxes": sum(len(agent.caller._mailboxes) for agent in agents),
        "offers": sum(len(agent.caller._offered) for agent in agents),
        "threads": threading.active_count(),
        "files": len(list(Path("/proc/self/fd").iterdir())) if Path("/proc/self/fd").is_dir() else 0,
        "children": len(psutil.Process().children(recursive=True)),
    }


@env.task
async def inventories(count: int, folder: str) -> list[dict[str, int]]:
    """What the workers hold."""
    return list(await asyncio.gather(*(inventory.aio(folder) for _ in range(count))))


def of_workers(folder: Path) -> dict[int, dict[str, int]]:
    """What each worker holds, by process."""
    folder.mkdir()
    run = flyte.run(inventories, 16, str(folder))
    run.wait(timeout=60)
    return {found.pop("pid"): found for found in run.outputs()[0]}


def of_kernel() -> dict[str, int]:
    """What this process holds."""
    gc.collect()
    runner = workspace.current().runner
    controller = runner._controller
    scheduler = backend()._embedded
    assert scheduler is not None
    assert scheduler._cluster is not None
    return {
        "runs": len(controller.runs),
        "chunks": len(controller.placement.chunks),
        "timers": sum(map(len, controller.desk._timed.values())),
        "mailboxes": len(runner.caller._mailboxes),
        "offers": len(runner.caller._offered),
        "drivers": len(runner._drivers._drivers) + len(runner._drivers._tasks),
        "threads": len([thread for thread in threading.enumerate() if "asyncio_" not in thread.name]),
        "keys": len(getattr(scheduler._cluster.scheduler, "tasks", ())),
        "files": len(list(Path(backend()._folder).glob("*"))) if backend()._folder else 0,
    }


def settled(take: Callable[[], dict[str, int]], before: dict[str, int]) -> dict[str, int]:
    """An inventory, as soon as it is as before; or what it is after a while."""
    deadline = time.monotonic() + 10
    found = take()
    while found != before and time.monotonic() < deadline:
        time.sleep(0.2)
        found = take()
    return found


def test_hundreds_of_runs_leave_everything_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the first runs have made (threads, pools, imports) is all that there is in the end."""
    monkeypatch.setattr(Workforce, "taint", lambda *_: None)  # workers into which a stop was thrown are looked at, not replaced
    many(60)
    workers, before = of_workers(tmp_path / "before"), {**of_kernel(), "timers": 0}
    rss = psutil.Process().memory_info().rss

    many(RUNS)

    after = of_workers(tmp_path / "after")
    assert {pid: after[pid] for pid in workers} == {pid: {**found, "files": after[pid]["files"]} for pid, found in workers.items()}
    assert all(after[pid]["files"] <= found["files"] + 2 for pid, found in workers.items())
    assert settled(of_kernel, before) == before
    grown = psutil.Process().memory_info().rss - rss
    assert grown < RUNS * KEPT_BYTES_A_RUN + 30 * 2**20, f"{grown / 2**20:.0f} MiB more"
