"""`batch_size=`: many items in one call, results of items all the same. The same on every backend."""

from __future__ import annotations

import asyncio
import re
from functools import partial
from typing import Any

import pandas as pd
import pytest

import flyte_nb as flyte
from flyte_nb.errors import BatchSizeError
from flyte_nb.workspace import Workspace

env = flyte.TaskEnvironment("batches")


@env.task
def square(numbers: list[int]) -> list[int]:
    """Squares; 13 is not taken."""
    if 13 in numbers:
        raise ValueError("13 is not taken")
    return [number * number for number in numbers]


@env.task
async def forget(numbers: list[int]) -> list[int]:
    """One result too few."""
    return numbers[1:]


@env.task
def total(numbers: list[int]) -> int:
    """No result for each item."""
    return sum(numbers)


@env.task
def score(rows: pd.DataFrame) -> pd.DataFrame:
    """A row a row."""
    return pd.DataFrame({"size": len(rows), "twice": rows["x"] * 2})


@env.task(cache="auto")
def cached(numbers: list[int]) -> list[int]:
    """Results that are kept."""
    return [number + 1 for number in numbers]


@env.task
def add(left: list[int], right: tuple[int, ...], scale: int = 1) -> list[int]:
    """Several lists."""
    return [(a + b) * scale for a, b in zip(left, right, strict=True)]


def squares(values: list[Any]) -> list[Any]:
    """Results, with the words of errors in their places."""
    return [str(value) if isinstance(value, Exception) else value for value in values]


def test_results_are_flat_and_in_the_order_of_the_items(space: Workspace) -> None:
    """Whatever the size of the batches, and where there are no items."""
    for size in (1, 7, 25, 100):
        assert list(flyte.map(square, (n % 10 for n in range(25)), batch_size=size)) == [(n % 10) ** 2 for n in range(25)]
    assert list(flyte.map(square, [], batch_size=3)) == []


def test_a_batch_is_one_action(space: Workspace) -> None:
    """Of so many items."""
    list(flyte.map(square, range(10), batch_size=4))

    inputs = space.runs()[-1].results["numbers"].tolist()
    assert inputs == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


def test_each_item_of_a_failed_batch_gets_its_error(space: Workspace) -> None:
    """The note names the batch."""
    values = list(flyte.map(square, range(10, 20), batch_size=3))

    assert squares(values) == [100, 121, 144, *["13 is not taken"] * 3, 256, 289, 324, 361]
    assert "It is the error of a batch of task batches.square: items 3–5." in values[3].__notes__
    assert len({id(value) for value in values[3:6]}) == 3


def test_a_failed_batch_is_split_by_choice(space: Workspace) -> None:
    """Only the items that fail have errors."""
    values = list(flyte.map(square, range(30), batch_size=16, on_batch_error="split"))

    assert squares(values) == ["13 is not taken" if n == 13 else n * n for n in range(30)]
    results = space.runs()[-1].actions
    assert results["group"].value_counts().to_dict() == {"": 1, "batches.square_map": 2, "batches.square_map, split": 8}


def test_splitting_keeps_to_the_concurrency(space: Workspace) -> None:
    """And gives the same results."""
    values = list(flyte.map(square, [13, 1, 13, 2], batch_size=2, on_batch_error="split", concurrency=1))

    assert squares(values) == ["13 is not taken", 1, "13 is not taken", 4]


def test_an_item_of_the_wrong_type_is_found_by_splitting(space: Workspace) -> None:
    """It is refused before anything is called with it."""
    whole = list(flyte.map(square, [1, "2", 3], batch_size=3))
    split = list(flyte.map(square, [1, "2", 3], batch_size=3, on_batch_error="split"))

    assert [type(value) for value in whole] == [TypeError] * 3
    assert [type(value) for value in split] == [int, TypeError, int]


def test_the_first_error_is_raised_where_errors_are_no_values(space: Workspace) -> None:
    """With the batch that it comes of."""
    with pytest.raises(flyte.errors.RuntimeUserError, match="13 is not taken") as caught:
        list(flyte.map(square, range(20), batch_size=5, return_exceptions=False))

    assert "It is the error of a batch of task batches.square: items 10–14." in caught.value.__notes__


