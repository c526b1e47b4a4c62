"""Decides how one run is shown in a notebook, from its first paint to what a saved notebook keeps.

A view is published once per cell under one display id, as a bundle: the widget (where a front end can show one),
static HTML and plain text. When the run ends the bundle is published again under the same id, so that a saved
notebook tells the end and not the start. Where nobody looks (papermill, nbclient) the widget is left out: nbconvert
would prefer it and show a blank page.

All views of one run share one widget, so they always agree. Only the newest finished panels stay widgets; older ones
become static HTML, so a thousand runs do not fill the kernel with widgets.

Must not know: the engine, or which kernel it runs in (whether there is a front end is told by the caller).
"""

from __future__ import annotations

import logging
import threading
import uuid
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from flyte_nb.core.state import RunState
from flyte_nb.core.summary import Summary
from flyte_nb.views.page import static_page
from flyte_nb.views.painter import PAINTER, Painter
from flyte_nb.views.panel import panel_html, style_sheet
from flyte_nb.views.text import text_page

#: Finished panels that stay widgets in this kernel.
MAX_FINISHED_PANELS = 20
WIDGET_MIME = "application/vnd.jupyter.widget-view+json"

Result = TypeVar("Result")
Bundle = dict[str, Any]

_log = logging.getLogger(__name__)


