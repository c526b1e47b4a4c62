"""Workers that others use too: their slots are asked for, used while they are ours, and others have their turn."""

from __future__ import annotations

import pytest

from flyte_nb.core.resources import Resources
from flyte_nb.engine import workforce
from flyte_nb.engine.commands import Command, WantSlots
from flyte_nb.engine.stimuli import AgentJoined, ClusterSettled, SlotGranted, SlotReturned, SlotYielded
from tests.fakes.bench import LEAF, SYNC, Bench, chunk_ids, chunks
from tests.unit.engine.test_workforce import needs

GIB = 2**30


@pytest.fixture
def shared(bench: Bench) -> Bench:
    """A run on two workers of others, of two slots each."""
    bench.start()
    bench.begin(bench.driver)
    for name in ("w1", "w2"):
        bench.send(AgentJoined(name, f"name-{name}", 1, 2, ours=False, memory_limit=8 * GIB, leased=True))
    bench.send(ClusterSettled())
    return bench


def wants(commands: list[Command]) -> list[tuple[str, int]]:
    """What was asked for."""
    return [(order.place, order.count) for order in commands if isinstance(order, WantSlots)]


def test_a_sync_action_waits_until_its_slot_is_ours(shared: Bench) -> None:
    """It is asked for, with one to spare; what is granted is used at once."""
    asked = shared.call(1, SYNC)
    granted = shared.send(SlotGranted("w2"))

    assert (wants(asked), chunks(asked)) == ([("w1", 2)], [])
    assert (wants(granted), chunks(granted)) == ([], [("w2", [1])])


def test_no_more_is_asked_for_than_there_is(shared: Bench) -> None:
    """And nothing twice."""
    first = shared.call(100, SYNC)
    second = shared.call(100, SYNC)

    assert (sorted(wants(first)), wants(second)) == ([("w1", 2), ("w2", 2)], [])


def test_coroutines_need_no_slot(shared: Bench) -> None:
    """They wait, mostly."""
    made = shared.call(4, LEAF)

    assert (wants(made), len(chunks(made))) == ([], 2)


def test_a_slot_that_was_given_back_is_not_used_and_asked_for_again(shared: Bench) -> None:
    """When there is something for it."""
    shared.call(1, SYNC)
    (chunk,) = chunk_ids(shared.send(SlotGranted("w1"), SlotGranted("w1")))
    shared.succeed(chunk, range(1))
    shared.send(SlotReturned("w1"), SlotReturned("w1"))
    again = shared.call(1, SYNC)

    assert (wants(again), chunks(again)) == ([("w1", 2)], [])


def test_others_that_waited_have_their_turn(shared: Bench) -> None:
    """Before that worker is asked again."""
    shared.call(100, SYNC)
    early = shared.send(SlotGranted("w1"), SlotReturned("w1", others_wait=True))
    later = shared.after(workforce.TURN_SECONDS)

    assert (wants(early), wants(later)) == ([], [("w1", 1)])


def test_a_parent_that_waits_lends_its_slot_to_its_child(shared: Bench) -> None:
    """No other one is needed."""
    shared.call(1, SYNC)
    (chunk,) = chunk_ids(shared.send(SlotGranted("w1")))
    shared.begin(chunk)
    shared.send(SlotYielded(chunk, waiting=True))

    assert chunks(shared.call(1, SYNC, parent=1, place="w1")) == [("w1", [2])]


def test_what_asks_for_two_cores_gets_two_slots(shared: Bench) -> None:
    """Of one worker, both at once."""
    asked = shared.call(1, needs("wide", cpu=2))
    one = shared.send(SlotGranted("w1"), SlotGranted("w2"))
    two = shared.send(SlotGranted("w2"))

    assert (sorted(wants(asked)), chunks(one), chunks(two)) == ([("w1", 2), ("w2", 2)], [], [("w2", [1])])


def test_nothing_is_asked_of_a_worker_that_is_too_small(shared: Bench) -> None:
    """It could not take it."""
    assert Resources(cpu=3).cpu_cores == 3
    assert wants(shared.call(1, needs("wide", cpu=3))) == []


def test_a_late_word_of_a_worker_that_is_gone_changes_nothing(shared: Bench) -> None:
    """Or of one whose slots are all ours."""
    shared.lose("w1")
    shared.join("w3")

    assert shared.send(SlotGranted("w1"), SlotReturned("w1"), SlotGranted("w3"), SlotReturned("w3", others_wait=True)) == []
    assert shared.controller.placement.agents["w3"].free_slots == 1
