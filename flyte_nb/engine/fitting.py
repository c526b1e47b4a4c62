"""Decides what an action takes of a worker: how many of its slots and accelerators, and whether it fits at all.

A slot stands for one core and for its share of the worker's memory. What asks for no more than that is placed like
everything else; what asks for more takes several slots of one worker. Coroutines that ask for no more than a slot do not
take one: waiting needs no core.

Pure. Must not know: queues, or which worker is busy.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from flyte_nb import errors
from flyte_nb.core.failure import Failure, of_ours
from flyte_nb.core.resources import Resources


@dataclass(frozen=True, slots=True)
class Capacity:
    """What a worker has: slots, bytes of memory (0: not known, or no limit), accelerators."""

    slots: int
    memory: int
    gpus: int

    def text(self) -> str:
        """In words."""
        return _text(self.slots, self.memory, self.gpus)


@dataclass(frozen=True, slots=True)
class Need:
    """What an action asks for."""

    cores: float
    memory: int
    gpus: int

    @classmethod
    def of(cls, resources: Resources) -> Need | None:
        """What a task asks for; None if any slot will do."""
        need = cls(resources.cpu_cores or 0.0, resources.memory_bytes or 0, resources.gpu_count)
        return need if need.cores > 1 or need.memory or need.gpus else None

    def slots(self, capacity: Capacity) -> int:
        """How many slots of such a worker it takes."""
        by_memory = math.ceil(self.memory * capacity.slots / capacity.memory) if capacity.memory else 1
        return max(1, math.ceil(self.cores), by_memory)

    def fits(self, capacity: Capacity) -> bool:
        """Whether such a worker can ever take it."""
        return self.slots(capacity) <= capacity.slots and self.gpus <= capacity.gpus

    def is_more_than_a_slot(self, capacity: Capacity) -> bool:
        """Whether it is placed by itself on such a worker."""
        return self.slots(capacity) > 1 or self.gpus > 0

    def text(self) -> str:
        """In words."""
        return _text(self.cores, self.memory, self.gpus)


def _text(cores: float, memory: int, gpus: int) -> str:
    parts = [f"{cores:g} CPU" + ("s" if cores != 1 else "")] if cores else []
    if memory:
        parts.append(f"{memory / 2**30:.1f} GiB of memory" if memory >= 2**30 else f"{memory / 2**20:.0f} MiB of memory")
    if gpus or not parts:
        parts.append(f"{gpus} GPU" + ("s" if gpus != 1 else ""))
    return " and ".join(", ".join(parts).rsplit(", ", 1))


def too_large_failure(task: str, need: Need, capacities: list[Capacity], *, ours: bool) -> Failure:
    """The failure of an action that no worker can take.

    Args:
        task: its name.
        need: what it asks for.
        capacities: what the workers have, at least one.
        ours: whether the workers can be made larger by `flyte.init`.
    """
    largest = max(capacities, key=lambda each: (each.gpus >= need.gpus, each.slots, each.memory))
    text = f"Task {task} asks for {need.text()}, and no worker can take that: the largest of {len(capacities)} has {largest.text()}. "
    return of_ours(errors.ResourcesUnavailableError(text + _remedy(need, largest, ours=ours)))


def _remedy(need: Need, largest: Capacity, *, ours: bool) -> str:
    if need.gpus > largest.gpus:
        where = "this machine shows none to its workers" if not largest.gpus else "no worker has that many"
        return f"Ask for fewer GPUs ({where}), or use a cluster that has them: flyte.init(cluster=...)."
    if not ours:
        return "Ask for less, or add larger workers to the cluster."
    slots = max(math.ceil(need.cores), 1)
    memory = f', memory_limit="{math.ceil(need.memory / 2**20)}MiB"' if need.memory > largest.memory > 0 else ""
    return f"Ask for less, or make the workers larger: flyte.init(workers=1, threads_per_worker={slots}{memory})."
