"""Decides when results are handed on: once what is recorded of them would survive the death of this process.

What hands results to somebody (answers to callers, the end of a run) is held back, in its order, until the journal says that
all events recorded before it are durable. The journal gathers what many answers wait for into one write.

Must not know: what the journal is.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from flyte_nb.engine.commands import AnnounceEnd, AnswerFailure, AnswerOutputs, Command, ForgetRun

#: These tell somebody how something ended; `ForgetRun` stays behind the answers of its run.
HELD = (AnswerOutputs, AnswerFailure, ForgetRun, AnnounceEnd)


class Journal(Protocol):
    """Keeps what is recorded."""

    def when_durable(self, then: Callable[[], None]) -> bool:
        """Whether all that was recorded so far is safe; if not, `then` is called when it is, on any thread."""
        ...


class Unwritten:
    """The journal of those who keep none."""

    def when_durable(self, then: Callable[[], None]) -> bool:
        """Nothing to wait for."""
        del then
        return True


@dataclass(slots=True)
class _Held:
    commands: Sequence[Command]
    safe: bool = False


class Handover:
    """Commands that wait for the journal.

    Args:
        journal: whom they wait for.
        loop: where they are released.
        release: carries commands out.
    """

    def __init__(self, journal: Journal, loop: asyncio.AbstractEventLoop, release: Callable[[Sequence[Command]], None]) -> None:
        self._journal, self._loop, self._release = journal, loop, release
        self._waiting: deque[_Held] = deque()

    def hold(self, commands: Sequence[Command]) -> None:
        """Carry commands out once all events so far are safe: at once, if they are."""
        held = _Held(commands)
        self._waiting.append(held)

        def safe() -> None:
            held.safe = True
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                self._loop.call_soon_threadsafe(self._go_on)

        if self._journal.when_durable(safe):
            held.safe = True
            self._go_on()

    def _go_on(self) -> None:
        while self._waiting and self._waiting[0].safe:
            self._release(self._waiting.popleft().commands)