def test_the_number_of_results_is_checked(space: Workspace) -> None:
    """The action fails, and the error names the batch."""
    values = list(flyte.map(forget, range(5), batch_size=3))

    assert [type(value) for value in values] == [BatchSizeError] * 5
    assert "Task 'batches.forget' returned 2 results for a batch of 3 items (items 0–2)" in str(values[0])
    assert "returned 1 result for a batch of 2 items (items 3–4)" in str(values[4])
    assert (values[0].task, values[0].items, values[0].results) == ("batches.forget", 3, 2)
    assert space.runs()[-1].actions["phase"].tolist()[1:] == ["failed", "failed"]


def test_what_holds_no_results_is_refused(space: Workspace) -> None:
    """With what to return instead."""
    (value,) = flyte.map(total, [1], batch_size=3)

    assert isinstance(value, BatchSizeError)
    assert "return a list with one result for each item" in str(value)


def test_items_come_as_a_frame_where_one_is_declared(space: Workspace) -> None:
    """Dicts are its rows; rows of the frame that is returned are dicts."""
    values = list(flyte.map(score, [{"x": n} for n in range(5)], batch_size=3))

    assert values == [{"size": 3 if n < 3 else 2, "twice": 2 * n} for n in range(5)]


def test_several_iterables_and_partials(space: Workspace) -> None:
    """A list for each; what the partial binds is the same for all."""
    assert list(flyte.map(add, range(5), range(10, 20), batch_size=2)) == [10, 12, 14, 16, 18]
    assert list(flyte.map(partial(square), range(3), batch_size=2)) == [0, 1, 4]


def test_batches_are_cached_as_calls(space: Workspace) -> None:
    """The same batch is computed once; a result that an ordinary call left is counted too."""
    salt = [id(space), id(object())]

    assert list(flyte.map(cached, salt, batch_size=2)) == [each + 1 for each in salt]
    again = list(flyte.map(cached, salt, batch_size=2))

    assert again == [each + 1 for each in salt]
    assert space.runs()[-1].action(1).cache_hit


def test_it_works_in_drivers_and_in_async_code(space: Workspace) -> None:
    """On the loop of a driver, and on one's own."""

    @env.task
    async def main(count: int) -> list[int]:
        return [value async for value in flyte.map.aio(square, range(count), batch_size=3)]

    run = flyte.run(main, 7)
    run.wait(timeout=40)

    async def here() -> list[int]:
        return [value async for value in flyte.map.aio(square, range(4), batch_size=3, on_batch_error="split")]

    assert run.outputs()[0] == [n * n for n in range(7)]
    assert asyncio.run(here()) == [0, 1, 4, 9]


@pytest.mark.parametrize(
    "options, error, words",
    [
        ({"batch_size": 0}, ValueError, "whole number from 1 on, got 0"),
        ({"batch_size": 2.5}, ValueError, "got 2.5"),
        ({"batch_size": True}, ValueError, "got True"),
        ({"batch_size": 2, "on_batch_error": "retry"}, ValueError, '"fail"'),
        ({"batch_size": 2, "concurrency": -1}, ValueError, "concurrency"),
    ],
)
def test_what_cannot_be_meant_is_refused(space: Workspace, options: dict[str, Any], error: type[Exception], words: str) -> None:
    """At the first item, before anything is called."""
    with pytest.raises(error, match=words):
        next(flyte.map(square, [1], **options))


def test_a_task_of_single_items_is_told_what_to_declare(space: Workspace) -> None:
    """The annotation is the mistake, not the first value."""

    @env.task
    def single(number: int) -> int:
        return number

    with pytest.raises(TypeError, match=re.escape("parameter 'number' of task 'batches.single' gets many items at once")) as caught:
        next(flyte.map(single, [1], batch_size=2))

    assert "declare list[int]" in str(caught.value)
