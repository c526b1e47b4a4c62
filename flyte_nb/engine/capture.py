"""Decides where a task's prints go: to the action that printed, by the context that the body runs in.

`sys.stdout` and `sys.stderr` are wrapped while work is going on; text written outside of an action passes through.

Must not know: what is done with the text.
"""

from __future__ import annotations

import sys
import threading
from typing import Any, TextIO

from flyte_nb.core.current import CURRENT

_lock = threading.Lock()
_users = 0


class RoutedStream:
    """A text stream that gives what an action prints to that action. Everything else is the wrapped stream's."""

    def __init__(self, wrapped: TextIO) -> None:
        self.wrapped = wrapped

    def write(self, text: str) -> int:
        """Write text."""
        frame = CURRENT.get()
        if frame is not None and frame.write is not None:
            frame.write(text)
            return len(text)
        return self.wrapped.write(text)

    def writelines(self, lines: list[str]) -> None:
        """Write several texts."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the wrapped stream has
        return getattr(self.wrapped, name)


def install() -> None:
    """Route prints; counted, so that each `install` needs its `remove`."""
    global _users  # noqa: PLW0603 - one pair of streams a process
    with _lock:
        _users += 1
    wrap()


def wrap() -> None:
    """Route the streams that there are now, if anybody needs it: a program may have put others in their place."""
    with _lock:
        if _users and not isinstance(sys.stdout, RoutedStream):
            sys.stdout = RoutedStream(sys.stdout)
        if _users and not isinstance(sys.stderr, RoutedStream):
            sys.stderr = RoutedStream(sys.stderr)


def remove() -> None:
    """Stop routing prints when nobody needs it any more."""
    global _users  # noqa: PLW0603 - see install
    with _lock:
        _users -= 1
        if _users == 0:
            for name in ("stdout", "stderr"):
                stream = getattr(sys, name)
                if isinstance(stream, RoutedStream):
                    setattr(sys, name, stream.wrapped)
