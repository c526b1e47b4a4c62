"""Decides how the form of a task looks and what its button does: `flyte.form(task)`.

An entry that does not fit says so beside its field, and nothing starts. What starts is shown below the form, as if the form's cell had
started it.

Must not know: what an entry stands for (`entries`), or how a run is executed.
"""

from __future__ import annotations

import contextvars
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import ipywidgets

from flyte_nb.authoring.task import Task
from flyte_nb.notebook.entries import NOTHING, Entry, EntryError, entry_of
from flyte_nb.views.busy import answer_while_busy
from flyte_nb.views.markup import escape
from flyte_nb.views.wording import clean, one_line

_WIDE = {"description_width": "12em"}
_ALERT = '<span role="alert" style="color:var(--jp-error-color1,#b00)">{}</span>'
#: Places of what is no choice.
_NO_CHOICE, _CHOOSE = -1, -2
#: Above this a text has several lines.
_LONG = 60


class Field:
    """One entry with its input, and what is said beside it."""

    def __init__(self, entry: Entry) -> None:
        self.entry = entry
        self.told = ipywidgets.HTML("")
        self.fields = [Field(each) for each in entry.fields]
        self._none = self._none_tick()
        self.input = self._made_input()
        row = [self.input, *([self._none] if self._none is not None else []), self.told]
        self.box = ipywidgets.HBox(row, layout=ipywidgets.Layout(flex_flow="row wrap", align_items="center"))

    def _none_tick(self) -> Any:
        """A tick for None, where an entry cannot be empty."""
        if not self.entry.optional or self.entry.kind in {"line", "choice", "upload"}:
            return None
        return ipywidgets.Checkbox(
            value=self.entry.default is None, description="none", indent=False, tooltip=f"{clean(self.entry.name)} is None"
        )

    def _made_input(self) -> Any:
        entry = self.entry
        common = {
            "description": clean(entry.name) + ("" if entry.default is not NOTHING or entry.optional else " *"),
            "style": _WIDE,
            "layout": ipywidgets.Layout(width="32em"),
            "tooltip": entry.hint or clean(entry.name),
        }
        given = entry.default not in (NOTHING, None) if not hasattr(entry.default, "__array__") else True
        if entry.kind == "tick":
            return ipywidgets.Checkbox(value=bool(given and entry.default), **(common | {"indent": True}))
        if entry.kind == "choice":
            return self._choice(common)
        if entry.kind == "slider" and (not given or entry.bounds.holds(entry.default)):  # a slider would show another number
            bounds = entry.bounds
            kind = ipywidgets.IntSlider if entry.whole else ipywidgets.FloatSlider
            step = bounds.step or (1 if entry.whole else (bounds.high - bounds.low) / 100)  # type: ignore[operator]  # a slider has both
            value = entry.default if given else bounds.low
            return kind(value=value, min=bounds.low, max=bounds.high, step=step, readout_format="d" if entry.whole else ".4g", **common)
        if entry.kind == "upload":
            return ipywidgets.FileUpload(multiple=False, **{name: value for name, value in common.items() if name != "style"})
        if entry.kind == "fields":
            title = ipywidgets.Label(f"{clean(entry.name)} ({clean(entry.hint)})")
            return ipywidgets.VBox([title, *(field.box for field in self.fields)], layout=ipywidgets.Layout(padding="0 0 0 1.5em"))
        text = entry.text()
        kind = ipywidgets.Textarea if "\n" in text or len(text) > _LONG else ipywidgets.Text
        return kind(value=text, placeholder="none" if entry.optional and not entry.hint else entry.hint, **common)

    def _choice(self, common: dict[str, Any]) -> Any:
        labels = [(clean(label), place) for place, (label, _) in enumerate(self.entry.choices)]
        places = [
            place for place, (_, value) in enumerate(self.entry.choices) if value is self.entry.default or value == self.entry.default
        ]
        if self.entry.optional:
            labels = [("(none)", _NO_CHOICE), *labels]
        if not places and (self.entry.default is NOTHING and not self.entry.optional):
            labels = [("(choose)", _CHOOSE), *labels]
        start = places[0] if places else labels[0][1]
        return ipywidgets.Dropdown(options=labels, value=start, **common)

    # ------------------------------------------------------------------ reading
    def value(self) -> Any:
        """What was entered; NOTHING where the default is to be taken.

        Raises:
            EntryError: it does not fit, which is said beside the field.
        """
        self.told.value = ""
        try:
            return self._read()
        except EntryError as error:
            self.tell(str(error))
            raise
        except Exception as error:
            self.tell(f"{type(error).__name__}: {error}")
            raise EntryError(str(error)) from error

    def _read(self) -> Any:
        entry = self.entry
        if self._none is not None and self._none.value:
            return None
        if entry.kind == "fields":
            return entry.read(values_of(self.fields, complete=True))
        if entry.kind == "upload":
            return self._uploaded()
        entered = self.input.value
        if entry.kind == "choice":
            return self._chosen(entered)
        return self._line(str(entered)) if entry.kind == "line" else entry.read(entered)

    def _chosen(self, place: int) -> Any:
        if place == _CHOOSE:
            raise EntryError("choose one")
        return None if place == _NO_CHOICE else self.entry.read(place)

    def _line(self, text: str) -> Any:
        if text == self.entry.text() and self.entry.default is not NOTHING:
            return NOTHING  # as it was: the default itself, which its text may not tell
        if text.strip():
            return self.entry.read(text)
        if self.entry.optional:
            return None
        if self.entry.hint:
            raise EntryError("is needed" if self.entry.default is NOTHING else f"must be {self.entry.hint}")
        return self.entry.read(text)  # an empty text is a text

    def _uploaded(self) -> Any:
        files = self.input.value
        if files:
            return bytes(files[0]["content"])
        if self.entry.default is not NOTHING:
            return NOTHING
        if self.entry.optional:
            return None
        raise EntryError("choose a file")

    def tell(self, text: str) -> None:
        """Say something beside the field."""
        self.told.value = _ALERT.format(escape(one_line(text, 300)))


