"""Workers that die, and workers that are ended because something on them does not stop: nothing is lost, nobody waits for ever."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

import flyte_nb as flyte
from flyte_nb.engine import frozen
from flyte_nb.engine.dask_backend import DaskBackend
from flyte_nb.engine.records import AgentRecord
from flyte_nb.workspace import Workspace
from tests.fakes.spaces import Spaces, current, finished, output, phases, wait_until
from tests.leaks import LeakCheck

#: A worker's process that is replaced leaves connections and pipes to be closed by and by.
pytestmark = pytest.mark.leaves(descriptors=60)

env = flyte.TaskEnvironment("dying")
LONG = 30.0


@pytest.fixture(scope="module")
def spaces(leak_check: LeakCheck) -> Iterator[Spaces]:
    """The workspaces of this module; closed at its end."""
    with contextlib.ExitStack() as stack:
        yield Spaces(leak_check, stack)


@pytest.fixture(scope="module", autouse=True)
def _started(spaces: Spaces) -> None:
    """The cluster is there before the first test that is watched for leaks."""
    spaces.get("dask", 2)


@pytest.fixture
def space(spaces: Spaces) -> Iterator[Workspace]:
    """Two worker processes with one thread each; both are there again for the next test."""
    with current(spaces.get("dask", 2)) as made:
        yield made
        wait_until(lambda: len(workers_of(made)) == 2)


def workers_of(space: Workspace) -> Mapping[str, AgentRecord]:
    """The workers that the controller knows."""
    return space.runner._controller.placement.agents


def count_up(path: str) -> int:
    """How often this was called with a path, this call included; across processes."""
    with Path(path).open("a") as file:
        file.write("x")
    return Path(path).stat().st_size


@env.task
async def nap(seconds: float) -> float:
    """Sleep on the loop."""
    await asyncio.sleep(seconds)
    return seconds


@env.task
def block(seconds: float) -> float:
    """Block in C code, where no exception reaches."""
    time.sleep(seconds)
    return seconds


def test_an_abort_ends_the_worker_of_a_body_that_does_not_stop(space: Workspace) -> None:
    """`time.sleep` cannot be interrupted: after the grace its worker is ended, and bystanders run again at no cost."""

    @env.task
    async def main() -> list[float]:
        blocked = asyncio.create_task(block.aio(LONG))
        naps = [asyncio.create_task(nap(3.5)) for _ in range(4)]
        await asyncio.sleep(0.4)
        blocked.cancel()
        return list(await asyncio.gather(*naps))

    began = time.monotonic()
    run = finished(flyte.run(main))

    assert run.outputs()[0] == [3.5] * 4
    assert time.monotonic() - began < LONG / 2
    assert phases(run) == {"aborted": 1, "succeeded": 4}
    attempts = [run.state.attempts[row] for row in range(1, run.state.count)]
    assert max(attempts) == 2


def test_an_abort_of_a_run_with_a_blocked_body_ends_it(space: Workspace) -> None:
    """The run is over within the grace and a moment, whatever its body does."""
    run = flyte.run(block, LONG)
    wait_until(lambda: run.phase is flyte.ActionPhase.RUNNING)
    began = time.monotonic()
    run.abort()
    finished(run)

    assert time.monotonic() - began < 2.0 + 2.0
    assert run.phase is flyte.ActionPhase.ABORTED


def test_a_time_limit_ends_the_worker_of_a_body_that_does_not_stop(space: Workspace, tmp_path: Path) -> None:
    """A body that blocks in C costs its worker; the next attempt, on another one, is made once."""
    path = str(tmp_path / "count")

    @env.task(timeout=1, retries=1)
    def blocked(path: str) -> int:
        tried = count_up(path)
        if tried == 1:
            time.sleep(60)
        return tried

    @env.task
    async def main(path: str) -> int:
        return int(await blocked.aio(path))

    run = finished(flyte.run(main, path))

    assert (run.outputs()[0], run.state.attempts[1], Path(path).stat().st_size) == (2, 2, 2)


# ------------------------------------------------------------------ workers that are held
def test_a_worker_that_is_held_is_replaced(space: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stop signal ends no connection; after a while the worker is given up, and what it had runs elsewhere."""
    monkeypatch.setattr(frozen, "FROZEN_SECONDS", 0.5)
    path = str(tmp_path / "count")

    @env.task
    def held(path: str) -> int:
        tried = count_up(path)
        if tried == 1:
            os.kill(os.getpid(), signal.SIGSTOP)
        return tried

    run = finished(flyte.run(held, path))

    assert (run.outputs()[0], run.state.attempts[0]) == (2, 2)
    assert "held by a stop signal" in "\n".join(run.state.story(0))


