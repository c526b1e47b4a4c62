"""The engine's thread: it carries out orders, and nothing that goes wrong there leaves anybody waiting for ever."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Callable, Iterator, Sequence

import pytest

from flyte_nb.core.events import Event, TaskFacts
from flyte_nb.core.phases import ActionPhase
from flyte_nb.core.state import RunState
from flyte_nb.engine.backend import Listener
from flyte_nb.engine.commands import AnnounceEnd, Command, SendChunk, StopActions
from flyte_nb.engine.controller import Controller
from flyte_nb.engine.runner import BUSY_GC_THRESHOLD, Runner, RunRefusedError
from flyte_nb.engine.stimuli import AgentJoined, AgentLost, ChunkReport, RunRequested
from tests.fakes.fake_backend import FakeBackend
from tests.fakes.plain_task import PlainTask

PATIENCE = 20.0


class Sink:
    """Hears of events; may be told to fail."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.ends: list[str] = []
        self.broken = False

    def recorded(self, events: Sequence[Event]) -> None:
        """Keep them."""
        if self.broken:
            raise RuntimeError("a broken listener")
        self.events += events

    def ended(self, state: RunState) -> None:
        """Keep it."""
        if self.broken:
            raise RuntimeError("a broken listener")
        self.ends.append(state.name)


class Bench:
    """A runner on a backend that only takes orders."""

    def __init__(self, backend: FakeBackend | None = None, grace: float = 0.05) -> None:
        self.backend, self.sink = backend or FakeBackend(), Sink()
        self.lines: list[str] = []
        self.runner = Runner(self.backend, sinks=(self.sink,), grace_seconds=grace, on_cluster=self.lines.append)

    def request(self, name: str = "r", func: Callable[..., object] = lambda _x: 5, *, in_kernel: bool = True) -> RunState:
        """Ask for a run."""
        task = PlainTask(func, "root")
        facts = TaskFacts("root", "env.root", "root", ("x",), is_async=in_kernel)
        return self.runner.request(RunRequested(name, facts, b"" if in_kernel else b"root", (1,), in_kernel, 100), task)

    def wait(self, run: str = "r") -> None:
        """Wait for a run's end."""
        assert self.runner.ended_event(run).wait(PATIENCE)

    def join(self) -> None:
        """A worker comes."""
        self.runner.start_cluster()
        self.backend.call(lambda: self.backend.listener.joined(AgentJoined("w1", "w1", 1, 1)))


@pytest.fixture
def bench() -> Iterator[Bench]:
    """A runner, closed at the end."""
    made = Bench()
    yield made
    made.runner.close(2)


def test_a_root_in_the_kernel_runs_and_its_run_ends(bench: Bench) -> None:
    """The state is there at once; sinks hear of events in order, then of the end."""
    state = bench.request()
    bench.wait()

    assert (state.phase, state.output(0), bench.sink.ends) == (ActionPhase.SUCCEEDED, 5, ["r"])
    assert type(bench.sink.events[0]).__name__ == "RunStarted"
    assert bench.runner.live_runs() == []


