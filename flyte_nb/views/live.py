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

import contextlib
import contextvars
import threading
import uuid
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from flyte_nb.core.state import RunState
from flyte_nb.core.summary import Summary
from flyte_nb.views.page import static_page
from flyte_nb.views.painter import PAINTER, Painter
from flyte_nb.views.shown import ShownRun
from flyte_nb.views.text import text_page

if TYPE_CHECKING:  # it loads widgets
    from flyte_nb.views.panel import RunPanel

#: Finished panels that stay widgets in this kernel.
MAX_FINISHED_PANELS = 20
WIDGET_MIME = "application/vnd.jupyter.widget-view+json"

Bundle = dict[str, Any]


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


class RunView:
    """One run as it is shown in this kernel.

    Args:
        run: what to show.
        widget: whether a front end is there that can show a live widget.
        rerun: starts a new run of what failed in it (row 0), or of one of its actions, and returns the new run's name.
        publisher: where bundles go.
        painter: what keeps the view up to date.
    """

    def __init__(
        self,
        run: ShownRun,
        *,
        widget: bool = True,
        rerun: Callable[[str, int], str] | None = None,
        publisher: Publisher | None = None,
        painter: Painter | None = None,
    ) -> None:
        self.run = run
        self.display_id = f"flyte-nb-{run.name}-{uuid.uuid4().hex[:8]}"
        self._publisher = publisher or NotebookPublisher()
        self._painter = painter or PAINTER
        self._widget = widget
        self._rerun = rerun
        self._panel: RunPanel | None = None
        self._guard = threading.RLock()
        self._context = contextvars.copy_context()
        self._ended = False
        self._unsubscribe: Callable[[], None] | None = None

    def show(self) -> None:
        """Show the run in the current cell; a run that is over costs no thread, and its widget is one of the newest."""
        with self._guard:
            over = self.run.done()
            self._context = contextvars.copy_context()
            if self._widget and self._panel is None:
                self._panel = self._new_panel()
            self._publisher.show(self.bundle(), self.display_id)
            if over:
                _keep_newest(self)
            elif self._unsubscribe is None:
                self._painter.add(self)
                self._unsubscribe = self.run.on_change(self._painter.notify)

    def _new_panel(self) -> RunPanel:
        from flyte_nb.views.panel import RunPanel  # noqa: PLC0415 - `import flyte_nb` must not load widgets
        from flyte_nb.views.query import RunQueries  # noqa: PLC0415 - as above, and numpy

        rerun = None if self._rerun is None else self._run_again
        return RunPanel(self.run, RunQueries(self.run, self._more_to_say), rerun=rerun, soon=self._painter.notify)

    def _more_to_say(self) -> None:
        """An answer has more to say although the run has not changed: more was searched (from any thread)."""
        panel = self._panel
        if panel is not None and self.run.done():
            self._context.copy().run(self._painter.add, _Afterwards(panel))
        self._painter.notify()

    def _run_again(self, row: int) -> str:
        """Start a new run as if the cell of this view did, so that it is shown below this one."""
        assert self._rerun is not None  # noqa: S101 - asked before
        return self._context.copy().run(self._rerun, self.run.name, row)

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
            over = self.run.done()  # asked before the rest: an end in between is then painted by the next round
            if self._panel is not None:
                self._panel.paint(over=over)
            if over:
                self._end()
            return over

    def _end(self) -> None:
        self._ended = True
        if self._unsubscribe is not None:
            self._unsubscribe()
        self._publisher.update(self.bundle(), self.display_id)
        _keep_newest(self)

    def to_static(self) -> None:
        """Give up the widget: what is shown becomes the static page."""
        with self._guard:
            panel, self._panel = self._panel, None
            if panel is not None:
                self._publisher.update(self.bundle(), self.display_id)
                panel.close()


class _Afterwards:
    """Something to be sent of a run that is over: painted until it could be sent."""

    def __init__(self, panel: RunPanel) -> None:
        self._panel = panel

    def paint(self) -> bool:
        """Send what changed; returns whether that was possible."""
        return self._panel.session.push()


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
    with contextlib.suppress(ValueError):
        _finished.remove(view)
    _finished.append(view)
    while len(_finished) > MAX_FINISHED_PANELS:
        _finished.popleft().to_static()
