"""Decides how loops that run task bodies are made: a task call is then as cheap as a future.

On such a loop, `asyncio.create_task` (and `gather`, which uses it) takes a task call as it is, instead of wrapping it
into an `asyncio.Task`: the call is started and stands for itself.

Must not know: what a call is; it is recognised by its `start_now` method.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, cast

logger = logging.getLogger("flyte_nb")
#: How long what bodies left on a loop has to end.
CLOSE_SECONDS = 1.0


class BodyLoop(asyncio.SelectorEventLoop):
    """An event loop for task bodies."""

    #: Task calls look for this: without it they are real coroutines.
    takes_calls = True


def make_loop() -> asyncio.AbstractEventLoop:
    """A new event loop for task bodies."""
    loop = BodyLoop()
    loop.set_task_factory(cast(Any, task_or_call))  # a Future will do, says the documentation; types of Python before 3.12 do not
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


def close_loop(loop: asyncio.AbstractEventLoop) -> None:
    """End what bodies left on a loop, and the loop. Never raises."""
    until = loop.time() + CLOSE_SECONDS
    while (left := asyncio.all_tasks(loop)) and loop.time() < until:
        for task in left:
            task.cancel()
        _run_to_end(loop, asyncio.wait(left, timeout=CLOSE_SECONDS))
    _run_to_end(loop, asyncio.wait_for(loop.shutdown_asyncgens(), CLOSE_SECONDS))
    asyncio.set_event_loop(None)
    loop.close()


def _run_to_end(loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, Any]) -> None:
    try:
        loop.run_until_complete(work)
    except BaseException as error:  # noqa: BLE001 - what users left there may raise anything; how the body ended is known
        logger.warning("flyte_nb: what a body left behind on its loop ended with %s: %s", type(error).__name__, error)
