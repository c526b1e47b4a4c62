"""Decides how loops that run task bodies are made: a task call is then as cheap as a future.

On such a loop, `asyncio.create_task` (and `gather`, which uses it) takes a task call as it is, instead of wrapping it
into an `asyncio.Task`: the call is started and stands for itself.

Must not know: what a call is; it is recognised by its `start_now` method.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any


class BodyLoop(asyncio.SelectorEventLoop):
    """An event loop for task bodies."""

    #: Task calls look for this: without it they are real coroutines.
    takes_calls = True


def make_loop() -> asyncio.AbstractEventLoop:
    """A new event loop for task bodies."""
    loop = BodyLoop()
    loop.set_task_factory(task_or_call)  # type: ignore[arg-type]  # a Future will do, says the documentation
    return loop


def task_or_call(
    loop: asyncio.AbstractEventLoop,
    body: Coroutine[Any, Any, Any],
    **options: Any,  # noqa: ANN401 - Task's own
) -> asyncio.Future[Any]:
    """A task call, started; an `asyncio.Task` for every other coroutine."""
    start_now = getattr(body, "start_now", None)
    if start_now is not None:
        return start_now(loop, options)  # type: ignore[no-any-return]  # see authoring.call.Call
    return asyncio.Task(body, loop=loop, **options)
