"""A run is followed while it goes on: ends one by one, a function that is told, a rule that stops; the same when it is over."""

from __future__ import annotations

import asyncio
import gc
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import flyte_nb as flyte
from flyte_nb import remote
from flyte_nb.remote import Run
from flyte_nb.workspace import Workspace
from tests.fakes.spaces import finished, phases, running, wait_until

env = flyte.TaskEnvironment("following")


@env.task
async def pass_gate(folder: str, number: int) -> dict[str, int]:
    """Wait until the test opens this gate; odd numbers above 10 fail."""
    while not (Path(folder) / str(number)).exists():  # noqa: ASYNC110 - the gate is a file: workers are other processes
        await asyncio.sleep(0.005)
    if number > 10 and number % 2:
        raise ValueError(f"odd {number}")
    return {"double": 2 * number}


@env.task
async def check(number: int) -> int:
    """Another task."""
    return number


@env.task
async def drive(folder: str, numbers: list[int]) -> int:
    """Call both tasks for all numbers; what fails or is stopped does not stop the others."""
    with flyte.group("gates"):
        made = await asyncio.gather(*(pass_gate(folder, number) for number in numbers), return_exceptions=True)
    await asyncio.gather(*(check(number) for number in numbers))
    return sum(not isinstance(each, BaseException) for each in made)


def open_gates(folder: Path, *numbers: int) -> None:
    """Let these go on."""
    for number in numbers:
        (folder / str(number)).touch()


# ------------------------------------------------------------------ ends, one by one
def test_rows_come_as_actions_end(space: Workspace, tmp_path: Path) -> None:
    """Each end is there as soon as it has happened, in the order of the ends, whatever the order of the calls."""
    run = flyte.run(drive, str(tmp_path), [1, 2, 3])
    stream = run.stream(task="pass_gate")
    seen = []
    for number in (3, 1, 2):
        open_gates(tmp_path, number)
        row = next(stream)
        seen.append((row.number, row["double"], row.task, row.group, row.phase, row.error, row.seconds >= 0))

    assert seen == [(number, 2 * number, "pass_gate", "gates", "succeeded", None, True) for number in (3, 1, 2)]
    assert list(stream) == []
    assert finished(run).outputs()[0] == 3


def test_a_loop_goes_on_while_it_waits_for_rows(space: Workspace, tmp_path: Path) -> None:
    """`async for` suspends: the one who opens the gates runs on the same loop."""

    async def main() -> list[int]:
        run = await flyte.run.aio(drive, str(tmp_path), [1, 2, 3])
        seen: list[int] = []

        async def opener() -> None:
            for number in (2, 3, 1):
                open_gates(tmp_path, number)
                await heard.wait()
                heard.clear()

        heard = asyncio.Event()
        helper = asyncio.create_task(opener())
        async for row in run.stream(group="gates"):
            seen.append(row.number)
            heard.set()
        await helper
        assert run.done()
        return seen

    assert asyncio.run(main()) == [2, 3, 1]


def test_failures_are_rows_and_errors(space: Workspace, tmp_path: Path) -> None:
    """A row has the reason, a pair the exception that its caller got."""
    open_gates(tmp_path, 2, 11)
    run = flyte.run(drive, str(tmp_path), [2, 11])
    rows = {row.number: row for row in run.stream(task=pass_gate)}
    pairs = {action.inputs()["number"]: result for action, result in run.as_completed(with_results=True, task=pass_gate)}

    assert (rows[11].error, rows[11].output, "double" in rows[11]) == ("ValueError: odd 11", None, False)
    assert (rows[2].error, rows[2].output) == (None, {"double": 4})
    assert pairs[2] == {"double": 4}
    assert isinstance(pairs[11], flyte.errors.RuntimeUserError)
    assert "odd 11" in str(pairs[11])


