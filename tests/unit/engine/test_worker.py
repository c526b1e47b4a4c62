"""A worker's end: chunks in, bodies run, reports out; bodies that block, bodies that are stopped."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import TypeVar

import cloudpickle
import pytest

from flyte_nb.core.current import CURRENT
from flyte_nb.core.failure import Failure
from flyte_nb.engine import loading
from flyte_nb.engine.bodies import StopAction
from flyte_nb.engine.commands import AnswerFailure, AnswerName, AnswerOutputs, ForgetRun, SendChunk, SendTask, StopActions
from flyte_nb.engine.stimuli import Called, CallsCancelled, ChunkReport, NameAsked, SlotYielded, Stimulus, TaskOffered
from flyte_nb.engine.work import ChunkWork
from flyte_nb.engine.worker import Agent
from tests.fakes.plain_task import PlainTask, chunk

T = TypeVar("T")
PATIENCE = 20.0
#: Under a tracer (coverage), a thrown exception may strike the tracer's own code, which then holds its lock for ever.
throws = pytest.mark.skipif(sys.gettrace() is not None, reason="exceptions that are thrown into a thread may strike the tracer")
FAILURE = Failure("user", "ValueError", "no")


class Bench:
    """An agent whose messages to the kernel a test reads, and whose calls a function answers."""

    def __init__(self, slots: int = 1, answer: Callable[[Called], object] = lambda _call: None) -> None:
        self.sent: list[Stimulus] = []
        self.ends: dict[int, dict[int, object]] = {}
        self._changed = threading.Condition()
        self._answer = answer
        self.agent = Agent("w1", slots=slots, send=self._take)

    def _take(self, stimulus: Stimulus) -> None:
        with self._changed:
            self.sent.append(stimulus)
            if isinstance(stimulus, ChunkReport):
                ends = self.ends.setdefault(stimulus.chunk, {})
                for index, output in zip(stimulus.indices, stimulus.outputs, strict=True):
                    self._end(ends, index, output)
                for index, failure, _started, _ended in stimulus.failed:
                    self._end(ends, index, failure)
                for index, _ended in stimulus.stopped:
                    self._end(ends, index, "stopped")
                for index in stimulus.returned:
                    self._end(ends, index, "returned")
            self._changed.notify_all()
        if isinstance(stimulus, Called):
            self._answer(stimulus)

    @staticmethod
    def _end(ends: dict[int, object], index: int, end: object) -> None:
        assert index not in ends, f"action {index} ended twice: {ends[index]!r}, {end!r}"
        ends[index] = end

    def give(self, order: SendChunk, func: Callable[..., object] | None = None) -> None:
        """Send a chunk whose task runs a function."""
        if func is not None:
            self.agent.tasks.put(order.digest, PlainTask(func))
        self.agent.receive(order)

    def stop(self, number: int, *indices: int) -> None:
        """Tell actions to stop."""
        self.agent.receive(StopActions("w1", number, indices))

    def wait(self, reached: Callable[[], bool]) -> None:
        """Wait for something that a message brings about."""
        with self._changed:
            assert self._changed.wait_for(reached, PATIENCE), self.sent

    def results(self, number: int, count: int) -> list[object]:
        """How the actions of a chunk ended, when they all have."""
        self.wait(lambda: len(self.ends.get(number, {})) == count)
        return [self.ends[number][index] for index in range(count)]

    def of(self, kind: type[T]) -> list[T]:
        """Messages of one kind."""
        return [stimulus for stimulus in self.sent if isinstance(stimulus, kind)]


@pytest.fixture
def bench() -> Iterator[Bench]:
    """A worker with one slot; its threads end with the test."""
    made = Bench()
    yield made
    asyncio.run(made.agent.close())


def answers(bench_of: Callable[[], Bench], value: object = "answer") -> Callable[[Called], None]:
    """Answer each call at once, from a thread of its own, as the agent's loop would."""

    def answer(call: Called) -> None:
        seqs = range(call.first_seq, call.first_seq + len(call.inputs))
        outputs = AnswerOutputs("w1", call.port, seqs, [value] * len(seqs))  # type: ignore[list-item]  # a scalar
        threading.Thread(target=bench_of().agent.receive, args=(outputs,)).start()

    return answer


def answering() -> Bench:
    """A worker whose calls are all answered at once."""
    bench = Bench()
    bench._answer = answers(lambda: bench)
    return bench