def test_a_run_of_a_name_in_use_is_refused_and_the_live_one_keeps_its_task(bench: Bench) -> None:
    """Neither its body nor its place among the live runs is taken away."""
    go = threading.Event()
    bench.request("r", lambda _x: go.wait(PATIENCE))
    with pytest.raises(RunRefusedError, match="in progress"):
        bench.request("r", lambda _x: 1 // 0)
    live = bench.runner.live_runs()
    kept = bench.runner._drivers._tasks["r"]
    go.set()
    bench.wait()

    assert live == ["r"]
    assert isinstance(kept, PlainTask)
    assert kept.func is not None


def test_a_name_used_again_is_live_again(bench: Bench) -> None:
    """Whoever waits for the second run of a name does not get the end of the first."""
    bench.request("r")
    bench.wait()
    go = threading.Event()
    state = bench.request("r", lambda _x: go.wait(PATIENCE))

    assert (bench.runner.live_runs(), bench.runner.ended_event("r").is_set()) == (["r"], False)
    go.set()
    bench.wait()
    assert state.output(0) is True


def test_orders_for_workers_go_to_the_backend(bench: Bench) -> None:
    """Chunks, tasks and stops; what a worker reports is handled."""
    bench.join()
    state = bench.request(in_kernel=False)
    (chunk,) = [order for order in bench.backend.sent if isinstance(order, SendChunk)]
    bench.runner.abort("r", 0, "enough")
    bench.backend.call(lambda: None)
    bench.backend.call(lambda: bench.backend.listener.received([ChunkReport(chunk.chunk, stopped=[(0, 2.0)], finished=True)]))
    bench.wait()

    assert state.phase is ActionPhase.ABORTED
    assert any(isinstance(order, StopActions) for order in bench.backend.sent)
    assert bench.runner.load() == (1, 1, 0)


def test_a_listener_that_fails_keeps_nothing_from_happening(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    """The run ends, whoever waits for it is told, and the log says who failed."""
    bench.sink.broken = True
    state = bench.request()
    bench.wait()

    assert state.phase is ActionPhase.SUCCEEDED
    assert "a listener to events failed" in caplog.text
    assert "a listener failed at the end of run r" in caplog.text


def test_a_driver_that_cannot_be_started_ends_its_run(
    bench: Bench, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run is aborted and says so; nobody waits for a body that does not run."""

    def fail(_command: Command) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(bench.runner._drivers, "start", fail)
    state = bench.request()
    bench.wait()

    assert (state.phase, "flyte_nb itself failed (SendChunk)" in state.abort_reason(0)) == (ActionPhase.ABORTED, True)
    assert "can't start new thread" in caplog.text


def test_a_worker_that_cannot_be_reached_is_lost(bench: Bench) -> None:
    """What it has is queued again; the order that failed is not waited for."""
    bench.join()

    def fail(command: Command) -> None:
        if isinstance(command, SendChunk):
            raise OSError("broken pipe")

    bench.backend.on_send = fail
    bench.request(in_kernel=False)
    bench.backend.call(lambda: None)
    bench.backend.call(lambda: None)

    assert bench.runner.load() == (0, 0, 0)


def test_a_worker_that_cannot_be_ended_is_given_up(bench: Bench) -> None:
    """A body that does not stop, on a worker that we fail to kill, does not keep its run from ending."""
    bench.join()

    def fail(_agent: str) -> None:
        raise PermissionError("not yours")

    bench.backend.on_kill = fail
    state = bench.request(in_kernel=False)
    bench.runner.abort("r", 0, "enough")
    bench.wait()

    assert state.phase is ActionPhase.ABORTED


def test_an_order_that_concerns_no_run_and_fails_ends_all_of_them(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer that cannot be handed over may be what any run waits for."""
    bench.runner.start_cluster()
    go = threading.Event()
    state = bench.request("r", lambda _x: go.wait(PATIENCE))
    bench.backend.call(lambda: bench.runner._not_carried_out(AnnounceEnd("")))
    bench.wait()
    go.set()
    monkeypatch.undo()

    assert state.phase is ActionPhase.ABORTED


def test_a_defect_at_the_start_of_a_run_is_told_to_who_asked(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """`request` does not wait for ever for a run that never was."""
    monkeypatch.setattr(Controller, "handle", lambda *_: 1 // 0)

    with pytest.raises(RunRefusedError, match="ZeroDivisionError"):
        bench.request()
    assert bench.runner.live_runs() == []


def test_a_defect_of_the_controller_is_logged_and_ends_the_run(
    bench: Bench, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log has the traceback, the run's message names the defect."""
    go = threading.Event()
    state = bench.request("r", lambda _x: go.wait(PATIENCE))
    monkeypatch.setattr(type(bench.runner._controller.placement), "dispatch", lambda *_: 1 // 0)
    bench.runner.abort("other", 0, "nothing")
    bench.wait()
    go.set()

    assert (state.phase, state.failures[0].code) == (ActionPhase.FAILED, "EngineError")
    assert "ZeroDivisionError" in caplog.text


def test_what_a_backend_tells_while_it_takes_an_order_comes_after_the_other_orders(bench: Bench) -> None:
    """A backend that loses and replaces a worker inside of `kill` does not turn the order of orders around."""
    bench.join()
    seen: list[str] = []

    def replace(_agent: str) -> None:
        bench.backend.listener.joined(AgentJoined("w2", "w2", 2, 1))
        bench.backend.listener.lost(AgentLost("w1", "ended"))
        seen.append(f"{sorted(bench.runner._controller.placement.agents)}")

    bench.backend.on_kill = replace
    state = bench.request(in_kernel=False)
    bench.runner.abort("r", 0, "enough")  # nobody stops: after the grace the worker is ended
    bench.wait()

    assert (seen, state.phase) == (["['w1']"], ActionPhase.ABORTED)
    assert sorted(bench.runner._controller.placement.agents) == ["w2"]


def test_the_engines_own_thread_may_not_block_on_itself(bench: Bench) -> None:
    """A callback that starts a run, or scales, would wait for the thread that it is called on."""
    bench.runner.start_cluster()
    errors: list[str] = []

    def blocking() -> None:
        for action in (bench.request, lambda: bench.runner.scale(2)):
            with pytest.raises(RuntimeError, match="engine's own thread") as caught:
                action()
            errors.append(str(caught.value))

    bench.backend.call(blocking)

    assert len(errors) == 2


def test_a_cluster_that_cannot_be_started_ends_its_runs_and_is_tried_again() -> None:
    """The reason is told; the next run starts it anew."""
    bench = Bench(FakeBackend(fails=1))
    state = bench.request("r", in_kernel=False)
    bench.wait()
    with pytest.raises(OSError, match="no room"):
        bench.runner._call(_raise_of(bench.runner), 5)
    bench.join()
    again = bench.request("s", in_kernel=False)

    assert "the cluster could not be started: OSError: no room" in state.abort_reason(0)
    assert (bench.backend.starts, again.phase) == (2, ActionPhase.QUEUED)
    assert bench.lines[0].startswith("the cluster could not be started")
    bench.runner.close(0.2)


def test_a_start_that_fails_after_a_worker_had_come_ends_what_that_one_was_given() -> None:
    """Nobody tells its end any more: the run does not wait for it."""

    class HalfThere(FakeBackend):
        async def start(self, listener: Listener) -> None:
            await super().start(listener)
            listener.joined(AgentJoined("w1", "w1", 1, 1))
            while not self.sent:  # noqa: ASYNC110 - until it was given work
                await asyncio.sleep(0)
            raise OSError("no room")

    bench = Bench(HalfThere())
    state = bench.request("r", in_kernel=False)
    bench.wait()

    assert state.phase is ActionPhase.ABORTED
    assert "the cluster could not be started: OSError: no room" in state.abort_reason(0)
    bench.runner.close(0.2)


async def _raise_of(runner: Runner) -> None:
    if runner._cluster_error is not None:
        raise runner._cluster_error


def test_a_closed_runner_takes_no_runs_and_closes_once() -> None:
    """What was live is aborted; the backend is closed once; later requests are refused."""
    bench = Bench()
    go = threading.Event()
    state = bench.request("r", lambda _x: go.wait(PATIENCE))
    bench.runner.close(4)
    bench.runner.close(4)
    go.set()

    with pytest.raises(RunRefusedError, match="closed"):
        bench.request("s")
    assert state.phase is ActionPhase.ABORTED
    assert (bench.backend.closes, gc.get_threshold() != BUSY_GC_THRESHOLD) == (1, True)
    bench.runner.post(AgentLost("w1", "late"))


def test_the_garbage_collector_is_calm_while_runs_are_live(bench: Bench) -> None:
    """A million live rows make each of its looks expensive; afterwards it is as it was."""
    bench.runner.start_cluster()
    before = gc.get_threshold()
    go = threading.Event()
    bench.request("r", lambda _x: go.wait(PATIENCE))
    bench.backend.call(lambda: None)
    during = gc.get_threshold()
    go.set()
    bench.wait()

    assert (during, gc.get_threshold()) == (BUSY_GC_THRESHOLD, before)


def test_the_load_can_be_read_while_workers_come_and_go(bench: Bench) -> None:
    """Readers in other threads never see a half-changed table of workers."""
    bench.runner.start_cluster()
    done = threading.Event()

    def churn() -> None:
        for number in range(300):
            bench.backend.listener.joined(AgentJoined(f"w{number}", "w", 1, 1))
            if number > 20:
                bench.backend.listener.lost(AgentLost(f"w{number - 20}", "gone"))

    def change() -> None:
        for _ in range(3):
            bench.backend.call(churn)
        done.set()

    changer = threading.Thread(target=change)
    changer.start()
    seen = set()
    while not done.is_set():
        seen.add(bench.runner.load()[0])
    changer.join()

    assert seen