class ShownRun(Protocol):
    """What a view needs of a run."""

    @property
    def name(self) -> str:
        """The run's name."""
        ...

    def done(self) -> bool:
        """Whether the run is over."""
        ...

    def abort(self, reason: str) -> object:
        """Stop the run; returns without waiting."""
        ...

    def summary(self) -> Summary:
        """The run at this moment."""
        ...

    def read(self, reader: Callable[[RunState], Result]) -> Result:
        """Call a function with the run's state while nothing changes it."""
        ...

    def on_change(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call back when something changed; returns what takes it back."""
        ...


class Publisher(Protocol):
    """Where bundles go: IPython's display, or a fake."""

    def show(self, bundle: Bundle, display_id: str) -> None:
        """Show a bundle in the current cell."""
        ...

    def update(self, bundle: Bundle, display_id: str) -> None:
        """Replace what was shown under an id."""
        ...


class NotebookPublisher:
    """Publishes through IPython."""

    def show(self, bundle: Bundle, display_id: str) -> None:
        """Show a bundle in the current cell."""
        from IPython.display import publish_display_data  # noqa: PLC0415 - `import flyte_nb` must not load IPython

        publish_display_data(bundle, transient={"display_id": display_id})  # type: ignore[no-untyped-call]  # IPython's

    def update(self, bundle: Bundle, display_id: str) -> None:
        """Replace what was shown under an id."""
        from IPython.display import publish_display_data  # noqa: PLC0415 - as above

        publish_display_data(bundle, transient={"display_id": display_id}, update=True)  # type: ignore[no-untyped-call]  # as above


class RunPanel:
    """The widget: a style sheet, the panel's HTML and the Abort button."""

    def __init__(self, html: str, on_abort: Callable[[], None]) -> None:
        import ipywidgets  # noqa: PLC0415 - `import flyte_nb` must not load widgets

        self._on_abort = on_abort
        style = ipywidgets.HTML(f"<style>{style_sheet()}</style>")
        style.add_class("fnb-style")
        self._body = ipywidgets.HTML(html)
        self._button = ipywidgets.Button(description="Abort", tooltip="Stop this run and everything that it started")
        self._button.add_class("fnb-abort")
        self._button.on_click(self._clicked)
        self._box = ipywidgets.Box([style, self._body, self._button])
        self._box.add_class("flyte-nb")
        for widget in self._widgets():
            answer_while_busy(widget.comm)

    def _widgets(self) -> list[Any]:
        models = [self._box, *self._box.children]
        return [*models, *(model.layout for model in models), *(model.style for model in self._box.children)]

    @property
    def model_id(self) -> str:
        """The id by which a front end finds the widget."""
        return str(self._box.model_id)

    def set_html(self, html: str) -> None:
        """Show this from now on: one message, and none if nothing changed."""
        self._body.value = html

    def finish(self, html: str) -> None:
        """Show the end: the button goes, and the HTML is sent even if it is the same (a message may have been lost)."""
        self._button.layout.display = "none"
        self._body.value = html
        self._body.send_state("value")

    def close(self) -> None:
        """Take the widget out of the kernel and the browser."""
        for widget in self._widgets():
            widget.close()

    def _clicked(self, _button: object) -> None:
        self._button.disabled = True
        self._button.description = "Aborting…"
        self._on_abort()


def answer_while_busy(comm: Any) -> None:
    """Let a widget's messages be handled while the main thread runs a cell.

    ipykernel 7.4 sends a comm's messages to the shell that published last on it, which is the busy one. This takes
    the choice back to the front end, which asks for a subshell. On other versions there is nothing to do.
    """
    if hasattr(comm, "_reply_subshell_for"):
        comm._reply_subshell_for = lambda _data, default: default  # noqa: SLF001 - no public way; guarded above


class RunView:
    """One run as it is shown in this kernel.

    Args:
        run: what to show.
        widget: whether a front end is there that can show a live widget.
        publisher: where bundles go.
        painter: what keeps the view up to date.
    """

    def __init__(self, run: ShownRun, *, widget: bool = True, publisher: Publisher | None = None, painter: Painter | None = None) -> None:
        self.run = run
        self.display_id = f"flyte-nb-{run.name}-{uuid.uuid4().hex[:8]}"
        self._publisher = publisher or NotebookPublisher()
        self._painter = painter or PAINTER
        self._widget = widget
        self._panel: RunPanel | None = None
        self._guard = threading.RLock()
        self._ended = False
        self._unsubscribe: Callable[[], None] | None = None

    def show(self) -> None:
        """Show the run in the current cell; a run that is over costs neither thread nor widget."""
        with self._guard:
            over = self.run.done()
            if not over and self._widget and self._panel is None:
                self._panel = RunPanel(panel_html(self.run.summary()), self._abort)
            self._publisher.show(self.bundle(), self.display_id)
            if not over and self._unsubscribe is None:
                self._painter.add(self)
                self._unsubscribe = self.run.on_change(self._painter.notify)

    def bundle(self) -> Bundle:
        """The run at this moment in every form that a notebook may keep."""
        bundle = bundle_of(self.run)
        if self._panel is not None:
            bundle[WIDGET_MIME] = {"version_major": 2, "version_minor": 0, "model_id": self._panel.model_id}
        return bundle

    def paint(self) -> bool:
        """Send what changed; returns whether the run is over and its end has been sent."""
        with self._guard:
            if self._ended:
                return True
            over = self.run.done()  # asked before the summary: an end in between is then painted by the next round
            if self._panel is not None:
                html = panel_html(self.run.summary())
                if over:
                    self._panel.finish(html)
                else:
                    self._panel.set_html(html)
            if over:
                self._end()
            return over

    def _end(self) -> None:
        self._ended = True
        if self._unsubscribe is not None:
            self._unsubscribe()
        self._publisher.update(self.bundle(), self.display_id)
        if self._panel is not None:
            _keep_newest(self)

    def to_static(self) -> None:
        """Give up the widget: what is shown becomes the static page."""
        with self._guard:
            panel, self._panel = self._panel, None
            if panel is not None:
                self._publisher.update(self.bundle(), self.display_id)
                panel.close()

    def _abort(self) -> None:
        try:
            self.run.abort("Abort was clicked")
        except Exception:  # noqa: BLE001 - a callback: an exception that leaves it is lost
            _log.exception("run %s could not be aborted", self.run.name)


def bundle_of(run: ShownRun) -> Bundle:
    """A run at this moment as text and static HTML."""
    summary = run.summary()
    return {"text/plain": text_page(summary), "text/html": static_page(summary, traceback=first_traceback(run, summary))}


def first_traceback(run: ShownRun, summary: Summary) -> str:
    """The task's own traceback of the first cause of failure, or nothing."""
    if not summary.failures:
        return ""
    row = summary.failures[0].row

    def read(state: RunState) -> str:
        failure = state.failures.get(row)
        return failure.traceback if failure is not None else ""

    return run.read(read)


_finished: deque[RunView] = deque()


def _keep_newest(view: RunView) -> None:
    _finished.append(view)
    while len(_finished) > MAX_FINISHED_PANELS:
        _finished.popleft().to_static()
