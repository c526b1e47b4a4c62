"""Attempts: retries, time limits, values that cannot travel, limits on actions, workers that die."""

from __future__ import annotations

import asyncio
import threading
import time
from datetime import timedelta
from pathlib import Path

import pytest

import flyte_nb as flyte
from flyte_nb.workspace import Workspace
from tests.fakes.spaces import finished, output, phases

env = flyte.TaskEnvironment("attempts")


def count_up(path: str) -> int:
    """How often this was called with a path, this call included; across processes."""
    with Path(path).open("a") as file:
        file.write("x")
    return Path(path).stat().st_size


# ------------------------------------------------------------------ retries
def test_a_flaky_action_is_tried_again(space: Workspace, tmp_path: Path) -> None:
    """Failures within the retries are attempts, not the action's end; each is kept with its error."""

    @env.task(retries=3)
    async def flaky(path: str) -> int:
        tried = count_up(path)
        if tried < 3:
            raise ValueError(f"attempt {tried}")
        return tried

    @env.task
    async def main(path: str) -> int:
        return await flaky(path)

    run = finished(flyte.run(main, str(tmp_path / "count")))

    assert run.outputs()[0] == 3
    assert run.state.attempts[1] == 3
    assert [record.reason for record in run.action(1).past_attempts] == ["ValueError: attempt 1", "ValueError: attempt 2"]


def test_what_attempts_cost_is_kept(space: Workspace, tmp_path: Path) -> None:
    """Processor time of the body's own code and its worker's memory, of each attempt; short actions are not measured."""

    def compute(seconds: float) -> None:
        until = time.thread_time() + seconds
        while time.thread_time() < until:
            pass

    @env.task(retries=1)
    def busy(path: str) -> int:
        compute(0.05)
        if count_up(path) == 1:
            raise ValueError("once")
        return 1

    @env.task
    async def lazy(seconds: float) -> float:
        await asyncio.sleep(seconds)
        return seconds

    @env.task
    async def main(path: str) -> None:
        await busy.aio(path)
        await lazy(0.2)
        await lazy(0.0)

    run = finished(flyte.run(main, str(tmp_path / "count")))
    frame = run.actions

    assert frame["cpu_seconds"][1] >= 0.05
    assert frame["cpu_seconds"][2] < 0.1
    assert frame["memory_bytes"][1] > 1024**2
    assert [record.cost.cpu_seconds is not None and record.cost.cpu_seconds >= 0.05 for record in run.action(1).past_attempts] == [True]


def test_retries_wait_and_run_out(space: Workspace, tmp_path: Path) -> None:
    """The last failure is the action's; attempts keep their distance."""
    strategy = flyte.RetryStrategy(2, flyte.Backoff(timedelta(seconds=0.2)))

    @env.task(retries=strategy)
    def flaky(path: str) -> int:
        raise ValueError(f"attempt {count_up(path)}")

    @env.task
    async def main(path: str) -> str:
        try:
            await flaky.aio(path)
        except flyte.errors.RuntimeUserError as error:
            return str(error)
        return "no error"

    began = time.monotonic()
    run = flyte.run(main, str(tmp_path / "count"))

    assert output(run) == "attempt 3"
    assert time.monotonic() - began >= 0.4
    assert phases(run) == {"failed": 1}


def test_a_root_in_the_kernel_is_tried_again(space: Workspace, tmp_path: Path) -> None:
    """Drivers have retries too."""

    @env.task(retries=1)
    async def main(path: str) -> int:
        if count_up(path) == 1:
            raise ValueError("first")
        return 5

    run = finished(flyte.run(main, str(tmp_path / "count")))

    assert (run.outputs()[0], run.state.attempts[0]) == (5, 2)


def test_an_unrecoverable_error_is_not_tried_again(space: Workspace, tmp_path: Path) -> None:
    """A body can say that another attempt is of no use."""
    path = tmp_path / "count"

    @env.task(retries=5)
    async def hopeless(path: str) -> None:
        count_up(path)
        raise flyte.errors.NonRecoverableError("no use")

    @env.task
    async def main(path: str) -> None:
        await hopeless(path)

    run = finished(flyte.run(main, str(path)))

    assert (run.phase, path.stat().st_size) == (flyte.ActionPhase.FAILED, 1)


# ------------------------------------------------------------------ time limits
def test_a_time_limit_ends_an_async_body(space: Workspace) -> None:
    """The action has timed out; its caller gets the named error; neighbours go on."""

    @env.task(timeout=1)
    async def slow(seconds: float) -> float:
        await asyncio.sleep(seconds)
        return seconds

    @env.task
    async def main() -> list[str]:
        results = await asyncio.gather(slow(30.0), slow(0.1), return_exceptions=True)
        return [getattr(each, "code", str(each)) for each in results]

    run = flyte.run(main)

    assert output(run) == ["MaxRuntimeExceededError", "0.1"]
    assert phases(run) == {"timed_out": 1, "succeeded": 1}


def test_a_time_limit_ends_a_pure_python_body(space: Workspace) -> None:
    """A sync body that computes is interrupted."""

    @env.task(timeout=1)
    def spin() -> None:
        while True:
            sum(range(100))

    @env.task
    async def main() -> str:
        try:
            await spin.aio()
        except flyte.errors.MaxRuntimeExceededError as error:
            return error.code
        return "no error"

    run = flyte.run(main)

    assert output(run) == "MaxRuntimeExceededError"
    assert phases(run) == {"timed_out": 1}