def values_of(fields: list[Field], *, complete: bool = False) -> dict[str, Any]:
    """What was entered, by name; what is left at its default is left out, unless all is wanted.

    Raises:
        EntryError: an entry does not fit. All that do not are told of.
    """
    values: dict[str, Any] = {}
    errors: list[str] = []
    for field in fields:
        try:
            value = field.value()
        except EntryError as error:
            errors.append(f"{field.entry.name}: {error}")
        else:
            if value is not NOTHING or complete:
                values[field.entry.name] = field.entry.default if value is NOTHING else value
    if errors:
        raise EntryError("; ".join(errors))
    return values


class TaskForm(ipywidgets.VBox):
    """A form made from a task's signature, with a button that starts a run of it.

    Attributes:
        run: the run that it started last; None before.
        runs: all of them.

    Args:
        task: the task.
        start: starts a run of it with inputs by name.
        names: the names of the notebook.
        given: values to begin with, by parameter.
    """

    def __init__(self, task: Task[..., Any], start: Callable[..., Any], names: Mapping[str, Any], given: Mapping[str, Any]) -> None:
        self._task, self._start = task, start
        self.run: Any = None
        self.runs: list[Any] = []
        parameters = task.signature.parameters
        unknown = sorted(given.keys() - {parameter.name for parameter in parameters})
        if unknown:
            task.signature.bind((), dict(given))  # says which, and what is near
        self._given = dict(given)
        self.fields = [
            entry_field(each.name, each.annotation, given.get(each.name, each.default if each.has_default else NOTHING), names)
            for each in parameters
        ]
        self._button = ipywidgets.Button(
            description=f"Run {clean(task.short_name)}", button_style="primary", tooltip="Start a run with these inputs", icon="play"
        )
        self._button.add_class("fnb-form-run")
        self._button.on_click(lambda _: self._clicked())
        self.told = ipywidgets.HTML("")
        about = one_line((inspect.getdoc(task.func) or "").partition("\n")[0], 200)
        head = [ipywidgets.Label(about)] if about else []
        super().__init__([*head, *(field.box for field in self.fields), ipywidgets.HBox([self._button, self.told])])
        self.add_class("fnb-form")
        self._context = contextvars.copy_context()
        for widget in _all(self):
            answer_while_busy(widget.comm)

    @property
    def inputs(self) -> dict[str, Any]:
        """What is entered, by parameter, as the task gets it.

        Raises:
            ValueError: an entry does not fit, which is said beside its field.
        """
        values = self._given | values_of(self.fields)
        bound = self._task.signature.bind((), values)
        return dict(zip((each.name for each in self._task.signature.parameters), bound, strict=True))

    def start(self) -> Any:
        """Start a run, as the button does; returns it.

        Raises:
            ValueError: an entry does not fit, which is said beside its field; nothing is started.
        """
        self.told.value = ""
        inputs = self.inputs
        run = self._context.copy().run(self._start, self._task, **inputs)
        self.run = run
        self.runs.append(run)
        self.told.value = f"started {escape(run.name)}"
        return run

    def _clicked(self) -> None:
        try:
            self.start()
        except EntryError:
            self.told.value = _ALERT.format("Not started: see the fields.")
        except Exception as error:  # noqa: BLE001 - a callback: an exception that leaves it is lost; the person reads it
            self._tell(error)

    def _tell(self, error: Exception) -> None:
        """Say what the task's own check says, beside the field if it names one."""
        text = f"{type(error).__name__}: {error}" if not isinstance(error, TypeError | ValueError) else str(error)
        named = next((field for field in self.fields if f"'{field.entry.name}'" in text.partition("\n")[0]), None)
        if named is not None:
            named.tell(text.rpartition("Reason: ")[2])
            text = "Not started: see the fields."
        self.told.value = _ALERT.format(escape(one_line(text, 500)))

    def _ipython_display_(self) -> None:
        self._context = contextvars.copy_context()  # of the cell that it stands in: there its runs are shown
        raise NotImplementedError  # it is displayed as any widget is


def entry_field(name: str, annotation: Any, default: Any, names: Mapping[str, Any]) -> Field:
    """The field of a parameter."""
    wanted = Any if annotation is inspect.Parameter.empty else annotation
    return Field(entry_of(name, wanted, default, names.__getitem__))


def _all(widget: Any) -> list[Any]:
    found = [widget]
    for child in getattr(widget, "children", ()):
        found += _all(child)
    return found
