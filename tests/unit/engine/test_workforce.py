"""Workers that come, go and are replaced; what they take when actions ask for more than a slot; what nobody can take."""

from __future__ import annotations

import pytest

from flyte_nb.core.events import TaskFacts
from flyte_nb.core.phases import ActionPhase
from flyte_nb.core.policy import Resources
from flyte_nb.core.summary import summarise
from flyte_nb.engine import workforce
from flyte_nb.engine.commands import AnswerFailure, Command, HandBack, KillWorker
from flyte_nb.engine.placement import RETURN_SECONDS
from flyte_nb.engine.stimuli import AgentJoined, AgentLeaving, AgentLost, ChunkReport, ClusterLost, ClusterSettled, SlotYielded
from tests.fakes.bench import LEAF, SYNC, Bench, chunk_ids, chunks, task

GIB = 2**30


def needs(name: str, *, is_async: bool = False, **resources: object) -> TaskFacts:
    """A task that asks for something."""
    facts = task(name, is_async=is_async)
    return TaskFacts(**{**{field: getattr(facts, field) for field in facts.__slots__}, "resources": Resources(**resources)})  # type: ignore[arg-type]


def join(bench: Bench, agent: str, slots: int, memory: int = 0, gpus: int = 0) -> list[Command]:
    """A worker of a size comes."""
    return bench.send(AgentJoined(agent, f"name-{agent}", 1, slots, memory_limit=memory, gpus=gpus))


def codes(commands: list[Command]) -> list[str]:
    """Codes of the failures that callers are told of."""
    return [order.failure.code for order in commands if isinstance(order, AnswerFailure)]


@pytest.fixture
def large(bench: Bench) -> Bench:
    """A run, and one worker with four slots, 16 GiB and one accelerator."""
    join(bench, "w1", 4, 16 * GIB, 1)
    bench.start()
    bench.begin(bench.driver)
    bench.send(ClusterSettled())
    return bench


# ---------------------------------------------------------------------------------------------- more than a slot
def test_an_action_takes_as_many_slots_as_it_asks_for(large: Bench) -> None:
    """Of two that ask for three cores one runs; two small ones find one slot beside it."""
    first = chunks(large.call(2, needs("wide", cpu=3)))
    small = chunks(large.call(2, SYNC))

    assert (first, small) == ([("w1", [1])], [("w1", [3])])
    assert chunks(large.succeed(2, range(1))) == [("w1", [2])]


def test_memory_is_counted_in_slots(large: Bench) -> None:
    """Half of the memory is half of the slots."""
    assert chunks(large.call(3, needs("big", memory="8Gi"))) == [("w1", [1]), ("w1", [2])]


def test_accelerators_are_counted(large: Bench) -> None:
    """One device, one action at a time; slots are left for others."""
    first = chunks(large.call(2, needs("gpu", gpu=1)))
    others = chunks(large.call(2, SYNC))

    assert (first, others) == ([("w1", [1])], [("w1", [3]), ("w1", [4])])
    assert chunks(large.succeed(2, range(1))) == [("w1", [2])]


def test_what_asks_for_no_more_than_a_slot_travels_as_ever(large: Bench) -> None:
    """Chunks of many, and no slot for coroutines."""
    assert chunks(large.call(20, needs("modest", is_async=True, memory="1Gi"))) == [("w1", list(range(1, 21)))]
    assert large.controller.placement.agents["w1"].free_slots == 4


def test_a_coroutine_that_asks_for_more_takes_slots(large: Bench) -> None:
    """It computes with them, so it is placed like plain code."""
    assert chunks(large.call(3, needs("wide", is_async=True, cpu=2))) == [("w1", [1]), ("w1", [2])]


def test_a_coroutine_that_calls_others_holds_no_slots(large: Bench) -> None:
    """It will wait for them; else a driver that asks for everything would wait for itself."""
    (chunk,) = chunk_ids(large.call(1, needs("driver", is_async=True, cpu=4)))
    large.begin(chunk)

    assert chunks(large.call(1, needs("wide", cpu=4), parent=1, place="w1")) == [("w1", [2])]


