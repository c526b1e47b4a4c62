"""Decides which open actions of a run a rule of the user stops (`run.abort_where`): now, and as long as it is kept.

Must not know: how an action is stopped.
"""

from __future__ import annotations

import contextvars
import sys
import threading
import time
import traceback
from collections.abc import Callable
from typing import Protocol

from flyte_nb.core.phases import TERMINAL_CODES
from flyte_nb.core.sweep import is_sweep
from flyte_nb.remote.streams import StreamedRun
from flyte_nb.views.columns import ReadRun
from flyte_nb.views.rows import Row, RowedRun, rows_of

#: Rows that are made at a time.
_PART_ROWS = 4_096
#: A look that took long is followed by a rest of so many times as long.
_REST_FACTOR = 4.0
#: A sweep that was just started is given so long to call its first rows: a cluster may have to start for it.
_CALLS_SECONDS = 10.0
_SLICE_SECONDS = 0.02

Rule = Callable[[Row], object]


class StoppableRun(StreamedRun, RowedRun, ReadRun, Protocol):
    """What a rule needs of a run."""


def abort_rows(run: StoppableRun, rule: Rule, reason: str, told: set[int] | None = None) -> int:
    """Tell the open actions for which a rule holds to stop; returns how many.

    Args:
        run: whose actions; the root is none of them.
        rule: asked of each open action's row. Whatever it raises is raised before anything is stopped.
        reason: what is said of them.
        told: rows that were told before, and are not asked again; those that are told now are added.
    """
    told = set() if told is None else told
    doomed: list[int] = []
    rows = [row for row in open_rows(run) if row not in told]
    for lo in range(0, len(rows), _PART_ROWS):
        doomed += [row.position for row in rows_of(run, rows[lo : lo + _PART_ROWS]) if _may_stop(row) and rule(row)]
    for position in doomed:
        run.home.abort(run.name, position, reason)
    told.update(doomed)
    return len(doomed)


def wait_called(run: StoppableRun) -> None:
    """Wait until a sweep that was just started has called its first rows: `flyte.map_frame` returns before."""
    until = time.monotonic() + _CALLS_SECONDS
    while run.read(lambda state: is_sweep(state.root) and len(state.phases) <= 1) and time.monotonic() < until:
        if run.home.wait_ended(run.name, _SLICE_SECONDS):
            return


def open_rows(run: ReadRun) -> list[int]:
    """Actions that have not ended, the root left out."""
    phases = run.read(lambda state: bytes(state.phases))
    return [row for row, phase in enumerate(phases) if row and phase not in TERMINAL_CODES]


def _may_stop(row: Row) -> bool:
    """What ended since it was listed is left alone; a step of `@flyte.trace` ends with its action only."""
    return not row.phase.is_terminal and row.kind != "trace"


class KeptRule:
    """What `run.abort_where(..., keep=True)` returns: a rule that is asked again until the run is over, or until `cancel()`.

    Attributes:
        count: actions that were told to stop so far.
        error: what the rule raised, which ended it; None if it raised nothing.
    """

    def __init__(self, run: StoppableRun, rule: Rule, reason: str, every: float) -> None:
        self._run, self._rule, self._reason, self._every = run, rule, reason, every
        self._told: set[int] = set()
        self._cancelled = threading.Event()
        self.error: Exception | None = None
        self.count = abort_rows(run, rule, reason, self._told)
        self._context = contextvars.copy_context()
        self._thread = threading.Thread(target=self._context.run, args=(self._watch,), name="flyte_nb rule", daemon=True)
        self._thread.start()

    def cancel(self) -> None:
        """Ask no more; what was told to stop stays so."""
        self._cancelled.set()

    def done(self) -> bool:
        """Whether it is asked no more."""
        return not self._thread.is_alive()

    def _watch(self) -> None:
        rest = self._every
        while not self._run.home.wait_ended(self._run.name, rest) and not self._cancelled.is_set():
            began = time.monotonic()
            try:
                self.count += abort_rows(self._run, self._rule, self._reason, self._told)
            except Exception as error:  # noqa: BLE001 - the user's own, shown
                self.error = error
                text = f"flyte_nb: the rule given to abort_where of run {self._run.name} failed; it is not asked any more.\n"
                print(text + "".join(traceback.format_exception(error)), end="", file=sys.stderr, flush=True)  # noqa: T201 - to the user
                return
            rest = max(self._every, _REST_FACTOR * (time.monotonic() - began))

    def __repr__(self) -> str:
        where = "over" if self.done() else "asked again and again"
        failed = f", failed with {type(self.error).__name__}" if self.error is not None else ""
        return f"<rule of run {self._run.name}: {self.count} actions told to stop, {where}{failed}>"
