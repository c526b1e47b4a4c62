"""The form of a task: its fields, what is said beside them, and that nothing starts before all of them fit."""

from __future__ import annotations

import enum
import html
import importlib
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Annotated, Any, Literal

import ipywidgets
import pandas as pd
import pytest

import flyte_nb as flyte
from flyte_nb.notebook.form import Field, TaskForm
from tests.fakes.fake_comm import RecordingComm
from tests.fakes.fake_comm import use as use_comms
from tests.fakes.hostile import HOSTILE

env = flyte.TaskEnvironment("forms")
MODIFIED = datetime(2026, 11, 23, tzinfo=UTC)


class Kind(enum.Enum):
    """Choices."""

    LINEAR = 1
    TREE = 2


@dataclass
class Options:
    """Parts."""

    rate: float
    rounds: Annotated[int, range(1, 11)] = 3


@env.task
def train(  # noqa: PLR0913, PLR0917 - one of each kind
    lr: float,
    kind: Kind,
    depth: Annotated[int, range(1, 10)] = 3,
    loss: Literal["mse", "mae"] = "mse",
    shuffle: bool = True,  # noqa: FBT001, FBT002 - as above
    day: date | None = None,
    names: list[str] = ["a"],  # noqa: B006 - that is the test: a default of a task is copied for each call
    data: bytes = b"",
    options: Options = Options(0.5),  # noqa: B008 - as above
) -> str:
    """Train a model.

    In detail.
    """
    return f"{lr} {kind} {depth} {loss} {shuffle} {day} {names} {data!r} {options}"


class Started:
    """What was started."""

    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []

    def __call__(self, task: Any, **inputs: Any) -> Any:
        """Keep the inputs; a run with a name."""
        del task
        self.calls.append(inputs)
        return type("Run", (), {"name": f"r{len(self.calls)}"})()


@pytest.fixture(autouse=True)
def comms(monkeypatch: pytest.MonkeyPatch) -> type[RecordingComm]:
    """Return the comms that widgets of this test opened."""
    return use_comms(monkeypatch)


@pytest.fixture
def started() -> Started:
    """Return what was started."""
    return Started()


def form_of(task: Any, started: Started, names: dict[str, Any] | None = None, **given: Any) -> TaskForm:
    """A form that starts nothing real."""
    return TaskForm(task, started, names or {}, given)


def field(form: TaskForm, name: str) -> Field:
    """The field of a parameter."""
    return next(each for each in form.fields if each.entry.name == name)


def press(form: TaskForm) -> None:
    """Click the button, as the browser says it."""
    form._button._handle_custom_msg({"event": "click"}, [])


def text_of(markup: str) -> str:
    """What a person reads of it."""
    return html.unescape(re.sub("<[^>]*>", "", markup))


def told(form: TaskForm, name: str) -> str:
    """What is said beside a field, as text."""
    return text_of(field(form, name).told.value)


def test_fields_are_labelled_and_begin_with_the_defaults(started: Started) -> None:
    """A star for what must be given; the description is the label that a screen reader reads."""
    form = form_of(train, started)
    shown = {each.entry.name: each.input for each in form.fields}

    assert shown["lr"].description == "lr *"
    assert {name: type(widget).__name__ for name, widget in shown.items()} == {
        "lr": "Text",
        "kind": "Dropdown",
        "depth": "IntSlider",
        "loss": "Dropdown",
        "shuffle": "Checkbox",
        "day": "Text",
        "names": "Text",
        "data": "FileUpload",
        "options": "VBox",
    }
    assert (shown["depth"].value, shown["depth"].min, shown["depth"].max) == (3, 1, 9)
    assert (shown["shuffle"].value, shown["names"].value, shown["day"].value) == (True, "['a']", "")
    assert [label for label, _ in shown["kind"].options] == ["(choose)", "LINEAR", "TREE"]
    assert form.children[0].value == "Train a model."


def test_the_button_starts_a_run_with_what_was_entered(started: Started) -> None:
    """Checked and complete, as the task gets it; the form keeps the run."""
    form = form_of(train, started)
    field(form, "lr").input.value = "0.1"
    field(form, "kind").input.value = 1
    field(form, "day").input.value = "2026-11-23"
    field(form, "names").input.value = "b, c"
    field(form, "data").input.value = ({"name": "a", "type": "", "size": 2, "content": memoryview(b"hi"), "last_modified": MODIFIED},)
    field(form, "options").fields[1].input.value = 7
    press(form)

    assert started.calls == [
        {
            "lr": 0.1,
            "kind": Kind.TREE,
            "depth": 3,
            "loss": "mse",
            "shuffle": True,
            "day": date(2026, 11, 23),
            "names": ["b", "c"],
            "data": b"hi",
            "options": Options(0.5, 7),
        }
    ]
    assert (form.run.name, [run.name for run in form.runs], text_of(form.told.value)) == ("r1", ["r1"], "started r1")


