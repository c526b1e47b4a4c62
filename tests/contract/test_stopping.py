"""How work is stopped: by its caller, by a person, by the end of who called it, by closing the workspace."""

from __future__ import annotations

import _thread
import asyncio
import contextlib
import threading
import time
from pathlib import Path

import pytest

import flyte_nb as flyte
from flyte_nb.workspace import Workspace
from tests.fakes.spaces import finished, output, phases, running, wait_until

env = flyte.TaskEnvironment("stopping")
LONG = 30.0
#: An async or pure-Python body is stopped within 0.1 s; the rest is for a busy machine with two cores.
PROMPT = 1.5


@env.task
async def nap(seconds: float, mark: str = "") -> float:
    """Sleep on the loop; leave a mark when cancelled."""
    try:
        await asyncio.sleep(seconds)
    except asyncio.CancelledError:
        if mark:
            Path(mark).write_text("cancelled")  # noqa: ASYNC240 - a few bytes
        raise
    return seconds


@env.task
def spin(seconds: float, mark: str = "") -> float:
    """Compute in pure Python; leave a mark when stopped."""
    end = time.monotonic() + seconds
    try:
        while time.monotonic() < end:
            sum(range(100))
    finally:
        if mark and time.monotonic() < end:
            Path(mark).write_text("stopped")
    return seconds


@env.task
async def quick(x: int) -> int:
    """A neighbour."""
    return x


# ------------------------------------------------------------------ by the caller
def test_a_cancelled_task_is_stopped_where_it_runs(space: Workspace, tmp_path: Path) -> None:
    """`task.cancel()` reaches the body on its worker as `CancelledError`."""
    mark = str(tmp_path / "mark")

    @env.task
    async def main() -> str:
        call = asyncio.create_task(nap(LONG, mark))
        await asyncio.sleep(0.2)
        call.cancel()
        try:
            await call
        except asyncio.CancelledError:
            return "cancelled here"
        return "not cancelled"

    run = flyte.run(main)

    assert output(run) == "cancelled here"
    assert Path(mark).read_text() == "cancelled"
    assert phases(run) == {"aborted": 1}


def test_wait_for_stops_what_takes_too_long(space: Workspace) -> None:
    """`asyncio.wait_for` and `asyncio.timeout` end the action, and the driver goes on."""

    @env.task
    async def main() -> list[str]:
        seen = []
        try:
            await asyncio.wait_for(nap(LONG), 0.1)
        except TimeoutError:
            seen.append("wait_for")
        try:
            async with asyncio.timeout(0.1):
                await nap(LONG)
        except TimeoutError:
            seen.append("timeout")
        return [*seen, str(await quick(1))]

    run = flyte.run(main)

    assert output(run) == ["wait_for", "timeout", "1"]
    assert phases(run) == {"aborted": 2, "succeeded": 1}


def test_a_task_group_stops_the_siblings_of_one_that_fails(space: Workspace) -> None:
    """The first error ends the group; what still runs is aborted."""

    @env.task
    async def fail() -> None:
        raise ValueError("first")

    @env.task
    async def main() -> str:
        said = "nothing"
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(nap(LONG))
                group.create_task(nap(LONG))
                group.create_task(fail())
        except* flyte.errors.RuntimeUserError as errors:
            said = str(errors.exceptions[0])
        return said

    run = flyte.run(main)

    assert output(run) == "first"
    assert phases(run) == {"aborted": 2, "failed": 1}


def test_cancelling_most_of_a_fan_out_leaves_the_rest(space: Workspace) -> None:
    """Thousands of queued calls are dropped; those behind them run."""

    @env.task
    async def main(n: int) -> int:
        calls = [asyncio.create_task(quick(i)) for i in range(n)]
        await asyncio.sleep(0)
        for call in calls[:-5]:
            call.cancel()
        return sum(await asyncio.gather(*calls[-5:]))

    assert output(flyte.run(main, 3_000)) == sum(range(2_995, 3_000))


# ------------------------------------------------------------------ by a person
def test_an_abort_stops_queued_and_async_actions_at_once(space: Workspace) -> None:
    """Hundreds of sleeping actions and as many queued ones end within a moment."""

    @env.task
    async def main(n: int) -> int:
        return len(await asyncio.gather(*(nap(LONG) for _ in range(n))))

    run = flyte.run(main, 500)
    wait_until(running(run, 32))
    began = time.monotonic()
    run.abort("enough")
    finished(run)

    assert time.monotonic() - began < PROMPT
    assert (run.phase, phases(run)) == (flyte.ActionPhase.ABORTED, {"aborted": 500})
    with pytest.raises(flyte.errors.ActionAbortedError, match="enough"):
        run.raise_for_status()


def test_an_abort_stops_a_pure_python_loop(space: Workspace, tmp_path: Path) -> None:
    """A sync body in Python code is interrupted, and its `finally` runs; no worker is lost for it."""
    mark = tmp_path / "mark"

    @env.task
    async def main() -> float:
        return float(await spin.aio(LONG, str(mark)))

    workers = set(space.runner._controller.placement.agents)
    run = flyte.run(main)
    wait_until(running(run, 1))
    began = time.monotonic()
    run.abort()
    finished(run)

    assert time.monotonic() - began < PROMPT
    assert mark.read_text() == "stopped"
    assert phases(run) == {"aborted": 1}
    assert set(space.runner._controller.placement.agents) == workers


def test_one_action_can_be_aborted(space: Workspace) -> None:
    """Its caller gets a named error and may go on; its siblings are left alone."""

    @env.task
    async def main() -> list[str]:
        results = await asyncio.gather(nap(LONG), nap(0.5), return_exceptions=True)
        return [type(each).__name__ for each in results]

    run = flyte.run(main)
    wait_until(running(run, 2))
    run.action(1).abort("not needed")

    assert output(run) == ["ActionAbortedError", "float"]
    error = run.action(1).error
    assert error is not None
    assert "not needed" in str(error)