def call_blocking(value: object = 1) -> object:
    """What a sync task call does inside of a body."""
    frame = CURRENT.get()
    assert frame is not None
    stream = frame.submitter.stream(PlainTask(name="child"), frame)
    try:
        stream.submit([(value,)])  # type: ignore[list-item]  # a scalar
        stream.wait_result(0)
        return stream.result(0)[1]
    finally:
        stream.close()


# ------------------------------------------------------------------ sync bodies
def test_a_chunk_runs_in_order_in_one_thread(bench: Bench) -> None:
    """Outputs are told with their positions; the chunk is finished with the last one."""
    threads: list[int] = []

    def body(x: int) -> int:
        threads.append(threading.get_ident())
        return x * x

    bench.give(chunk(1, 4), body)

    assert bench.results(1, 4) == [0, 1, 4, 9]
    assert len(set(threads)) == 1
    assert [report.finished for report in bench.of(ChunkReport)][-1]


def test_a_slot_goes_on_after_an_error_of_any_kind(bench: Bench) -> None:
    """Whatever a body raises is its result: an exit, an interrupt, a generator's end."""
    raised = [SystemExit(3), KeyboardInterrupt(), GeneratorExit(), ValueError("no"), asyncio.CancelledError(), StopIteration()]

    def body(x: int) -> None:
        raise raised[x]

    bench.give(chunk(1, len(raised)), body)
    bench.give(chunk(2, 1, digest="e"), lambda _x: "fine")

    assert [getattr(end, "code", end) for end in bench.results(1, len(raised))] == [type(each).__name__ for each in raised]
    assert bench.results(2, 1) == ["fine"]


def test_what_a_chunk_has_not_started_when_its_budget_is_used_goes_back(bench: Bench) -> None:
    """Long actions do not keep those behind them from other workers."""
    bench.give(chunk(1, 3, budget=0.0), lambda x: x)

    assert bench.results(1, 3) == [0, "returned", "returned"]


def test_a_context_variable_does_not_leak_from_one_action_into_the_next(bench: Bench) -> None:
    """Each body has a context of its own."""
    variable = ContextVar("variable", default=0)

    def body(_x: int) -> int:
        variable.set(variable.get() + 1)
        return variable.get()

    bench.give(chunk(1, 3), body)

    assert bench.results(1, 3) == [1, 1, 1]


