"""How calls reach the controller, and answers their callers: from loops in batches, from threads in streams."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from flyte_nb.core.current import ActionFacts, Frame, Step, Whereabouts
from flyte_nb.core.events import TaskFacts
from flyte_nb.core.failure import Failure
from flyte_nb.core.payloads import Item
from flyte_nb.engine import port as module
from flyte_nb.engine.commands import AnswerFailure, AnswerName, AnswerOutputs
from flyte_nb.engine.port import Caller
from flyte_nb.engine.stimuli import Called, CallsCancelled, NameAsked, Stimulus, TaskOffered
from tests.fakes.plain_task import PlainTask

FAILURE, WHERE = Failure("user", "E", "m"), ("r", "a1", "env.plain", "", "")
TASK = PlainTask()


@dataclass
class Pending:
    """A call that waits on a loop."""

    loop: asyncio.AbstractEventLoop
    seq: int = -1
    got: list[object] = field(default_factory=list)
    broken: bool = False

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """The loop that waits."""
        return self.loop

    def done(self) -> bool:
        """Whether it has an answer."""
        return bool(self.got)

    def resolve(self, item: Item) -> None:
        """Take an output."""
        self.got.append(item)

    def fail(self, failure: Failure, where: Whereabouts) -> None:
        """Take a failure; some cannot."""
        if self.broken:
            raise RuntimeError("its class cannot be made")
        self.got.append((failure, where))

    def fail_here(self, error: BaseException) -> None:
        """Take an error of ours."""
        self.got.append(type(error).__name__)


class Bench:
    """A caller, and what it told the controller."""

    def __init__(self, **options: object) -> None:
        self.posted: list[Stimulus] = []
        self.caller = Caller("w1", self.posted.append, **options)  # type: ignore[arg-type]  # its own options
        self.frame = Frame(ActionFacts("r", 7, 3, "env.parent", 0, 1.0), self.caller, "g", (("k", "v"),))

    def calls(self) -> list[Called]:
        """The calls."""
        return [each for each in self.posted if isinstance(each, Called)]

    def answer(self, call: Called, *outputs: Item) -> None:
        """Deliver outputs for the first calls of a batch."""
        seqs = range(call.first_seq, call.first_seq + len(outputs))
        self.caller.deliver(AnswerOutputs("w1", call.port, seqs, outputs))


# ------------------------------------------------------------------ calls of a loop
def test_calls_of_one_turn_travel_together() -> None:
    """One batch for each task and frame, in the order of the calls; the task is offered once, before them."""
    bench = Bench()

    async def main() -> list[Pending]:
        loop = asyncio.get_running_loop()
        calls = [Pending(loop) for _ in range(4)]
        for call in calls[:3]:
            bench.caller.start(call, TASK, (1,), bench.frame)
        bench.caller.start(calls[3], TASK, (2,), bench.frame.with_group("h"))
        before = list(bench.posted)
        await asyncio.sleep(0)
        first, second = bench.calls()
        bench.answer(first, "a", "b")
        bench.caller.deliver(AnswerFailure("w1", first.port, 2, FAILURE, WHERE))
        bench.answer(second, "d")
        await asyncio.sleep(0)
        assert before == []
        return calls

    calls = asyncio.run(main())

    assert [type(each) for each in bench.posted] == [TaskOffered, Called, Called]
    assert bench.calls()[0] == Called("w1", 1, 0, "r", 7, 3, "plain", "g", (("k", "v"),), [(1,), (1,), (1,)])
    assert (bench.calls()[1].first_seq, bench.calls()[1].group) == (3, "h")
    assert [call.got for call in calls] == [["a"], ["b"], [(FAILURE, WHERE)], ["d"]]


def test_very_many_calls_of_one_turn_go_ahead_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Work starts while the loop still makes calls."""
    monkeypatch.setattr(module, "BATCH_ROWS", 3)
    bench = Bench()

    async def main() -> int:
        for _ in range(7):
            bench.caller.start(Pending(asyncio.get_running_loop()), TASK, (), bench.frame)
        return len(bench.calls())

    assert asyncio.run(main()) == 2


def test_a_cancelled_call_is_sent_and_then_cancelled() -> None:
    """The cancel never overtakes its call; an answered one, or one of an unknown loop, is not cancelled."""
    bench = Bench()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        one, other = Pending(loop), Pending(loop)
        bench.caller.cancel(one)
        for call in (one, other):
            bench.caller.start(call, TASK, (), bench.frame)
        bench.caller.cancel(one)
        bench.answer(bench.calls()[0], "late", "b")
        await asyncio.sleep(0)
        bench.caller.cancel(other)
        assert (one.got, other.got) == ([], ["b"])

    asyncio.run(main())

    assert [type(each) for each in bench.posted] == [TaskOffered, Called, CallsCancelled]
    assert isinstance(bench.posted[2], CallsCancelled)
    assert list(bench.posted[2].seqs) == [0]