@pytest.mark.parametrize("aborts", [True, False])
def test_an_interrupt_of_a_wait_aborts_the_run_unless_it_shall_only_end_the_wait(space: Workspace, aborts: bool) -> None:  # noqa: FBT001 - a parameter
    """The kernel's interrupt button, or Ctrl-C: a real signal in the middle of `wait()`."""

    @env.task
    async def main() -> float:
        return await nap(LONG if aborts else 1.0)

    run = flyte.run(main)
    wait_until(running(run, 1))
    button = threading.Timer(0.2, _thread.interrupt_main)
    button.start()
    with pytest.raises(KeyboardInterrupt):
        run.wait(abort_on_interrupt=aborts)
    button.join()
    goes_on = not run.done()
    finished(run)

    assert (run.phase.value, goes_on or aborts) == ("aborted" if aborts else "succeeded", True)
    assert ("interrupted by the user" in run.summary().message) is aborts


def test_an_aborted_parent_takes_its_children_along(space: Workspace) -> None:
    """Everything below an aborted action is stopped, wherever it runs."""

    @env.task
    async def parent() -> float:
        return sum(await asyncio.gather(*(nap(LONG) for _ in range(5))))

    @env.task
    async def main() -> list[str]:
        results = await asyncio.gather(parent(), quick(1), return_exceptions=True)
        return [type(each).__name__ for each in results]

    run = flyte.run(main)
    wait_until(running(run, 6))
    run.action(1).abort()

    assert output(run) == ["ActionAbortedError", "int"]
    assert phases(run) == {"aborted": 6, "succeeded": 1}


def test_a_driver_that_swallows_the_abort_makes_no_more_calls(space: Workspace) -> None:
    """Its later calls are refused, and the run ends all the same."""

    @env.task
    async def main() -> str:
        with contextlib.suppress(asyncio.CancelledError):
            await nap(LONG)
        await quick(1)
        return "went on"

    run = flyte.run(main)
    wait_until(running(run, 1))
    run.abort()
    finished(run)

    assert run.phase is flyte.ActionPhase.ABORTED
    assert phases(run) == {"aborted": 1}


def test_a_driver_that_never_yields_is_abandoned(space: Workspace) -> None:
    """A root in the kernel that computes on cannot be ended: the run ends without it."""
    released: list[bool] = []

    @env.task
    async def main() -> int:
        while not released:
            time.sleep(0.01)  # noqa: ASYNC251 - a body that never yields
        return 1

    run = flyte.run(main)
    wait_until(lambda: run.phase is flyte.ActionPhase.RUNNING)
    began = time.monotonic()
    run.abort()
    finished(run)
    elapsed = time.monotonic() - began
    released.append(True)

    assert run.phase is flyte.ActionPhase.ABORTED
    assert 1.5 < elapsed < 4.0


def test_a_sync_parent_that_waits_is_stopped_with_its_children(space: Workspace) -> None:
    """A body that blocks for its children wakes up when it is told to stop."""

    @env.task
    def parent() -> float:
        return float(sum(flyte.map(nap, [LONG] * 3)))

    run = flyte.run(parent)
    wait_until(running(run, 3))
    began = time.monotonic()
    run.abort()
    finished(run)

    assert time.monotonic() - began < PROMPT
    assert phases(run) == {"aborted": 3}


# ------------------------------------------------------------------ by the end of the caller
def test_a_root_that_ends_stops_what_is_in_flight(space: Workspace) -> None:
    """Calls that nobody awaited do not outlive their run; the run's end is theirs."""

    @env.task
    async def main() -> str:
        calls = [asyncio.create_task(nap(LONG)) for _ in range(20)]
        await asyncio.sleep(0.3)
        return f"left {len(calls)}"

    began = time.monotonic()
    run = flyte.run(main)

    assert output(run) == "left 20"
    assert time.monotonic() - began < LONG / 2
    assert phases(run) == {"aborted": 20}


def test_an_action_that_ends_stops_what_it_left_in_flight(space: Workspace) -> None:
    """Also below the root: what an action on a worker left behind ends with it, not with the run."""

    @env.task
    async def leaver() -> int:
        asyncio.get_running_loop().keep = asyncio.create_task(nap(LONG))  # type: ignore[attr-defined]  # lest it be collected
        await asyncio.sleep(0.2)
        return 1

    @env.task
    async def main() -> int:
        return await leaver()

    began = time.monotonic()
    run = flyte.run(main)

    assert output(run) == 1
    assert time.monotonic() - began < LONG / 2
    assert phases(run) == {"succeeded": 1, "aborted": 1}


def test_a_failing_root_stops_what_is_in_flight(space: Workspace) -> None:
    """An error in the driver ends its children as well."""

    @env.task
    async def main() -> None:
        calls = [asyncio.create_task(nap(LONG)) for _ in range(3)]
        await asyncio.sleep(0.2)
        raise ValueError(len(calls))

    run = finished(flyte.run(main))

    assert (run.phase, phases(run)) == (flyte.ActionPhase.FAILED, {"aborted": 3})


def test_runs_do_not_stop_each_other(space: Workspace) -> None:
    """An abort of one run leaves another, with actions on the same workers, alone."""

    @env.task
    async def main(seconds: float) -> int:
        return len(await asyncio.gather(*(nap(seconds) for _ in range(10))))

    first, second = flyte.run(main, LONG), flyte.run(main, 1.0)
    wait_until(running(first, 10))
    wait_until(running(second, 10))
    first.abort()

    assert output(second) == 10
    assert finished(first).phase is flyte.ActionPhase.ABORTED