def test_a_run_that_is_over_streams_the_same(space: Workspace, tmp_path: Path) -> None:
    """Also one that is asked for by its name, and all actions, each once, with their handles."""
    open_gates(tmp_path, *range(8))
    run = finished(flyte.run(drive, str(tmp_path), list(range(8))))
    again = remote.Run.get(run.name)
    names = [action.name for action in again.as_completed()]

    assert sorted(names) == sorted(run.actions["action"][1:])
    assert [row.name for row in run.stream()] == names
    ends = [run.state.ended_ats[row.position] for row in run.stream()]
    assert ends == sorted(ends)

    async def collect() -> list[str]:
        return [action.name async for action in run.as_completed()]

    assert asyncio.run(collect()) == names


def test_a_stream_that_is_left_leaves_nothing(space: Workspace, tmp_path: Path) -> None:
    """A `break`, a `with`, or forgetting it ends the reading; the run goes on."""
    run = flyte.run(drive, str(tmp_path), [1, 2])
    open_gates(tmp_path, 1)
    for _ in run.stream():
        break
    with run.stream() as stream:
        assert next(stream).number == 1
    gc.collect()
    assert list(stream) == []
    assert not run.done()
    open_gates(tmp_path, 2)
    finished(run)
    wait_until(lambda: not space._feed._watchers)  # whoever watched is told of the end first


def test_a_stream_that_was_closed_gives_no_more(space: Workspace, tmp_path: Path) -> None:
    """Nor what it had found already."""
    open_gates(tmp_path, *range(4))
    stream = finished(flyte.run(drive, str(tmp_path), list(range(4)))).stream()
    assert next(stream).phase == "succeeded"
    stream.close()
    assert (list(stream), stream.next_batch()) == ([], [])


def test_a_wait_for_a_row_can_be_cancelled(space: Workspace, tmp_path: Path) -> None:
    """As any wait on a loop; the stream is still good."""

    async def main() -> int:
        run = await flyte.run.aio(drive, str(tmp_path), [1])
        stream = run.stream(task="pass_gate")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(stream), 0.05)
        open_gates(tmp_path, 1)
        row = await anext(stream)
        await run.wait.aio()
        return int(row.number)

    assert asyncio.run(main()) == 1


def test_an_unknown_task_is_refused() -> None:
    """A task, or its name."""
    run = Run.__new__(Run)
    with pytest.raises(TypeError, match="task is a task or the name of one, not int"):
        run.stream(task=7)


# ------------------------------------------------------------------ a function that is told
def test_a_function_is_told_while_somebody_waits_and_at_the_end(space: Workspace, tmp_path: Path) -> None:
    """With the results of the moment; the last call has all of them."""
    sizes: list[tuple[int, int]] = []

    def look(frame: Any) -> None:
        sizes.append((len(frame), int((frame["phase"] == "succeeded").sum())))
        open_gates(tmp_path, len(sizes))

    run = flyte.run(drive, str(tmp_path), [1, 2, 3])
    updates = run.on_update(look, every=0.01)
    finished(run)

    assert updates.done()
    assert sizes[-1] == (6, 6)
    assert sizes == sorted(sizes)
    assert updates.error is None


@pytest.mark.parametrize("give, size", [("actions", len), ("summary", lambda summary: summary.total + 1)])
def test_other_things_are_given_too(space: Workspace, tmp_path: Path, give: Any, size: Callable[[Any], int]) -> None:
    """The table of actions, or the summary."""
    open_gates(tmp_path, 1, 2)
    seen: list[int] = []
    run = flyte.run(drive, str(tmp_path), [1, 2])
    run.on_update(lambda value: seen.append(size(value)), give=give, every=0.05)
    finished(run)
    assert seen[-1] == 5


