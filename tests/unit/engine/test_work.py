"""What is known of a chunk at its place, and what of it is told."""

from __future__ import annotations

import threading
import time
from array import array

import pytest

from flyte_nb.core.current import CURRENT
from flyte_nb.core.failure import Failure
from flyte_nb.engine.stimuli import ChunkReport
from flyte_nb.engine.work import ChunkWork
from tests.fakes.no_submitter import NoSubmitter
from tests.fakes.plain_task import PlainTask, chunk

FAILURE = Failure("user", "E", "m")


def held(count: int = 3, **options: object) -> ChunkWork:
    """A chunk at its place, its task loaded."""
    made = ChunkWork(chunk(1, count), NoSubmitter(), capture=True, **options)  # type: ignore[arg-type]  # its own options
    made.task = PlainTask()
    return made


def told(work: ChunkWork) -> ChunkReport:
    """The next report, which there must be."""
    report = work.report()
    assert report is not None
    return report


def test_what_is_new_is_told_once() -> None:
    """Each end is in one report; the last one finishes the chunk; nothing new is no report."""
    work = held(3)
    started = [work.begin(index) for index in range(3)]
    work.succeed(0, "a", started[0])
    first = told(work)
    work.fail(1, FAILURE, started[1])
    work.stop(2)
    second = told(work)

    assert (list(first.indices), first.outputs, first.finished) == ([0], ["a"], False)
    assert (second.failed[0][:2], [index for index, _at in second.stopped], second.finished) == ((1, FAILURE), [2], True)
    assert (work.report(), work.ended) == (None, True)


def test_an_action_that_is_stopped_at_once_has_begun() -> None:
    """Its start is told with its end, once: an attempt counts, however short it was."""
    work = held(2)
    started = work.begin(0)
    work.stop(0)
    first = told(work)
    work.begin(1)
    work.stop(1)

    assert (list(first.begun), [index for index, _at in first.stopped]) == ([(0, started)], [0])
    assert [index for index, _at in told(work).begun] == [1]


def test_adjacent_ends_are_told_as_a_range() -> None:
    """The kernel writes them by slice; others are told as they came."""
    work = held(5)
    for index in (1, 2, 3):
        work.begin(index)
        work.succeed(index, None, 1.0)
    adjacent = told(work).indices
    for index in (4, 0):
        work.begin(index)
        work.succeed(index, None, 1.0)

    assert (adjacent, told(work).indices) == (range(1, 4), [4, 0])


def test_an_action_ends_once() -> None:
    """A body that cancels itself and returns has two ends, of which the first one counts."""
    work = held(2)
    work.begin(0)
    work.succeed(0, "a", 1.0)
    work.stop(0)
    work.fail(0, FAILURE, 1.0)
    report = told(work)

    assert (list(report.indices), report.stopped, report.failed, report.finished) == ([0], [], [], False)


def test_a_start_is_told_when_the_action_runs_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short actions are told of once, at their end; a start is told once."""
    clock = [100.0]
    monkeypatch.setattr(time, "time", lambda: clock[0])
    work = held(2)
    work.begin(0)
    early = work.report()
    clock[0] += 1.0

    assert early is None
    assert told(work).begun == [(0, 100.0)]
    assert work.report() is None


def test_what_was_not_started_can_be_handed_back() -> None:
    """It is neither run nor told of otherwise."""
    work = held(3)
    work.begin(0)
    work.hand_back(range(1, 3))
    work.succeed(0, None, 1.0)
    report = told(work)

    assert (report.returned, report.finished) == ([1, 2], True)


def test_a_chunk_that_is_given_up_fails_what_is_open() -> None:
    """What runs, what was not started; not what has ended or was handed back."""
    work = held(4)
    for index in (0, 1):
        work.begin(index)
    work.next_index = 2
    work.succeed(0, "a", 1.0)
    work.give_up(FAILURE)
    report = told(work)

    assert (list(report.indices), sorted(index for index, *_rest in report.failed), report.finished) == ([0], [1, 2, 3], True)
    assert work.next_index == 4


def test_prints_of_one_action_are_told_in_one_piece() -> None:
    """`print` writes the text and the line end apart; another action's print comes between."""
    work = held(2)
    for index, text in ((0, "a"), (0, "\n"), (1, "b"), (0, "c")):
        work.log(index, text)

    assert told(work).logs == [(0, "a\n"), (1, "b"), (0, "c")]


