"""Decides when what a run says beside its progress appears under its cell: questions that it asks, reports of its tasks.

Nothing is shown before there is something; then one output below the run's view, with a form for each open question and
a frame for each report. When the run ends it becomes static: the answers that were given, and the reports.

Must not know: the engine, or which kernel it runs in.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from flyte_nb.core.questions import Answer, Question, Questions
from flyte_nb.core.state import RunState
from flyte_nb.views.asking import QuestionForm, question_html, question_text
from flyte_nb.views.live import WIDGET_MIME, Bundle, NotebookPublisher, Publisher
from flyte_nb.views.reports import listed
from flyte_nb.views.shown import ShownRun
from flyte_nb.views.wording import plural


@dataclass(frozen=True, slots=True)
class Asides:
    """What a run says beside its progress: questions, and reports with their titles by row."""

    questions: list[Question]
    reports: dict[int, dict[str, str]]
    titles: dict[int, str]


def has_asides(state: RunState) -> bool:
    """Whether there is something to show; cheap."""
    return bool(state.reports) or any(task.kind == "condition" for task in state.tasks)


def when_needed(run: ShownRun, show: Callable[[], None]) -> None:
    """Call `show` once, when a run has something to show; on the thread that tells of changes, or at once."""
    watch: list[Callable[[], None]] = []

    def look() -> None:
        needed: bool = run.read(has_asides)
        if watch and needed:
            watch.pop()()
            show()

    watch.append(run.on_change(look))
    look()


class AsidesView:
    """Questions and reports of one run.

    Args:
        run: whose.
        widget: whether a front end is there that can show forms.
        publisher: where bundles go.
    """

    def __init__(self, run: ShownRun, *, widget: bool = True, publisher: Publisher | None = None) -> None:
        self.run = run
        self.display_id = f"flyte-nb-asides-{run.name}-{uuid.uuid4().hex[:8]}"
        self._publisher = publisher or NotebookPublisher()
        self._widget = widget
        self._panel: _Panel | None = None
        self._questions = Questions()
        self._guard = threading.RLock()
        self._shown: Asides | None = None
        self._ended = False

    def paint(self) -> bool:
        """Show or send what changed; returns whether the run is over and its end has been sent."""
        with self._guard:
            if self._ended:
                return True
            over = self.run.done()  # asked before the rest: an end in between is painted by the next round
            asides = self._read()
            if asides == self._shown and not over:
                return False
            first, self._shown = self._shown is None, asides
            if over:
                self._end(asides, first=first)
            elif first:
                self.show()
            elif self._panel is not None:
                self._panel.update(asides)
            else:
                self._publisher.update(bundle_of(asides), self.display_id)
            return over

    def show(self) -> None:
        """Show it in the current cell, in another one than before if need be."""
        with self._guard:
            asides = self._read()
            self._shown = asides
            bundle = bundle_of(asides)
            if self._widget and not self._ended:
                if self._panel is None:
                    self._panel = _Panel(self._answer)
                self._panel.update(asides)
                bundle[WIDGET_MIME] = {"version_major": 2, "version_minor": 0, "model_id": self._panel.model_id}
            self._publisher.show(bundle, self.display_id)

    def _read(self) -> Asides:
        def read(state: RunState) -> Asides:
            titles = {row: f"{state.task_of(row).short_name} {state.action_name(row)[:8]}" for row in state.reports}
            return Asides(self._questions.read(state), {row: dict(tabs) for row, tabs in state.reports.items()}, titles)

        return self.run.read(read)

    def _end(self, asides: Asides, *, first: bool) -> None:
        self._ended = True
        panel, self._panel = self._panel, None
        if first:
            self._publisher.show(bundle_of(asides), self.display_id)
        else:
            self._publisher.update(bundle_of(asides), self.display_id)
        if panel is not None:
            panel.close()

    def _answer(self, row: int, value: Answer) -> None:
        self.run.action(row).signal(value)


class _Panel:
    """The widget: forms of open questions, what became of the others, reports."""

    def __init__(self, answer: Callable[[int, Answer], None]) -> None:
        import ipywidgets  # noqa: PLC0415 - `import flyte_nb` must not load widgets

        self._answer = answer
        self._forms: dict[int, QuestionForm] = {}
        self._settled, self._reports = ipywidgets.HTML(""), ipywidgets.HTML("")
        self._box = ipywidgets.VBox([self._settled, self._reports])

    @property
    def model_id(self) -> str:
        """The id by which a front end finds the widget."""
        return str(self._box.model_id)

    def update(self, asides: Asides) -> None:
        """Show this from now on; forms that are filled in stay as they are."""
        waiting = {question.row: question for question in asides.questions if question.is_open}
        gone = [self._forms.pop(row) for row in list(self._forms) if row not in waiting]
        for row, question in waiting.items():
            if row not in self._forms:
                self._forms[row] = QuestionForm(question, lambda value, row=row: self._answer(row, value))  # type: ignore[misc]  # row is bound now
        self._settled.value = "".join(question_html(each) for each in asides.questions if not each.is_open)
        self._reports.value = listed(asides.reports, asides.titles)
        self._box.children = (self._settled, *(form.box for form in self._forms.values()), self._reports)
        for form in gone:
            form.close()

    def close(self) -> None:
        """Take the widget out of the kernel and the browser."""
        for form in self._forms.values():
            form.close()
        for widget in (self._settled, self._reports, self._box):
            widget.close()


def bundle_of(asides: Asides) -> Bundle:
    """Questions and reports in forms that a saved notebook keeps."""
    lines = [question_text(each) for each in asides.questions]
    if asides.reports:
        lines.append(f"{plural(len(asides.reports), 'report')}: " + ", ".join(asides.titles[row] for row in sorted(asides.reports)[:10]))
    parts: list[Any] = [question_html(each) for each in asides.questions]
    body = "".join([*parts, listed(asides.reports, asides.titles)])
    return {"text/plain": "\n".join(lines), "text/html": f'<div class="tex2jax_ignore mathjax_ignore">{body}</div>'}
