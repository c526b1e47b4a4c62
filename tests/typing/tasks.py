"""What type checkers make of tasks and their calls. Checked by mypy, not run."""

from __future__ import annotations

import functools
from collections.abc import Coroutine
from typing import Any, assert_type

import flyte_nb as flyte

env = flyte.TaskEnvironment("typing")


@env.task
async def measure(path: str, scale: float = 1.0) -> int:
    """An async task."""
    return len(path) * int(scale)


@env.task(retries=2)
def label(count: int) -> str:
    """A sync task with settings."""
    return str(count)


@env.task
async def calls() -> None:
    """A call has the type of the function's; `aio` is awaitable for both kinds, and takes the function's arguments."""
    assert_type(await measure("a"), int)
    await assert_type(measure("a"), Coroutine[Any, Any, int])
    assert_type(await measure.aio("a", scale=2.0), int)
    await assert_type(measure.aio("a"), Coroutine[Any, Any, int])
    assert_type(label(1), str)
    assert_type(await label.aio(1), str)
    assert_type(await label.aio(count=1), str)


@env.task
async def mistakes() -> None:
    """What would be refused when it runs is refused before."""
    await measure.aio(5)  # type: ignore[call-overload]  # what is tested
    await measure.aio("a", size=1)  # type: ignore[call-overload]  # what is tested
    await label.aio()  # type: ignore[call-arg]  # what is tested
    await measure(5)  # type: ignore[arg-type]  # what is tested
    label("one")  # type: ignore[arg-type]  # what is tested


@env.task
async def variants() -> None:
    """An override, a partial and a plain call keep the types."""
    assert_type(await measure.override(retries=3)("a"), int)
    assert_type(await measure.override(short_name="m").aio("a"), int)
    assert_type(label.forward(1), str)
    assert_type(await measure.forward("a"), int)
    assert_type(await functools.partial(measure, "a")(), int)
