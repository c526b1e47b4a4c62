"""What drivers do with tasks: gather, map, nest, group. The same on every backend."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

import flyte_nb as flyte
from flyte_nb.workspace import Workspace
from tests.fakes.spaces import finished, output, phases

env = flyte.TaskEnvironment("contract")


@env.task
async def double(x: int) -> int:
    """Twice a number, after a pause."""
    await asyncio.sleep(0)
    return 2 * x


@env.task
def triple(x: int) -> int:
    """Three times a number."""
    return 3 * x


@env.task
def divide(a: int, b: int) -> float:
    """May divide by zero."""
    return a / b


def whoami() -> tuple[str, str]:
    """The run and the name of the running action."""
    context = flyte.ctx()
    assert context is not None
    assert context.action is not None
    return str(context.action.run_name), str(context.action.name)


@dataclass
class Order:
    """A value of the user's own class."""

    number: int
    tags: list[str]


@env.task
async def relabel(order: Order, tag: str) -> Order:
    """Change a copy."""
    order.tags.append(tag)
    return order


# ------------------------------------------------------------------ gather and order
def test_a_gather_of_async_and_sync_tasks(space: Workspace) -> None:
    """Results come in the order of the calls, whichever kind of body they have."""

    @env.task
    async def main(n: int) -> list[int]:
        doubled = await asyncio.gather(*(double(i) for i in range(n)))
        return doubled + await asyncio.gather(*(triple.aio(i) for i in range(n)))

    assert output(flyte.run(main, 30)) == [2 * i for i in range(30)] + [3 * i for i in range(30)]


def test_sequential_awaits_and_phases_that_feed_each_other(space: Workspace) -> None:
    """One after the other, and fan-outs over the results of fan-outs."""

    @env.task
    async def main() -> int:
        x = await double(1)
        x = await double(x)
        firsts = await asyncio.gather(*(double(i) for i in range(x)))
        seconds = await asyncio.gather(*(double(i) for i in firsts))
        return int(sum(await asyncio.gather(*(triple.aio(i) for i in seconds))))

    assert output(flyte.run(main)) == 72


def test_results_can_be_taken_as_they_come(space: Workspace) -> None:
    """`as_completed`, a semaphore and a task group are plain asyncio."""

    @env.task
    async def main() -> list[int]:
        gate = asyncio.Semaphore(3)

        async def limited(x: int) -> int:
            async with gate:
                return await double(x)

        early = [await each for each in asyncio.as_completed([limited(i) for i in range(10)])]
        async with asyncio.TaskGroup() as group:
            late = [group.create_task(double(i)) for i in range(10)]
        return sorted(early) + [each.result() for each in late]

    assert output(flyte.run(main)) == [2 * i for i in range(10)] * 2


def test_a_sync_root_calls_tasks_one_by_one_and_by_map(space: Workspace) -> None:
    """A root on a worker blocks for its children, and they run there or elsewhere."""

    @env.task
    def main(n: int) -> int:
        return triple(1) + int(sum(flyte.map(triple, range(n))))

    assert output(flyte.run(main, 10)) == 3 + 3 * 45


def test_inputs_and_outputs_are_copies(space: Workspace) -> None:
    """What the callee does to its input is not seen by the caller, and the other way round."""

    @env.task
    async def main() -> tuple[list[str], list[str]]:
        order = Order(1, ["new"])
        call = asyncio.ensure_future(relabel(order, "sent"))
        await asyncio.sleep(0)
        order.tags.append("changed later")
        return order.tags, (await call).tags

    run = finished(flyte.run(main))
    assert tuple(run.outputs()) == (["new", "changed later"], ["new", "sent"])


# ------------------------------------------------------------------ errors
def test_errors_come_as_values_in_their_place(space: Workspace) -> None:
    """`return_exceptions=True` keeps the others' results; the error has the task's own code, message and lines."""

    @env.task
    async def main() -> list[object]:
        results = await asyncio.gather(*(divide.aio(6, b) for b in (1, 0, 3)), return_exceptions=True)
        known = flyte.errors.RuntimeUserError
        return [f"{type(each).__name__}|{each.code}|{each}" if isinstance(each, known) else each for each in results]

    run = finished(flyte.run(main))

    assert run.outputs()[0] == [6.0, "RuntimeUserError|ZeroDivisionError|division by zero", 2.0]
    failure = run.state.failures[2]
    assert "return a / b" in failure.traceback
    assert str(Path(flyte.__file__).parent) not in failure.traceback  # a clone may lie in a folder of the package's name
    assert phases(run) == {"succeeded": 2, "failed": 1}


def test_an_error_that_nobody_catches_fails_the_run(space: Workspace) -> None:
    """The run tells the child's error and where it happened."""

    @env.task
    async def main() -> float:
        return float(await divide.aio(1, 0))

    run = finished(flyte.run(main))

    assert run.phase is flyte.ActionPhase.FAILED
    with pytest.raises(flyte.errors.RuntimeUserError, match="division by zero") as caught:
        run.raise_for_status()
    assert isinstance(caught.value.__cause__, flyte.errors.RuntimeUserError | ZeroDivisionError)
    failed = run.first_failure()
    assert failed is not None
    assert (failed.short_name, failed.inputs()) == ("divide", {"a": 1, "b": 0})


