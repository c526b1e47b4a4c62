"""Recovery in the controller: what an earlier run did is not done again, whatever its order was."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import replace

import pytest

from flyte_nb.core.current import Step
from flyte_nb.core.events import TaskFacts
from flyte_nb.core.failure import Failure
from flyte_nb.core.payloads import Item, StoredBlob
from flyte_nb.core.phases import ActionPhase
from flyte_nb.core.state import RunState
from flyte_nb.engine.commands import AnswerOutputs, Command, SendChunk
from flyte_nb.engine.recovery import Origin, Recovery
from flyte_nb.engine.stimuli import (
    KERNEL,
    Called,
    ChunkReport,
    ConditionAnswered,
    ReportFlushed,
    RunRequested,
    StepEnded,
    StepReplayed,
    TaskOffered,
)
from tests.fakes.bench import LEAF, ROOT, USER_ERROR, Bench, chunk_ids, chunks, task

DRIVER = task("driver")
OTHER = task("other")
TRACED = TaskFacts("trace:step", "step", "step", ("x",), ("o0",), kind="trace")


class LostBlob(StoredBlob):
    """What a store gives for a value that it has not got."""

    __slots__ = ()


def calls(
    bench: Bench, values: Sequence[Item], *, run: str = "r", parent: int = 0, of: TaskFacts = LEAF, group: str = "", seq: int = 0
) -> list[Command]:
    """An action calls a task with these inputs."""
    token = bench.record(run).tokens[parent]
    place = KERNEL if parent == 0 else bench.chunk(token).agent
    called = Called(place, 7, seq, run, parent, token, of.key, group, (), [(value,) for value in values])
    return bench.send(TaskOffered(run, of, of.key.encode()), called)


def recover(
    bench: Bench, *sources: str, name: str = "new", force: Sequence[str] = (), root: TaskFacts = ROOT, inputs: str = "in"
) -> list[Command]:
    """Ask for a run that recovers others."""
    recovery = Recovery([bench.state(source) for source in sources], force)
    origin = Origin(sources[0], "recover", recovery)
    request = RunRequested(name, root, b"", (inputs,), in_kernel=True, max_actions=1_000, origin=origin)
    orders = bench.send(request)
    if bench.phase(0, name) is ActionPhase.QUEUED:
        bench.begin(bench.driver)
    return orders


def outputs(commands: Sequence[Command]) -> list[tuple[int, object]]:
    """(sequence number, output) of what callers were told."""
    return [pair for each in commands if isinstance(each, AnswerOutputs) for pair in zip(each.seqs, each.outputs, strict=True)]


def sent(commands: Sequence[Command]) -> list[object]:
    """The inputs that were sent to workers."""
    return [items[0] for command in commands if isinstance(command, SendChunk) for items in command.inputs]


def settle(bench: Bench, rows: Sequence[int], run: str = "r", *, fails: bool = False) -> None:
    """Actions end, wherever they run."""
    for row in rows:
        held = bench.record(run).tokens[row]
        chunk = bench.chunk(held)
        index = chunk.rows.index(row)
        left = sum(bench.record(run).tokens[each] == held for each in chunk.rows)
        if fails:
            bench.fail(held, index, finished=left == 1)
        else:
            bench.succeed(held, [index], finished=left == 1)


def end(bench: Bench, run: str = "r", *, failed: bool = True) -> None:
    """The root's body ends; what is open is stopped, and the run is over."""
    chunk = bench.record(run).tokens[0]
    if failed:
        bench.fail(chunk)
    else:
        bench.succeed(chunk, range(1), output="root")
    for number in [number for number, held in bench.controller.placement.chunks.items() if held.run == run]:
        bench.stopped(number, range(len(bench.chunk(number).rows)))


def test_what_succeeded_is_not_run_again(run: Bench) -> None:
    """In whatever order the calls come: outputs are there at once, the rest is sent."""
    calls(run, [1, 2, 3])
    settle(run, [1, 3])
    settle(run, [2], fails=True)
    end(run)

    recover(run, "r")
    orders = calls(run, [3, 4, 2, 1], run="new")

    assert outputs(orders) == [(0, "row 3"), (3, "row 1")]
    assert sent(orders) == [4, 2]
    assert run.phases("new") == ["running", "recovered", "queued", "queued", "recovered"]
    assert [run.state("new").attempts[row] for row in (1, 4)] == [0, 0]


def test_identical_calls_are_told_apart_by_their_number(run: Bench) -> None:
    """The first identical call stands for the first one, the second for the second; a third one is new."""
    calls(run, [1, 1])
    settle(run, [1, 2])
    end(run)

    recover(run, "r")
    orders = [*calls(run, [1], run="new"), *calls(run, [1, 1], run="new", seq=1)]

    assert (outputs(orders), sent(orders)) == ([(0, "row 1"), (1, "row 2")], [1])


