"""The live view of a run: what is sent, when, and what a saved notebook keeps."""

from typing import Any

import pytest

from flyte_nb.views import live
from flyte_nb.views.live import MAX_FINISHED_PANELS, WIDGET_MIME, RunView, answer_while_busy
from tests.fakes.fake_comm import RecordingComm
from tests.fakes.fake_run import FakeRun, task
from tests.fakes.hostile import text_of
from tests.unit.views.conftest import FakePainter, FakePublisher

Comms = type[RecordingComm]


@pytest.fixture(autouse=True)
def _no_older_panels(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep finished panels of one test out of the next."""
    monkeypatch.setattr(live, "_finished", type(live._finished)())


@pytest.fixture
def show(publisher: FakePublisher, painter: FakePainter, comms: Comms) -> Any:
    """Return a function that shows a run with fakes around it."""
    del comms

    def make(run: FakeRun, *, widget: bool = True) -> RunView:
        view = RunView(run, widget=widget, publisher=publisher, painter=painter)  # type: ignore[arg-type]  # a fake painter
        view.show()
        return view

    return make


def body(comms: Comms) -> RecordingComm:
    """The comm of the panel's HTML."""
    (found,) = [one for one in comms.sent if 'class="fnb' in str(one.messages[0][1].get("state", {}).get("value", ""))]
    return found


def running(count: int = 4) -> FakeRun:
    """A run with open actions."""
    run = FakeRun("rlive")
    run.call(task("t", "x"), [(n,) for n in range(count)])
    return run


def only(publisher: FakePublisher) -> dict[str, Any]:
    """The one output."""
    (bundle,) = publisher.outputs.values()
    return bundle


def test_a_running_run_is_shown_as_widget_html_and_text(show: Any, publisher: FakePublisher) -> None:
    """One bundle carries all three."""
    show(running())

    assert set(only(publisher)) == {WIDGET_MIME, "text/html", "text/plain"}


def test_a_tick_is_one_message_and_only_when_something_changed(show: Any, painter: FakePainter, comms: Comms) -> None:
    """The message rate stays far below Jupyter's limit."""
    run = running()
    show(run)
    before = sum(len(one.messages) for one in comms.sent)
    painter.paint()
    painter.paint()
    assert sum(len(one.messages) for one in comms.sent) == before

    run.succeed([1], [0])
    painter.paint()
    assert sum(len(one.messages) for one in comms.sent) == before + 1
    assert "1 of 4 actions ended" in body(comms).updates("value")[-1]


def test_the_end_is_sent_and_what_is_saved_tells_it(show: Any, publisher: FakePublisher, painter: FakePainter, comms: Comms) -> None:
    """The bundle is published again under its id; the view leaves the painter and the run."""
    run = running()
    show(run)
    run.succeed(range(1, 5), [0] * 4)
    run.finish()
    painter.paint()

    assert [kind for kind, _ in publisher.messages] == ["show", "update"]
    assert "main: succeeded" in text_of(only(publisher)["text/html"])
    assert "4 actions in" in only(publisher)["text/plain"]
    assert "Succeeded" in body(comms).updates("value")[-1]
    assert painter.views == []
    assert run.callbacks == []


def test_the_end_is_sent_even_if_it_looks_the_same(show: Any, painter: FakePainter, comms: Comms) -> None:
    """A message may have been dropped on the way."""
    run = running(0)
    show(run)
    run.finish()
    painter.paint()
    values = body(comms).updates("value")

    assert len(values) == 2
    assert values[0] == values[1]


def test_the_first_failure_s_traceback_is_in_the_saved_page(show: Any, publisher: FakePublisher, painter: FakePainter) -> None:
    """Who reads the notebook later sees why."""
    run = running()
    show(run)
    run.fail(2, "ValueError", "bad", traceback="in train\nValueError: bad")
    run.drop([1, 3, 4])
    run.finish()
    painter.paint()

    assert "in train\nValueError: bad" in text_of(only(publisher)["text/html"])


def test_without_a_front_end_there_is_no_widget(show: Any, publisher: FakePublisher, painter: FakePainter, comms: Comms) -> None:
    """Else nbconvert would prefer it and show a blank page; the static page is replaced at the end."""
    run = running()
    show(run, widget=False)
    painter.paint()
    assert set(only(publisher)) == {"text/html", "text/plain"}
    assert [kind for kind, _ in publisher.messages] == ["show"]

    run.succeed(range(1, 5), [0] * 4)
    run.finish()
    painter.paint()
    assert "succeeded" in only(publisher)["text/plain"]
    assert comms.sent == []


def test_a_finished_run_costs_neither_thread_nor_widget(show: Any, painter: FakePainter, comms: Comms, publisher: FakePublisher) -> None:
    """Looking at old runs leaves nothing behind."""
    run = FakeRun()
    run.finish()
    show(run)

    assert painter.views == []
    assert comms.sent == []
    assert set(only(publisher)) == {"text/html", "text/plain"}


def test_views_of_one_run_share_their_widget(show: Any, publisher: FakePublisher, comms: Comms) -> None:
    """They agree because they are one."""
    view = show(running())
    opened = len(comms.sent)
    view.show()

    assert len(comms.sent) == opened
    assert [kind for kind, _ in publisher.messages] == ["show", "show"]


def test_abort_stops_the_run_and_says_that_it_was_heard(show: Any, comms: Comms) -> None:
    """The button cannot be clicked twice."""
    run = running()
    show(run)
    (button,) = [one for one in comms.sent if one.messages[0][1].get("state", {}).get("description") == "Abort"]
    click = {"content": {"data": {"method": "custom", "content": {"event": "click"}}}, "buffers": []}
    button.handle_msg(click)

    assert run.aborts == ["Abort was clicked"]
    assert button.updates("disabled") == [True]
    assert button.updates("description") == ["Aborting…"]


def test_an_abort_that_raises_does_not_break_the_view(show: Any, comms: Comms, caplog: pytest.LogCaptureFixture) -> None:
    """A callback's exception would be lost; it is logged."""
    run = running()

    def broken(reason: str = "") -> None:
        raise RuntimeError(reason)

    run.abort = broken  # type: ignore[method-assign]  # a broken run
    show(run)
    (button,) = [one for one in comms.sent if one.messages[0][1].get("state", {}).get("description") == "Abort"]
    button.handle_msg({"content": {"data": {"method": "custom", "content": {"event": "click"}}}, "buffers": []})

    assert "could not be aborted" in caplog.text


def test_messages_are_answered_while_a_cell_runs() -> None:
    """The busy shell would get them on ipykernel 7.4; other versions are left alone."""

    class Comm:
        def _reply_subshell_for(self, data: object, default: object) -> object:
            del data, default
            return "busy"

    comm, other = Comm(), object()
    answer_while_busy(comm)
    answer_while_busy(other)

    assert comm._reply_subshell_for({}, "the front end's") == "the front end's"


def test_only_the_newest_finished_panels_stay_widgets(show: Any, publisher: FakePublisher, painter: FakePainter, comms: Comms) -> None:
    """A thousand runs do not fill the kernel with widgets; the older ones become static pages."""
    runs = [running(1) for _ in range(MAX_FINISHED_PANELS + 3)]
    for run in runs:
        show(run)
        run.succeed([1], [0])
        run.finish()
        painter.paint()
    with_widget = [WIDGET_MIME in bundle for bundle in publisher.outputs.values()]

    assert with_widget == [False] * 3 + [True] * MAX_FINISHED_PANELS
    per_panel = len(comms.sent) // len(runs)
    assert sum(one.is_closed for one in comms.sent) == 3 * per_panel
