"""What a live view costs while its run goes on, whatever the run holds."""

from __future__ import annotations

import json
import time

import pytest

from flyte_nb.views.panel import RunPanel
from flyte_nb.views.query import RunQueries
from flyte_nb.views.widget import RunWidget
from tests.fakes.fake_comm import RecordingComm
from tests.fakes.fake_run import FakeRun, task

TICKS_A_SECOND, SECONDS = 5, 6
GROUPS = 100


def large_run(count: int) -> FakeRun:
    """A run of so many actions in a hundred groups, none of which has ended."""
    run = FakeRun("rlarge", root=task("bootstrap"), at=time.time())
    for group in range(GROUPS):
        run.call(task("resample", "seed", "share"), [(number, number / 7) for number in range(count // GROUPS)], group=f"shard {group}")
    return run


def sent_bytes(comms: type[RecordingComm]) -> int:
    """What all comms have sent so far, as JSON."""
    return sum(len(json.dumps(data)) for comm in comms.sent for _, data in comm.messages)


@pytest.mark.parametrize("count", [50_000, pytest.param(1_000_000, marks=pytest.mark.slow)])
def test_a_live_view_needs_less_than_ten_kilobytes_a_second(count: int, comms: type[RecordingComm]) -> None:
    """Header, groups and a table whose every row changes at every tick; and a tick is short."""
    run, now = large_run(count), [0.0]
    panel = RunPanel(run, RunQueries(run), clock=lambda: now[0])
    for kind in ("rows", "groups"):
        panel.session.receive({"kind": kind, "view": "v1", "id": 1, "follow": True, "offset": 0, "count": 30})
    before, row, ticks = sent_bytes(comms), 1, []
    for _ in range(TICKS_A_SECOND * SECONDS):
        now[0] += 1 / TICKS_A_SECOND
        run.now += 1 / TICKS_A_SECOND
        run.fail(row, "ValueError", f"message {row}")
        run.succeed(range(row + 1, row + 300), list(range(299)), seconds=0.01)
        row += 300
        began = time.process_time()
        panel.paint(over=False)
        ticks.append(time.process_time() - began)

    assert (sent_bytes(comms) - before) / SECONDS < 10_000
    assert sorted(ticks)[len(ticks) // 2] < 0.1


def test_an_idle_run_sends_its_clock_only(comms: type[RecordingComm]) -> None:
    """A second of a run in which nothing ends is one small message."""
    run = large_run(1_000)
    panel = RunPanel(run, RunQueries(run))
    panel.session.receive({"kind": "rows", "view": "v1", "id": 1, "follow": True, "offset": 0, "count": 30})
    before, messages = sent_bytes(comms), sum(len(comm.messages) for comm in comms.sent)
    run.now += 1
    panel.paint(over=False)

    assert sum(len(comm.messages) for comm in comms.sent) == messages + 1
    assert sent_bytes(comms) - before < 1_000


def test_a_view_is_small_when_it_is_shown(comms: type[RecordingComm]) -> None:
    """What a notebook's page holds for each live view beside the script and the style, which have a limit of their own."""
    run = large_run(10_000)
    panel = RunPanel(run, RunQueries(run))

    assert sent_bytes(comms) - len(json.dumps(RunWidget._esm) + json.dumps(RunWidget._css)) < 20_000
    panel.close()
    assert all(comm.is_closed for comm in comms.sent)
