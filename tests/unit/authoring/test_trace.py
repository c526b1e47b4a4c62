"""Traced functions: recorded as steps, replayed for another attempt, plain functions outside of runs."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Iterator
from typing import Self

import pytest

from flyte_nb import errors
from flyte_nb.authoring.context import ctx
from flyte_nb.authoring.environment import TaskEnvironment
from flyte_nb.authoring.trace import trace
from flyte_nb.core.current import CURRENT, ActionFacts, Frame
from flyte_nb.core.failure import Failure
from flyte_nb.core.payloads import Item, unpack
from tests.fakes.no_submitter import NoSubmitter

ran: list[str] = []


@trace
def add(x: int, y: int = 1) -> int:
    """Adds."""
    ran.append(f"add {x} {y}")
    return x + y


@trace
async def add_later(x: int) -> int:
    """Adds, after a pause."""
    await asyncio.sleep(0)
    ran.append(f"later {x}")
    return x + 1


@trace
def count(upto: int) -> Iterator[int]:
    """Counts."""
    ran.append("count")
    yield from range(upto)


@trace
async def count_later(upto: int) -> AsyncIterator[int]:
    """Counts, with pauses."""
    ran.append("count later")
    for number in range(upto):
        await asyncio.sleep(0)
        yield number


class QuotaError(Exception):
    """An error with more than a message."""

    def __init__(self, left: int) -> None:
        super().__init__(f"{left} left")
        self.left = left


@trace
def fail() -> None:
    """Fails."""
    raise QuotaError(3)


class Body:
    """Runs code as the body of an action."""

    def __init__(self, recorded: dict[str, Item | Failure] | None = None) -> None:
        self.submitter = NoSubmitter()
        self.frame = Frame(ActionFacts("run", 1, 1, "", 0, 0.0, recorded=recorded), self.submitter)

    def __enter__(self) -> Self:
        ran.clear()
        self._token = CURRENT.set(self.frame)
        return self

    def __exit__(self, *_error: object) -> None:
        CURRENT.reset(self._token)

    def steps(self) -> list[tuple[str, tuple[object, ...], object, str]]:
        """(Name, inputs, output, error) of each step."""
        return [
            (step.task.name, tuple(map(unpack, step.inputs)), unpack(step.output), repr(error) if error else "")
            for step, error in self.submitter.steps
        ]

    def recorded(self) -> dict[str, Item | Failure]:
        """What another attempt is handed."""
        return {step.key: step.output for step, error in self.submitter.steps if error is None}


async def everything() -> list[object]:
    """Calls every kind of traced function."""
    return [add(1), add(1), add(2, y=2), await add_later(5), list(count(2)), [number async for number in count_later(2)]]


RESULTS: list[object] = [2, 2, 4, 6, [0, 1], [0, 1]]


def test_outside_of_a_run_it_is_the_plain_function() -> None:
    """Nothing is recorded anywhere, and the function looks as it did."""
    assert asyncio.run(everything()) == RESULTS
    assert (add.__name__, add.__doc__, inspect.iscoroutinefunction(add_later)) == ("add", "Adds.", True)


def test_each_call_is_recorded_as_a_step() -> None:
    """Functions and generators, async or not, with inputs and outputs."""
    with Body() as body:
        results = asyncio.run(everything())

    assert results == RESULTS
    assert body.steps() == [
        ("add", (1, 1), 2, ""),
        ("add", (1, 1), 2, ""),
        ("add", (2, 2), 4, ""),
        ("add_later", (5,), 6, ""),
        ("count", (2,), [0, 1], ""),
        ("count_later", (2,), [0, 1], ""),
    ]


def test_identical_calls_have_keys_of_their_own() -> None:
    """The first of two equal calls stands for the first one of the attempt before, the second for the second."""
    with Body() as body:
        add(1)
        add(1)
    with Body() as again:
        add(1)
        add(1)

    keys = [step.key for step, _error in body.submitter.steps]

    assert len(set(keys)) == 2
    assert keys == [step.key for step, _error in again.submitter.steps]


def test_another_attempt_takes_what_is_recorded() -> None:
    """No traced function runs again, and nothing is recorded twice."""
    with Body() as first:
        asyncio.run(everything())
    with Body(first.recorded()) as second:
        results = asyncio.run(everything())

    assert (results, ran, second.steps()) == (RESULTS, [], [])


def test_an_error_is_the_functions_own() -> None:
    """Class and attributes stay; the step is recorded with it, and with no output."""
    with Body() as body, pytest.raises(QuotaError) as caught:
        fail()

    assert (caught.value.left, body.steps()) == (3, [("fail", (), None, "QuotaError('3 left')")])


def test_a_failure_that_is_handed_to_another_attempt_is_raised_again() -> None:
    """An error that no retry can mend is not provoked twice."""
    with Body() as first, pytest.raises(QuotaError):
        fail()
    key = first.submitter.steps[0][0].key
    with Body({key: Failure("user", "QuotaError", "3 left", retryable=False)}), pytest.raises(errors.RuntimeUserError) as caught:
        fail()

    assert caught.value.code == "QuotaError"


def test_a_task_cannot_be_called_inside() -> None:
    """The error says what to do, and `forward` does it."""
    env = TaskEnvironment("traces")

    @env.task
    def child(x: int) -> int:
        return 2 * x

    @trace
    def outer() -> int:
        with pytest.raises(errors.TraceDoesNotAllowNestedTasksError, match=r"child\.forward"):
            child(1)
        return child.forward(4)

    with Body():
        assert outer() == 8


def test_steps_may_be_nested() -> None:
    """An inner step is recorded first; inside, `ctx().action` is the step, and `task_action` the task's."""

    @trace
    def outer() -> tuple[int, str, str]:
        action, task_action = ctx().action, ctx().task_action
        assert action is not None
        assert task_action is not None
        return add(1), action.name, task_action.name

    with Body() as body:
        _value, step_name, task_name = outer()

    assert [name for name, *_rest in body.steps()] == ["add", "outer"]
    assert (task_name, step_name == task_name) == ("action-1", False)