@pytest.mark.parametrize(
    "group, of",
    [("g", LEAF), ("", OTHER), ("", replace(LEAF, version="edited")), ("", replace(LEAF, code="edited"))],
    ids=["group", "task", "helper edited", "code edited"],
)
def test_another_call_is_run(run: Bench, group: str, of: TaskFacts) -> None:
    """Another group, another task, or the same one after an edit: nothing of the earlier run stands for it."""
    calls(run, [1])
    settle(run, [1])
    end(run)

    recover(run, "r")
    orders = calls(run, [1], run="new", group=group, of=of)

    assert (outputs(orders), sent(orders)) == ([], [1])


def nested(run: Bench, *, driver_ends: str = "") -> None:
    """A run in which a driver on a worker called 1 and 2; the first succeeded, and the driver ended as said."""
    (driver,) = chunk_ids(calls(run, ["d"], of=DRIVER))
    run.begin(driver)
    run.join("w2")
    calls(run, [1, 2], parent=1)
    settle(run, [2])
    if driver_ends:
        settle(run, [3], fails=driver_ends == "succeeded, caught")
        run.succeed(driver, range(1))


@pytest.mark.parametrize("of", [DRIVER, replace(DRIVER, version="edited")], ids=["as it was", "edited"])
def test_a_driver_that_did_not_end_is_driven_again(run: Bench, of: TaskFacts) -> None:
    """It runs, edited or not; what it called and what succeeded is not run again."""
    nested(run)
    end(run)

    recover(run, "r")
    (driver,) = chunk_ids(calls(run, ["d"], run="new", of=of))
    run.begin(driver)
    orders = calls(run, [2, 1], run="new", parent=1)

    assert (outputs(orders), sent(orders)) == ([(1, "row 2")], [2])


def test_a_driver_that_succeeded_is_recovered_with_all_that_it_called(run: Bench) -> None:
    """It makes no calls."""
    nested(run, driver_ends="succeeded")
    end(run)

    recover(run, "r")

    assert outputs(calls(run, ["d"], run="new", of=DRIVER)) == [(0, "row 1")]
    assert run.phases("new") == ["running", "recovered"]


def test_what_failed_below_a_driver_that_caught_it_is_run_again(run: Bench) -> None:
    """Its caller is driven again for that; what else that one called is recovered."""
    nested(run, driver_ends="succeeded, caught")
    end(run, failed=False)

    recover(run, "r")
    (driver,) = chunk_ids(calls(run, ["d"], run="new", of=DRIVER))
    run.begin(driver)
    orders = calls(run, [1, 2], run="new", parent=1)

    assert (outputs(orders), sent(orders)) == ([(0, "row 2")], [2])


def test_a_run_that_succeeded_is_recovered_as_a_whole(run: Bench) -> None:
    """Its root runs nothing; other inputs, an edit, or a forced root drive it again."""
    nested(run, driver_ends="succeeded")
    end(run, failed=False)

    recover(run, "r", name="same")
    recover(run, "r", name="inputs", inputs="other")
    recover(run, "r", name="edited", root=replace(ROOT, version="edited"))
    recover(run, "r", name="forced", force=["a0"])

    assert [run.phases(name) for name in ("same", "inputs", "edited", "forced")] == [["recovered"], *[["running"]] * 3]
    assert (run.state("same").output(0), run.state("same").source) == ("root", "r")


def test_forced_actions_run_again(run: Bench) -> None:
    """By their names in the run that is recovered; unknown names are passed over; others are recovered."""
    calls(run, [1, 2])
    settle(run, [1, 2])
    end(run)

    recover(run, "r", force=[run.state().action_name(2), "unknown"])
    orders = calls(run, [1, 2], run="new")

    assert (outputs(orders), sent(orders)) == ([(0, "row 1")], [2])
    assert run.state().action_name(2) == run.state("new").action_name(2)


def test_a_recovery_that_failed_is_recovered_with_what_it_had_recovered(run: Bench) -> None:
    """Below a driver that the second run recovered it has nothing; the first run has. What the second was forced to run again counts."""
    nested(run, driver_ends="succeeded")
    calls(run, [8, 9])
    settle(run, [4, 5])
    end(run)
    eight = run.state().action_name(4)
    recover(run, "r", name="second", force=[eight])
    calls(run, ["d"], run="second", of=DRIVER)
    calls(run, [8], run="second")
    end(run, "second")

    recover(run, "second", "r")
    (driver,) = chunk_ids(calls(run, ["d"], run="new", of=replace(DRIVER, version="edited")))
    run.begin(driver)
    below = calls(run, [1, 2], run="new", parent=1)
    beside = calls(run, [9, 8], run="new")

    assert (outputs(below), sent(below)) == ([(0, "row 2"), (1, "row 3")], [])
    assert (outputs(beside), sent(beside)) == ([(0, "row 5")], [8])


