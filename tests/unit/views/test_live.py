"""The live view of a run: what is sent, when, and what a saved notebook keeps."""

import contextvars
from typing import Any

import pytest

from flyte_nb.views import live
from flyte_nb.views.busy import answer_while_busy
from flyte_nb.views.live import MAX_FINISHED_PANELS, WIDGET_MIME, RunView
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

    def make(run: FakeRun, *, widget: bool = True, **more: Any) -> RunView:
        view = RunView(run, widget=widget, publisher=publisher, painter=painter, **more)  # type: ignore[arg-type]  # a fake painter
        view.show()
        return view

    return make


def model(comms: Comms) -> RecordingComm:
    """The comm of the live view."""
    (found,) = [one for one in comms.sent if "_esm" in one.messages[0][1].get("state", {})]
    return found


def answers(comm: RecordingComm) -> list[Any]:
    """The custom messages that were sent."""
    return [data["content"] for kind, data in comm.messages if kind == "comm_msg" and data.get("method") == "custom"]


def ask(comm: RecordingComm, kind: str, **more: object) -> Any:
    """Send a request as a browser does; returns the answer."""
    content = {"kind": kind, "view": "v1", "id": 5, "follow": True, "count": 20, **more}
    comm.handle_msg({"content": {"data": {"method": "custom", "content": content}}, "buffers": []})
    return answers(comm)[-1]


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


def test_a_tick_is_one_message(show: Any, painter: FakePainter, comms: Comms) -> None:
    """The message rate stays far below Jupyter's limit, and the state is small."""
    run = running()
    show(run)
    before = sum(len(one.messages) for one in comms.sent)
    run.succeed([1], [0])
    painter.paint()

    assert sum(len(one.messages) for one in comms.sent) == before + 1
    assert model(comms).updates("head")[-1]["counts"] == {"succeeded": 1, "running": 1, "queued": 2}
    assert len(str(model(comms).messages[-1])) < 1_000


def test_the_end_is_sent_and_what_is_saved_tells_it(show: Any, publisher: FakePublisher, painter: FakePainter, comms: Comms) -> None:
    """The bundle is published again under its id; the view leaves the painter and the run."""
    run = running()
    show(run)
    run.succeed(range(1, 5), [0] * 4)
    run.finish()
    painter.paint()
    head = model(comms).updates("head")[-1]

    assert [kind for kind, _ in publisher.messages] == ["show", "update"]
    assert "main: succeeded" in text_of(only(publisher)["text/html"])
    assert "4 actions in" in only(publisher)["text/plain"]
    assert (head["words"], head["over"]) == ("Succeeded", True)
    assert painter.views == []
    assert run.callbacks == []


def test_the_end_is_sent_twice(show: Any, painter: FakePainter, comms: Comms) -> None:
    """A message may have been dropped on the way."""
    run = running(0)
    show(run)
    ask(model(comms), "rows")
    run.finish()
    painter.paint()
    ends = [head for head in model(comms).updates("head") if head["over"]]

    assert len(ends) == 2
    assert answers(model(comms))[-1]["base"] == 0


def test_what_a_view_follows_is_kept_up_to_date(show: Any, painter: FakePainter, comms: Comms) -> None:
    """Without being asked again: requests wait for a busy cell on old kernels."""
    run = running()
    show(run)
    asked = ask(model(comms), "rows")
    run.fail(2, "ValueError", "bad")
    painter.paint()
    told = answers(model(comms))[-1]

    assert [row["look"] for row in asked["rows"]] == ["queued"] * 4
    assert (told["kind"], told["base"]) == ("rows", asked["number"])
    assert [row["look"] for row in told["changed"].values()].count("failed") == 1


def test_a_tab_that_opens_later_sees_the_present(show: Any, comms: Comms, painter: FakePainter) -> None:
    """The state holds header, causes and a first page."""
    run = running()
    run.fail(2, "ValueError", "bad")
    show(run)
    state = model(comms).messages[0][1]["state"]

    assert state["head"]["counts"]["failed"] == 1
    assert state["causes"]["causes"][0]["text"] == "ValueError: bad"
    assert len(state["first"]["rows"]["rows"]) == 4
    assert state["first"]["groups"]["rows"][0]["kind"] == "root"
    assert state["fixed"]["run"] == "rlive"


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


def test_a_finished_run_costs_no_thread_and_can_be_explored(show: Any, painter: FakePainter, comms: Comms) -> None:
    """Looking at old runs: the table and an action's detail are there, nothing is painted."""
    run = running()
    run.succeed(range(1, 5), [10, 20, 30, 40])
    run.finish()
    show(run)

    assert painter.views == []
    assert ask(model(comms), "rows")["total"] == 4
    assert ask(model(comms), "detail", row=2)["outputs"][0]["text"] == "20"


def test_views_of_one_run_share_their_widget(show: Any, publisher: FakePublisher, comms: Comms) -> None:
    """They agree because they are one."""
    view = show(running())
    opened = len(comms.sent)
    view.show()

    assert len(comms.sent) == opened
    assert [kind for kind, _ in publisher.messages] == ["show", "show"]


def test_abort_stops_the_run_and_all_views_hear_of_it(show: Any, comms: Comms, painter: FakePainter) -> None:
    """The button cannot be clicked twice."""
    run = running()
    show(run)
    done = ask(model(comms), "abort", row=0)
    painter.paint()

    assert (done["ok"], run.aborts, painter.notified) == (True, ["Abort was clicked"], 1)
    assert model(comms).updates("head")[-1]["aborting"] is True
    assert model(comms).updates("head")[-1]["can_abort"] is False


def test_one_action_can_be_aborted(show: Any, comms: Comms) -> None:
    """From its detail."""
    run = running()
    show(run)
    ask(model(comms), "abort", row=3)

    assert run.aborts == ["3: Abort was clicked"]


def test_an_abort_that_raises_is_told_and_can_be_tried_again(show: Any, comms: Comms, painter: FakePainter) -> None:
    """A callback's exception would be lost."""
    run = running()

    def broken(reason: str = "") -> None:
        raise RuntimeError(reason)

    run.abort = broken  # type: ignore[method-assign]  # a broken run
    show(run)
    done = ask(model(comms), "abort", row=0)
    painter.paint()

    assert (done["ok"], "Abort was clicked" in done["message"]) == (False, True)
    assert all(head["can_abort"] for head in model(comms).updates("head"))


def test_a_new_run_is_started_from_the_cell_of_the_view(show: Any, comms: Comms) -> None:
    """Its own view then stands below this one."""
    where = contextvars.ContextVar("where", default="elsewhere")
    asked: list[tuple[str, int, str]] = []

    def rerun(name: str, row: int) -> str:
        asked.append((name, row, where.get()))
        return "rnew"

    run = running(1)
    run.fail(1)
    run.finish()
    token = where.set("this cell")
    show(run, rerun=rerun)
    where.reset(token)

    assert model(comms).messages[0][1]["state"]["head"]["can_rerun"] is True
    assert ask(model(comms), "rerun", row=0)["run"] == "rnew"
    assert asked == [("rlive", 0, "this cell")]


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


def test_a_search_of_a_finished_run_is_told_when_it_has_seen_more(show: Any, comms: Comms, painter: FakePainter) -> None:
    """The run is over and nothing is painted any more, until there is more to say; then once."""
    run = running()
    run.succeed(range(1, 5), [10, 20, 30, 40])
    run.finish()
    view = show(run)
    ask(model(comms), "rows", query={"search": "30"})
    view._more_to_say()

    assert len(painter.views) == 1
    painter.paint()
    assert painter.views == []