# ------------------------------------------------------------------ workers that die
def test_a_worker_that_is_killed_costs_no_result(space: Workspace, tmp_path: Path) -> None:
    """Its actions run elsewhere; each result is right, and nobody is tried without bound."""
    gate = tmp_path / "gate"

    @env.task
    async def work(x: int) -> int:
        while not gate.exists():  # noqa: ASYNC110 - a file tells it, across processes
            await asyncio.sleep(0.02)
        return x + 1

    @env.task
    def work_sync(x: int) -> int:
        while not gate.exists():
            time.sleep(0.02)
        return x + 1

    @env.task
    async def main(n: int) -> int:
        return sum(await asyncio.gather(*(work(i) for i in range(n)), *(work_sync.aio(i) for i in range(n // 10))))

    run = flyte.run(main, 200)
    victim = next(iter(workers_of(space).values()))
    wait_until(lambda: victim.name in {run.action(row).worker for row in range(1, run.state.count)})
    os.kill(victim.pid, signal.SIGKILL)
    wait_until(lambda: any(record.ending == "lost" for records in list(run.state.past.values()) for record in records))
    gate.touch()

    assert output(run) == sum(i + 1 for i in range(200)) + sum(i + 1 for i in range(20))
    assert max(run.state.attempts) <= 3


@pytest.mark.parametrize("is_async", [True, False], ids=["async", "sync"])
def test_an_action_that_kills_its_worker_is_found_and_the_others_succeed(
    space: Workspace,
    is_async: bool,  # noqa: FBT001 - a parameter
) -> None:
    """Attempts are bounded, the failure is the system's and says so, the neighbours' results are right."""

    @env.task
    async def die(x: int) -> int:
        if x == 3:
            os._exit(1)
        return x

    @env.task
    def die_sync(x: int) -> int:
        if x == 3:
            os._exit(1)
        return x

    @env.task
    async def main() -> list[object]:
        calls = [die(x) if is_async else die_sync.aio(x) for x in range(8)]
        results = await asyncio.gather(*calls, return_exceptions=True)
        return [getattr(each, "code", each) for each in results]

    run = flyte.run(main)
    run.wait(timeout=100)

    assert run.outputs()[0] == [0, 1, 2, "WorkerLostError", 4, 5, 6, 7]
    assert run.state.failures[4].kind == "system"


def test_compiled_code_that_keeps_the_interpreters_lock_is_not_taken_for_a_dead_worker(space: Workspace) -> None:
    """Nothing of its worker answers meanwhile, for as long as it takes: only the end of a process is its end."""

    @env.task
    def hold(seconds: int) -> int:
        ctypes.PyDLL(None).sleep(seconds)  # type: ignore[no-untyped-call, unused-ignore]  # unlike `CDLL`, this keeps the lock
        return seconds

    run = finished(flyte.run(hold, 3))

    assert (run.outputs()[0], list(run.state.attempts)) == (3, [1])
    backend = space.runner.backend
    assert isinstance(backend, DaskBackend)
    assert backend._embedded is not None
    assert backend._embedded.scheduler.worker_ttl is None