def test_a_defect_in_a_slot_fails_the_chunk_and_not_the_worker(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """If our own code fails, the chunk's actions have an end, and the slot takes the next chunk."""
    monkeypatch.setattr(Agent, "_run_chunk", lambda *_: 1 // 0)
    bench.give(chunk(1, 2), lambda x: x)
    ends = bench.results(1, 2)
    monkeypatch.undo()
    bench.give(chunk(2, 1))

    assert [(end.kind, end.code) for end in ends if isinstance(end, Failure)] == [("system", "EngineError")] * 2
    assert bench.results(2, 1) == [0]


# ------------------------------------------------------------------ tasks
def test_a_task_is_loaded_once_and_kept(bench: Bench) -> None:
    """Its module's state outlives a chunk."""
    loads = []

    class Loaded(PlainTask):
        def __setstate__(self, state: dict[str, object]) -> None:
            loads.append(1)
            self.__dict__.update(state)
            self.func = lambda x: x + 1

    task = Loaded()
    task.func = None  # type: ignore[assignment]  # set when it is loaded
    bench.agent.receive(SendTask("w1", "d", cloudpickle.dumps(task)))
    bench.give(chunk(1, 1))
    bench.give(chunk(2, 1))

    assert (bench.results(1, 1), bench.results(2, 1)) == ([1], [1])


def test_tasks_that_had_to_go_are_loaded_again(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker forgets the tasks that it has not used for longest, never their bytes."""
    monkeypatch.setattr(loading, "KEEP_TASKS", 2)
    for number in range(1, 5):
        bench.agent.receive(SendTask("w1", f"d{number}", cloudpickle.dumps(PlainTask(abs, f"t{number}"))))
    for number, digest in enumerate(("d1", "d2", "d1", "d3", "d4", "d2", "d1"), 1):
        bench.give(chunk(number, 1, digest=digest))
        assert bench.results(number, 1) == [0]

    assert bench.agent.tasks.digests() == ["d2", "d1"]


@pytest.mark.parametrize("is_async", [True, False])
def test_a_task_that_cannot_be_loaded_fails_its_actions(bench: Bench, is_async: bool) -> None:  # noqa: FBT001 - a parameter
    """Each action of the chunk is told why; a module that is missing is named."""
    blob = cloudpickle.dumps(PlainTask(abs)).replace(b"builtins", b"biultins")
    bench.agent.receive(SendTask("w1", "d", blob))
    bench.give(chunk(1, 2, is_async=is_async))
    bench.give(chunk(2, 1, is_async=is_async, digest="never sent"))

    (first, second), (missing,) = bench.results(1, 2), bench.results(2, 1)
    assert isinstance(first, Failure)
    assert isinstance(missing, Failure)
    assert (first, first.code, "biultins" in first.message) == (second, "WorkerImportError", True)
    assert (missing.kind, missing.code) == ("system", "TaskMissingError")


# ------------------------------------------------------------------ async bodies
def test_async_actions_share_a_loop_and_run_at_once(bench: Bench) -> None:
    """All of a chunk wait for each other: they are in flight together."""
    gate: list[asyncio.Event] = []

    async def body(x: int) -> int:
        if not gate:
            gate.append(asyncio.Event())
        if x == 9:
            gate[0].set()
        await gate[0].wait()
        return x

    bench.give(chunk(1, 10, is_async=True), body)

    assert bench.results(1, 10) == list(range(10))


def test_whatever_an_async_body_raises_is_its_result(bench: Bench) -> None:
    """An exit in a body, or in a task that it made, does not end the loop that others run on."""

    async def body(x: int) -> str:
        async def leave() -> None:
            raise SystemExit(x)

        if x == 0:
            await leave()
        if x == 1:
            await asyncio.create_task(leave())
        if x == 2:
            raise asyncio.CancelledError
        for _ in range(5):
            await asyncio.sleep(0)
        return "fine"

    bench.give(chunk(1, 4, is_async=True), body)

    assert [getattr(end, "code", end) for end in bench.results(1, 4)] == ["SystemExit", "SystemExit", "CancelledError", "fine"]


def test_a_body_that_cancels_itself_and_returns_has_returned(bench: Bench) -> None:
    """The task that drives it is then cancelled; the action has one end all the same."""

    async def body(x: int) -> int:
        task = asyncio.current_task()
        assert task is not None
        if x == 0:
            task.cancel()
        return x

    bench.give(chunk(1, 3, is_async=True), body)

    assert bench.results(1, 3) == [0, 1, 2]


def test_what_an_async_chunk_has_not_started_in_time_goes_back(bench: Bench) -> None:
    """One that computes before its first pause delays others by itself only."""

    def slow(x: int) -> int:
        time.sleep(0.05)  # its thread is busy for longer than the budget
        return x

    async def body(x: int) -> int:
        return slow(x)

    bench.give(chunk(1, 3, is_async=True, budget=0.01), body)

    assert bench.results(1, 3)[1:] == ["returned", "returned"]


def test_an_async_task_may_have_a_plain_body(bench: Bench) -> None:
    """A function that returns no coroutine has returned its value."""
    bench.give(chunk(1, 2, is_async=True), lambda x: x + 1)

    assert bench.results(1, 2) == [1, 2]


def test_a_defect_at_the_start_of_an_action_does_not_hold_up_the_others(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The host goes on with the next one."""
    original = ChunkWork.begin

    def begin(work: ChunkWork, index: int) -> float:
        started = original(work, index)
        if index == 1:
            raise RuntimeError("broken")
        return started

    monkeypatch.setattr(ChunkWork, "begin", begin)
    bench.give(chunk(1, 3, is_async=True), lambda x: x)

    assert [getattr(end, "message", end) for end in bench.results(1, 3)] == [0, "broken", 2]


# ------------------------------------------------------------------ calls
def test_a_sync_body_lends_its_slot_while_it_waits() -> None:
    """What is behind it goes back, other chunks run meanwhile, and the loan is told around the wait."""
    calls: list[Called] = []
    bench = Bench(answer=calls.append)
    bench.give(chunk(1, 3), call_blocking)
    bench.wait(lambda: bool(bench.of(SlotYielded)) and bool(calls))
    bench.give(chunk(2, 1, digest="e"), lambda _x: "meanwhile")
    meanwhile = bench.results(2, 1)
    answers(lambda: bench)(calls[0])

    assert meanwhile == ["meanwhile"]
    assert bench.results(1, 3) == ["answer", "returned", "returned"]
    assert [each.waiting for each in bench.of(SlotYielded)] == [True, False]
    assert [type(each) for each in bench.sent if isinstance(each, TaskOffered | Called)] == [TaskOffered, Called]
    asyncio.run(bench.agent.close())


def test_chunks_that_wait_behind_a_body_that_blocks_go_back() -> None:
    """The chunk behind it may find a free slot elsewhere."""
    calls: list[Called] = []
    started, go = threading.Event(), threading.Event()
    bench = Bench(answer=calls.append)

    def body(_x: int) -> object:
        started.set()
        go.wait(PATIENCE)
        return call_blocking()

    bench.give(chunk(1, 1), body)
    started.wait(PATIENCE)
    bench.give(chunk(2, 2, digest="e"), lambda x: x)
    go.set()

    assert bench.results(2, 2) == ["returned", "returned"]
    bench.wait(lambda: bool(calls))
    answers(lambda: bench)(calls[0])
    assert bench.results(1, 1) == ["answer"]
    asyncio.run(bench.agent.close())


def test_async_bodies_that_block_their_loop_make_few_loops() -> None:
    """A hundred blocked loops one after another are two in all: one that was blocked is used again."""
    bench = answering()
    for number in range(1, 41):

        async def body(_x: int) -> object:
            return call_blocking()

        bench.give(chunk(number, 2, is_async=True), body)
        assert bench.results(number, 2) == ["answer", "answer"]

    assert len(bench.agent._hosts) <= 3
    asyncio.run(bench.agent.close())


def test_a_chunk_that_arrives_as_its_loop_is_blocked_runs_on_another() -> None:
    """The answer that the blocked body waits for may come from that very chunk: it must not wait behind it."""
    inner = itertools.count(100)
    lock = threading.Lock()

    def run_child(call: Called) -> None:
        with lock:
            number = next(inner)
        bench.give(chunk(number, 1, is_async=True, digest="child"))
        waiting[number] = call

    def pass_on() -> None:
        while not done.wait(0.001):
            for number in list(waiting):
                if bench.ends.get(number):
                    answers(lambda: bench, bench.ends[number][0])(waiting.pop(number))

    waiting: dict[int, Called] = {}
    done = threading.Event()
    bench = Bench(answer=run_child)
    bench.agent.tasks.put("child", PlainTask(lambda _x: "from the child"))
    relay = threading.Thread(target=pass_on)
    relay.start()

    async def body(_x: int) -> object:
        return call_blocking()

    for number in range(1, 21):
        bench.give(chunk(number, 3, is_async=True), body)
    for number in range(1, 21):
        assert bench.results(number, 3) == ["from the child"] * 3
    done.set()
    relay.join()
    asyncio.run(bench.agent.close())


def test_a_thread_that_a_body_made_can_call_too() -> None:
    """It has no slot to lend, and nothing is thrown into it."""
    bench = answering()

    def body(_x: int) -> object:
        from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - as a user's body would
        from contextvars import copy_context  # noqa: PLC0415 - as a user's body would

        with ThreadPoolExecutor(1) as pool:
            return pool.submit(copy_context().run, call_blocking).result(PATIENCE)

    bench.give(chunk(1, 1), body)

    assert bench.results(1, 1) == ["answer"]
    assert bench.of(SlotYielded) == []
    asyncio.run(bench.agent.close())


def test_a_body_can_ask_for_its_name_and_runs_are_forgotten(bench: Bench) -> None:
    """The name comes as an answer; what was kept for a run goes when the run is over."""

    def body(_x: int) -> str:
        frame = CURRENT.get()
        assert frame is not None
        return frame.submitter.action_name(frame)

    bench.give(chunk(1, 1), body)
    bench.wait(lambda: bool(bench.of(NameAsked)))
    (asked,) = bench.of(NameAsked)
    bench.agent.receive(AnswerName("w1", asked.port, "its name"))
    bench.agent.caller._offered["r"] = {}
    bench.agent.receive(ForgetRun("w1", "r"))

    assert bench.results(1, 1) == ["its name"]
    assert bench.agent.caller._offered == {}


def test_a_failure_is_an_answer_too(bench: Bench) -> None:
    """A failed child's failure is read like a result."""

    def fail(call: Called) -> None:
        answer = AnswerFailure("w1", call.port, call.first_seq, FAILURE, ("r", "a1", "env.child", "", ""))
        threading.Thread(target=bench.agent.receive, args=(answer,)).start()

    bench._answer = fail
    bench.give(chunk(1, 1), lambda _x: getattr(call_blocking(), "code", None))

    assert bench.results(1, 1) == ["ValueError"]


# ------------------------------------------------------------------ stops
@throws
def test_a_body_that_computes_is_interrupted(bench: Bench) -> None:
    """The exception is no `Exception`, so that a body's own handlers do not swallow it; its `finally` runs."""
    started, cleaned = threading.Event(), threading.Event()

    def body(_x: int) -> None:
        try:
            while True:
                started.set()
                with contextlib.suppress(Exception):  # as careless code does
                    sum(range(50))
        finally:
            cleaned.set()

    bench.give(chunk(1, 2), body)
    started.wait(PATIENCE)
    bench.stop(1, 0, 1)

    assert bench.results(1, 2) == ["stopped", "stopped"]
    assert cleaned.is_set()


@throws
def test_an_action_is_interrupted_once(bench: Bench) -> None:
    """A second order to stop does not strike while the body cleans up."""
    started, cleaning, go = threading.Event(), threading.Event(), threading.Event()

    def body(_x: int) -> str:
        try:
            while True:
                started.set()
        except StopAction:
            cleaning.set()
            go.wait(PATIENCE)
            return "cleaned up"

    bench.give(chunk(1, 1), body)
    started.wait(PATIENCE)
    bench.stop(1, 0)
    cleaning.wait(PATIENCE)
    bench.stop(1, 0)
    go.set()

    assert bench.results(1, 1) == ["cleaned up"]


def test_actions_that_have_not_started_are_dropped(bench: Bench) -> None:
    """Those of the chunk that are to stop never run; the others do."""
    started, go = threading.Event(), threading.Event()
    ran: list[int] = []

    def body(x: int) -> int:
        ran.append(x)
        started.set()
        go.wait(PATIENCE)
        return x

    bench.give(chunk(1, 4), body)
    started.wait(PATIENCE)
    bench.stop(1, 1, 3)
    go.set()

    assert bench.results(1, 4) == [0, "stopped", 2, "stopped"]
    assert ran == [0, 2]


def test_a_stop_for_an_unknown_chunk_is_ignored(bench: Bench) -> None:
    """It has ended meanwhile."""
    bench.stop(77, 0)


def test_a_body_that_waits_for_a_child_wakes_up_when_it_is_to_stop() -> None:
    """Its children's answers may never come."""
    calls: list[Called] = []
    bench = Bench(answer=calls.append)
    bench.give(chunk(1, 1), call_blocking)
    bench.wait(lambda: bool(calls))
    bench.stop(1, 0)

    assert bench.results(1, 1) == ["stopped"]
    assert [list(each.seqs) for each in bench.of(CallsCancelled)] == [[0]]
    asyncio.run(bench.agent.close())


def test_an_async_body_that_blocks_its_loop_wakes_up_when_it_is_to_stop() -> None:
    """A blocked loop cannot be cancelled; the wait itself ends."""
    calls: list[Called] = []
    bench = Bench(answer=calls.append)

    async def body(_x: int) -> object:
        return call_blocking()

    bench.give(chunk(1, 1, is_async=True), body)
    bench.wait(lambda: bool(calls))
    bench.stop(1, 0)

    assert bench.results(1, 1) == ["stopped"]
    asyncio.run(bench.agent.close())


def test_async_actions_are_cancelled_before_and_after_their_start(bench: Bench) -> None:
    """Those that wait get `CancelledError`, those that have not started are dropped."""
    started = threading.Event()

    async def body(_x: int) -> None:
        started.set()
        await asyncio.Event().wait()

    bench.give(chunk(1, 3, is_async=True), body)
    started.wait(PATIENCE)
    bench.stop(1, 0, 1, 2)

    assert bench.results(1, 3) == ["stopped"] * 3


@throws
def test_stops_at_any_moment_leave_the_worker_whole() -> None:
    """An exception thrown into the middle of our own code could leave a lock or a queue half done for ever.

    Bodies call, wait, print and are told to stop after delays that differ by microseconds; each action ends, and
    after each one the worker still runs a chunk.
    """
    bench = answering()
    print_lock = threading.Lock()

    def body(_x: int) -> None:
        started.set()
        while True:
            call_blocking()
            with print_lock:
                frame = CURRENT.get()
                assert frame is not None
                assert frame.write is not None
                frame.write("x")

    bench.agent.tasks.put("quick", PlainTask(lambda x: x))
    for number in range(1, 150):
        started = threading.Event()
        bench.give(chunk(2 * number, 1), body)
        started.wait(PATIENCE)
        for _ in range(number * 13 % 400):
            pass
        bench.stop(2 * number, 0)
        (end,) = bench.results(2 * number, 1)
        assert end == "stopped"
        bench.give(chunk(2 * number + 1, 1, digest="quick"))
        assert bench.results(2 * number + 1, 1) == [0]

    assert bench.agent._stoppable == set()
    assert bench.agent._blocked == 0
    asyncio.run(bench.agent.close())


# ------------------------------------------------------------------ reports
def test_long_actions_are_told_of_while_they_run(bench: Bench) -> None:
    """The flusher tells starts and prints; what waits behind a long action goes back."""
    go = threading.Event()

    def body(_x: int) -> str:
        frame = CURRENT.get()
        assert frame is not None
        assert frame.write is not None
        frame.write("hello")
        go.wait(PATIENCE)
        return "done"

    async def serve() -> None:
        bench.agent.start()
        bench.give(chunk(1, 2, budget=0.03), body)
        bench.give(chunk(2, 1, digest="e"), lambda x: x)
        await asyncio.to_thread(bench.wait, lambda: len(bench.ends.get(2, {})) == 1 and bool(_begun(bench)))
        go.set()
        await asyncio.to_thread(bench.results, 1, 2)
        await bench.agent.close()

    asyncio.run(serve())

    assert bench.ends == {1: {0: "done", 1: "returned"}, 2: {0: "returned"}}
    assert [text for report in bench.of(ChunkReport) for _index, text in report.logs] == ["hello"]


def _begun(bench: Bench) -> list[int]:
    return [index for report in bench.of(ChunkReport) for index, _at in report.begun]


def test_reports_are_sent_in_the_order_in_which_they_were_made(bench: Bench) -> None:
    """The report that finishes a chunk is the last one: what came after it would be lost."""

    async def serve() -> None:
        bench.agent.start()
        for number in range(1, 30):
            bench.give(chunk(number, 40), lambda x: x)
        for number in range(1, 30):
            await asyncio.to_thread(bench.results, number, 40)
        await bench.agent.close()

    asyncio.run(serve())

    finished: set[int] = set()
    for report in bench.of(ChunkReport):
        assert report.chunk not in finished
        if report.finished:
            finished.add(report.chunk)
    assert finished == set(range(1, 30))


# ------------------------------------------------------------------ what actions cost
def burn(seconds: float) -> None:
    """Compute for so many seconds of processor time."""
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        pass


def costs(bench: Bench, number: int) -> dict[int, tuple[float, int]]:
    """What the actions of a chunk cost, by position."""
    return {index: (cpu, most) for report in bench.of(ChunkReport) if report.chunk == number for index, cpu, most in report.measured}


def test_a_sync_body_is_charged_what_it_computed_not_what_it_waited(bench: Bench) -> None:
    """And not what those before it in its thread computed; a short one is not measured."""

    def body(x: int) -> int:
        if x == 1:
            burn(0.03)
        elif x == 2:
            threading.Event().wait(0.03)
        elif x == 3:
            burn(0.03)
            raise ValueError("no")
        return x

    bench.give(chunk(1, 4), body)
    bench.results(1, 4)
    told = costs(bench, 1)

    assert 0 not in told or told[0][0] < 0.02
    assert told[1][0] >= 0.03
    assert told[2][0] < 0.02
    assert told[3][0] >= 0.03
    assert all(most > 1024**2 for _cpu, most in told.values())


def test_an_async_body_is_charged_its_own_steps(bench: Bench) -> None:
    """Not those of its neighbours on the loop, nor what it waited or blocked."""

    async def body(x: int) -> int:
        if x == 0:
            burn(0.03)
        await asyncio.sleep(0.03)
        if x == 1:
            threading.Event().wait(0.05)
        if x == 0:
            burn(0.03)
        return x

    bench.give(chunk(1, 3, is_async=True), body)
    bench.results(1, 3)
    told = costs(bench, 1)

    assert told[0][0] >= 0.06
    assert told[1][0] < 0.03
    assert told[2][0] < 0.03


def test_a_cancelled_async_body_is_charged_too(bench: Bench) -> None:
    """An attempt that was stopped has cost what it cost."""
    began = threading.Event()

    async def body(_x: int) -> None:
        burn(0.03)
        began.set()
        await asyncio.sleep(60)

    bench.give(chunk(1, 1, is_async=True), body)
    assert began.wait(PATIENCE)
    bench.stop(1, 0)
    assert bench.results(1, 1) == ["stopped"]

    assert costs(bench, 1)[0][0] >= 0.03