def test_time_that_code_took_is_told() -> None:
    """It says how many more of the kind can be sent."""
    work = held(2)
    work.spend(0.5, 1)
    work.spend(0.25, 1)
    report = told(work)

    assert (report.busy_seconds, report.steps) == (0.75, 2)


def test_a_body_sees_its_own_action() -> None:
    """The context tells row, token, attempt; prints go to the action; the caller's own context is untouched."""
    work = held(2)
    context = work.context(1)
    frame = context[CURRENT]

    assert frame is not None
    assert (frame.action.row, frame.action.token, frame.action.run, frame.group) == (11, 1, "r", "")
    assert frame.write is not None
    frame.write("text")
    assert (told(work).logs, CURRENT.get()) == ([(1, "text")], None)


def test_without_capture_prints_are_nobodys() -> None:
    """A body then writes to the stream that is there."""
    work = ChunkWork(chunk(1), NoSubmitter(), capture=False)
    frame = work.context(0)[CURRENT]

    assert frame is not None
    assert frame.write is None


def test_an_output_that_cannot_be_packed_fails_its_action() -> None:
    """Whatever packing, or writing a large output to a file, raises is the action's failure, and it is not tried again."""
    work = held(2)
    work.task = PlainTask(pack=lambda _value: 1 // 0)
    work.begin(0)
    work.settle(0, object(), 1.0, "w1")
    full = held(1, store=lambda _item: (_ for _ in ()).throw(OSError("disk full")))
    full.begin(0)
    full.settle(0, "text", 1.0, "w1")

    ((_index, failure, _started, _ended),) = told(work).failed
    assert (failure.code, failure.retryable) == ("ZeroDivisionError", False)
    assert told(full).failed[0][1].message == "disk full"


def test_an_output_can_be_put_elsewhere() -> None:
    """What the store makes of an item is what is told."""
    work = held(1, store=lambda item: f"stored {item}")
    work.begin(0)
    work.settle(0, "text", 1.0, "w1")

    assert told(work).outputs == ["stored text"]


def test_reports_taken_by_several_threads_lose_and_double_nothing() -> None:
    """Ends come from threads and loops while others take reports: each end is in exactly one of them."""
    count, work = 400, held(400)
    reports: list[ChunkReport] = []

    def run(indices: range) -> None:
        for index in indices:
            work.succeed(index, index, work.begin(index))

    def take() -> None:
        while not work.ended:
            with work.sending:
                report = work.report()
                if report is not None:
                    reports.append(report)

    threads = [threading.Thread(target=run, args=(range(first, count, 4),)) for first in range(4)]
    threads += [threading.Thread(target=take) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    last = work.report()
    reports += [last] if last is not None else []

    assert sorted(index for report in reports for index in report.indices) == list(range(count))
    assert [report.finished for report in reports].count(True) == 1
    assert reports[-1].finished
    assert isinstance(reports[0].started, array)


class _Meter:
    """Says what a test wants actions to cost."""

    def cost(self, started: float) -> tuple[float, int]:
        """Half a second, and the second of the start as bytes."""
        return 0.5, int(started)


def test_only_actions_that_are_not_short_are_measured() -> None:
    """However they end; one that began just now tells nothing, and one that nobody started neither."""
    work, now = held(6), time.time()
    for index in range(6):
        work.begin(index)
    work._running[3] = 30.0
    work.succeed(0, "a", 10.0, _Meter())
    work.succeed(1, "a", now + 60, _Meter())
    work.fail(2, FAILURE, 20.0, _Meter())
    work.stop(3, _Meter())
    work.stop(4, _Meter())
    work.succeed(5, "a", 10.0)
    report = told(work)

    assert (report.measured, report.finished) == ([(0, 0.5, 10), (2, 0.5, 20), (3, 0.5, 30)], True)


def test_the_oldest_start_is_that_of_what_runs() -> None:
    """Readings of memory from before it are of no use any more."""
    work = held(2)
    before = time.time()
    assert work.oldest_start() >= before
    work._running.update({0: 10.0, 1: 20.0})
    assert work.oldest_start() == 10.0