# ------------------------------------------------------------------ values that cannot travel
def test_an_argument_that_cannot_be_pickled_is_named_at_the_call(space: Workspace) -> None:
    """The error names the parameter, the type and the task, and comes where the call is awaited; the driver goes on."""

    @env.task
    async def take(thing: object) -> str:
        return str(thing)

    @env.task
    async def main() -> list[str]:
        results = await asyncio.gather(take(threading.Lock()), take("fine"), return_exceptions=True)
        return [str(each) for each in results]

    run = finished(flyte.run(main))
    error, fine = run.outputs()[0]

    assert fine == "fine"
    assert "Argument 'thing' of task 'attempts.take' cannot be pickled" in error


def test_an_output_that_cannot_be_pickled_fails_its_action(space: Workspace) -> None:
    """The action fails with a named error; it is not tried again."""

    @env.task(retries=2)
    async def give() -> object:
        return threading.Lock()

    @env.task
    async def main() -> str:
        try:
            await give()
        except flyte.errors.NotSerializableError as error:
            return str(error)
        return "no error"

    run = finished(flyte.run(main))

    assert "Output" in run.outputs()[0]
    assert (phases(run), run.state.attempts[1]) == ({"failed": 1}, 1)


def test_a_task_that_cannot_be_pickled_fails_each_of_its_calls(space: Workspace) -> None:
    """Each call gets the error, the first one and the later ones, and nothing hangs."""
    lock = threading.Lock()

    @env.task
    async def closed_over() -> bool:
        return lock.locked()

    @env.task
    async def main() -> list[str]:
        found = []
        for _ in range(3):
            try:
                await closed_over()
            except flyte.errors.NotSerializableError as error:
                found.append(error.type_name)
        return found

    assert output(flyte.run(main)) == ["lock"] * 3


def test_an_output_of_the_wrong_type_fails_its_action(space: Workspace) -> None:
    """What a body returns is held to its annotation."""

    @env.task
    async def wrong() -> int:
        return "text"  # type: ignore[return-value]  # that is the point

    @env.task
    async def main() -> str:
        try:
            await wrong()
        except flyte.errors.RuntimeDataValidationError as error:
            return error.code
        return "no error"

    assert output(flyte.run(main)) == "DataValidationError"


def test_an_exception_that_cannot_be_pickled_is_told_all_the_same(space: Workspace) -> None:
    """Code, message and the task's own lines arrive; only the object stays behind."""

    @env.task
    async def fail() -> None:
        class Local(Exception):  # noqa: N818 - a user's class
            def __init__(self) -> None:
                super().__init__("it broke")
                self.lock = threading.Lock()

        raise Local

    @env.task
    async def main() -> tuple[str, str]:
        try:
            await fail()
        except flyte.errors.RuntimeUserError as error:
            return error.code, str(error)
        return "", ""

    run = finished(flyte.run(main))

    assert tuple(run.outputs()) == ("Local", "it broke")
    assert "raise Local" in run.state.failures[1].traceback


# ------------------------------------------------------------------ limits
def test_a_runaway_loop_ends_at_the_limit_on_actions(space: Workspace) -> None:
    """The call over the limit is refused with an error that says what to do; the run fails."""

    @env.task
    async def step(x: int) -> int:
        return x

    @env.task
    async def main() -> int:
        x = 0
        while True:
            x += await step(1)

    run = finished(flyte.with_runcontext(max_actions=25).run(main))

    assert (run.phase, phases(run)) == (flyte.ActionPhase.FAILED, {"succeeded": 25})
    with pytest.raises(flyte.errors.RuntimeUserError, match=r"limit of 25 actions.*max_actions"):
        run.raise_for_status()


def test_a_run_of_a_name_in_use_is_refused(space: Workspace) -> None:
    """Two live runs cannot have one name; the live one is not disturbed, also in its later attempts."""
    go: list[int] = []

    @env.task(retries=1)
    async def first() -> str:
        while not go:  # noqa: ASYNC110 - set by another thread
            await asyncio.sleep(0.01)
        if go.pop() == 1:
            raise ValueError("once more")
        return "first"

    @env.task
    async def second() -> str:
        return "second"

    run = flyte.with_runcontext(name="taken").run(first)
    with pytest.raises(ValueError, match=r"taken.*in progress"):
        flyte.with_runcontext(name="taken").run(second)
    go.append(1)
    while run.state.attempts[0] < 2:
        time.sleep(0.01)
    go.append(2)

    assert output(run) == "first"
    assert output(flyte.with_runcontext(name="taken").run(second)) == "second"


def test_a_user_exit_is_the_users_error(space: Workspace) -> None:
    """`sys.exit` in a body, or in a task that it made, ends the action and nothing else."""

    @env.task
    def leave() -> None:
        raise SystemExit(3)

    @env.task
    async def leave_in_a_task() -> None:
        async def inner() -> None:
            raise SystemExit(4)

        await asyncio.create_task(inner())

    @env.task
    async def fine(x: int) -> int:
        await asyncio.sleep(0.1)
        return x

    @env.task
    async def main() -> list[str]:
        results = await asyncio.gather(leave.aio(), fine(1), leave_in_a_task(), fine(2), return_exceptions=True)
        return [getattr(each, "code", str(each)) for each in results]

    assert output(flyte.run(main)) == ["SystemExit", "1", "SystemExit", "2"]
