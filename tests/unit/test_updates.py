"""When a function is told how a run goes on: at a bounded rate, in the thread that asked, and at the end."""

from __future__ import annotations

import asyncio
import itertools
import time
from typing import Any

import pytest

from flyte_nb.remote import updates
from flyte_nb.remote.updates import Given, Updates, deliver_here, deliver_last
from tests.fakes.fake_run import FakeRun


class Clock:
    """Time that the test moves."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        monkeypatch.setattr(time, "monotonic", lambda: self.now)


class Told:
    """A function that keeps what it was given."""

    def __init__(self) -> None:
        self.calls: list[Any] = []

    def __call__(self, value: Any) -> None:
        """Keep it."""
        self.calls.append(value)


def follow(run: FakeRun, function: Any, every: float = 1.0) -> Updates:
    """Updates that give how many actions there are."""

    def given() -> Given:
        return (run.state.count,), False

    return Updates(run, function, given, every)  # type: ignore[arg-type]  # a fake has no home


def test_a_thread_without_a_loop_is_told_while_it_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not more often than asked for, only after changes, and at the end without delay."""
    clock, run, told = Clock(monkeypatch), FakeRun(), Told()
    updates_ = follow(run, told)

    deliver_here()
    assert told.calls == [1]  # what had happened before
    run.announce()
    deliver_here()
    assert told.calls == [1]  # too soon
    clock.now += 1.1
    deliver_here()
    assert told.calls == [1, 1]
    clock.now += 9
    deliver_here()
    assert told.calls == [1, 1]  # nothing changed
    run.finish()
    run.announce()
    deliver_here()
    assert (told.calls, updates_.done(), run.callbacks) == ([1, 1, 1], True, [])
    deliver_here()
    assert updates_.calls == 3


def test_a_call_that_takes_long_is_followed_by_a_longer_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread has other things to do: at most a fifth of its time is spent here."""
    clock, run = Clock(monkeypatch), FakeRun()
    calls: list[float] = []

    def slow(_: int) -> None:
        calls.append(clock.now)
        clock.now += 10

    updates_ = follow(run, slow)
    for _ in range(200):
        deliver_here()
        run.announce()
        clock.now += 1
    updates_.cancel()
    assert {int(after - before) for before, after in itertools.pairwise(calls)} == {50}


def test_one_that_is_cancelled_is_not_called_again() -> None:
    """At the end neither, and nothing of it is left."""
    run, told = FakeRun(), Told()
    updates_ = follow(run, told)
    deliver_here()
    updates_.cancel()
    run.finish()
    run.announce()
    deliver_here()
    assert (told.calls, updates_.done(), run.callbacks) == ([1], True, [])


def test_a_run_that_is_over_is_told_at_once() -> None:
    """One call, with the end."""
    run, told = FakeRun(), Told()
    run.finish()
    assert follow(run, told).done()
    assert told.calls == [1]


def test_an_error_is_shown_once_and_the_calls_go_on(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """With the user's own frames; another error is shown too; the last one is kept."""
    clock, run = Clock(monkeypatch), FakeRun()
    errors = iter([KeyError("score"), KeyError("score"), ValueError("other")])

    def fails(_: int) -> None:
        raise next(errors)

    updates_ = follow(run, fails)
    for _ in range(2):
        deliver_here()
        run.announce()
        clock.now += 2
    run.finish()
    deliver_here()

    said = capsys.readouterr().err
    assert said.count("KeyError: 'score'") == 1
    assert said.count("ValueError: other") == 1
    assert "in fails" in said
    assert "updates.py" not in said.replace("test_updates.py", "")
    assert (str(updates_.error), updates_.calls, updates_.done()) == ("other", 3, True)


def test_what_is_given_may_fail_too(capsys: pytest.CaptureFixture[str]) -> None:
    """A table that cannot be made is shown as the function's own errors are."""
    run, told = FakeRun(), Told()

    def given() -> Given:
        raise MemoryError("too large")

    Updates(run, told, given, 1.0)  # type: ignore[arg-type]  # a fake has no home
    run.finish()
    deliver_here()
    assert told.calls == []
    assert "MemoryError: too large" in capsys.readouterr().err


def test_more_than_one_call_takes_is_given_in_several() -> None:
    """At the end all of it, also when the process ends."""
    for finish in (deliver_here, deliver_last):
        run, told = FakeRun(), Told()
        left = [3, 2, 1]

        def given(left: list[int] = left) -> Given:
            return ((left.pop(0),) if left else None), bool(left)

        updates_ = Updates(run, told, given, 1.0)  # type: ignore[arg-type]  # a fake has no home
        run.finish()
        finish()
        assert (told.calls, updates_.done()) == ([3, 2, 1], True)


def test_a_process_that_ends_tells_of_runs_that_go_on() -> None:
    """Better than nothing; and no updates are left."""
    run, told = FakeRun(), Told()
    updates_ = follow(run, told)
    deliver_last()
    assert (told.calls, updates_.done(), run.callbacks) == ([1], True, [])


def test_a_loop_calls_when_it_is_free() -> None:
    """From the thread of the loop, though the change is told from another one; `await` waits for the last call."""

    async def main() -> tuple[list[int], bool]:
        run, told = FakeRun(), Told()
        updates_ = follow(run, told, every=0.001)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert told.calls == [1]
        await asyncio.to_thread(run.announce)
        while len(told.calls) < 2:  # noqa: ASYNC110 - the calls are what is waited for
            await asyncio.sleep(0.001)
        run.finish()
        await asyncio.to_thread(run.announce)
        await updates_
        return told.calls, updates_.done()

    assert asyncio.run(main()) == ([1, 1, 1], True)


def test_an_async_function_is_awaited_one_call_at_a_time() -> None:
    """A call that goes on is not overtaken by the next one, and the end waits for it."""

    async def main() -> list[str]:
        run = FakeRun()
        gate = asyncio.Event()
        story: list[str] = []

        async def slow(count: int) -> None:
            story.append(f"begin {count}")
            await gate.wait()
            story.append("end")

        updates_ = follow(run, slow, every=0.001)
        while not story:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0)
        run.finish()
        run.announce()
        deliver_here()
        await asyncio.sleep(0.01)
        assert story == ["begin 1"]
        gate.set()
        await updates_
        return story

    assert asyncio.run(main()) == ["begin 1", "end", "begin 1", "end"]


def test_an_async_function_needs_a_loop() -> None:
    """Nobody would await it."""

    async def function(_: int) -> None: ...

    with pytest.raises(TypeError, match="running event loop"):
        follow(FakeRun(), function)
    assert updates._live == []


def test_a_loop_that_was_closed_leaves_the_calls_to_waits() -> None:
    """A driver's loop may be gone before the run's end."""
    run, told = FakeRun(), Told()

    async def ask() -> Updates:
        return follow(run, told)

    updates_ = asyncio.run(ask())
    run.finish()
    run.announce()
    deliver_here()
    assert (told.calls[-1], updates_.done()) == (1, True)


def test_a_function_that_waits_for_the_run_is_not_called_in_itself() -> None:
    """`run.wait()` in the function does not begin it again."""
    run = FakeRun()
    depth: list[int] = []

    def waits(_: int) -> None:
        depth.append(len(depth))
        deliver_here()

    updates_ = follow(run, waits)
    deliver_here()
    assert depth == [0]
    updates_.cancel()
