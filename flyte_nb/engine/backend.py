"""Decides what a place to execute attempts must offer: the port between the runner and a cluster.

A backend brings *agents* (workers) and carries messages to and from them, in order for each agent. It decides nothing
about actions. Two implementations pass the same contract suite: in-process, and Dask.

Must not know: any cluster.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from flyte_nb.core.summary import Starting
from flyte_nb.engine.commands import Command
from flyte_nb.engine.stimuli import AgentJoined, AgentLost, Stimulus


@dataclass(frozen=True, slots=True)
class WorkerFacts:
    """What a worker is, and does: for people.

    Attributes:
        agent: its id.
        name, pid: as its cluster calls it, and its process.
        slots, gpus: sync actions at once; accelerators.
        memory_bytes: its limit; 0 is none.
        rss_bytes: what it uses at the moment; 0 if it is on another machine.
        slots_in_use, coroutines: what it has of ours.
    """

    agent: str
    name: str
    pid: int
    slots: int
    memory_bytes: int
    rss_bytes: int = 0
    gpus: int = 0
    slots_in_use: int = 0
    coroutines: int = 0


@dataclass(frozen=True, slots=True)
class ClusterFacts:
    """What a backend's cluster is: for people."""

    kind: str
    address: str
    dashboard: str
    workers: int
    slots: int
    memory_bytes: int
    limits: str = ""
    adaptive: str = ""
    members: tuple[WorkerFacts, ...] = ()
    starting: Starting | None = None

    def sentence(self) -> str:
        """What it is, in one line."""
        size = f"{_count(self.workers, 'worker')}, {_count(self.slots, 'slot')}"
        size += "" if self.workers else " yet: runs wait for the first one"
        memory = f", {self.memory_bytes / 2**30:.1f} GiB" if self.memory_bytes else ""
        where = f", dashboard {self.dashboard}" if self.dashboard else ""
        kind = {"embedded": "started a cluster", "existing": f"connected to the cluster {self.address}"}.get(self.kind, self.kind)
        return f"{kind}: {size}{memory}{where}" + (f" ({self.limits})" if self.limits else "")


class Listener(Protocol):
    """Hears of agents; all calls come on the loop that `Backend.start` ran on."""

    def joined(self, agent: AgentJoined) -> None:
        """An agent is ready."""
        ...

    def received(self, stimuli: Sequence[Stimulus]) -> None:
        """An agent sent something."""
        ...

    def leaving(self, agent: str) -> None:
        """An agent is about to be told as lost: it must not be given anything."""
        ...

    def lost(self, lost: AgentLost) -> None:
        """An agent is gone; nothing more comes from it."""
        ...

    def cluster_lost(self, reason: str) -> None:
        """The cluster is gone and will not come back."""
        ...

    def noted(self, line: str) -> None:
        """Something has happened that people should know; it changes nothing."""
        ...


class Backend(Protocol):
    """Where attempts are executed."""

    async def start(self, listener: Listener) -> None:
        """Start or find the cluster; agents are told of as they join, possibly later than this returns."""
        ...

    def send(self, agent: str, command: Command) -> None:
        """Send a message; silently dropped if the agent is gone (`lost` has been or will be called)."""
        ...

    def kill(self, agent: str) -> bool:
        """End an agent's process; False if it is not ours to end."""
        ...

    async def scale(self, workers: int, leaving: Collection[str] = ()) -> None:
        """Change the number of workers; agents that are `leaving` go first."""
        ...

    async def close(self) -> None:
        """Give everything back."""
        ...

    def facts(self) -> ClusterFacts:
        """What the cluster is now."""
        ...


def _count(number: int, noun: str) -> str:
    return f"{number or 'no'} {noun}" + ("s" if number != 1 else "")
