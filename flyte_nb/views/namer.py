"""Decides how views come by the names of actions: at once where they are cheap, otherwise little by little in a thread.

A name depends on all equal calls of the same parent before it, so the last of a million siblings costs the names of all
of them. Under the engine's lock that would hold up the run; a view rather shows no name for a moment.

Must not know: how names are made (`core.names`).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from flyte_nb.views.columns import ReadRun
from flyte_nb.views.onename import one_name
from flyte_nb.views.slices import Slices

#: Names that are made while the engine waits: about two milliseconds.
STEPS = 500
#: Names that a single question may cost; above that they come later.
AT_ONCE = 1_000


class Namer:
    """Gives the names of a run's actions as far as they are known, and sees to the rest.

    Args:
        run: whose actions.
        notify: called (from the thread) when more names are known.
    """

    def __init__(self, run: ReadRun, notify: Callable[[], None] = lambda: None) -> None:
        self._run = run
        self._guard = threading.Lock()
        self._slices = Slices("flyte_nb-names", self._make_slice, notify)
        self._wanted: list[int] = []

    def known(self, rows: Sequence[int]) -> dict[int, str]:
        """The names of some rows; those that would cost too much now are missing, and come later."""
        left, count = AT_ONCE, self._run.read(lambda state: state.count)
        names: dict[int, str] = {}
        missing: list[int] = []
        for row in (row for row in rows if 0 <= row < count):
            while (name := self._run.read(lambda state, row=row: state.name_within(row, STEPS))) is None and left > 0:  # type: ignore[misc]  # bound now
                left -= STEPS
            if name is None:
                missing.append(row)
            elif name:
                names[row] = name
        if missing:
            self._later(missing)
        return names

    def of(self, row: int) -> str:
        """The name of one action; empty if it would cost too much now, and it comes later."""
        if not 0 <= row < self._run.read(lambda state: state.count):
            return ""
        return one_name(self._run, row) or self.known([row]).get(row, "")

    def _later(self, rows: list[int]) -> None:
        with self._guard:
            self._wanted = rows
        self._slices.start()

    def _make_slice(self) -> bool:
        """Come nearer to the first name that is wanted; returns whether there may be more to make."""
        with self._guard:
            row = self._wanted[0] if self._wanted else None
        if row is not None and self._run.read(lambda state: state.name_within(row, STEPS)) is not None:
            with self._guard:
                self._wanted = [each for each in self._wanted if each != row]
        return row is not None

    def join(self, timeout: float | None = None) -> None:
        """Wait until the names that were asked for are known."""
        self._slices.join(timeout)
