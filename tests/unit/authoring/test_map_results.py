"""What `flyte.map` gives: an iterator that says what it is where somebody takes it for a list or awaits it."""

import inspect
from typing import Any

import pytest

import flyte_nb as flyte
from flyte_nb.authoring.fanout import Results

env = flyte.TaskEnvironment("map-results")


@env.task
def double(x: int) -> int:
    """Return twice a number."""
    return 2 * x


def results(*values: Any) -> Results:
    """Results of a map that is over."""
    return Results("double", (value for value in values))


def test_it_is_read_as_an_iterator() -> None:
    """By a loop, by `next`, by `list`; once."""
    read = results(1, 2, 3)

    assert (next(read), list(read), list(read)) == (1, [2, 3], [])


def test_it_says_what_to_do_where_it_is_taken_for_a_list() -> None:
    """An index; as text it tells what it is, and that nothing has started."""
    with pytest.raises(TypeError, match=r"make a list first, `results = list\(flyte\.map\(\.\.\.\)\)`"):
        flyte.map(double, range(3))[0]
    assert repr(flyte.map(double, range(3))).startswith("<results of flyte.map(double, ...), which starts")


async def _awaited() -> None:
    await flyte.map(double, range(3))


def test_it_says_what_to_do_where_it_is_awaited() -> None:
    """Both forms that are meant."""
    with pytest.raises(TypeError, match=r"`\[x async for x in flyte\.map\.aio\(\.\.\.\)\]`"):
        _awaited().send(None)


def test_a_wrong_keyword_is_told_at_the_call() -> None:
    """Not by the first result; the signature is the one that is shown."""
    with pytest.raises(TypeError, match="concurency"):
        flyte.map(double, range(3), concurency=2)
    assert list(inspect.signature(flyte.map).parameters)[:2] == ["func", "iterables"]


def test_leaving_early_closes_what_is_behind() -> None:
    """As of a generator."""
    ended = []

    def values() -> Any:
        try:
            yield 1
            yield 2
        finally:
            ended.append(True)

    read = Results("double", values())
    assert next(read) == 1
    read.close()

    assert ended == [True]
