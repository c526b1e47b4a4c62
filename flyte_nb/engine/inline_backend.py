"""Decides how attempts run with no cluster: the same agents as on workers, as threads of this process.

For tests (it is the fake that passes the same contract suite as Dask), and for runs where processes are not wanted.
What it cannot do: use more than one core for Python code, or end a body that does not stop.

Must not know: Dask.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections import deque
from collections.abc import Callable, Collection

from flyte_nb.engine import capture
from flyte_nb.engine.backend import ClusterFacts, Listener
from flyte_nb.engine.commands import Command, SendChunk
from flyte_nb.engine.stimuli import AgentJoined, AgentLost, Stimulus
from flyte_nb.engine.worker import Agent


class InlineBackend:
    """Agents in this process, each with a thread for its loop.

    Args:
        workers: number of agents; `slots`: sync bodies that each runs at once.
        gate: called with every stimulus on its way to the runner; a test may hold it up.
    """

    def __init__(self, workers: int = 2, slots: int = 1, gate: Callable[[Stimulus], None] | None = None) -> None:
        self._workers, self._slots, self._gate = workers, slots, gate
        self._listener: Listener | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ends: dict[str, _InlineEnd] = {}
        self._made = 0
        self._inbox: deque[Stimulus] = deque()
        self._scheduled = False

    async def start(self, listener: Listener) -> None:
        """See `Backend`."""
        self._listener, self._loop = listener, asyncio.get_running_loop()
        capture.install()
        await self.scale(self._workers)

    def _add(self) -> None:
        self._made += 1
        name = f"inline-{self._made}"
        self._ends[name] = _InlineEnd(name, self._slots, self._from_agent)
        if self._listener is not None:
            self._listener.joined(AgentJoined(name, name, os.getpid(), self._slots))

    def _from_agent(self, stimulus: Stimulus) -> None:
        if self._gate is not None:
            self._gate(stimulus)
        self._inbox.append(stimulus)
        if not self._scheduled and self._loop is not None and not self._loop.is_closed():
            self._scheduled = True
            self._loop.call_soon_threadsafe(self._drain)

    def _drain(self) -> None:
        self._scheduled = False
        stimuli = []
        while self._inbox:
            stimuli.append(self._inbox.popleft())
        if self._listener is not None and stimuli:
            self._listener.received(stimuli)

    def send(self, agent: str, command: Command) -> None:
        """See `Backend`."""
        end = self._ends.get(agent)
        if end is not None:
            if isinstance(command, SendChunk):
                capture.wrap()
            end.receive(command)

    def kill(self, agent: str) -> bool:
        """Drop an agent: what it still does is not listened to. Its threads end with their bodies."""
        end = self._ends.pop(agent, None)
        if end is None:
            return False
        end.mute()
        self._add()
        if self._listener is not None:
            self._listener.lost(AgentLost(agent, "it was ended"))
        return True

    async def scale(self, workers: int, leaving: Collection[str] = ()) -> None:
        """See `Backend`."""
        while len(self._ends) < workers:
            self._add()
        order = sorted(self._ends, key=lambda agent: agent in leaving)
        for agent in order[workers:]:
            self._ends.pop(agent).mute()
            if self._listener is not None:
                self._listener.lost(AgentLost(agent, "the cluster was made smaller"))

    async def close(self) -> None:
        """See `Backend`."""
        for end in self._ends.values():
            end.mute()
        for end in self._ends.values():
            await asyncio.to_thread(end.join)
        self._ends.clear()
        capture.remove()

    def facts(self) -> ClusterFacts:
        """See `Backend`."""
        return ClusterFacts("inline", "this process", "", len(self._ends), len(self._ends) * self._slots, 0)


class _InlineEnd:
    """An agent with a thread for its loop."""

    def __init__(self, name: str, slots: int, send: Callable[[Stimulus], None]) -> None:
        self._send: Callable[[Stimulus], None] | None = send
        self._loop = asyncio.new_event_loop()
        self._agent = Agent(name, slots=slots, send=self._pass_on)
        self._thread = threading.Thread(target=self._serve, name=f"flyte_nb-{name}", daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.call_soon(self._agent.start)
        try:
            self._loop.run_forever()
            self._loop.run_until_complete(self._agent.close())
        finally:
            self._loop.close()

    def _pass_on(self, stimulus: Stimulus) -> None:
        send = self._send
        if send is not None:
            send(stimulus)

    def receive(self, command: Command) -> None:
        self._loop.call_soon_threadsafe(self._agent.receive, command)

    def mute(self) -> None:
        self._send = None
        self._loop.call_soon_threadsafe(self._loop.stop)

    def join(self) -> None:
        self._thread.join(5)
