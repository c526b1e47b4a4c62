"""A cluster without workers of its own: it keeps what it is told, and tells what its test says."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection

from flyte_nb.engine.backend import ClusterFacts, Listener
from flyte_nb.engine.commands import Command


class FakeClock:
    """A clock that stands still unless its test moves it."""

    def __init__(self, now: float = 1_000.0) -> None:
        self.at = now

    def now(self) -> float:
        """The instant."""
        return self.at


class FakeBackend:
    """Takes orders and does nothing; `on_send` and `on_kill` may object.

    `listener` is whom to tell of workers, on the loop that it was started on (see `call`).
    """

    def __init__(self, *, fails: int = 0) -> None:
        self.sent: list[Command] = []
        self.killed: list[str] = []
        self.on_send: Callable[[Command], None] = lambda _command: None
        self.on_kill: Callable[[str], None] = lambda _agent: None
        self.starts = self.closes = 0
        self._fails = fails
        self._listener: Listener | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def listener(self) -> Listener:
        """Whom to tell."""
        assert self._listener is not None, "it was not started"
        return self._listener

    def call(self, action: Callable[[], None]) -> None:
        """Do something on the runner's loop, and wait until it is done."""

        async def work() -> None:
            action()

        assert self._loop is not None, "it was not started"
        asyncio.run_coroutine_threadsafe(work(), self._loop).result(20)

    async def start(self, listener: Listener) -> None:
        """Start, unless this time it is to fail."""
        self.starts += 1
        if self.starts <= self._fails:
            raise OSError("no room")
        self._listener, self._loop = listener, asyncio.get_running_loop()

    def send(self, agent: str, command: Command) -> None:
        """Keep an order."""
        del agent
        self.on_send(command)
        self.sent.append(command)

    def kill(self, agent: str) -> bool:
        """Keep it."""
        self.on_kill(agent)
        self.killed.append(agent)
        return True

    async def scale(self, workers: int, leaving: Collection[str] = ()) -> None:
        """Nothing to scale."""

    async def close(self) -> None:
        """Count it."""
        self.closes += 1

    def facts(self) -> ClusterFacts:
        """Of nothing."""
        return ClusterFacts("fake", "nowhere", "", 0, 0, 0)