def test_a_task_that_cannot_be_pickled_fails_each_of_its_calls() -> None:
    """The second batch as well as the first: the controller is never told of calls of a task that it does not know."""
    bench, task = Bench(), PlainTask(pickled=lambda: bytes(1 // 0))

    async def main() -> list[list[object]]:
        loop = asyncio.get_running_loop()
        calls = [Pending(loop) for _ in range(3)]
        for call in calls[:2]:
            bench.caller.start(call, task, (), bench.frame)
        bench.caller.cancel(calls[0])
        await asyncio.sleep(0)
        bench.caller.start(calls[2], task, (), bench.frame)
        await asyncio.sleep(0)
        return [call.got for call in calls]

    assert asyncio.run(main()) == [[], ["ZeroDivisionError"], ["ZeroDivisionError"]]
    assert bench.calls() == []


def test_a_failure_that_cannot_be_made_an_error_still_answers_its_call() -> None:
    """Its caller must not wait for ever because a class of the user's is broken."""
    bench = Bench()

    async def main() -> list[object]:
        call = Pending(asyncio.get_running_loop(), broken=True)
        bench.caller.start(call, TASK, (), bench.frame)
        await asyncio.sleep(0)
        bench.caller.deliver(AnswerFailure("w1", 1, 0, FAILURE, WHERE))
        await asyncio.sleep(0)
        return call.got

    assert asyncio.run(main()) == ["RuntimeError"]


def test_answers_for_nobody_are_dropped() -> None:
    """Unknown ports, calls that were given up, loops that are closed."""
    bench = Bench()

    async def main() -> None:
        bench.caller.start(Pending(asyncio.get_running_loop()), TASK, (), bench.frame)
        await asyncio.sleep(0)
        bench.caller.deliver(AnswerOutputs("w1", 1, [5], ["x"]))
        bench.caller.deliver(AnswerFailure("w1", 1, 6, FAILURE, WHERE))
        bench.caller.deliver(AnswerName("w1", 1, "name"))
        await asyncio.sleep(0)

    asyncio.run(main())
    bench.caller.deliver(AnswerOutputs("w1", 1, [0], ["x"]))
    bench.caller.deliver(AnswerOutputs("w1", 99, [0], ["x"]))

    assert bench.caller._mailboxes == {}


def test_what_is_kept_for_a_run_is_forgotten() -> None:
    """Offers of the run, and ports of loops that are closed."""
    bench = Bench()

    async def main() -> None:
        bench.caller.start(Pending(asyncio.get_running_loop()), TASK, (), bench.frame)
        await asyncio.sleep(0)

    asyncio.run(main())
    bench.caller.forget_run("r")

    assert (bench.caller._offered, bench.caller._loops, bench.caller._mailboxes) == ({}, {}, {})


def test_a_task_is_offered_before_any_thread_calls_it() -> None:
    """A second thread that calls a task while the first one still pickles it must not overtake the offer."""
    bench = Bench()
    pickling, go = threading.Event(), threading.Event()

    def pickled() -> bytes:
        pickling.set()
        go.wait(20)
        return b"task"

    task = PlainTask(pickled=pickled)

    def call() -> None:
        bench.caller.stream(task, bench.frame).submit([(1,)])

    threads = [threading.Thread(target=call) for _ in range(4)]
    threads[0].start()
    pickling.wait(20)
    for thread in threads[1:]:
        thread.start()
    go.set()
    for thread in threads:
        thread.join(20)

    assert [type(each) for each in bench.posted] == [TaskOffered, Called, Called, Called, Called]


# ------------------------------------------------------------------ streams
def test_a_stream_holds_calls_over_its_limit_back() -> None:
    """As many as the limit are under way; an end lets the next one go."""
    bench = Bench()
    stream = bench.caller.stream(TASK, bench.frame, limit=2)
    stream.submit([(number,) for number in range(5)])
    bench.answer(bench.calls()[0], "a")
    bench.caller.deliver(AnswerFailure("w1", bench.calls()[0].port, 1, FAILURE, WHERE))

    assert [(call.first_seq, call.inputs) for call in bench.calls()] == [(0, [(0,), (1,)]), (2, [(2,)]), (3, [(3,)])]
    assert (stream.ended_count(), stream.result(0), stream.result(1)) == (2, (True, "a", None), (False, FAILURE, WHERE))


def test_a_closed_stream_cancels_what_is_open_and_sends_no_more() -> None:
    """Held calls never become actions; late answers are dropped."""
    bench = Bench()
    stream = bench.caller.stream(TASK, bench.frame, limit=2)
    stream.submit([(number,) for number in range(5)])
    port = bench.calls()[0].port
    bench.answer(bench.calls()[0], "a")
    stream.close()
    bench.caller.deliver(AnswerOutputs("w1", port, [1], ["late"]))
    stream.deliver(AnswerOutputs("w1", port, [1], ["late"]))

    (cancelled,) = [each for each in bench.posted if isinstance(each, CallsCancelled)]
    assert list(cancelled.seqs) == [1, 2]
    assert len(bench.calls()) == 2


def test_a_stream_of_which_all_has_ended_cancels_nothing() -> None:
    """Closing is then forgetting."""
    bench = Bench()
    stream = bench.caller.stream(TASK, bench.frame)
    stream.submit([(1,)])
    bench.answer(bench.calls()[0], "a")
    stream.close()

    assert [type(each) for each in bench.posted] == [TaskOffered, Called]


def test_a_thread_waits_for_a_result_or_for_a_number_of_them() -> None:
    """Answers that come from another thread wake it; what is there already is not waited for."""
    bench = Bench()
    stream = bench.caller.stream(TASK, bench.frame)
    stream.submit([(1,), (2,)])

    def answer() -> None:
        bench.answer(bench.calls()[0], "a", "b")

    threading.Timer(0, answer).start()
    stream.wait_result(1)
    stream.wait_result(0)
    stream.wait_ended(1)

    assert stream.result(1) == (True, "b", None)


def test_a_thread_can_wait_for_more_results_than_there_are() -> None:
    """`wait_ended` wakes with the next one, whichever it is."""
    bench = Bench()
    stream = bench.caller.stream(TASK, bench.frame)
    stream.submit([(1,), (2,)])
    threading.Timer(0, lambda: bench.caller.deliver(AnswerOutputs("w1", bench.calls()[0].port, [1], ["b"]))).start()
    stream.wait_ended(0)

    assert stream.ended_count() == 1


def test_a_loop_waits_for_a_result_without_being_blocked() -> None:
    """Several waits on one stream are all woken; a result that comes in between is seen."""
    bench = Bench()

    async def main() -> list[object]:
        stream = bench.caller.stream(TASK, bench.frame)
        stream.submit([(1,), (2,)])
        waits = [asyncio.ensure_future(wait) for wait in (stream.wait_result_async(1), stream.wait_ended_async(0))]
        await asyncio.sleep(0)
        bench.answer(bench.calls()[0], "a", "b")
        await asyncio.gather(*waits)
        await stream.wait_result_async(0)
        return [stream.result(0)[1], stream.result(1)[1]]

    assert asyncio.run(main()) == ["a", "b"]


def test_a_watcher_whose_loop_is_closed_does_not_disturb_the_others() -> None:
    """A stale watcher must not keep an answer from whoever still waits."""
    bench = Bench()
    stream = bench.caller.stream(TASK, bench.frame)
    stream.submit([(1,)])

    async def give_up() -> None:
        wait = asyncio.ensure_future(stream.wait_result_async(0))
        await asyncio.sleep(0)
        wait.cancel()

    asyncio.run(give_up())
    bench.answer(bench.calls()[0], "a")

    assert stream.result(0) == (True, "a", None)


def test_an_action_that_was_told_to_stop_makes_no_more_calls() -> None:
    """Its next bulk of calls ends it."""
    bench = Bench()
    bench.frame.action.refusal = "told to stop"

    with pytest.raises(asyncio.CancelledError, match="told to stop"):
        bench.caller.stream(TASK, bench.frame).submit([(1,)])


@contextmanager
def _around(log: list[str], name: str) -> Iterator[None]:
    log.append(f"+{name}")
    try:
        yield
    finally:
        log.append(f"-{name}")


def test_a_wait_on_a_worker_lends_the_slot_and_ends_with_a_stop() -> None:
    """The wait is inside of our own code, where no stop strikes, and looks by itself whether it is to end."""
    log: list[str] = []
    bench = Bench(around_wait=lambda _frame: _around(log, "wait"), around_ours=lambda: _around(log, "ours"))
    stream = bench.caller.stream(TASK, bench.frame)
    stream.submit([(1,)])
    log.clear()
    bench.frame.action.refusal = "told to stop"

    with pytest.raises(asyncio.CancelledError):
        stream.wait_result(0)
    assert log == ["+ours", "+wait", "-wait", "-ours"]


def test_everything_that_is_posted_is_posted_inside_of_our_own_code() -> None:
    """A stop that struck in the middle of sending could silence a worker."""
    log: list[str] = []
    bench = Bench(around_ours=lambda: _around(log, "ours"))
    posts: list[Callable[[], object]] = [
        lambda: bench.caller.write_report(bench.frame, [("main", "text")]),
        lambda: bench.caller.record_step(
            bench.frame, Step(TaskFacts("t", "t", "t"), key="", inputs=(), output=None, started=1.0, ended=2.0), None
        ),
        lambda: bench.caller.answer_condition("r", "name", 1),
        lambda: bench.caller.offer("r", TASK),
    ]
    for post in posts:
        log.clear()
        post()
        assert log == ["+ours", "-ours"]


def test_a_body_is_told_its_name() -> None:
    """It blocks for a message there and back; its mailbox is forgotten."""
    bench = Bench()
    post = bench.caller._post

    def answer(stimulus: Stimulus) -> None:
        post(stimulus)
        assert isinstance(stimulus, NameAsked)
        threading.Timer(0, bench.caller.deliver, (AnswerName("w1", stimulus.port, "its name"),)).start()

    bench.caller._post = answer

    assert bench.caller.action_name(bench.frame) == "its name"
    assert (bench.posted, bench.caller._mailboxes) == ([NameAsked("w1", 1, "r", 7)], {})
