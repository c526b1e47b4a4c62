"""Decides how views come by the names of actions: at once where they are cheap, otherwise little by little in a thread.

A name depends on all equal calls of the same parent before it, so the last of a million siblings costs the names of all
of them. Under the engine's lock that would hold up the run; a view rather shows no name for a moment.

Must not know: how names are made (`core.names`).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

from flyte_nb.views.columns import ReadRun

#: Names that are made while the engine waits: about two milliseconds.
STEPS = 500
#: Names that a single question may cost; above that they come later.
AT_ONCE = 5_000


class Namer:
    """Gives the names of a run's actions as far as they are known, and sees to the rest.

    Args:
        run: whose actions.
        notify: called (from the thread) when more names are known.
    """

    def __init__(self, run: ReadRun, notify: Callable[[], None] = lambda: None) -> None:
        self._run, self._notify = run, notify
        self._guard = threading.Lock()
        self._thread: threading.Thread | None = None
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

    def _later(self, rows: list[int]) -> None:
        with self._guard:
            self._wanted = rows
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="flyte_nb-names", daemon=True)
                self._thread.start()

    def _work(self) -> None:
        while (row := self._next()) is not None:
            began = time.perf_counter()
            name = self._run.read(lambda state, row=row: state.name_within(row, STEPS))  # type: ignore[misc]  # bound now
            if name is not None:
                self._done(row)
            time.sleep(time.perf_counter() - began)
        self._notify()

    def _next(self) -> int | None:
        with self._guard:
            if not self._wanted:
                self._thread = None
                return None
            return self._wanted[0]

    def _done(self, row: int) -> None:
        with self._guard:
            if row in self._wanted:
                self._wanted.remove(row)

    def join(self, timeout: float | None = None) -> None:
        """Wait until the names that were asked for are known."""
        thread = self._thread
        if thread is not None:
            thread.join(timeout)