def test_plain_code_lends_what_it_holds_while_it_waits(large: Bench) -> None:
    """Slots and accelerators are free for its children, and taken again."""
    (chunk,) = chunk_ids(large.call(1, needs("driver", cpu=4, gpu=1)))
    large.begin(chunk)
    large.send(SlotYielded(chunk, waiting=True))
    child = large.call(1, needs("wide", cpu=4, gpu=1), parent=1, place="w1")
    large.succeed(chunk_ids(child)[0], range(1))
    large.send(SlotYielded(chunk, waiting=False))
    agent = large.controller.placement.agents["w1"]

    assert chunks(child) == [("w1", [2])]
    assert (agent.free_slots, agent.gpus_in_use) == (0, 1)


def test_a_busy_worker_is_kept_free_for_what_needs_all_of_it(large: Bench) -> None:
    """Small actions that come later do not take each slot as it becomes free."""
    small = chunk_ids(large.call(4, SYNC))
    large.call(1, needs("wide", cpu=4))
    later = chunks(large.call(4, SYNC))
    ended = [chunks(large.succeed(chunk, range(1))) for chunk in small]

    assert (later, ended[-1]) == ([], [("w1", [5])])


def test_only_workers_that_are_large_enough_are_asked(large: Bench) -> None:
    """A small one has nothing to do with it."""
    join(large, "w2", 1, 4 * GIB)

    assert chunks(large.call(4, needs("big", memory="5Gi"))) == [("w1", [1]), ("w1", [2])]


# ---------------------------------------------------------------------------------------------- what nobody can take
def test_what_no_worker_can_ever_take_fails_soon(large: Bench) -> None:
    """After a moment, for one that is large enough may be joining; its caller is told what it asked for."""
    made = large.call(2, needs("huge", cpu=64))
    later = large.after(workforce.PATIENCE_SECONDS)

    assert (codes(made), codes(later)) == ([], ["ResourcesUnavailableError"] * 2)
    assert "asks for 64 CPUs" in large.state().failures[1].message


def test_nothing_fails_while_the_cluster_starts(bench: Bench) -> None:
    """Nobody knows yet what will be there."""
    bench.start()
    bench.begin(bench.driver)
    bench.call(1, needs("wide", cpu=4))
    join(bench, "w1", 1)
    waiting = codes(bench.after(10))
    join(bench, "w2", 4)

    assert (waiting, bench.controller.placement.agents["w2"].free_slots) == ([], 0)


def test_a_large_worker_that_died_is_waited_for(large: Bench) -> None:
    """Its nanny starts another one."""
    join(large, "w2", 1)
    large.lose("w1")
    large.call(1, needs("wide", cpu=4))

    early, late = codes(large.after(RETURN_SECONDS - 1)), codes([*large.after(2), *large.after(workforce.PATIENCE_SECONDS)])

    assert (early, late) == ([], ["ResourcesUnavailableError"])


def test_without_any_worker_nothing_is_said(bench: Bench) -> None:
    """An adaptive cluster may have none at the moment."""
    bench.start()
    bench.begin(bench.driver)
    bench.send(ClusterSettled())
    bench.call(1, needs("wide", cpu=4))

    assert codes(bench.after(100)) == []


# ---------------------------------------------------------------------------------------------- coming and going
def test_a_worker_that_leaves_gives_back_and_gets_nothing_new(run: Bench) -> None:
    """What it has not started comes back; what it had when it went was nobody's fault."""
    (chunk,) = chunk_ids(run.call(1, SYNC))
    run.begin(chunk)
    leaving = run.send(AgentLeaving("w1"))
    waiting = chunks(run.call(1, SYNC))
    run.lose("w1")

    assert [order for order in leaving if isinstance(order, HandBack)] == [HandBack("w1")]
    assert waiting == []
    assert (run.record().losses, run.phases()) == ({}, ["running", "queued", "queued"])


