"""Decides what `os.environ` is to a body whose task, run or secrets set environment variables.

A process runs many bodies, and has one environment. While a body with variables of its own runs, they are in the real
environment too (the latest body wins), so that C libraries, subprocesses and threads that it starts find them. Python code of a body
reads exactly its own: its values, and of what other bodies have set the values of before. The variables of a body are
gone when it ends.

Must not know: where variables come from.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from flyte_nb.core.current import CURRENT

#: The variables of the body that this context belongs to; None as a value is a variable that the body deleted.
_own: ContextVar[dict[str, str | None] | None] = ContextVar("flyte_nb_environ", default=None)
_lock = threading.RLock()
#: Per variable that bodies have set: the value of before, and those of the bodies that run, the latest last.
_holders: dict[str, tuple[str | None, list[dict[str, str | None]]]] = {}
_Plain: Any = type(os.environ)


class _BodyEnviron(_Plain):  # type: ignore[misc]  # the class of os.environ is private
    """What `os.environ` is while bodies have variables of their own."""

    def __getitem__(self, key: str) -> str:
        value = self._seen(key)
        if value is None:
            raise KeyError(key)
        return value

    def _seen(self, key: str) -> str | None:
        own = _own.get()
        if own is not None and key in own:
            return own[key]
        held = _holders.get(key)
        if held is not None and CURRENT.get() is not None:
            return held[0]
        try:
            real: str = super().__getitem__(key)
        except KeyError:
            return None
        return real

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and self._seen(key) is not None

    def __iter__(self) -> Iterator[str]:
        return (key for key in super().__iter__() if self._seen(key) is not None)

    def __len__(self) -> int:
        return sum(1 for _key in self)

    def __setitem__(self, key: str, value: str) -> None:
        super().__setitem__(key, value)
        own = _own.get()
        if own is not None and key in own:
            own[key] = value

    def __delitem__(self, key: str) -> None:
        own = _own.get()
        if own is not None and own.get(key) is not None:
            own[key] = None
        super().__delitem__(key)


@contextmanager
def variables(values: Mapping[str, str]) -> Iterator[None]:
    """Around a body: these variables are set for it."""
    own: dict[str, str | None] = dict(values)
    token = _own.set(own)
    _enter(own)
    try:
        yield
    finally:
        _leave(own)
        _own.reset(token)


def _enter(own: dict[str, str | None]) -> None:
    with _lock:
        for key, value in own.items():
            if key not in _holders:
                _holders[key] = (_real(key), [])
            _holders[key][1].append(own)
            _put(key, value)
        os.environ.__class__ = _BodyEnviron


def _leave(own: dict[str, str | None]) -> None:
    with _lock:
        for key in own:
            before, holders = _holders[key]
            holders[:] = [each for each in holders if each is not own]
            if holders:
                _put(key, holders[-1].get(key))
            else:
                del _holders[key]
                _put(key, before)
        if not _holders:
            os.environ.__class__ = _Plain


def _real(key: str) -> str | None:
    try:
        value: str = _Plain.__getitem__(os.environ, key)
    except KeyError:
        return None
    return value


def _put(key: str, value: str | None) -> None:
    """Set a variable in the real environment, or take it out."""
    if value is not None:
        _Plain.__setitem__(os.environ, key, value)
    elif _real(key) is not None:
        _Plain.__delitem__(os.environ, key)