def test_a_generator_leaves_the_consumers_context_alone() -> None:
    """Between two items the code is the consumer's: it may call tasks, and what it traces is not inside."""
    with Body() as body:
        numbers = count(2)
        next(numbers)

        assert CURRENT.get() is body.frame


def test_a_generator_that_is_left_early_is_not_recorded() -> None:
    """What it would have given is not known."""
    with Body() as body:
        for _number in count(5):
            break

    assert body.steps() == []


def test_what_cannot_be_pickled_is_recorded_as_text() -> None:
    """An open connection as an argument or a result does not keep a step from being shown; it is not replayed."""

    @trace
    def connect(stream: object) -> object:
        return stream

    with Body() as body:
        stream = (number for number in range(2))
        assert connect(stream) is stream

    ((name, inputs, output, error),) = body.steps()
    assert (name, inputs, output, error) == ("connect", ("<generator that cannot be pickled>",), "<generator that cannot be pickled>", "")
    assert body.submitter.steps[0][0].key == ""


@pytest.mark.parametrize(
    "args, error, words",
    [((), ValueError, "Missing required inputs: x"), ((1, 2, 3), ValueError, "Too many positional"), (("1",), TypeError, "variable 'x'")],
)
def test_a_step_takes_arguments_by_the_rules_of_tasks(args: tuple[object, ...], error: type[Exception], words: str) -> None:
    """Inside a run they are checked, and what does not fit is not recorded."""
    with Body() as body, pytest.raises(error, match=words):
        add(*args)  # type: ignore[arg-type]  # that is the point

    assert body.steps() == []


def test_what_a_step_returns_must_fit_its_annotation() -> None:
    """Otherwise it has failed, as a task would have."""

    @trace
    def wrong() -> int:
        return "1"  # type: ignore[return-value]  # that is the point

    with Body() as body, pytest.raises(errors.RuntimeDataValidationError):
        wrong()

    assert [step[3] for step in body.steps()] != [None]
