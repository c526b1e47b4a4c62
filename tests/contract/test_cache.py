"""The cache: what is computed once, what is computed again."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

import flyte_nb as flyte
from flyte_nb.authoring.task import Task
from flyte_nb.remote import Run
from flyte_nb.workspace import Workspace
from tests.contract.conftest import finished, output

env = flyte.TaskEnvironment("caching")
NOT_CACHED = ("log", "noise")


def tally(log: str) -> int:
    """Count a call."""
    with Path(log).open("a") as file:
        file.write("x")
    return Path(log).stat().st_size


@pytest.fixture(autouse=True)
def _nothing_is_kept_yet(space: Workspace) -> None:
    """The store is that of all tests of the session."""
    space.cache.clear()


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Where calls are counted."""
    (tmp_path / "log").touch()
    return tmp_path / "log"


def squares(cache: flyte.Cache | str, factor: int = 1) -> Task[..., Any]:
    """A task under a cache policy; the same code each time, but for the factor that it reads."""

    @env.task(cache=cache)
    async def square(x: int, log: str, noise: int = 0) -> int:
        tally(log)
        return x * x * factor + 0 * noise

    return square


def call_each(task: Task[..., Any], log: Path, calls: list[tuple[int, int]], **context: Any) -> tuple[object, int]:
    """(The run's output, how often the body ran) of a run that calls the task with these numbers and noises."""

    @env.task
    async def main(log: str, calls: list[tuple[int, int]]) -> list[int]:
        return [await task(x, log, noise) for x, noise in calls]

    before = log.stat().st_size
    return output(flyte.with_runcontext(**context).run(main, str(log), calls)), log.stat().st_size - before


def ignoring(**settings: object) -> flyte.Cache:
    """A policy for which neither the log nor the noise counts."""
    return flyte.Cache("auto", ignored_inputs=NOT_CACHED, **settings)  # type: ignore[arg-type]  # its own fields


def test_a_result_is_computed_once(log: Path) -> None:
    """Equal calls in one run and in later ones take it; other inputs do not, ignored ones do not count."""
    task = squares(ignoring())

    assert call_each(task, log, [(2, 0), (2, 1), (3, 0)]) == ([4, 4, 9], 2)
    assert call_each(squares(ignoring()), log, [(2, 5), (3, 0)]) == ([4, 9], 0)


def test_other_code_salt_or_version_is_another_result(log: Path) -> None:
    """What the code reads is part of it; a version that is given stands for all code."""
    calls = [(7, 0)]
    ran = [call_each(squares(ignoring(), factor), log, calls)[1] for factor in (10, 10, 11)]
    salted = [call_each(squares(ignoring(salt=salt), 10), log, calls)[1] for salt in ("a", "a", "b")]
    versions = (("1", 10), ("1", 12), ("2", 12))
    given = [call_each(squares(ignoring(version_override=version), factor), log, calls) for version, factor in versions]

    assert (ran, salted) == ([1, 0, 1], [1, 0, 1])
    assert given == [([490], 1), ([490], 0), ([588], 1)]


def test_behaviours_and_runs_may_leave_the_cache_alone(log: Path) -> None:
    """Override and an overwriting run compute and store; a run without the cache does neither; nor does a task without."""
    calls = [(8, 0)]
    call_each(squares(ignoring(), 20), log, calls)

    assert call_each(squares(flyte.Cache("override", ignored_inputs=NOT_CACHED), 20), log, calls)[1] == 1
    assert call_each(squares(ignoring(), 20), log, calls, overwrite_cache=True)[1] == 1
    assert call_each(squares(ignoring(), 20), log, calls, disable_run_cache=True)[1] == 1
    assert call_each(squares("disable", 20), log, calls)[1] == 1
    assert call_each(squares(ignoring(), 20), log, calls)[1] == 0


def test_errors_are_not_kept(log: Path) -> None:
    """A failed call is made again."""

    @env.task(cache=flyte.Cache("auto", ignored_inputs=("log",)))
    def flaky(log: str) -> int:
        if tally(log) == 1:
            raise ValueError("first")
        return 7

    @env.task
    async def main(log: str) -> list[object]:
        return [str(each) for _ in range(3) async for each in flyte.map.aio(flaky, [log])]

    assert (output(flyte.run(main, str(log))), log.stat().st_size) == (["first", "7", "7"], 2)


def test_roots_items_of_maps_and_tasks_without_output_are_reused(log: Path) -> None:
    """A root is an action like others; each item of a map is; nothing is a result too."""

    @env.task(cache="auto")
    async def nothing(log: str) -> None:
        tally(log)

    @env.task(cache="auto")
    async def main(log: str) -> list[object]:
        tally(log)
        return [each async for each in flyte.map.aio(nothing, [log, log])]

    first, second = (finished(flyte.run(main, str(log))) for _ in range(2))

    assert (first.outputs(), second.outputs()) == (([None, None],), ([None, None],))
    assert log.stat().st_size in {2, 3}  # two equal calls at one time may both run
    assert (second.root.cache_hit, second.root.attempts, second.state.count) == (True, 0, 1)


def test_a_task_called_on_a_worker_is_reused_too(log: Path) -> None:
    """Keys are the same wherever a call is made."""
    task = squares(ignoring(), 30)

    @env.task
    def parent(log: str) -> int:
        return asyncio.run(call_there(log))

    async def call_there(log: str) -> int:
        return int(await task(5, log))

    @env.task
    async def main(log: str) -> list[int]:
        return [await task(5, log), await parent.aio(log)]

    run: Run = finished(flyte.run(main, str(log)))

    assert (run.outputs()[0], log.stat().st_size) == ([750, 750], 1)
    assert [action.cache_hit for action in flyte.remote.Action.listall(run.name)] == [False, False, False, True]


def test_equal_values_are_equal_inputs(log: Path) -> None:
    """Dictionaries in another order and sets made another way find the same result."""

    @env.task(cache=flyte.Cache("auto", ignored_inputs=("log",)))
    async def size(value: dict, tags: set, log: str) -> int:  # type: ignore[type-arg]  # as users write it
        tally(log)
        return len(value) + len(tags)

    @env.task
    async def main(log: str) -> list[int]:
        return [await size({"a": 1, "b": [2]}, {"x", "y"}, log), await size({"b": [2], "a": 1}, {"y", "x"}, log)]

    assert (output(flyte.run(main, str(log))), log.stat().st_size) == ([4, 4], 1)


class BrokenPolicy:
    """A cache policy that fails."""

    def get_version(self, salt: str, params: object) -> str:
        """Fail."""
        raise RuntimeError(f"no version, salt {salt!r}")


def test_a_policy_that_fails_fails_the_call_and_nothing_else() -> None:
    """Awaited, blocking and as a root; a task that merely knows it can be pickled and run."""

    @env.task(cache=flyte.Cache("auto", policies=[BrokenPolicy()]))
    def broken() -> int:
        return 1

    @env.task
    async def awaits() -> str:
        with pytest.raises(ValueError, match="Failed to generate version for cache policy"):
            await broken.aio()
        return "told"

    @env.task
    def blocks() -> str:
        with pytest.raises(flyte.errors.RuntimeUserError, match="Failed to generate version") as caught:
            broken()
        return caught.value.code

    assert (output(flyte.run(awaits)), output(flyte.run(blocks))) == ("told", "ValueError")
    with pytest.raises(ValueError, match="Failed to generate version for cache policy"):
        flyte.run(broken)
