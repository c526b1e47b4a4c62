"""Decides how a blocking method also gets an async form: `run.wait()` and `await run.wait.aio()` (Flyte 2's convention).

Must not know: what the methods do.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar, overload

S = TypeVar("S")
P = ParamSpec("P")
R = TypeVar("R")


class Dual(Generic[P, R]):
    """A bound method with an async form in `aio`, which runs it in a thread."""

    def __init__(self, method: Callable[P, R]) -> None:
        self._method = method
        functools.update_wrapper(self, method)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Block until it is done."""
        return self._method(*args, **kwargs)

    async def aio(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """The same without blocking the loop."""
        return await asyncio.to_thread(self._method, *args, **kwargs)


class with_aio(Generic[S, P, R]):  # noqa: N801 - used as a decorator
    """Give a method an async form."""

    def __init__(self, method: Callable[Concatenate[S, P], R]) -> None:
        self._method = method
        self.__doc__ = method.__doc__
        self.__name__ = method.__name__

    @overload
    def __get__(self, instance: None, owner: type) -> with_aio[S, P, R]: ...

    @overload
    def __get__(self, instance: S, owner: type) -> Dual[P, R]: ...

    def __get__(self, instance: S | None, owner: type) -> Any:
        if instance is None:
            return self
        return Dual(functools.partial(self._method, instance))
