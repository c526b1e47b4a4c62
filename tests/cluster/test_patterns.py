"""The ways in which people fan out, as they write them: ordinary asyncio in a driver, on the embedded cluster."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import flyte_nb as flyte
from flyte_nb import errors
from flyte_nb.remote import Run

pytestmark = pytest.mark.usefixtures("embedded")

env = flyte.TaskEnvironment("patterns")


@env.task
async def fetch(user: int) -> int:
    """A step that mostly waits."""
    await asyncio.sleep(0.001)
    return user * 10


@env.task
def score(value: int) -> int:
    """A step that computes."""
    return value + 1


@env.task
async def pick(user: int) -> int:
    """A step that fails for some."""
    if user % 7 == 3:
        raise ValueError(f"no user {user}")
    return user


@env.task
async def linger(user: int) -> int:
    """A step that goes on until it is told to stop."""
    await asyncio.sleep(3600)
    return user


def ended(driver: flyte.Task[..., Any], *inputs: object) -> Run:
    """Start a run, and wait for its end."""
    run = flyte.run(driver, *inputs)
    run.wait(timeout=60)
    run.state.check()
    return run


def counts(run: Run) -> dict[str, int]:
    """Return how many actions ended in which phase."""
    return {phase.value: count for phase, count in run.summary().counts.items()}


def groups(run: Run) -> dict[str, int]:
    """Return how many actions each group has."""
    return {group.name: group.total for group in run.summary().groups}


# ---------------------------------------------------------------------------------------------- the eight
@env.task
async def basic_gather(users: int) -> list[int]:
    """One call of `gather`."""
    return list(await asyncio.gather(*(fetch(user) for user in range(users))))


def test_basic_gather() -> None:
    """Results come in the order of the calls."""
    run = ended(basic_gather, 250)

    assert run.outputs()[0] == [user * 10 for user in range(250)]
    assert counts(run) == {"succeeded": 250}


@env.task
async def collect_then_gather(users: int) -> list[int]:
    """Calls are collected in a loop; nothing happens before they are awaited, and some never are."""
    calls = []
    for user in range(users):
        call = fetch(user)
        if user % 2 == 0:
            calls.append(call)
        else:
            call.close()
    return list(await asyncio.gather(*calls))


def test_collect_then_gather() -> None:
    """Only what was collected becomes actions."""
    run = ended(collect_then_gather, 100)

    assert run.outputs()[0] == [user * 10 for user in range(0, 100, 2)]
    assert counts(run) == {"succeeded": 50}


@env.task
async def sequential_awaits(users: int) -> list[int]:
    """Each call waits for the one before it."""
    total, totals = 0, []
    for user in range(users):
        total = await score.aio(total + await fetch(user))
        totals.append(total)
    return totals


def test_sequential_awaits() -> None:
    """One after the other: each sees the result of the last one."""
    run = ended(sequential_awaits, 4)
    started, finished = list(run.state.called_at)[1:], list(run.state.ended_ats)[1:]

    assert run.outputs()[0] == [1, 12, 33, 64]
    assert all(end <= start for end, start in zip(finished, started[1:], strict=False))


@env.task
async def parallel_then_sequential(users: int) -> int:
    """A fan-out, and a chain over its results."""
    total = 0
    for value in await asyncio.gather(*(fetch(user) for user in range(users))):
        total += await score.aio(value)
    return total


def test_parallel_then_sequential() -> None:
    """Both kinds in one driver."""
    run = ended(parallel_then_sequential, 10)

    assert run.outputs()[0] == sum(user * 10 + 1 for user in range(10))
    assert counts(run) == {"succeeded": 20}


@env.task
async def three_phases(users: int) -> list[int]:
    """Each phase fans out over what the last one returned."""
    with flyte.group("fetch"):
        fetched = await asyncio.gather(*(fetch(user) for user in range(users)))
    with flyte.group("score"):
        scored = await asyncio.gather(*(score.aio(value) for value in fetched))
    with flyte.group("score again"):
        return list(await asyncio.gather(*(score.aio(value) for value in scored if value > 50)))


def test_three_phases() -> None:
    """Three groups, each as large as what came before it allows."""
    run = ended(three_phases, 60)

    assert run.outputs()[0] == [user * 10 + 2 for user in range(5, 60)]
    assert groups(run) == {"fetch": 60, "score": 60, "score again": 55}


@env.task
async def in_batches(users: int) -> list[int]:
    """A hundred at a time, the next hundred when all have ended."""
    found: list[int] = []
    for start in range(0, users, 100):
        with flyte.group(f"batch {start // 100}"):
            found += await asyncio.gather(*(fetch(user) for user in range(start, min(start + 100, users))))
    return found


def test_batches_of_a_hundred() -> None:
    """Each batch is a group; the last one is what is left."""
    run = ended(in_batches, 250)

    assert run.outputs()[0] == [user * 10 for user in range(250)]
    assert groups(run) == {"batch 0": 100, "batch 1": 100, "batch 2": 50}


@env.task
async def errors_as_values(users: int) -> list[int]:
    """A failure is a value; the others go on."""
    found = await asyncio.gather(*(pick(user) for user in range(users)), return_exceptions=True)
    missing = [user for user, value in enumerate(found) if isinstance(value, errors.RuntimeUserError) and value.code == "ValueError"]
    return [len(found), *missing]


def test_errors_as_values() -> None:
    """The run succeeds, the counts tell of the failures, and each says what its task said."""
    run = ended(errors_as_values, 21)
    failure = run.first_failure()

    assert run.outputs()[0] == [21, 3, 10, 17]
    assert (run.phase, counts(run)) == (flyte.ActionPhase.SUCCEEDED, {"succeeded": 18, "failed": 3})
    assert failure is not None
    assert failure.error_message == f"no user {failure.inputs()['user']}"


@env.task
async def in_chunks(users: int) -> int:
    """Only a sum is kept of each chunk."""
    total = 0
    for start in range(0, users, 500):
        total += sum(await asyncio.gather(*(fetch(user) for user in range(start, min(start + 500, users)))))
    return total


def test_chunks_keep_memory_bounded() -> None:
    """Never more than a chunk is open."""
    run = ended(in_chunks, 2_000)

    assert run.outputs()[0] == sum(user * 10 for user in range(2_000))
    assert most_open(run) <= 500


def most_open(run: Run) -> int:
    """Return how many actions were called and had not ended, at most."""
    state = run.state
    changes = [(at, 1) for at in state.called_at[1:]] + [(at, -1) for at in state.ended_ats[1:]]
    now = most = 0
    for _at, change in sorted(changes):
        now += change
        most = max(most, now)
    return most


# ---------------------------------------------------------------------------------------------- and more of asyncio
@env.task
async def with_a_semaphore(users: int, limit: int) -> list[int]:
    """At most so many at once."""
    free = asyncio.Semaphore(limit)

    async def one(user: int) -> int:
        async with free:
            return await fetch(user)

    return list(await asyncio.gather(*(one(user) for user in range(users))))


def test_a_semaphore_bounds_what_is_under_way() -> None:
    """The usual way to be kind to a service."""
    run = ended(with_a_semaphore, 40, 5)

    assert run.outputs()[0] == [user * 10 for user in range(40)]
    assert most_open(run) <= 5


@env.task
async def as_they_come(users: int) -> list[int]:
    """Results in the order in which they come, each handed on at once."""
    found = set()
    for ready in asyncio.as_completed([fetch(user) for user in range(users)]):
        found.add(await score.aio(await ready))
    return sorted(found)


def test_as_completed() -> None:
    """Every result comes once."""
    run = ended(as_they_come, 30)

    assert run.outputs()[0] == [user * 10 + 1 for user in range(30)]
    assert counts(run) == {"succeeded": 60}


@env.task
async def in_a_task_group(users: int) -> list[int]:
    """A task group waits for all."""
    async with asyncio.TaskGroup() as group:
        calls = [group.create_task(fetch(user), name=f"user {user}") for user in range(users)]
    return [call.result() for call in calls]


def test_a_task_group() -> None:
    """Its members are actions like any other."""
    run = ended(in_a_task_group, 30)

    assert run.outputs()[0] == [user * 10 for user in range(30)]
    assert counts(run) == {"succeeded": 30}


@env.task
async def in_a_task_group_that_fails(users: int) -> str:
    """The first failure stops the rest."""
    reasons = []
    try:
        async with asyncio.TaskGroup() as group:
            for user in range(users):
                group.create_task(linger(user))
            group.create_task(pick(3))
    except* errors.RuntimeUserError as failed:
        reasons = [str(error) for error in failed.exceptions]
    return ", ".join(reasons)


def test_a_task_group_that_fails_stops_the_rest() -> None:
    """What was still running is aborted, on the workers too."""
    run = ended(in_a_task_group_that_fails, 10)

    assert run.outputs()[0] == "no user 3"
    assert counts(run) == {"aborted": 10, "failed": 1}


@env.task
async def with_a_timeout() -> str:
    """Give up after a while."""
    try:
        async with asyncio.timeout(0.2):
            await asyncio.gather(*(linger(user) for user in range(5)))
    except TimeoutError:
        return "given up"
    return "not given up"


def test_a_timeout_gives_up_and_stops_what_was_waited_for() -> None:
    """The five actions end as aborted."""
    run = ended(with_a_timeout)

    assert run.outputs()[0] == "given up"
    assert counts(run) == {"aborted": 5}


@env.task
async def nested(width: int, depth: int) -> int:
    """A driver that calls drivers."""
    if depth == 0:
        leaf: int = await score.aio(0)
        return leaf
    with flyte.group(f"depth {depth}"):
        return sum(await asyncio.gather(*(nested(width, depth - 1) for _ in range(width))))


def test_drivers_call_drivers() -> None:
    """Three levels of them, and the leaves are counted once each."""
    run = ended(nested, 3, 3)

    assert run.outputs()[0] == 27
    assert counts(run) == {"succeeded": 3 + 9 + 27 + 27}


def test_map_outside_of_a_run_is_parallel_and_in_order() -> None:
    """Plain code may fan out too; errors are values unless told otherwise."""
    found = list(flyte.map(pick, range(8)))

    assert [value for value in found if isinstance(value, int)] == [0, 1, 2, 4, 5, 6, 7]
    assert isinstance(found[3], errors.RuntimeUserError)
    with pytest.raises(errors.RuntimeUserError, match="no user 3"):
        list(flyte.map(pick, range(8), return_exceptions=False))


@env.task
async def maps_in_groups(users: int) -> list[int]:
    """`map` names its own group."""
    fetched = [value async for value in flyte.map.aio(fetch, range(users), group_name="all", concurrency=4)]
    return [value async for value in flyte.map.aio(score, fetched)]


def test_map_inside_of_a_run_groups_and_bounds() -> None:
    """A window of four, and the names of the groups as Flyte has them."""
    run = ended(maps_in_groups, 20)

    assert run.outputs()[0] == [user * 10 + 1 for user in range(20)]
    assert groups(run) == {"patterns.fetch_all": 20, "patterns.score_map": 20}
