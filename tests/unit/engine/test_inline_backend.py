"""Workers that are threads of this process: the same agents, told and listened to as on a cluster."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from flyte_nb.engine.commands import SendChunk, SendTask
from flyte_nb.engine.inline_backend import InlineBackend
from flyte_nb.engine.stimuli import AgentJoined, AgentLost, ChunkReport, Stimulus
from tests.fakes.plain_task import PlainTask, chunk


class Ears:
    """Hears of workers."""

    def __init__(self) -> None:
        self.heard: list[Stimulus] = []
        self.changed = asyncio.Event()

    def _hear(self, *stimuli: Stimulus) -> None:
        self.heard += stimuli
        self.changed.set()

    def joined(self, agent: AgentJoined) -> None:
        """A worker is ready."""
        self._hear(agent)

    def received(self, stimuli: Sequence[Stimulus]) -> None:
        """A worker said something."""
        self._hear(*stimuli)

    def leaving(self, agent: str) -> None:
        """Never told here."""
        raise AssertionError(agent)

    def lost(self, lost: AgentLost) -> None:
        """A worker is gone."""
        self._hear(lost)

    def cluster_lost(self, reason: str) -> None:
        """Never told here."""
        raise AssertionError(reason)

    def noted(self, line: str) -> None:
        """Never told here."""
        raise AssertionError(line)

    async def until(self, reached: Callable[[], bool]) -> None:
        """Wait for something."""
        while not reached():
            self.changed.clear()
            await asyncio.wait_for(self.changed.wait(), 20)

    def told(self) -> list[tuple[str, str]]:
        """Comings and goings."""
        return [(type(each).__name__, each.agent) for each in self.heard if isinstance(each, AgentJoined | AgentLost)]


def with_backend(test: Callable[[InlineBackend, Ears], Awaitable[None]], **options: object) -> None:
    """Run a test on a backend that is closed afterwards."""

    async def main() -> None:
        backend, ears = InlineBackend(**options), Ears()  # type: ignore[arg-type]  # its own options
        await backend.start(ears)
        try:
            await test(backend, ears)
        finally:
            await backend.close()

    asyncio.run(main())


def order(place: str, func: Callable[..., object], backend: InlineBackend, number: int = 1) -> SendChunk:
    """A chunk for a worker, whose task is put there."""
    backend._ends[place]._agent.tasks.put("d", PlainTask(func))
    given = chunk(number)
    return SendChunk(**{name: getattr(given, name) for name in given.__slots__} | {"place": place})


def test_workers_join_and_run_chunks() -> None:
    """What they report arrives on the loop that the backend was started on; a gate may see it before."""
    passed: list[Stimulus] = []

    async def test(backend: InlineBackend, ears: Ears) -> None:
        backend.send("inline-1", SendTask("inline-1", "other", b""))
        backend.send("nobody", SendTask("nobody", "other", b""))
        backend.send("inline-1", order("inline-1", lambda x: x + 7, backend))
        await ears.until(lambda: any(isinstance(each, ChunkReport) and each.finished for each in ears.heard))
        (report,) = [each for each in ears.heard if isinstance(each, ChunkReport) and each.finished]
        assert (report.outputs, passed[-1]) == ([7], report)
        assert ears.told() == [("AgentJoined", "inline-1"), ("AgentJoined", "inline-2")]
        assert (backend.facts().workers, backend.facts().slots) == (2, 4)

    with_backend(test, workers=2, slots=2, gate=passed.append)


def test_an_ended_worker_is_replaced_and_heard_no_more() -> None:
    """What its bodies still do concerns nobody; an unknown worker cannot be ended."""

    async def test(backend: InlineBackend, ears: Ears) -> None:
        end = backend._ends["inline-1"]
        assert (backend.kill("inline-1"), backend.kill("inline-1")) == (True, False)
        end._pass_on(ChunkReport(1))
        await asyncio.sleep(0)
        assert ears.told() == [("AgentJoined", "inline-1"), ("AgentJoined", "inline-2"), ("AgentLost", "inline-1")]
        assert not any(isinstance(each, ChunkReport) for each in ears.heard)

    with_backend(test, workers=1)


def test_the_number_of_workers_can_change() -> None:
    """Those that are about to leave go first."""

    async def test(backend: InlineBackend, ears: Ears) -> None:
        await backend.scale(3)
        await backend.scale(1, leaving={"inline-1", "inline-2"})
        assert ears.told()[-2:] == [("AgentLost", "inline-1"), ("AgentLost", "inline-2")]
        assert list(backend._ends) == ["inline-3"]

    with_backend(test, workers=2)
