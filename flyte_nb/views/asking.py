"""Decides how a question of a run is put to a person under a cell: a form with an input of the type that is asked for.

A yes-or-no question has two buttons; everything else an input and a button. The form answers while the cell is busy.
What a task wrote (prompt, description) is text, and is escaped.

Must not know: runs; whoever makes a form is handed the answer.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from flyte_nb.core.phases import ActionPhase
from flyte_nb.core.questions import Answer, Question, parsed_answer
from flyte_nb.views.busy import answer_while_busy
from flyte_nb.views.markup import escape
from flyte_nb.views.wording import GLYPHS, clean, phase_word

#: Longest prompt, description and answer that are shown.
LIMIT = 4_000
_STYLE = "white-space:pre-wrap;overflow-wrap:anywhere"
_WORDS = {"bool": "yes or no", "int": "a whole number", "float": "a number", "str": "a text"}


def question_text(question: Question) -> str:
    """A question, and what became of it, as lines of text."""
    head = f"{GLYPHS[question.phase]} {clean(question.name)}: {clean(question.prompt[:LIMIT])}"
    return f"{head} - {outcome(question)}"


def question_html(question: Question) -> str:
    """The same as HTML."""
    described = f'<div style="{_STYLE};opacity:.8">{escape(question.description[:LIMIT])}</div>' if question.description else ""
    glyph = f'<span aria-hidden="true">{GLYPHS[question.phase]}</span>'
    return (
        f'<div class="fnb-question" style="{_STYLE}">{glyph} <b>{escape(question.name)}</b>: {escape(question.prompt[:LIMIT])} '
        f'<span style="opacity:.8">({escape(outcome(question))})</span>{described}</div>'
    )


def outcome(question: Question) -> str:
    """What became of a question, in words (not escaped)."""
    if question.phase is ActionPhase.SUCCEEDED:
        answer = {True: "yes", False: "no"}[question.answer] if isinstance(question.answer, bool) else str(question.answer)
        return f"answered: {clean(answer[:LIMIT])}"
    if not question.is_open:
        return {ActionPhase.TIMED_OUT: "nobody answered in time"}.get(question.phase, phase_word(question.phase))
    if question.answer_by is None:
        return f"waits for {_WORDS[question.kind]}"
    until = datetime.fromtimestamp(question.answer_by)  # noqa: DTZ006 - the reader's own time
    return f"waits for {_WORDS[question.kind]} until {until:%H:%M:%S}"


def how_to_answer(run: str, question: Question) -> str:
    """What is told where no form can be shown."""
    example = {"bool": "True", "int": "1", "float": "1.0", "str": '"..."'}[question.kind]
    return (
        f"run {run} waits for an answer: {clean(question.prompt[:LIMIT])!r} ({_WORDS[question.kind]}). Nobody can be asked here: "
        f"answer with flyte.remote.Run.get({run!r}).condition({question.name!r}).signal({example}), "
        "abort the run, or give the condition a timeout."
    )


class QuestionForm:
    """The form of one open question.

    Args:
        question: what is asked.
        answer: takes the answer; what it raises is shown in the form.
    """

    def __init__(self, question: Question, answer: Callable[[Answer], object]) -> None:
        import ipywidgets  # noqa: PLC0415 - `import flyte_nb` must not load widgets

        self._question, self._answer = question, answer
        self._text: Any = None
        self._told = ipywidgets.HTML("")
        buttons = [("Yes", lambda: True), ("No", lambda: False)] if question.kind == "bool" else [("Answer", self._typed)]
        self._buttons = [self._button(ipywidgets, *each) for each in buttons]
        controls: list[Any] = [*self._buttons, self._told]
        if question.kind != "bool":
            wide = ipywidgets.Layout(width="24em")
            self._text = ipywidgets.Text(placeholder=_WORDS[question.kind], layout=wide, tooltip=f"Answer to {clean(question.name)}")
            controls.insert(0, self._text)
        row = ipywidgets.HBox(controls)
        self.box = ipywidgets.VBox([ipywidgets.HTML(question_html(question)), row])
        self.box.add_class("fnb-asks")
        for widget in _all(self.box):
            answer_while_busy(widget.comm)

    def _button(self, ipywidgets: Any, label: str, value: Callable[[], Answer]) -> Any:
        button = ipywidgets.Button(description=label, tooltip=f"{label}: {clean(self._question.prompt[:200])}")
        button.add_class(f"fnb-answer-{label.lower()}")
        button.on_click(lambda _button: self._clicked(value))
        return button

    def _typed(self) -> Answer:
        return parsed_answer(self._text.value, self._question.kind)

    def _clicked(self, value: Callable[[], Answer]) -> None:
        try:
            self._answer(value())
        except Exception as error:  # noqa: BLE001 - a callback: an exception that leaves it is lost; the person reads it
            self._told.value = f'<span role="alert" style="color:var(--jp-error-color1,#b00)">{escape(str(error))}</span>'
            return
        self._told.value = "sent"
        for button in self._buttons:
            button.disabled = True

    def close(self) -> None:
        """Take the form out of the kernel and the browser."""
        for widget in _all(self.box):
            widget.close()


def _all(widget: Any) -> list[Any]:
    found = [widget, widget.layout, *([widget.style] if hasattr(widget, "style") else [])]
    for child in getattr(widget, "children", ()):
        found += _all(child)
    return found
