"""Decides what time means to a body that may be tried again: the instant of the first attempt.

Each call is a traced step, so another attempt of the same action gets what the first one got.

Must not know: attempts.
"""

from __future__ import annotations

import asyncio
import functools
import time as clock
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Generic, ParamSpec, TypeVar

from flyte_nb.authoring.trace import trace

P = ParamSpec("P")
R = TypeVar("R")


@trace
def durable_time() -> float:
    """Seconds since 1970, as the first attempt saw them."""
    return clock.time()


@trace
def durable_now() -> datetime:
    """Local date and time, as the first attempt saw them."""
    return datetime.now()  # noqa: DTZ005 - Flyte's has no zone either


@trace
def sleep_start() -> float:
    """When a sleep began."""
    return clock.time()


def _left(seconds: float) -> float:
    return max(0.0, sleep_start() + seconds - clock.time())


class _Dual(Generic[P, R]):
    """A blocking function with its async form in `aio`."""

    def __init__(self, block: Callable[P, R], wait: Callable[P, Awaitable[R]]) -> None:
        self._block, self._wait = block, wait
        functools.update_wrapper(self, block)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Block."""
        return self._block(*args, **kwargs)

    async def aio(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """The same, to be awaited."""
        return await self._wait(*args, **kwargs)


def _sleep(seconds: float) -> None:
    """Sleep until so many seconds have gone since the first attempt came here.

    Args:
        seconds: how long; a later attempt sleeps only for what is left.
    """
    clock.sleep(_left(seconds))


async def _sleep_async(seconds: float) -> None:
    await asyncio.sleep(_left(seconds))


async def _time_async() -> float:
    return durable_time()


async def _now_async() -> datetime:
    return durable_now()


sleep = _Dual(_sleep, _sleep_async)
time = _Dual(durable_time, _time_async)
now = _Dual(durable_now, _now_async)
