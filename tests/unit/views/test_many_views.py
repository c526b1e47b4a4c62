"""Hundreds of views in a notebook, and a large run in one of them: what they cost in messages, threads and memory."""

from __future__ import annotations

import gc
import json
import threading
import weakref
from typing import Any

import pytest

from flyte_nb.views import live
from flyte_nb.views.live import MAX_FINISHED_PANELS, RunView
from flyte_nb.views.panel import RunPanel
from flyte_nb.views.query import RunQueries
from tests.fakes.fake_comm import RecordingComm
from tests.fakes.fake_run import FakeRun, task
from tests.unit.views.conftest import FakePainter, FakePublisher


@pytest.fixture(autouse=True)
def _no_older_panels(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep finished panels of one test out of the next."""
    monkeypatch.setattr(live, "_finished", type(live._finished)())


def ended(number: int) -> FakeRun:
    """Return a run of a few actions that is over."""
    run = FakeRun(f"r{number}")
    run.succeed(run.call(task("t", "x"), [(n,) for n in range(5)]), [0] * 5)
    run.finish()
    return run


def open_comms(comms: type[RecordingComm]) -> int:
    """How many comms of widgets are open."""
    return sum(not one.is_closed for one in comms.sent)


def conversations() -> int:
    """How many readers and panels there are in this process."""
    return sum(isinstance(one, RunQueries | RunPanel) for one in gc.get_objects())


def test_hundreds_of_finished_views_cost_no_thread_and_few_comms(
    publisher: FakePublisher, painter: FakePainter, comms: type[RecordingComm]
) -> None:
    """Only the newest stay widgets; nothing is painted, and no thread is left."""
    before = threading.active_count()
    for number in range(120):
        RunView(ended(number), publisher=publisher, painter=painter).show()  # type: ignore[arg-type]  # a fake painter

    assert threading.active_count() == before
    assert painter.views == []
    assert open_comms(comms) == 2 * MAX_FINISHED_PANELS  # the widget and its layout
    static = [bundle for bundle in publisher.outputs.values() if live.WIDGET_MIME not in bundle]
    assert len(static) == 120 - MAX_FINISHED_PANELS


def test_a_view_that_became_static_leaves_nothing_behind(
    publisher: FakePublisher, painter: FakePainter, comms: type[RecordingComm]
) -> None:
    """Beyond the newest, nothing of a finished view stays in the kernel: neither what it read nor its conversation."""

    def shown(number: int) -> weakref.ref[RunView]:
        view = RunView(ended(number), publisher=publisher, painter=painter)  # type: ignore[arg-type]  # a fake painter
        view.show()
        return weakref.ref(view)

    gc.collect()
    before = conversations()
    made = [shown(number) for number in range(MAX_FINISHED_PANELS + 40)]
    comms.sent.clear()  # a kernel forgets comms that are closed; the fakes keep them
    gc.collect()

    assert sum(one() is not None for one in made) == MAX_FINISHED_PANELS
    assert conversations() - before <= 2 * MAX_FINISHED_PANELS


def test_a_large_run_stays_within_its_bytes(comms: type[RecordingComm]) -> None:
    """Fifty thousand actions, 200 ending every tick, a view that follows rows and groups: under 10 KB and 15 messages a second."""
    now = [0.0]
    run = FakeRun()
    rows = run.call(task("train", "lr", "depth"), [(number / 100, number % 7) for number in range(50_000)], group="all")
    panel = RunPanel(run, RunQueries(run, clock=lambda: run.now), clock=lambda: now[0])
    for kind in ("rows", "groups"):
        panel.session.receive({"kind": kind, "view": "v", "id": 1, "follow": True, "count": 24})
    (model,) = [one for one in comms.sent if "_esm" in one.messages[0][1].get("state", {})]
    model.messages.clear()
    for tick in range(50):
        now[0] += 0.2
        run.now += 0.2
        run.succeed(rows[tick * 200 : tick * 200 + 200], [0.5] * 200, seconds=0.1)
        panel.paint(over=False)
    sent = [json.dumps(data) for kind, data in model.messages if kind == "comm_msg"]

    assert sum(map(len, sent)) / 10 < 10_000
    assert len(sent) / 10 < 15
    assert len([one for one in sent if '"method": "update"' in one]) <= 50


def test_a_tick_of_a_large_run_is_short(comms: type[RecordingComm], benchmark_seconds: Any) -> None:
    """Two hundred thousand actions: the engine is not held up, and the painter is back at once."""
    run = FakeRun()
    rows = run.call(task("train", "lr"), [(number,) for number in range(200_000)])
    panel = RunPanel(run, RunQueries(run))
    panel.session.receive({"kind": "rows", "view": "v", "id": 1, "follow": True, "count": 24})
    done = iter(range(0, 200_000, 1_000))

    def tick() -> None:
        first = next(done)
        run.succeed(rows[first : first + 1_000], [0.5] * 1_000)
        panel.paint(over=False)

    assert benchmark_seconds(tick) < 0.5
    assert comms.sent
