"""Results are handed on in their order, and only once the journal says that they are safe."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from flyte_nb.engine.commands import AnnounceEnd, Command
from flyte_nb.engine.handover import Handover, Unwritten


class Gate:
    """A journal that says so when the test lets it."""

    def __init__(self) -> None:
        self.waiting: list[Callable[[], None]] = []
        self.open = False

    def when_durable(self, then: Callable[[], None]) -> bool:
        """Whether it is open."""
        if not self.open:
            self.waiting.append(then)
        return self.open


def ends(*names: str) -> list[Command]:
    """What tells that these runs are over."""
    return [AnnounceEnd(name) for name in names]


def test_what_is_safe_is_handed_on_at_once() -> None:
    """Nobody waits where nothing is written."""
    loop, told = asyncio.new_event_loop(), list[Sequence[Command]]()
    Handover(Unwritten(), loop, told.append).hold(ends("a"))
    loop.close()
    assert told == [ends("a")]


def test_what_is_not_safe_yet_waits_and_nothing_overtakes_it() -> None:
    """Also what is safe already stays behind what was held before it."""
    loop, gate, told = asyncio.new_event_loop(), Gate(), list[Sequence[Command]]()
    handover = Handover(gate, loop, told.append)
    handover.hold(ends("a"))
    handover.hold(ends("b"))
    gate.open = True
    handover.hold(ends("c"))
    assert told == []

    for safe in reversed(gate.waiting):
        safe()
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    assert told == [ends("a"), ends("b"), ends("c")]


def test_a_loop_that_is_closed_is_told_nothing() -> None:
    """Nobody waits there any more; the journal's thread goes on."""
    loop, gate, told = asyncio.new_event_loop(), Gate(), list[Sequence[Command]]()
    Handover(gate, loop, told.append).hold(ends("a"))
    loop.close()
    gate.waiting[0]()
    assert told == []