def test_another_attempt_of_a_driver_keeps_to_what_was_recovered(run: Bench) -> None:
    """Its calls are those of the attempt before: one event each, and no action twice."""
    nested(run)
    end(run)
    recover(run, "r")
    (driver,) = chunk_ids(calls(run, ["d"], run="new", of=DRIVER))
    run.begin(driver)
    calls(run, [1, 2], run="new", parent=1)

    run.lose(run.chunk(driver).agent)
    run.join("w3")
    run.after(5)
    run.begin(run.record("new").tokens[1])
    orders = calls(run, [1, 2, 3], run="new", parent=1)

    state = run.state("new")
    assert outputs(orders) == [(0, "row 2")]
    assert [state.inputs(row)[0] for row in range(1, state.count)] == ["d", 1, 2, 3]


def step(bench: Bench, key: str, *, failure: Failure | None = None, run: str = "r") -> None:
    """The root takes a traced step."""
    taken = Step(TRACED, key, (1,), "taken", 1.0, 2.0)
    bench.send(StepEnded(KERNEL, run, 0, bench.record(run).tokens[0], "g", taken, failure))


def test_traced_steps_are_replayed_and_shown(run: Bench) -> None:
    """What they gave goes along with the attempt; when it comes to one, that is a row, once. What may be tried again is not replayed."""
    step(run, "one")
    step(run, "two", failure=USER_ERROR)
    step(run, "three", failure=replace(USER_ERROR, retryable=False))
    end(run)

    orders = recover(run, "r")
    (sent_root,) = [order for order in orders if isinstance(order, SendChunk)]
    told = StepReplayed("new", 0, run.record("new").tokens[0], "one")
    run.send(told, told)

    assert sent_root.recorded == {0: {"one": "taken", "three": replace(USER_ERROR, retryable=False)}}
    assert run.phases("new") == ["running", "recovered"]
    state = run.state("new")
    assert (state.task_of(1), state.inputs(1), state.output(1), state.group_of(1), state.steps) == (TRACED, (1,), "taken", "g", {1: "one"})


def test_answers_to_conditions_are_taken_over(run: Bench) -> None:
    """Under the name by which the action that stands for the one that asked looks for them."""
    question = TaskFacts("condition:0:ok:1", "ok", "ok", ("prompt",), ("o0",), kind="condition")
    calls(run, ["sure?"], of=question)
    run.send(ConditionAnswered("r", 1, "", answer=True))
    end(run)

    (root,) = [order for order in recover(run, "r") if isinstance(order, SendChunk)]

    assert root.recorded == {0: {"condition:0:ok:1": True}}


def test_an_output_that_was_lost_is_made_again(run: Bench) -> None:
    """A large one in a file that was gone before the store could take it."""
    (chunk,) = chunk_ids(calls(run, [1]))
    at = array("d", (run.now,))
    run.send(ChunkReport(chunk, (), range(1), [LostBlob("", 0, raw=True)], at, at, finished=True))
    end(run)

    recover(run, "r")

    assert sent(calls(run, [1], run="new")) == [1]


def test_reports_are_taken_over(run: Bench) -> None:
    """With the outputs of those who wrote them."""
    (chunk,) = chunk_ids(calls(run, [1]))
    run.send(ReportFlushed("r", 1, chunk, [("main", "<p>told</p>")]))
    settle(run, [1])
    end(run)

    recover(run, "r")
    calls(run, [1], run="new")

    assert run.state("new").reports == {1: {"main": "<p>told</p>"}}


def test_a_large_recovery_makes_one_event_of_a_fan_out(run: Bench) -> None:
    """Recovered calls are told and recorded together."""
    calls(run, range(50))
    settle(run, range(1, 51))
    end(run)

    recover(run, "r")
    before = len(run.logs["new"])
    orders = calls(run, range(50), run="new")

    assert (len(outputs(orders)), chunks(orders), len(run.logs["new"]) - before) == (50, [], 3)


def test_a_state_that_was_read_back_recovers_the_same(run: Bench) -> None:
    """A recovery is made of the state alone."""
    calls(run, [1, 2])
    settle(run, [1])
    end(run)
    first, *rest = run.logs["r"]
    again = RunState(first)  # type: ignore[arg-type]  # a log begins with RunStarted
    for event in rest:
        again.apply(event)
    run.states["r"] = again

    recover(run, "r")

    assert outputs(calls(run, [1, 2], run="new")) == [(0, "row 1")]
