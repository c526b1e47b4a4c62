"""The timeline: every action is seen, as a bar or as a share of the pixels that it covers; no bad end is lost."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from flyte_nb.core.events import AttemptFailed, AttemptsLost
from flyte_nb.core.failure import Failure
from flyte_nb.views.protocol_tabs import TimelineAnswer
from flyte_nb.views.query import RunQueries
from flyte_nb.views.timeline import MAX_ROWS, sub_lanes
from tests.fakes.fake_run import FakeRun, task

TRAIN = task("train", "x")


def ask(run: FakeRun, **changes: Any) -> TimelineAnswer:
    """Return the timeline of a run."""
    reader = RunQueries(run, clock=lambda: run.now)
    request = {"kind": "timeline", "view": "v", "id": 1, "follow": False, "start": 0.0, "end": 0.0, "span": 0.0, "pixels": 100}
    return reader.timeline({**request, "first": 0, "count": 20, **changes})  # type: ignore[typeddict-item]  # built from parts


def ran(*spans: tuple[float, float, str]) -> FakeRun:
    """Return a run whose actions ran so, in seconds after its start; it has ended after 100 seconds."""
    run = FakeRun(at=1_000.0)
    rows = run.call(TRAIN, [(number,) for number in range(len(spans))])
    for row, (started, ended, worker) in zip(rows, spans, strict=True):
        run.now = 1_000.0 + started
        run.succeed([row], [None], seconds=ended - started, worker=worker)
    run.now = 1_000.0
    run.succeed([0], [None], seconds=100.0)
    run.now = 1_100.0
    return run


def test_wide_actions_are_bars_on_sub_lanes() -> None:
    """Actions of one worker that overlap lie on different sub-lanes; each bar says when, which action and which task."""
    answer = ask(ran((0, 50, "w1"), (25, 75, "w1"), (50, 100, "w1"), (0, 10, "w2")))
    lanes = {lane["worker"]: lane for lane in answer["lanes"]}

    assert answer["total"] == 2
    assert lanes["w1"]["bars"] == [
        (0, 1, 0.0, 50.0, 1, "succeeded", 1),
        (1, 2, 25.0, 75.0, 1, "succeeded", 1),
        (0, 3, 50.0, 100.0, 1, "succeeded", 1),
    ]
    assert lanes["w1"]["rows"] == 2
    assert lanes["w2"]["rows"] == 1
    assert lanes["w1"]["busy"] == []


def test_narrow_actions_are_a_share_of_their_pixels() -> None:
    """A hundred actions of half a second, one a second, keep each pixel of a second half busy."""
    answer = ask(ran(*((number, number + 0.5, "w1") for number in range(100))))

    assert answer["lanes"][0]["bars"] == []
    assert answer["lanes"][0]["busy"] == [50] * 100
    assert answer["overview"]["busy"] == [1.0, 0.0] * 100


def test_a_zoomed_span_shows_bars_again() -> None:
    """Of five seconds, the same actions are wide enough; those outside of the span are left out."""
    answer = ask(ran(*((number, number + 0.5, "w1") for number in range(100))), start=1_010.0, end=1_015.0)

    assert (answer["start"], answer["end"]) == (1_010.0, 1_015.0)
    assert [bar[1] for bar in answer["lanes"][0]["bars"]] == [11, 12, 13, 14, 15]
    assert answer["lanes"][0]["busy"] == []


def test_every_bad_end_has_a_tick() -> None:
    """Failures among thousands of short actions are told by pixel, with the first of them and their number."""
    run = ran(*((number / 50, number / 50 + 0.001, "w1") for number in range(5_000)))
    run = FakeRun(at=1_000.0)
    rows = run.call(TRAIN, [(number,) for number in range(5_000)])
    for row in rows:
        run.now = 1_000.0 + row / 50
        if row in {2_000, 2_001, 4_000}:
            run.start([row])
            run.fail(row)
        else:
            run.succeed([row], [None], seconds=0.001)
    run.now = 1_100.0
    answer = ask(run)

    assert [(row, number) for _, row, number in answer["lanes"][0]["failed"]] == [(2_000, 2), (4_000, 1)]
    assert len(answer["overview"]["failed"]) == 2


def test_what_runs_goes_on_until_now() -> None:
    """An action that has not ended reaches to the present, and the lane says for how long it has been going on."""
    run = FakeRun(at=1_000.0)
    rows = run.call(TRAIN, [(1,)])
    run.start(rows)
    run.now = 1_040.0
    lane = ask(run)["lanes"][0]

    assert lane["bars"] == [(0, 1, 0.0, 40.0, 1, "running", 1)]
    assert lane["longest"] == 40.0


def test_the_last_seconds_and_pages_of_lanes() -> None:
    """`span` is counted back from the end; lanes come in pages."""
    run = ran(*((0, 100, f"w{number:02d}") for number in range(30)))
    answer = ask(run, span=10.0, first=20, count=5)

    assert (answer["start"], answer["end"]) == (1_090.0, 1_100.0)
    assert answer["total"] == 30
    assert [lane["worker"] for lane in answer["lanes"]] == [f"w{number:02d}" for number in range(20, 25)]
    assert [len(lane["bars"]) for lane in answer["lanes"]] == [1] * 5


def test_a_run_without_actions_has_no_lanes() -> None:
    """Nothing ran: an empty timeline, not an error; requests out of range give nothing."""
    assert ask(FakeRun())["lanes"] == []
    assert ask(ran((0, 1, "w1")), first=500, pixels=0)["lanes"] == []


def test_a_worker_with_hundreds_in_flight_is_told_as_a_share() -> None:
    """A lane does not grow beyond its sub-lanes: what awaits by the hundred is summed up."""
    answer = ask(ran(*((0, 100, "w1") for _ in range(MAX_ROWS + 1))))

    assert answer["lanes"][0]["bars"] == []
    assert answer["lanes"][0]["busy"] == [(MAX_ROWS + 1) * 100] * 100


SPANS = st.lists(st.tuples(st.integers(0, 99), st.integers(0, 30), st.sampled_from(["w1", "w2"])), min_size=1, max_size=30)


@given(SPANS)
def test_shares_are_what_adding_up_gives(spans: list[tuple[int, int, str]]) -> None:
    """The share of each pixel is the sum of the overlaps of all actions with it."""
    run = ran(*((start, min(100, start + length), worker) for start, length, worker in spans))
    answer = ask(run, pixels=20)
    overview = np.array(answer["overview"]["busy"])
    expected = np.zeros(200)
    for start, length, _ in spans:
        for step in range(200):
            lo, hi = step * 0.5, step * 0.5 + 0.5
            expected[step] += max(0.0, min(hi, start + length, 100) - max(lo, start)) / 0.5

    assert np.allclose(overview, expected, atol=0.011)


@given(SPANS)
def test_bars_of_a_sub_lane_never_overlap(spans: list[tuple[int, int, str]]) -> None:
    """Whatever the spans, two on one sub-lane follow each other."""
    started = np.array([float(start) for start, _, _ in spans])
    ended = np.array([float(start + length) for start, length, _ in spans])
    lanes = np.array([int(worker == "w2") for _, _, worker in spans])
    rows, _ = sub_lanes(started, ended, lanes, np.ones(len(spans), bool))
    for lane in (0, 1):
        for row in range(max(rows) + 1):
            mine = sorted((started[each], ended[each]) for each in np.flatnonzero((rows == row) & (lanes == lane)))
            assert all(before[1] <= after[0] for before, after in pairwise(mine))


def test_every_try_is_seen_where_and_when_it_was() -> None:
    """One that failed, one that took too long, one that was lost with its worker, and the one that runs; each bad end has a tick."""
    run = FakeRun(at=1_000.0)
    row = run.call(TRAIN, [(1,)])[0]
    run.start([row], "w1")
    run.state.apply(AttemptFailed(run.name, row, Failure("user", "OSError", "disk", worker="w1"), 1_000.0, 1_010.0, 1_010.0))
    run.now = 1_020.0
    run.start([row], "w2")
    run.state.apply(AttemptFailed(run.name, row, Failure("timeout", "TimeoutError", "late", worker="w2"), 1_020.0, 1_030.0, 1_030.0))
    run.now = 1_040.0
    run.start([row], "w1")
    run.state.apply(AttemptsLost(run.name, [row], "out of memory", 1_050.0))
    run.now = 1_100.0
    waiting = ask(run)
    run.now = 1_060.0
    run.start([row], "w2")
    run.now = 1_100.0
    answer = ask(run)
    lanes = {lane["worker"]: lane for lane in answer["lanes"]}

    assert [len(lane["bars"]) for lane in waiting["lanes"]] == [2, 1]
    assert (waiting["actions"], answer["actions"], sum(lane["actions"] for lane in answer["lanes"])) == (1, 1, 1)
    assert lanes["w1"]["bars"] == [(0, row, 0.0, 10.0, 1, "failed", 1), (0, row, 40.0, 50.0, 1, "aborted", 3)]
    assert sorted(lanes["w2"]["bars"]) == [(0, row, 20.0, 30.0, 1, "timed_out", 2), (0, row, 60.0, 100.0, 1, "running", 4)]
    assert [lane["failed"] for lane in lanes.values()] == [[(10, row, 1), (50, row, 1)], [(30, row, 1)]]
    assert answer["overview"]["failed"] == [20, 60, 100]
    assert (lanes["w1"]["longest"], lanes["w2"]["longest"]) == (0.0, 40.0)
