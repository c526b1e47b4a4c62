"""Lost workers: who is to blame, how often an action may lose its worker, and what it is told in the end."""

from __future__ import annotations

import pytest

from flyte_nb.core.costs import Cost
from flyte_nb.core.phases import ActionPhase
from flyte_nb.engine import losses
from flyte_nb.engine.commands import AnswerFailure, Command, SendChunk
from flyte_nb.engine.stimuli import AgentLost, SlotYielded
from tests.fakes.bench import SYNC, Bench, chunk_ids, chunks, task

MIB = 2**20


def out_of_memory(bench: Bench, agent: str = "w1") -> list[Command]:
    """A worker is ended because it used too much memory."""
    return bench.send(AgentLost(agent, "it used too much memory", 380 * MIB, 400 * MIB))


def codes(commands: list[Command]) -> list[str]:
    """Codes of the failures that callers are told of."""
    return [order.failure.code for order in commands if isinstance(order, AnswerFailure)]


def lose_again(bench: Bench, times: int) -> list[Command]:
    """Row 1's worker dies so many times, each time after it began; another one comes."""
    made: list[Command] = []
    for number in range(times):
        bench.after(losses.MOST_REST_SECONDS)
        bench.begin(bench.record().tokens[1])
        made = bench.lose(bench.chunk(bench.record().tokens[1]).agent)
        bench.join(f"next-{number}")
    return made


def test_a_lost_action_is_tried_again_for_free(run: Bench) -> None:
    """Its retries are not touched, and the lost attempt is told of."""
    run.call(1, SYNC)

    lose_again(run, 1)

    assert (run.phase(1), run.state().past[1][0].ending) == (ActionPhase.QUEUED, "lost")
    assert run.record().user_failures == {}


def test_an_action_that_always_loses_its_worker_fails_in_the_end(run: Bench) -> None:
    """After its last loss its caller is told, as of a failure of the system."""
    run.call(1, SYNC)

    lose_again(run, losses.MAX_LOSSES)
    assert run.phase(1) is ActionPhase.QUEUED
    made = lose_again(run, 1)

    assert (run.phase(1), codes(made)) == (ActionPhase.FAILED, ["WorkerLostError"])
    assert f"lost its worker {losses.MAX_LOSSES + 1} times" in run.state().failures[1].message
    assert run.state().failures[1].kind == "system"


def test_the_number_of_losses_is_a_setting() -> None:
    """With none allowed the first one is the last."""
    bench = Bench(max_losses=0)
    bench.join()
    bench.start()
    bench.call(1, SYNC)

    assert codes(lose_again(bench, 1)) == ["WorkerLostError"]
    assert "lost its worker once" in bench.state().failures[1].message


def test_each_loss_makes_the_next_attempt_wait_longer(run: Bench) -> None:
    """The first two are tried again at once; then the pauses double."""
    run.call(1, SYNC)
    lose_again(run, losses.FIRST_REST - 1)
    assert run.record().resting == set()

    lose_again(run, 1)
    resting = set(run.record().resting)
    run.after(losses.REST_SECONDS)

    assert (resting, run.record().resting) == ({1}, set())
    assert run.record().tokens[1]


def test_an_action_can_be_aborted_while_it_waits_for_its_next_attempt(run: Bench) -> None:
    """It is not queued again."""
    run.call(1, SYNC)
    lose_again(run, losses.FIRST_REST)

    run.abort(1)
    run.after(losses.MOST_REST_SECONDS)

    assert run.phase(1) is ActionPhase.ABORTED


def test_one_that_waits_for_others_is_no_suspect(run: Bench) -> None:
    """A parked driver does not pay for what its neighbours do."""
    (chunk,) = chunk_ids(run.call(1, task("driver")))
    run.begin(chunk)
    run.call(1, SYNC, parent=1, place="w1")
    run.after(1)

    run.lose()

    assert run.record().losses == {2: 1}
    assert run.phase(1) is ActionPhase.QUEUED


def test_one_whose_child_has_just_ended_may_have_gone_on(run: Bench) -> None:
    """That it goes on is not always told before its worker dies: it is a suspect beside the others."""
    (chunk,) = chunk_ids(run.call(1, task("driver", is_async=False)))
    run.begin(chunk)
    run.send(SlotYielded(chunk, waiting=True))
    (child,) = chunk_ids(run.call(1, SYNC, parent=1, place="w1"))
    run.after(1)
    run.succeed(child, range(1))

    run.lose()

    assert run.record().losses == {1: 1}


def test_one_that_waits_for_more_is_a_suspect_for_a_moment(run: Bench) -> None:
    """A map goes on with each result, while others are open."""
    (chunk,) = chunk_ids(run.call(1, task("driver")))
    run.begin(chunk)
    run.call(2, SYNC, parent=1, place="w1")
    run.after(1)
    suspects = [losses.suspects_on(run.controller.placement.agents["w1"], {"r": run.record()}, run.now)]
    run.succeed(run.record().tokens[2], range(1))
    suspects.append(losses.suspects_on(run.controller.placement.agents["w1"], {"r": run.record()}, run.now))

    assert [sorted(row for each in found.values() for row in each.rows) for found in suspects] == [[2], [1, 3]]


