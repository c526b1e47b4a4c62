"""A call that is used as its result says what was forgotten, and goes on being a call."""

import asyncio
import operator
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from flyte_nb.authoring.call import Call
from flyte_nb.authoring.environment import TaskEnvironment
from flyte_nb.authoring.misfits import not_a_task
from flyte_nb.authoring.unawaited import hint_of

env = TaskEnvironment("unawaited")


@env.task
async def double(x: int) -> int:
    """Return twice a number."""
    return 2 * x


@pytest.fixture
def call() -> Iterator[Any]:
    """Return a call that nobody has started."""
    loop = asyncio.new_event_loop()
    made = Call(double, (1,), {}, loop)
    yield made
    made.close()
    loop.close()


@pytest.mark.parametrize(
    "use",
    [
        lambda call: call + 1,
        lambda call: 1 + call,
        lambda call: sum([call, call]),
        lambda call: call["score"],
        len,
        lambda call: 1 in call,
        lambda call: call < 2,
        lambda call: max(call, 2),
        int,
        float,
        operator.neg,
        round,
    ],
)
def test_a_use_as_a_value_is_refused(call: Any, use: Callable[[Any], object]) -> None:
    """The message names the task, and what to write."""
    with pytest.raises(TypeError, match=r"call of task 'unawaited\.double', not its result: write `await double\(\.\.\.\)`"):
        use(call)


def test_it_stays_what_loops_and_collections_need(call: Any) -> None:
    """True, hashable, equal to itself only."""
    assert bool(call) is True
    assert len({call, call}) == 1
    assert (call == call, call == 2, call != 2) == (True, False, True)  # noqa: PLR0124 - that is the point


def test_an_awaitable_where_a_value_belongs_is_told_of(call: Any) -> None:
    """A call, or a coroutine; other values are not."""
    later = double(1)

    assert hint_of(call) == hint_of(later) == "it was not awaited: write `await ...`"
    assert hint_of(2) == ""
    later.close()


def test_what_is_no_task_is_told_how_to_become_one() -> None:
    """A call in its place, a function, a value."""
    assert "give the task and its inputs apart" in not_a_task(double(1)).lower()
    assert "`@env.task`" in not_a_task(print)
    assert not_a_task(3).endswith("It got 3: give the task and its inputs apart, flyte.run(task, ...).")
