"""Roots in the kernel: each attempt in a thread with a loop of its own, which ends whatever the body leaves behind."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator

import pytest

from flyte_nb.core.current import CURRENT
from flyte_nb.core.failure import Failure
from flyte_nb.engine import driver_loop
from flyte_nb.engine.commands import StopActions
from flyte_nb.engine.driver import DriverHost
from flyte_nb.engine.driver_loop import make_loop, task_or_call
from flyte_nb.engine.port import Caller
from flyte_nb.engine.stimuli import KERNEL, ChunkReport, Stimulus
from tests.fakes.plain_task import PlainTask, chunk

PATIENCE = 20.0


class Bench:
    """A host of drivers, and what it reports."""

    def __init__(self) -> None:
        self.posted: list[Stimulus] = []
        self._ended = threading.Event()
        self.host = DriverHost(Caller(KERNEL, self._post), self._post)

    def _post(self, stimulus: Stimulus) -> None:
        self.posted.append(stimulus)
        if isinstance(stimulus, ChunkReport) and stimulus.finished:
            self._ended.set()

    def start(self, func: Callable[..., object], *, pack: Callable[[object], str] | None = None) -> None:
        """Start a root."""
        self.host.keep("r", PlainTask(func, pack=pack))
        self.host.start(chunk(1))

    def end(self) -> ChunkReport:
        """The report that ends the attempt."""
        assert self._ended.wait(PATIENCE), self.posted
        report = self.posted[-1]
        assert isinstance(report, ChunkReport)
        return report

    def failure(self) -> Failure:
        """The failure that ends it."""
        return self.end().failed[0][1]


@pytest.fixture
def bench() -> Iterator[Bench]:
    """A host; its drivers have ended when the test has."""
    made = Bench()
    yield made
    made.host.forget_run("r")
    assert made.host.left_over() == []


def test_a_body_runs_in_a_thread_of_its_own_and_returns(bench: Bench) -> None:
    """Its start is told first, its output last; it is the root's action."""

    async def body(x: int) -> str:
        frame = CURRENT.get()
        assert frame is not None
        await asyncio.sleep(0)
        return f"{x} {frame.action.row} {frame.action.token} {threading.current_thread().name}"

    bench.start(body)

    assert bench.end().outputs == ["0 0 1 flyte_nb-driver-r"]
    first = bench.posted[0]
    assert isinstance(first, ChunkReport)
    assert [index for index, _at in first.begun] == [0]


def test_a_plain_body_runs_too(bench: Bench) -> None:
    """A sync root may be asked to run in the kernel."""
    bench.start(lambda x: x + 5)

    assert bench.end().outputs == [5]


@pytest.mark.parametrize("error", [ValueError("no"), SystemExit(3), KeyboardInterrupt(), asyncio.CancelledError()])
def test_whatever_a_body_raises_is_its_result(bench: Bench, error: BaseException) -> None:
    """Nothing ends the kernel, or is lost."""

    async def body(_x: int) -> None:
        raise error

    bench.start(body)

    assert bench.failure().code == type(error).__name__


def test_an_output_that_cannot_be_packed_fails_the_root(bench: Bench) -> None:
    """Whatever packing raises, the end is told."""

    def pack(_value: object) -> str:
        raise SystemExit("in a reducer")

    bench.start(lambda _x: None, pack=pack)

    assert bench.failure().code == "SystemExit"


def test_a_body_that_is_told_to_stop_is_cancelled(bench: Bench) -> None:
    """It gets `CancelledError`; its later calls are refused."""
    started = threading.Event()
    refusals: list[str] = []

    async def body(_x: int) -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            frame = CURRENT.get()
            assert frame is not None
            refusals.append(frame.action.refusal)

    bench.start(body)
    started.wait(PATIENCE)
    bench.host.stop(StopActions(KERNEL, 1, [0]))

    assert [index for index, _at in bench.end().stopped] == [0]
    assert refusals == ["the run was aborted"]


def test_a_body_that_is_told_to_stop_before_it_starts_never_runs(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The stop may come before the thread has made its task."""
    start = threading.Thread.start
    held: list[threading.Thread] = []
    monkeypatch.setattr(threading.Thread, "start", lambda thread: held.append(thread))  # noqa: PLW0108 - a method
    bench.start(lambda _x: 1 // 0)
    monkeypatch.setattr(threading.Thread, "start", start)
    bench.host.stop(StopActions(KERNEL, 1, [0]))
    held[0].start()

    assert bench.end().stopped


def test_a_stop_that_comes_too_late_is_ignored(bench: Bench) -> None:
    """The body has ended, its loop is closed."""
    bench.start(lambda x: x)
    driver = bench.host._drivers.get(1)
    bench.end()
    bench.host.stop(StopActions(KERNEL, 1, [0]))
    if driver is not None:
        driver.thread.join(PATIENCE)
        driver.stop()


def test_what_a_body_prints_is_told_line_by_line(bench: Bench) -> None:
    """A line that was not ended is told at the end."""

    def body(_x: int) -> None:
        frame = CURRENT.get()
        assert frame is not None
        assert frame.write is not None
        for text in ("one", "\n", "two"):
            frame.write(text)

    bench.start(body)
    bench.end()

    assert [each.logs for each in bench.posted if isinstance(each, ChunkReport) and each.logs] == [[(0, "one\n")], [(0, "two")]]


def test_what_a_body_leaves_on_its_loop_is_ended(bench: Bench) -> None:
    """Tasks that nobody awaited are cancelled, and the end is told all the same if they object."""
    cancelled: list[str] = []

    async def left(name: str) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.append(name)

    async def objects() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise SystemExit(9) from None

    async def body(_x: int) -> str:
        tasks = [asyncio.create_task(left("a")), asyncio.create_task(objects()), asyncio.create_task(left("b"))]
        await asyncio.sleep(0)
        return str(len(tasks))

    bench.start(body)

    assert bench.end().outputs == ["3"]
    assert set(cancelled) == {"a", "b"}


def test_what_does_not_end_on_a_loop_is_not_waited_for_for_ever(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A task that swallows its cancellation delays the run's end by a moment only."""
    monkeypatch.setattr(driver_loop, "CLOSE_SECONDS", 0.01)

    async def stubborn() -> None:
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                continue

    async def body(_x: int) -> str:
        body.task = asyncio.create_task(stubborn())  # type: ignore[attr-defined]  # kept, so that it is not collected here
        await asyncio.sleep(0)
        return "done"

    bench.start(body)

    assert bench.end().outputs == ["done"]
    body.task.get_coro().close()  # type: ignore[attr-defined]  # the test's own task


def test_a_loop_for_bodies_takes_calls_as_they_are() -> None:
    """What has `start_now` is started and stands for itself; other coroutines become tasks."""

    class Call:
        def start_now(self, loop: asyncio.AbstractEventLoop, options: object) -> object:
            return loop, options

    async def plain() -> int:
        return 1

    loop = make_loop()
    started: object = task_or_call(loop, Call(), name="x")  # type: ignore[arg-type]  # that is the point
    made = loop.run_until_complete(loop.create_task(plain()))
    loop.close()

    assert (started, made) == ((loop, {"name": "x"}), 1)