def test_five_thousand_actions_of_which_three_percent_fail(space: Workspace) -> None:
    """Counts end right, failures are listed by cause with the task's own lines, and the others' results are all there."""

    @env.task
    async def work(i: int) -> int:
        if i % 100 in {7, 31, 63}:
            raise ValueError(f"no {i % 100}")
        return i + 1

    @env.task
    async def main(n: int) -> list[int]:
        results = await asyncio.gather(*(work(i) for i in range(n)), return_exceptions=True)
        return [each if isinstance(each, int) else -1 for each in results]

    run = finished(flyte.run(main, 5_000))

    assert run.outputs()[0] == [-1 if i % 100 in {7, 31, 63} else i + 1 for i in range(5_000)]
    assert phases(run) == {"succeeded": 4_850, "failed": 150}
    lines = run.summary().failures
    assert {(line.task, line.code, line.message, line.count) for line in lines} == {
        ("work", "ValueError", f"no {rest}", 50) for rest in (7, 31, 63)
    }
    assert all('raise ValueError(f"no {i % 100}")' in failure.traceback for failure in run.state.failures.values())


# ------------------------------------------------------------------ map
def test_map_keeps_the_order_and_gives_errors_as_values(space: Workspace) -> None:
    """Outside of a run, `map` makes one of its own and is parallel there."""
    results = list(flyte.map(divide, [6, 1, 9], [2, 0, 3]))

    assert [results[0], results[2]] == [3.0, 3.0]
    assert isinstance(results[1], flyte.errors.RuntimeUserError)
    assert results[1].code == "ZeroDivisionError"


def test_map_can_raise_the_first_error_and_stop(space: Workspace) -> None:
    """With `return_exceptions=False` the first error in the order of the items ends it."""
    results = iter(flyte.map(divide, [4, 1, 9], [2, 0, 3], return_exceptions=False))

    assert next(results) == 2.0
    with pytest.raises(flyte.errors.RuntimeUserError, match="division by zero"):
        next(results)


def test_map_aio_inside_a_run(space: Workspace) -> None:
    """The async form does not block the driver's loop; a partial fixes inputs; a limit bounds what is in flight."""

    @env.task
    async def main() -> list[float]:
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                await asyncio.sleep(0)
                ticks += 1

        ticker = asyncio.create_task(tick())
        results = [value async for value in flyte.map.aio(partial(divide, b=2), range(0, 40, 2), concurrency=3)]
        ticker.cancel()
        return [*results, float(ticks > 0)]

    assert output(flyte.run(main)) == [*map(float, range(20)), 1.0]


def test_a_map_that_is_left_early_leaves_nothing_behind(space: Workspace) -> None:
    """Breaking out of the loop aborts what is in flight."""
    for value in flyte.map(triple, range(200)):
        assert value == 0
        break


# ------------------------------------------------------------------ nesting
@env.task
async def sum_below(depth: int, fan: int) -> int:
    """A driver that calls drivers."""
    if depth == 0:
        return 1
    return sum(await asyncio.gather(*(sum_below(depth - 1, fan) for _ in range(fan))))


@env.task
def sum_below_sync(depth: int, fan: int) -> int:
    """A sync driver that calls sync drivers."""
    if depth == 0:
        return 1
    return int(sum(flyte.map(sum_below_sync, [depth - 1] * fan, [fan] * fan)))


@env.task
async def mixed(depth: int) -> int:
    """An async driver that calls a sync one, which calls an async one, and so on."""
    return 1 if depth == 0 else 1 + await mixed_sync.aio(depth - 1)


@env.task
def mixed_sync(depth: int) -> int:
    """The sync half of `mixed`."""
    return 1 if depth == 0 else 1 + int(next(iter(flyte.map(mixed, [depth - 1]))))


@pytest.mark.parametrize("driver", [sum_below, sum_below_sync], ids=["async", "sync"])
def test_drivers_of_drivers_on_one_worker_with_one_thread(narrow_space: Workspace, driver: flyte.Task[..., int]) -> None:
    """A waiting driver holds no slot: four levels finish on one thread."""
    assert output(flyte.run(driver, 4, 2)) == 16


def test_a_deep_chain_of_async_and_sync_drivers(narrow_space: Workspace) -> None:
    """Depth twelve, with a change of kind at each step."""
    assert output(flyte.run(mixed, 12)) == 13


def test_a_sync_task_called_by_an_async_one_blocks_only_itself(narrow_space: Workspace) -> None:
    """An async body that blocks its loop for a child does not keep its neighbours, or the child, from running."""

    @env.task
    async def blocking(x: int) -> int:
        return triple(x)

    @env.task
    async def main(n: int) -> int:
        return sum(await asyncio.gather(*(blocking(i) for i in range(n))))

    assert output(flyte.run(main, 20)) == 3 * 190


