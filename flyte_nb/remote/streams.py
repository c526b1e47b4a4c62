"""Decides how somebody waits for the ends of a run's actions: a thread in short slices, a loop without being held up.

Nothing is kept of what nobody has asked for yet but a mark for each action, so a slow reader of a large run costs no memory.

Must not know: what an end is made into (it is told how), or how actions are executed.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Generic, Protocol, Self, TypeVar, cast

from flyte_nb.remote.home import Home

if TYPE_CHECKING:  # it loads numpy, which `import flyte_nb` must not pay for
    from flyte_nb.views.ended import EndedRows

T = TypeVar("T")
#: Who waits looks up so often: an interrupt is seen at once, and nobody waits for ever.
SLICE_SECONDS = 0.1
#: Ends are heard of at most this often.
EVERY_SECONDS = 0.02
#: Ends that are made into something at a time.
MOST_AT_A_TIME = 256


class StreamedRun(Protocol):
    """What a stream needs of a run."""

    home: Home

    @property
    def name(self) -> str:
        """The run's name."""
        ...

    def done(self) -> bool:
        """Whether the run and all its actions have ended."""
        ...

    def on_change(self, callback: Callable[[], None], *, every: float = ...) -> Callable[[], None]:
        """Call back after changes; returns how to end that."""
        ...


class Bell:
    """Rung from any thread; heard by those threads and loops that wait for it."""

    def __init__(self) -> None:
        self._rung = threading.Event()
        self._guard = threading.Lock()
        self._sleepers: list[tuple[asyncio.AbstractEventLoop, asyncio.Future[None]]] = []

    def ring(self) -> None:
        """Wake who waits; if nobody does, the next wait is over at once."""
        with self._guard:
            self._rung.set()
            sleepers, self._sleepers = self._sleepers, []
        for loop, sleeper in sleepers:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(_wake, sleeper)

    def wait(self, seconds: float) -> None:
        """Wait in a thread."""
        self._rung.wait(seconds)
        self._rung.clear()

    async def heard(self, seconds: float) -> None:
        """Wait on a loop."""
        loop = asyncio.get_running_loop()
        with self._guard:
            if self._rung.is_set():
                self._rung.clear()
                return
            sleeper: asyncio.Future[None] = loop.create_future()
            self._sleepers.append((loop, sleeper))
        try:
            await asyncio.wait([sleeper], timeout=seconds)
        finally:
            with self._guard:
                self._sleepers = [each for each in self._sleepers if each[1] is not sleeper]
                self._rung.clear()


def _wake(sleeper: asyncio.Future[None]) -> None:
    if not sleeper.done():
        sleeper.set_result(None)


class Stream(Generic[T]):
    """What `run.stream()` and `run.as_completed()` return: iterate with `async for` or with `for`, once.

    It ends with the run. Actions that have ended already come first, in the order of their ends, each action once. Leaving the
    loop early, or `close()`, only ends the reading; the run goes on. So does an interrupt (Ctrl-C) in a `for`.

    Args:
        run: whose actions.
        ended: tells which actions have ended.
        make: makes something of ended actions, by position.
        meanwhile: called now and then while a thread waits.
    """

    def __init__(
        self,
        run: StreamedRun,
        ended: EndedRows,
        make: Callable[[list[int]], list[T]],
        meanwhile: Callable[[], object] = lambda: None,
    ) -> None:
        self._run, self._ended, self._make, self._meanwhile = run, ended, make, meanwhile
        self._rows: Sequence[int] = ()  # an array: eight bytes each, of a run with a million of them
        self._next = 0
        self._made: deque[T] = deque()
        self._bell = Bell()
        self._unwatch: Callable[[], None] | None = None
        self._over = False

    # ------------------------------------------------------------------ one at a time
    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        while not self._made and not self._fill():
            if self._over:
                raise StopIteration
            self._bell.wait(SLICE_SECONDS)
            self._meanwhile()
        return self._made.popleft()

    def __aiter__(self) -> AsyncIterator[T]:
        return self

    async def __anext__(self) -> T:
        while not self._made:
            if self._fill():
                await asyncio.sleep(0)  # where much has ended already, the loop has its turn now and then
            elif self._over:
                raise StopAsyncIteration
            else:
                await self._bell.heard(SLICE_SECONDS)
        return self._made.popleft()

    def next_batch(self) -> list[T]:
        """All that has ended and was not read, without waiting; at most 256 at a time, and none is none for now."""
        if not self._made:
            self._fill()
        batch = list(self._made)
        self._made.clear()
        return batch

    # ------------------------------------------------------------------ where they come from
    def _fill(self) -> bool:
        """Make the next few; false if there are none now, or none any more."""
        if self._over:
            return False
        if self._next >= len(self._rows):
            self._rows, self._next = self._look(), 0
        part = [int(row) for row in self._rows[self._next : self._next + MOST_AT_A_TIME]]
        self._next += len(part)
        self._made.extend(self._make(part))
        return bool(part)

    def _look(self) -> Sequence[int]:
        if self._unwatch is None and not self._run.done():
            self._unwatch = self._run.on_change(self._bell.ring, every=EVERY_SECONDS)
        over = self._run.done()  # asked first: what ends after the look is then found by another
        rows = self._ended.more()
        if over and not len(rows):
            self.close()
        return cast(Sequence[int], rows)

    def close(self) -> None:
        """End the reading; what was not read is not given any more."""
        self._over = True
        self._rows = ()
        self._made.clear()
        if self._unwatch is not None:
            self._unwatch()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __del__(self) -> None:
        if getattr(self, "_unwatch", None) is not None and not self._over:
            self.close()

    def __repr__(self) -> str:
        return f"<stream of run {self._run.name}{': over' if self._over and not self._made else ''}>"
