"""Decides when a worker that others use too gives a slot back: when it has nothing to do for it, or others wait for it.

Runs on the worker, in the threads that its scheduler has lent (see `leases`).

Must not know: Dask, messages.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Protocol

from flyte_nb.engine.stimuli import SlotGranted, SlotReturned, Stimulus

#: How long a slot is kept without work for it: the next chunk may be on its way.
IDLE_SECONDS = 0.25
#: How long a worker is kept that has nothing of ours.
STAY_SECONDS = 2.0
#: How long a slot is kept for which others wait; the action that runs then is not disturbed, but it is the last one.
TURN_SECONDS = 1.0
LOOK_SECONDS = 0.02


class Needs(Protocol):
    """What is asked of an agent."""

    agent: str

    @property
    def idle(self) -> bool:
        """Whether it has nothing at all."""
        ...

    @property
    def closed(self) -> bool:
        """Whether it takes no work any more."""
        ...

    def needed_slots(self) -> int:
        """Slots that are used, or waited for."""
        ...


class Holding:
    """The slots that a worker holds for its agent. Each method blocks a thread that was lent for it.

    Args:
        send: tells the controller.
    """

    def __init__(self, send: Callable[[Stimulus], None]) -> None:
        self._send = send
        self._lock = threading.Lock()
        self._held = 0
        self._going = 0

    def slot(self, agent: Needs, others_wait: Callable[[], bool]) -> bool:
        """Hold a slot as long as it is needed; returns whether it was given back because others wait."""
        with self._lock:
            self._held += 1
        self._send(SlotGranted(agent.agent))
        gives_way = self._until_it_goes(agent, others_wait)
        if not agent.closed:  # else nobody listens any more
            self._send(SlotReturned(agent.agent, others_wait=gives_way))
        if gives_way:
            while not agent.closed and self._is_used(agent):
                time.sleep(LOOK_SECONDS)
            with self._lock:
                self._held -= 1
                self._going -= 1
        return gives_way

    def _until_it_goes(self, agent: Needs, others_wait: Callable[[], bool]) -> bool:
        began = needed_at = time.monotonic()
        while True:
            time.sleep(LOOK_SECONDS)
            now = time.monotonic()
            gives_way = now - began >= TURN_SECONDS and others_wait()
            with self._lock:  # of several that are too many, one goes at a time
                if agent.needed_slots() >= self._held - self._going:
                    needed_at = now
                if agent.closed or now - needed_at >= IDLE_SECONDS:
                    self._held -= 1
                    return False
                if gives_way:
                    self._going += 1
                    return True

    def _is_used(self, agent: Needs) -> bool:
        """Whether what runs needs more than is left without the slots that go."""
        with self._lock:
            return agent.needed_slots() > self._held - self._going

    def stay(self, agent: Needs) -> None:
        """Hold the worker until it has had nothing for a while."""
        busy_at = time.monotonic()
        while not agent.closed and time.monotonic() - busy_at < STAY_SECONDS:
            time.sleep(LOOK_SECONDS)
            if not agent.idle:
                busy_at = time.monotonic()