@pytest.mark.parametrize("count", [40, 100])
def test_wide_drivers(narrow_space: Workspace, count: int) -> None:
    """More drivers than a worker takes at first: their children find a place all the same."""

    @env.task
    async def driver(x: int) -> int:
        return sum(await asyncio.gather(*(double(x) for _ in range(3))))

    @env.task
    async def main(n: int) -> int:
        return sum(await asyncio.gather(*(driver(i) for i in range(n))))

    assert output(flyte.run(main, count)) == sum(6 * i for i in range(count))


def test_a_task_may_call_itself_and_be_a_root(space: Workspace) -> None:
    """The root's own task can be called as an action."""

    @env.task
    async def count_down(n: int) -> int:
        return 0 if n == 0 else 1 + await count_down(n - 1)

    assert output(flyte.run(count_down, 5)) == 5


# ------------------------------------------------------------------ what is kept of actions
def test_rows_tell_parent_group_phase_attempt_and_times(space: Workspace) -> None:
    """Each action knows who called it, in which group, and how it went."""

    @env.task
    async def inner(x: int) -> int:
        with flyte.group("deep"):
            return await double(x)

    @env.task
    async def main() -> int:
        with flyte.group("first"):
            one = await inner(1)
        with flyte.group("second"):
            return one + await double(2)

    run = finished(flyte.run(main))
    state = run.state

    assert Counter((state.task_of(row).short_name, state.group_of(row), state.parent_of(row)) for row in range(state.count)) == Counter(
        {("main", "", 0): 1, ("inner", "first", 0): 1, ("double", "deep", 1): 1, ("double", "second", 0): 1}
    )
    assert {state.attempts[row] for row in range(state.count)} == {1}
    assert all(state.called_at[row] <= state.started_ats[row] + 0.5 for row in range(state.count))
    assert all(state.started_ats[row] <= state.ended_ats[row] for row in range(state.count))
    assert [(group.parent_name, group.name, group.total) for group in run.summary().groups] == [
        ("main", "first", 1),
        ("inner", "deep", 1),
        ("main", "second", 1),
    ]


def test_names_of_actions_do_not_depend_on_the_backend(space: Workspace) -> None:
    """The same program has the same action names, run after run."""

    @env.task
    async def main() -> list[int]:
        return list(await asyncio.gather(double(1), double(1), double(2)))

    names = []
    for _ in range(2):
        run = finished(flyte.run(main))
        names.append([run.state.action_name(row) for row in range(4)])

    assert names[0] == names[1]
    assert len(set(names[0])) == 4


def test_an_action_knows_its_own_name(space: Workspace) -> None:
    """`ctx()` tells run, action and attempt, on workers too."""

    @env.task
    async def who() -> tuple[str, str]:
        return whoami()

    @env.task
    def who_sync() -> tuple[str, str]:
        return whoami()

    @env.task
    async def main() -> list[tuple[str, str]]:
        return [await who(), await who_sync.aio()]

    run = finished(flyte.run(main))

    assert run.outputs()[0] == [(run.name, run.state.action_name(1)), (run.name, run.state.action_name(2))]


def test_prints_are_kept_with_their_action(space: Workspace) -> None:
    """What bodies print, of either kind and in drivers, belongs to the action that printed it; errors too."""

    @env.task
    async def talk(x: int) -> None:
        print("async", x)  # noqa: T201 - what is tested
        await asyncio.sleep(0)
        print("again", x, file=sys.stderr)  # noqa: T201 - what is tested

    @env.task
    def talk_sync(x: int) -> None:
        print("sync", x)  # noqa: T201 - what is tested

    @env.task
    async def main() -> None:
        print("driver")  # noqa: T201 - what is tested
        await asyncio.gather(talk(1), talk(2), talk_sync.aio(3))

    run = finished(flyte.run(main))
    logs = {run.state.inputs(row): run.state.logs(row) for row in range(run.state.count)}

    assert logs == {(): "driver\n", (1,): "async 1\nagain 1\n", (2,): "async 2\nagain 2\n", (3,): "sync 3\n"}


def test_prints_of_a_root_on_a_worker_are_kept(space: Workspace) -> None:
    """A root that runs on the cluster prints to its action as well."""

    @env.task
    def main() -> int:
        print("from the root")  # noqa: T201 - what is tested
        return triple(1)

    run = finished(flyte.run(main))

    assert run.root.logs == "from the root\n"


def test_custom_context_reaches_all_descendants(space: Workspace) -> None:
    """What the run was started with, and what a block added, is there on workers."""

    @env.task
    async def look() -> dict[str, str]:
        return flyte.get_custom_context()

    @env.task
    async def main() -> list[dict[str, str]]:
        with flyte.custom_context(b="2"):
            inside = await look()
        return [inside, await look()]

    run = flyte.with_runcontext(custom_context={"a": "1"}).run(main)

    assert output(run) == [{"a": "1", "b": "2"}, {"a": "1"}]
