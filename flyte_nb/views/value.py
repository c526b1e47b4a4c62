"""Decides how the output of a run is shown that nobody waits for: below the cell that started it, when it is there.

Must not know: what the run does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from flyte_nb.core.phases import ActionPhase
from flyte_nb.views.painter import PAINTER, Painter
from flyte_nb.views.shown import ShownRun


class ValuedRun(ShownRun, Protocol):
    """A run whose outputs can be read."""

    def outputs(self) -> Sequence[Any]:
        """What the run returned."""
        ...


class ValueDisplay:
    """Displays a run's output in the current cell once the run has succeeded; shows nothing for None.

    Args:
        run: whose output.
        show: displays a value; default is IPython's `display`.
        painter: what asks whether the run is over.
    """

    def __init__(self, run: ValuedRun, *, show: Callable[[Any], object] | None = None, painter: Painter | None = None) -> None:
        self._run = run
        self._show = show or _display
        self._painter = painter or PAINTER
        self._unsubscribe: Callable[[], None] = lambda: None

    def show_when_done(self) -> None:
        """Register; call it in the cell that shall show the value."""
        self._painter.add(self)
        self._unsubscribe = self._run.on_change(self._painter.notify)

    def paint(self) -> bool:
        """Show the value if the run is over; returns whether it is."""
        if not self._run.done():
            return False
        self._unsubscribe()
        if self._run.summary().phase is ActionPhase.SUCCEEDED:
            for value in self._run.outputs():
                if value is not None:
                    self._show(value)
        return True


def _display(value: Any) -> None:
    from IPython.display import display  # noqa: PLC0415 - `import flyte_nb` must not load IPython

    display(value)  # type: ignore[no-untyped-call]  # IPython's
