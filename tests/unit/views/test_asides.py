"""Questions and reports under the cell: forms while somebody can answer, true static output afterwards."""

from __future__ import annotations

from typing import Any

import ipywidgets
import pytest

from flyte_nb.views.asides import AsidesView, has_asides, when_needed
from flyte_nb.views.live import WIDGET_MIME
from tests.fakes.fake_comm import RecordingComm
from tests.fakes.fake_run import FakeRun, task
from tests.fakes.hostile import HOSTILE, text_of
from tests.unit.views.conftest import FakePublisher
from tests.unit.views.test_reports import Elements

Comms = type[RecordingComm]


@pytest.fixture
def view_of(publisher: FakePublisher, comms: Comms) -> Any:
    """Return a function that makes the view of a run."""
    del comms
    return lambda run, **options: AsidesView(run, publisher=publisher, **options)


def widgets_of(view: AsidesView, kind: type[Any]) -> list[Any]:
    """The widgets of one kind in a view."""
    found, waiting = [], [view._panel._box] if view._panel is not None else []
    while waiting:
        widget = waiting.pop()
        found += [widget] if type(widget) is kind else []
        waiting += getattr(widget, "children", ())
    return found


def only_output(publisher: FakePublisher) -> dict[str, Any]:
    """The one output of the cell."""
    (output,) = publisher.outputs.values()
    return output


def test_nothing_is_shown_before_there_is_something() -> None:
    """A run without questions and reports has no second output."""
    run, shown = FakeRun(), list[bool]()
    when_needed(run, lambda: shown.append(True))
    run.call(task("fetch", "x"), [(1,)])
    run.announce()
    assert (shown, has_asides(run.state)) == ([], False)

    run.ask("go")
    run.announce()
    run.announce()
    assert (shown, has_asides(run.state)) == ([True], True)


def test_a_yes_or_no_question_has_two_buttons(view_of: Any, publisher: FakePublisher) -> None:
    """A click answers; the form goes, and the answer stands there."""
    run = FakeRun()
    row = run.ask("go", "Go on?", description="It costs.")
    view = view_of(run)
    assert not view.paint()
    yes, no = sorted(widgets_of(view, ipywidgets.Button), key=lambda button: button.description, reverse=True)
    assert (yes.description, no.description) == ("Yes", "No")
    assert WIDGET_MIME in only_output(publisher)

    no.click()
    assert run.answers == [(row, False)]
    assert not view.paint()
    assert widgets_of(view, ipywidgets.Button) == []

    run.finish()
    assert view.paint()
    assert WIDGET_MIME not in only_output(publisher)
    assert "go: Go on? - answered: no" in only_output(publisher)["text/plain"]
    assert [kind for kind, _id in publisher.messages] == ["show", "update"]


@pytest.mark.parametrize("kind, typed, answer", [("int", "7", 7), ("float", "0.5", 0.5), ("str", "x y", "x y")])
def test_other_questions_have_an_input_of_their_type(view_of: Any, kind: str, typed: str, answer: object) -> None:
    """What cannot be read is said in the form, and can be mended."""
    run = FakeRun()
    run.ask("size", "How many?", kind)
    view = view_of(run)
    view.paint()
    (field,), (button,) = widgets_of(view, ipywidgets.Text), widgets_of(view, ipywidgets.Button)
    if kind != "str":
        field.value = "<b>"
        button.click()
        assert run.answers == []
        assert any("&lt;b&gt;" in each.value for each in widgets_of(view, ipywidgets.HTML))

    field.value = typed
    button.click()

    assert [given for _row, given in run.answers] == [answer]
    assert button.disabled


def test_what_is_typed_stays_while_other_things_change(view_of: Any) -> None:
    """Another question, or a report, does not make the form anew."""
    run = FakeRun()
    run.ask("size", "How many?", "int")
    view = view_of(run)
    view.paint()
    (field,) = widgets_of(view, ipywidgets.Text)
    field.value = "12"
    run.ask("go")
    run.report(0, main="<b>x</b>")
    view.paint()

    assert [each.value for each in widgets_of(view, ipywidgets.Text)] == ["12"]
    assert any("<iframe" in each.value for each in widgets_of(view, ipywidgets.HTML))


def test_a_click_too_late_says_so(view_of: Any) -> None:
    """Somebody else was faster."""
    run = FakeRun()
    row = run.ask("go")
    view = view_of(run)
    view.paint()
    yes = next(each for each in widgets_of(view, ipywidgets.Button) if each.description == "Yes")
    run.action(row).signal(value=False)
    yes.click()

    assert any("it is not open" in each.value for each in widgets_of(view, ipywidgets.HTML))


def test_without_a_front_end_the_output_is_static_from_the_start(view_of: Any, publisher: FakePublisher) -> None:
    """Questions as text, reports in frames; nothing is a widget."""
    run = FakeRun()
    run.ask("go", seconds=60)
    run.report(0, main="<b>x</b>")
    view = view_of(run, widget=False)
    view.paint()
    first = only_output(publisher)
    run.report(0, main="<b>y</b>")
    view.paint()
    run.drop([1])
    run.finish()

    assert view.paint()
    assert set(first) == {"text/plain", "text/html"}
    assert "waits for yes or no until" in first["text/plain"]
    assert [tag for tag, _ in Elements(only_output(publisher)["text/html"]).found].count("iframe") == 1
    assert "aborted" in only_output(publisher)["text/plain"]


@pytest.mark.parametrize("hostile", HOSTILE)
def test_what_a_task_asks_is_text(view_of: Any, publisher: FakePublisher, hostile: str) -> None:
    """Names, prompts, descriptions and answers are never interpreted."""
    run = FakeRun()
    row = run.ask(hostile, hostile, "str", hostile)
    view_of(run).paint()
    run.action(row).signal(hostile)
    view = view_of(run, widget=False)
    view.paint()

    for output in publisher.outputs.values():
        text_of(output["text/html"])