def test_a_worker_whose_connection_has_ended_gets_nothing_while_the_cause_is_looked_for(run: Bench) -> None:
    """Then it is told, and counts as a loss."""
    (chunk,) = chunk_ids(run.call(1, SYNC))
    run.begin(chunk)
    leaving = run.send(AgentLeaving("w1", gone=True))
    waiting = chunks(run.call(1, SYNC))
    run.lose("w1")

    assert (leaving, waiting) == ([], [])
    assert run.record().losses == {1: 1}


def test_nobody_leaves_who_is_not_there(bench: Bench) -> None:
    """A late word of a worker that is gone changes nothing."""
    assert bench.send(AgentLeaving("w9"), AgentLost("w9", "gone")) == []


def test_a_worker_into_which_a_stop_was_thrown_is_replaced_when_it_is_idle(run: Bench) -> None:
    """What the exception hit may be half done: a lock, a module's state."""
    (chunk,) = chunk_ids(run.call(1, SYNC))
    run.begin(chunk)
    run.abort(1)
    run.send(ChunkReport(chunk, stopped=[(0, run.now)], finished=True, tainted=True))

    early, late = run.after(workforce.IDLE_SECONDS / 2), run.after(workforce.IDLE_SECONDS)

    assert [order.agent for order in (*early, *late) if isinstance(order, KillWorker)] == ["w1"]
    assert not [order for order in early if isinstance(order, KillWorker)]
    assert chunks(run.call(1)) == []


def test_a_worker_that_has_work_again_is_not_replaced_yet(run: Bench) -> None:
    """Idle means idle."""
    (chunk,) = chunk_ids(run.call(1, SYNC))
    run.begin(chunk)
    run.abort(1)
    run.send(ChunkReport(chunk, stopped=[(0, run.now)], finished=True, tainted=True))
    (again,) = chunk_ids(run.call(1, SYNC))

    busy = run.after(workforce.IDLE_SECONDS)
    run.succeed(again, range(1))
    idle = run.after(workforce.IDLE_SECONDS)

    assert [len([order for order in orders if isinstance(order, KillWorker)]) for orders in (busy, idle)] == [0, 1]


def test_workers_of_others_are_left_as_they_are(bench: Bench) -> None:
    """Whose they are decides who replaces them."""
    bench.join(ours=False)
    bench.start()
    bench.begin(bench.driver)
    (chunk,) = chunk_ids(bench.call(1, SYNC))
    bench.begin(chunk)
    bench.abort(1)
    bench.send(ChunkReport(chunk, stopped=[(0, bench.now)], finished=True, tainted=True))

    assert [order for order in bench.after(10) if isinstance(order, KillWorker)] == []


def test_an_action_that_does_not_stop_on_the_worker_of_others_is_shown_as_such(bench: Bench) -> None:
    """It is told to stop, still runs, and keeps its slot; when it ends, it is aborted."""
    bench.join(ours=False)
    bench.start()
    bench.begin(bench.driver)
    (chunk,) = chunk_ids(bench.call(1, SYNC))
    bench.begin(chunk)
    bench.abort(1)
    bench.after(2)
    shown = summarise(bench.state(), bench.now).message
    story = bench.state().story(1)
    bench.stopped(chunk)

    assert shown.startswith("stop requested, still running: 1 action")
    assert story[-1] == "stop requested, still running: its worker is not ours to end"
    assert (bench.phase(1), bench.state().overdue, summarise(bench.state(), bench.now).message) == (ActionPhase.ABORTED, set(), "")


def test_the_end_of_the_cluster_ends_all_runs(run: Bench) -> None:
    """As aborted, with the cause; what was called is told so, and the next run may find another cluster."""
    run.start("other")
    run.begin(run.driver)
    (chunk,) = chunk_ids(run.call(1, LEAF))
    run.begin(chunk)

    made = run.send(ClusterLost("the cluster was lost: no scheduler"))
    for order in [1, 2]:
        run.stopped(order)

    assert codes(made) == ["ClusterLostError"]
    assert {phase for name in ("r", "other") for phase in run.phases(name)} == {"aborted"}
    assert run.controller.placement.agents == {}
