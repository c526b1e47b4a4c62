"""Decides how runs and cells meet: a run is shown and prints under its cell, and at the cell's end what is left is done.

Where nobody looks, the end of a cell waits for its runs; a cell whose own `asyncio.run` failed gets a hint.

Must not know: how runs work; it sees handles that can be waited for and shown.
"""

from __future__ import annotations

import contextvars
import sys
import threading
import weakref
from collections.abc import Callable
from typing import Any, Protocol

from flyte_nb.core.labels import set_labeller
from flyte_nb.notebook import cells
from flyte_nb.notebook.kernel import allow_widgets, cell_id, cell_label, has_front_end, in_kernel, shows_widgets
from flyte_nb.notebook.output import CellOutput
from flyte_nb.views.asides import AsidesView, has_asides, when_needed
from flyte_nb.views.live import RunView
from flyte_nb.views.painter import PAINTER, Painter
from flyte_nb.views.shown import ShownRun
from flyte_nb.views.terminal_asking import tell_when_asked
from flyte_nb.views.text import print_label

#: Views that are shown by themselves under one cell; a cell that starts more runs shows the first ones.
MAX_VIEWS_PER_CELL = 8

_NESTED = ("cannot be called from a running event loop", "event loop is already running", "while another loop is running")
HINT = "Hint: in a notebook write `await main()` instead, or allow nested event loops with `%flyte_config nest on`."


class WaitedRun(ShownRun, Protocol):
    """A run that can be waited for."""

    def wait(self, *, quiet: bool = False) -> object:
        """Wait until the run is over."""
        ...


class Notebook:
    """Connects runs to the cells of one IPython shell, in a kernel or a terminal. `attach` it once.

    Args:
        shell: IPython's shell.
        blocks: whether the end of a cell without a front end waits for the runs that it started.
        rerun: starts a new run of what failed in a run (row 0), or of one of its actions; returns the new run's name.
        painter: what keeps views up to date.
    """

    def __init__(
        self,
        shell: Any,
        *,
        blocks: Callable[[], bool],
        rerun: Callable[[str, int], str] | None = None,
        painter: Painter | None = None,
    ) -> None:
        self._shell = shell
        self._blocks = blocks
        self._rerun = rerun
        self._painter = painter or PAINTER
        self._started: list[WaitedRun] = []
        self._shown: set[str] = set()
        self._outputs: dict[str, tuple[WaitedRun, CellOutput]] = {}
        self._early: dict[str, list[tuple[int, str]]] = {}
        self._guard = threading.Lock()
        self._views: weakref.WeakValueDictionary[str, RunView] = weakref.WeakValueDictionary()

    def attach(self) -> None:
        """Register at the shell's events, and name cells as the notebook does in tracebacks."""
        allow_widgets()
        set_labeller(lambda file: cell_label(self._shell, file))
        self._shell.events.register("post_run_cell", self.after_cell)

    def detach(self) -> None:
        """Take the registration back."""
        self._shell.events.unregister("post_run_cell", self.after_cell)

    def run_started(self, run: WaitedRun) -> None:
        """A cell started a run: show it there, and remember it for its prints and for the end of the cell."""
        self._started.append(run)
        self._open_output(run)
        views = len(self._started)
        if views <= MAX_VIEWS_PER_CELL:
            self._show(run)
        elif views == MAX_VIEWS_PER_CELL + 1 and in_kernel(self._shell):
            print(f"This cell starts more than {MAX_VIEWS_PER_CELL} runs; only the first ones are shown. See `%flyte_runs`.")  # noqa: T201 - to the user
        self._follow_asides(run)

    def _follow_asides(self, run: WaitedRun) -> None:
        """Show what a run asks and reports under this cell, when there is something."""
        if not in_kernel(self._shell):
            return
        view = AsidesView(run, widget=shows_widgets(self._shell))
        context = contextvars.copy_context()  # of this cell

        def show() -> None:
            context.run(self._painter.add, view)
            run.on_change(self._painter.notify)
            self._painter.notify()

        when_needed(run, show)
        if not has_front_end(self._shell):
            tell_when_asked(run, lambda text: self.say(f"flyte_nb: {text}"))

    def _open_output(self, run: WaitedRun) -> None:
        output = CellOutput()
        with self._guard:
            self._outputs[run.name] = (run, output)
            early = self._early.pop(run.name, [])
        for row, text in early:
            self.print_log(run.name, row, text)

        def finish() -> None:
            if run.done():
                output.finish()

        run.on_change(finish)

    def print_log(self, run: str, row: int, text: str) -> None:
        """Show what an action printed under the cell that started its run (from any thread)."""
        with self._guard:
            known = self._outputs.get(run)
            if known is None:  # a quick driver prints before its starter has heard of the run
                self._early.setdefault(run, []).append((row, text))
                return
        handle, output = known
        if not output.is_full:
            output.print_log(handle.read(lambda state: print_label(state, row)), text)

    def say(self, line: str) -> None:
        """Tell the user something under the cell that started the latest run (from any thread)."""
        outputs = list(self._outputs.values())
        output = outputs[-1][1] if outputs else CellOutput()
        output.print_log("", f"{line}\n")

    def show(self, run: WaitedRun) -> bool:
        """Show a run under the current cell, once a cell; returns whether this shell can show it at all."""
        shown = self._show(run)
        if shown and run.done() and run.read(has_asides):
            AsidesView(run, widget=False).paint()
        return shown

    def _show(self, run: ShownRun) -> bool:
        if not in_kernel(self._shell):
            return False
        key = f"{cell_id(self._shell)}/{run.name}"
        if key not in self._shown:
            self._shown.add(key)
            self._view(run).show()
        return True

    def _view(self, run: ShownRun) -> RunView:
        view = self._views.get(run.name)
        if view is None:
            view = self._views[run.name] = RunView(run, widget=shows_widgets(self._shell), rerun=self._rerun, painter=self._painter)
        return view

    def after_cell(self, result: Any) -> None:
        """The end of a cell (an IPython event)."""
        started, self._started = self._started, []
        self._shown.clear()
        cells.refresh_namespaces(self._shell.user_ns)
        if result is not None and is_nested_loop_error(result.error_in_exec):
            print(HINT, file=sys.stderr)  # noqa: T201 - to the user, under the error
        if in_kernel(self._shell) and not has_front_end(self._shell) and self._blocks():
            for run in started:
                run.wait(quiet=True)
            self._painter.paint_all()
        with self._guard:
            self._outputs = {name: known for name, known in self._outputs.items() if not known[0].done()}
            self._early.clear()


def is_nested_loop_error(error: BaseException | None) -> bool:
    """Whether an error is asyncio's own about a loop inside a loop, raised by the cell and not by a task elsewhere."""
    if not isinstance(error, RuntimeError) or not any(text in str(error) for text in _NESTED):
        return False
    last = error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    return last is not None and str(last.tb_frame.f_globals.get("__name__", "")).startswith("asyncio")