def test_what_does_not_fit_is_said_beside_its_field_and_nothing_starts(started: Started) -> None:
    """All of it at once; when it is mended, the words go away."""
    form = form_of(train, started)
    field(form, "day").input.value = "soon"
    field(form, "names").input.value = "[1"
    field(form, "options").fields[0].input.value = "much"
    press(form)

    assert started.calls == []
    assert told(form, "lr") == "is needed"
    assert told(form, "kind") == "choose one"
    assert told(form, "day").startswith("must be a day")
    assert told(form, "names").startswith("must be a literal")
    assert "must be a number" in text_of(field(form, "options").fields[0].told.value)
    assert 'role="alert"' in field(form, "lr").told.value
    assert "Not started" in form.told.value

    field(form, "lr").input.value, field(form, "kind").input.value, field(form, "day").input.value = "1", 0, ""
    field(form, "names").input.value = ""
    press(form)
    assert started.calls == []
    assert (told(form, "lr"), told(form, "names")) == ("", "must be [1, 2] or 1, 2")
    field(form, "names").input.value, field(form, "options").fields[0].input.value = "[]", "0.25"
    press(form)
    assert (started.calls[0]["day"], started.calls[0]["names"], started.calls[0]["options"].rate) == (None, [], 0.25)


def test_what_the_task_itself_refuses_is_said_beside_the_field(started: Started) -> None:
    """A list of the wrong items: the task's own check."""

    @env.task
    def add(numbers: list[int]) -> int:
        return sum(numbers)

    form = form_of(add, started)
    field(form, "numbers").input.value = "[1, 'two']"
    press(form)

    assert started.calls == []
    assert "two" in told(form, "numbers") or "str" in told(form, "numbers")
    assert "Not started" in form.told.value


def test_a_start_that_fails_says_so(started: Started) -> None:
    """The cluster is not there, say: the form is still good."""

    def fails(task: Any, **inputs: Any) -> None:
        raise RuntimeError("no <cluster>")

    form = TaskForm(train, fails, {}, {"lr": 1.0, "kind": Kind.TREE})
    press(form)
    assert "RuntimeError: no <cluster>" in text_of(form.told.value)
    assert form.run is None


def test_values_that_are_given_go_before_defaults(started: Started) -> None:
    """Also such as no entry can be; a name that is no parameter is refused."""
    form = form_of(train, started, lr=0.25, kind=Kind.LINEAR, depth=9)
    assert (form.inputs["lr"], form.inputs["kind"], form.inputs["depth"]) == (0.25, Kind.LINEAR, 9)
    with pytest.raises(TypeError, match="unexpected keyword argument 'dept'; did you mean 'depth'"):
        form_of(train, started, dept=1)


def test_tables_are_variables_of_the_notebook(started: Started) -> None:
    """By name; one that is given is there without a name."""

    @env.task
    def count(table: pd.DataFrame, weight: float = 1.0) -> int:
        return len(table)

    names = {"frame": pd.DataFrame({"x": [1, 2]})}
    form = form_of(count, started, names)
    press(form)
    assert told(form, "table") == "is needed"
    field(form, "table").input.value = "frame"
    names["frame"] = pd.DataFrame({"x": [3]})
    press(form)
    assert started.calls[-1]["table"] is names["frame"]

    given = form_of(count, started, table=names["frame"])
    press(given)
    assert started.calls[-1]["table"] is names["frame"]


def test_none_is_a_tick_where_an_entry_cannot_be_empty(started: Started) -> None:
    """Of a slider, a tick, a dataclass."""

    @env.task
    def f(
        depth: Annotated[int, range(1, 10)] | None = None, options: Options | None = None, kind: Kind | None = None, n: int | None = 5
    ) -> int:
        return 1

    form = form_of(f, started)
    press(form)
    assert started.calls[-1] == {"depth": None, "options": None, "kind": None, "n": 5}
    for name in ("depth", "options"):
        tick = field(form, name)._none
        assert tick is not None
        tick.value = False
    field(form, "options").fields[0].input.value = "0.5"
    field(form, "kind").input.value = 1
    field(form, "n").input.value = ""
    press(form)
    assert started.calls[-1] == {"depth": 1, "options": Options(0.5), "kind": Kind.TREE, "n": None}


def test_a_default_outside_of_its_bounds_is_not_moved_into_them(started: Started) -> None:
    """A slider would begin with another number, and nobody would see it."""

    @env.task
    def f(depth: Annotated[int, range(1, 10)] = 20) -> int:
        return depth

    form = form_of(f, started)
    assert isinstance(field(form, "depth").input, ipywidgets.Text)
    assert field(form, "depth").input.value == "20"
    press(form)
    assert "must be from 1 to 9" in told(form, "depth")
    assert not started.calls


def test_names_and_texts_of_the_user_are_text(started: Started) -> None:
    """In labels, choices, hints and messages."""

    @env.task
    def f(kind: Literal["<b>bold</b>"], text: str = "<i>") -> str:
        return text

    form = form_of(f, started)
    assert form.fields[0].input.description_allow_html is False
    for text in HOSTILE:
        field(form, "kind").tell(text)
        assert "<script" not in field(form, "kind").told.value
    assert isinstance(form, ipywidgets.VBox)


def test_a_form_is_asked_for_by_its_task() -> None:
    """`flyte.form`; what is no task is refused."""
    assert flyte.form(train, lr=1.0, kind=Kind.TREE).inputs["lr"] == 1.0
    with pytest.raises(TypeError, match=r"flyte.form takes a task, got function"):
        flyte.form(press)  # type: ignore[arg-type]  # that is the test
    assert importlib.import_module("flyte_nb.running").form is flyte.form