def test_rows_are_given_once_each(space: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where one call does not take all of them, and on a run that is over."""
    monkeypatch.setattr("flyte_nb.remote.following.MOST_ROWS", 300)
    open_gates(tmp_path, *range(800))
    run = flyte.run(drive, str(tmp_path), list(range(800)))
    live: list[int] = []
    over: list[int] = []
    run.on_update(lambda rows: live.extend(row.position for row in rows), give="rows", every=0.01)
    finished(run)
    calls = run.on_update(lambda rows: over.extend(row.position for row in rows), give="rows").calls

    assert sorted(live) == sorted(over) == list(range(1, 1601))
    assert calls >= 3


def test_a_function_of_a_driver_is_told_on_its_loop(space: Workspace, tmp_path: Path) -> None:
    """In the loop's thread, where it may touch what belongs to the loop."""
    open_gates(tmp_path, 1, 2)

    async def main() -> bool:
        loop = asyncio.get_running_loop()
        run = await flyte.run.aio(drive, str(tmp_path), [1, 2])
        loops = []

        async def look(_: Any) -> None:
            loops.append(asyncio.get_running_loop())

        await run.on_update(look, give="summary", every=0.01)
        assert run.done()
        return bool(loops) and all(each is loop for each in loops)

    assert asyncio.run(main())


@pytest.mark.parametrize(
    "arguments, message",
    [
        (("text",), "takes a function, got str"),
        ((print, {"give": "frames"}), "give must be one of 'results'"),
        ((print, {"every": 0}), "every is a number of seconds above 0, got 0"),
        ((print, {"every": float("inf")}), "every is"),
        ((print, {"every": True}), "every is"),
    ],
)
def test_what_cannot_be_told_is_refused(arguments: tuple[Any, ...], message: str) -> None:
    """Before anything is watched."""
    function, options = (*arguments, {})[:2]
    with pytest.raises((TypeError, ValueError), match=message):
        Run.__new__(Run).on_update(function, **options)


# ------------------------------------------------------------------ a rule that stops
def test_a_rule_stops_what_it_holds_for(space: Workspace, tmp_path: Path) -> None:
    """Running and queued ones; the others go on, the driver sees aborts, and the count is told."""
    run = flyte.run(drive, str(tmp_path), list(range(10)))
    wait_until(running(run, 10))

    assert run.abort_where(lambda row: row.number >= 6, reason="too large") == 4
    wait_until(lambda: phases(run).get("aborted", 0) == 4)
    assert run.abort_where(lambda row: row.number >= 6) == 0
    open_gates(tmp_path, *range(6))
    assert finished(run).outputs()[0] == 6
    assert phases(run) == {"aborted": 4, "succeeded": 16}
    assert {(row.number, row.error) for row in run.stream() if row.phase == "aborted"} == {(number, "too large") for number in range(6, 10)}


def test_queued_actions_are_dropped(narrow_space: Workspace, tmp_path: Path) -> None:
    """They never start."""

    @env.task
    def block(folder: str, number: int) -> int:
        import time  # noqa: PLC0415 - in the worker
        from pathlib import Path  # noqa: PLC0415 - as above

        while not (Path(folder) / "0").exists():
            time.sleep(0.005)
        return number

    @env.task
    async def main(folder: str) -> int:
        made = await asyncio.gather(*(block.aio(folder, number) for number in range(5)), return_exceptions=True)
        return sum(isinstance(each, int) for each in made)

    run = flyte.run(main, str(tmp_path))
    wait_until(lambda: run.state.count == 6 and running(run, 1)())
    count = run.abort_where(lambda row: row.phase == "queued" and row.seconds != row.seconds)
    wait_until(lambda: phases(run).get("aborted") == count)
    open_gates(tmp_path, 0)

    assert finished(run).outputs()[0] == 5 - count
    assert count >= 3


def test_a_rule_that_fails_stops_nothing(space: Workspace, tmp_path: Path) -> None:
    """A column that open actions do not have yet is named; the run goes on."""
    run = flyte.run(drive, str(tmp_path), [1, 2])
    wait_until(running(run, 2))
    with pytest.raises(AttributeError, match="no column 'double'"):
        run.abort_where(lambda row: row.double > 1)
    with pytest.raises(TypeError, match="takes a function of a row, got str"):
        run.abort_where("number > 1")  # type: ignore[call-overload]  # that is the test
    open_gates(tmp_path, 1, 2)
    assert finished(run).outputs()[0] == 2
    assert run.abort_where(bool) == 0


def test_a_rule_that_is_kept_holds_for_what_comes_later(space: Workspace, tmp_path: Path) -> None:
    """Until the run is over; each action is told once."""

    @env.task
    async def rounds(folder: str) -> list[int]:
        good = []
        for number in range(4):
            made = await asyncio.gather(pass_gate(folder, number), pass_gate(folder, 100 + number), return_exceptions=True)
            good.append(sum(isinstance(each, dict) for each in made))
        return good

    open_gates(tmp_path, *range(4))
    run = flyte.run(rounds, str(tmp_path))
    rule = run.abort_where(lambda row: row.number >= 100, keep=True, every=0.01)

    assert finished(run).outputs()[0] == [1, 1, 1, 1]
    wait_until(rule.done)
    assert (rule.count, rule.error) == (4, None)


def test_a_kept_rule_can_be_taken_back_and_says_when_it_fails(space: Workspace, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`cancel()` ends it; so does an error in it, which is shown; the run goes on."""
    run = flyte.run(drive, str(tmp_path), [1, 2])
    wait_until(running(run, 2))
    asked: list[int] = []
    rule = run.abort_where(lambda row: asked.append(row.number), keep=True, every=0.01)
    wait_until(lambda: len(asked) > 4)
    rule.cancel()
    wait_until(rule.done)

    looks = iter(range(3))
    failing = run.abort_where(lambda _: next(looks) > 5, keep=True, every=0.01)
    wait_until(failing.done)
    assert isinstance(failing.error, StopIteration)
    assert "abort_where of run" in capsys.readouterr().err
    open_gates(tmp_path, 1, 2)
    assert finished(run).outputs()[0] == 2


# ------------------------------------------------------------------ successive halving, as docs/sweeps.md has it
def loss_after(rate: float, steps: int) -> float:
    """A stand-in for training: every rate gets better with time, the good ones to a lower floor."""
    return abs(rate - 0.3) + 1.0 / (steps + 1)


@env.task
async def train(rate: float, steps: int) -> float:
    """Train for so many steps."""
    return loss_after(rate, steps)


def halve(rates: list[float], losses: list[float]) -> list[float]:
    """The better half, the best first."""
    ranked = sorted(zip(losses, rates, strict=True))
    return [rate for _, rate in ranked[: max(1, len(ranked) // 2)]]


@env.task
async def search(rates: list[float], steps: int) -> list[float]:
    """Successive halving: train all for a little, keep the better half, train it for twice as long."""
    rounds = 0
    while len(rates) > 1:
        with flyte.group(f"round {rounds}"):
            losses = await asyncio.gather(*(train(rate, steps) for rate in rates))
        rates, steps, rounds = halve(rates, list(losses)), steps * 2, rounds + 1
    return rates


def plain_search(rates: list[float], steps: int) -> list[float]:
    """The same in plain Python."""
    while len(rates) > 1:
        rates, steps = halve(rates, [loss_after(rate, steps) for rate in rates]), steps * 2
    return rates


def test_successive_halving_is_plain_asyncio(space: Workspace) -> None:
    """The same result as in plain Python, with a group a round."""
    chance = random.Random(3)  # noqa: S311 - no secret
    rates = [chance.random() for _ in range(64)]
    run = finished(flyte.run(search, rates, 10))

    assert run.outputs()[0] == plain_search(rates, 10)
    groups = run.actions.groupby("group").size()
    assert {name: int(size) for name, size in groups.items() if name} == {f"round {n}": 64 >> n for n in range(6)}
    assert flyte.best(run, by="output", minimize=True).rate == run.outputs()[0][0]