def test_not_even_one_that_waits_is_tried_without_end(run: Bench) -> None:
    """Nothing goes on for ever, whoever is to blame."""
    run.call(1, task("driver"))
    run.call(1, parent=1, place="w1")

    verdicts = [losses.judge(run.record(), [1], losses.NOBODY, 1) for _ in range(losses.PARKED_FACTOR + 1)]

    assert [(verdict.bystanders, verdict.spent) for verdict in verdicts[-2:]] == [([1], []), ([], [1])]


def test_one_that_is_suspected_again_is_tried_where_nothing_else_runs(run: Bench) -> None:
    """A worker of its own tells whether it is to blame; its neighbours go elsewhere meanwhile."""
    (chunk,) = chunk_ids(run.call(2))
    run.begin(chunk, range(2))
    run.record().suspicions.update({1: 1, 2: 1})
    run.lose()

    first = chunks(run.join("w2", slots=2))
    neighbours = chunks(run.call(2, SYNC))
    second = chunks(run.succeed(run.record().tokens[1], range(1)))

    assert (first, neighbours, second) == ([("w2", [1])], [], [("w2", [3]), ("w2", [4])])


def test_a_suspect_waits_for_a_worker_and_keeps_it_free_meanwhile(run: Bench) -> None:
    """The least busy worker gets nothing new until it has nothing else to do."""
    (chunk,) = chunk_ids(run.call(1))
    run.begin(chunk)
    run.record().suspicions[1] = losses.ALONE_FROM
    run.record().losses[1] = 1
    run.join("w2")
    busy = next(order.chunk for order in run.call(2, SYNC) if isinstance(order, SendChunk) and order.place == "w2")
    run.lose("w1")
    waiting = chunks(run.call(1, SYNC))

    ended = chunks(run.succeed(busy, range(1)))

    assert (waiting, ended) == ([], [("w2", [1])])


def test_of_several_suspects_each_half_is_tried_apart(run: Bench) -> None:
    """So the one to blame is found in a few steps, and the others have lost nothing."""
    (chunk,) = chunk_ids(run.call(8, SYNC))
    held = list(run.chunk(chunk).rows)

    run.lose()
    made = run.join("w2", slots=2)

    assert chunks(made)[:2] == [("w2", held[: (len(held) + 1) // 2]), ("w2", held[(len(held) + 1) // 2 :])]
    assert run.record().losses == {}


# ---------------------------------------------------------------------------------------------- memory
def test_a_memory_kill_fails_its_only_suspect(run: Bench) -> None:
    """It is the action's own error, with what was used and what is allowed, and it is not tried again for free."""
    (chunk,) = chunk_ids(run.call(1, SYNC))
    run.begin(chunk)

    made = out_of_memory(run)

    failure = run.state().failures[1]
    assert (codes(made), failure.kind) == (["OOMError"], "user")
    assert "380 MiB of 400 MiB" in failure.message


def test_a_memory_kill_uses_up_a_retry_of_the_task(run: Bench) -> None:
    """`retries=` is for errors of the user, and this is one."""
    (chunk,) = chunk_ids(run.call(1, task("hungry", is_async=False, retries=1)))
    run.begin(chunk)

    out_of_memory(run)

    past = run.state().past[1][0]
    assert run.record().user_failures == {1: 1}
    assert (run.phase(1), past.reason.split(":")[0], past.cost) == (ActionPhase.QUEUED, "OOMError", Cost(None, 380 * 1024**2))


def test_a_memory_kill_among_several_suspects_blames_none_of_them_at_once(run: Bench) -> None:
    """They may have used it up together: each is tried apart."""
    run.join("w2", slots=2)
    run.lose("w1")
    made = [*run.call(2, SYNC)]
    for chunk in chunk_ids(made):
        run.begin(chunk)

    out_of_memory(run, "w2")

    assert run.phases() == ["running", "queued", "queued"]
    assert (run.record().losses, run.record().suspicions) == ({}, {1: 1, 2: 1})


def test_one_of_them_that_runs_out_of_memory_by_itself_fails(run: Bench) -> None:
    """Then it is clear whose the memory was."""
    run.join("w2", slots=2)
    run.lose("w1")
    for chunk in chunk_ids(run.call(2, SYNC)):
        run.begin(chunk)
    out_of_memory(run, "w2")
    run.join("w3")
    run.begin(run.record().tokens[1])

    assert codes(out_of_memory(run, "w3")) == ["OOMError"]


def test_memory_that_one_that_waits_may_hold_convicts_nobody_at_once(run: Bench) -> None:
    """A driver may hold much while it waits: its child is tried elsewhere before it is blamed."""
    (chunk,) = chunk_ids(run.call(1, task("driver")))
    run.begin(chunk)
    (child,) = chunk_ids(run.call(1, SYNC, parent=1, place="w1"))
    run.begin(child)

    assert codes(out_of_memory(run)) == []
    assert run.phases() == ["running", "queued", "queued"]


@pytest.mark.parametrize("losses_so_far,rest", [(1, 0.0), (2, 0.0), (3, 0.05), (5, 0.2), (50, 1.0)])
def test_rests_double_up_to_a_limit(run: Bench, losses_so_far: int, rest: float) -> None:
    """Short while it may be bad luck, never longer than a second."""
    run.call(1, SYNC)
    run.record().losses[1] = losses_so_far - 1

    verdict = losses.judge(run.record(), [1], losses.Suspicion([1], 1), 100)

    assert (verdict.alone, verdict.spent) == ([1], []) if losses_so_far > 1 else ([], [])
    assert verdict.rest_seconds == pytest.approx(rest)
