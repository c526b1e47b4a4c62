"""Decides how a blocking method also gets an async form: `run.wait()` and `await run.wait.aio()` (Flyte 2's convention).

Must not know: what the methods do.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import AsyncIterator, Callable
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
        __tracebackhide__ = True  # to IPython: the reader's lines, not ours
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


class DualEach(Generic[P, R]):
    """A bound method that generates, with an async generator in `aio`."""

    def __init__(self, method: Callable[P, R]) -> None:
        self._method = method
        functools.update_wrapper(self, method)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Generate."""
        return self._method(*args, **kwargs)

    async def aio(self, *args: P.args, **kwargs: P.kwargs) -> AsyncIterator[Any]:
        """The same for `async for`."""
        found: Any = self._method(*args, **kwargs)
        for item in await asyncio.to_thread(list, found):
            yield item


class each_with_aio(Generic[S, P, R]):  # noqa: N801 - used as a decorator
    """Give a method that generates an async form."""

    def __init__(self, method: Callable[Concatenate[S, P], R]) -> None:
        self._method = method
        self.__doc__ = method.__doc__
        self.__name__ = method.__name__

    def __get__(self, instance: S, owner: type) -> DualEach[P, R]:
        return DualEach(functools.partial(self._method, instance))


class ClassDual(Generic[P, R]):
    """A class method with an async form in `aio`: an async generator if it is a generator."""

    def __init__(self, method: Callable[P, R], *, generates: bool) -> None:
        self._method, self._generates = method, generates
        functools.update_wrapper(self, method)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Block until it is done."""
        return self._method(*args, **kwargs)

    def aio(self, *args: P.args, **kwargs: P.kwargs) -> Any:  # noqa: ANN401 - what is awaited or iterated
        """The same without blocking the loop."""
        return self._each(*args, **kwargs) if self._generates else asyncio.to_thread(self._method, *args, **kwargs)

    async def _each(self, *args: P.args, **kwargs: P.kwargs) -> AsyncIterator[Any]:
        found: Any = self._method(*args, **kwargs)
        for item in await asyncio.to_thread(list, found):
            yield item


class class_with_aio(Generic[S, P, R]):  # noqa: N801 - used as a decorator
    """A class method with an async form."""

    def __init__(self, method: Callable[Concatenate[type[S], P], R]) -> None:
        self._method = method
        self.__doc__ = method.__doc__
        self.__name__ = method.__name__

    def __get__(self, instance: S | None, owner: type[S]) -> ClassDual[P, R]:
        bound: Callable[P, R] = functools.partial(self._method, owner)
        return ClassDual(bound, generates=inspect.isgeneratorfunction(self._method))
