"""In which order slots that are lent, and the stay of their worker, are asked for."""

from __future__ import annotations

import asyncio

from flyte_nb.engine.leases import Leases


class Granted(asyncio.Future[bool]):
    """What was granted."""

    def release(self) -> None:
        """Give it back."""


class Scheduler:
    """A client whose scheduler notes what it is asked for, and grants it."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, int]] = []

    def submit(self, *_call: object, key: str, priority: int, **_options: object) -> Granted:
        """Note a task."""
        self.asked.append((key.partition("-")[0], priority))
        granted = Granted()
        granted.set_result(True)
        return granted


def test_the_stay_of_a_worker_is_asked_for_before_its_slots() -> None:
    """It would else wait for the thread that the slot has, and the slot would give way to it: a second of work, a second of rest."""
    scheduler = Scheduler()

    async def ask() -> None:
        leases = Leases(scheduler, "plugin")  # type: ignore[arg-type]  # a stand-in
        leases.want("tcp://w#1", 2)
        leases.stay("tcp://w#1")
        await asyncio.sleep(0)
        await leases.close()

    asyncio.run(ask())

    assert [kind for kind, _priority in scheduler.asked] == ["flyte_nb_stay", "flyte_nb_slot", "flyte_nb_slot"]
    assert scheduler.asked[0][1] > scheduler.asked[1][1] == scheduler.asked[2][1]
