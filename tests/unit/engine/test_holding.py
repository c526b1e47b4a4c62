"""When a worker that others use too gives a slot back: nothing to do, or others wait; never under what runs."""

from __future__ import annotations

import threading

import pytest

from flyte_nb.engine import holding
from flyte_nb.engine.holding import Holding
from flyte_nb.engine.stimuli import SlotGranted, SlotReturned, Stimulus


class Clock:
    """Time that passes only when somebody looks again; what happens then is told before."""

    def __init__(self) -> None:
        self.now = 0.0
        self.due: list[tuple[float, str, object]] = []

    def monotonic(self) -> float:
        """The time."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Look again later."""
        self.now += seconds


class Agent:
    """An agent whose needs are a function of the time."""

    agent = "w1"

    def __init__(self, clock: Clock, needs: list[tuple[float, int]], closes_at: float = 1e9) -> None:
        self._clock, self._needs, self._closes_at = clock, needs, closes_at

    def needed_slots(self) -> int:
        """What is needed now."""
        return next((count for since, count in reversed(self._needs) if since <= self._clock.now), 0)

    @property
    def idle(self) -> bool:
        """Whether nothing is needed."""
        return not self.needed_slots()

    @property
    def closed(self) -> bool:
        """Whether it is closed by now."""
        return self._clock.now >= self._closes_at


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The time of the module under test."""
    made = Clock()
    monkeypatch.setattr(holding, "time", made)
    return made


@pytest.fixture
def told() -> list[Stimulus]:
    """What the controller was told."""
    return []


def test_a_slot_is_kept_while_it_is_needed_and_a_moment_longer(clock: Clock, told: list[Stimulus]) -> None:
    """The next chunk may be on its way."""
    gave_way = Holding(told.append).slot(Agent(clock, [(0, 1), (5, 0)]), lambda: False)

    assert (gave_way, told) == (False, [SlotGranted("w1"), SlotReturned("w1")])
    assert 5 + holding.IDLE_SECONDS <= clock.now < 5 + holding.IDLE_SECONDS + 3 * holding.LOOK_SECONDS


def test_a_pause_between_two_chunks_does_not_cost_the_slot(clock: Clock, told: list[Stimulus]) -> None:
    """As long as it is short."""
    Holding(told.append).slot(Agent(clock, [(0, 1), (1, 0), (1.2, 1), (3, 0)]), lambda: False)

    assert clock.now > 3


def test_who_waits_gets_the_slot_after_our_turn(clock: Clock, told: list[Stimulus]) -> None:
    """The controller is told at once, so that it sends nothing more; the body that runs then ends in peace."""
    heard_at: list[float] = []

    def tell(said: Stimulus) -> None:
        told.append(said)
        heard_at.append(clock.now)

    gave_way = Holding(tell).slot(Agent(clock, [(0, 1), (4, 0)]), lambda: clock.now > 0.5)

    assert (gave_way, told) == (True, [SlotGranted("w1"), SlotReturned("w1", others_wait=True)])
    assert heard_at[1] == pytest.approx(holding.TURN_SECONDS, abs=2 * holding.LOOK_SECONDS)
    assert clock.now == pytest.approx(4, abs=2 * holding.LOOK_SECONDS)


def test_an_agent_that_is_closed_holds_nothing(clock: Clock, told: list[Stimulus]) -> None:
    """Whatever still runs in it."""
    held = Holding(told.append)
    held.slot(Agent(clock, [(0, 1)], closes_at=2), lambda: False)
    held.stay(Agent(clock, [(0, 1)], closes_at=3))
    later = clock.now
    held.slot(Agent(clock, [(0, 1)], closes_at=later + 3), lambda: True)

    assert told == [SlotGranted("w1"), SlotGranted("w1"), SlotReturned("w1", others_wait=True)]  # none after the end
    assert later == pytest.approx(3, abs=2 * holding.LOOK_SECONDS)
    assert clock.now == pytest.approx(later + 3, abs=2 * holding.LOOK_SECONDS)


def test_of_two_slots_that_are_too_many_one_goes(told: list[Stimulus]) -> None:
    """The other one is needed: both look at the same books."""
    needs = Clock()
    agent, enough = Agent(needs, [(0, 1), (1, 0)]), threading.Semaphore(0)

    def tell(said: Stimulus) -> None:
        told.append(said)
        if isinstance(said, SlotReturned):
            enough.release()

    held = Holding(tell)
    threads = [threading.Thread(target=held.slot, args=(agent, lambda: False)) for _ in range(2)]
    for thread in threads:
        thread.start()
    assert enough.acquire(timeout=10)
    alone = held._held
    needs.now = 1
    for thread in threads:
        thread.join(10)

    assert (alone, held._held, held._going) == (1, 0, 0)
    assert told.count(SlotReturned("w1")) == 2


def test_a_worker_is_kept_while_it_has_anything_of_ours(clock: Clock, told: list[Stimulus]) -> None:
    """And a while longer: between two chunks its cluster must not send it home."""
    Holding(told.append).stay(Agent(clock, [(0, 1), (5, 0), (6, 1), (7, 0)]))

    assert told == []
    assert clock.now == pytest.approx(7 + holding.STAY_SECONDS, abs=3 * holding.LOOK_SECONDS)
