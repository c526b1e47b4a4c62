"""Decides what of a run is sent to its live view on a tick: the header always, the rest as seldom as it may be.

A tick costs about 600 bytes and, whatever the run holds, a few milliseconds. Causes of failure follow at most once a
second, the first page (for tabs that open later) every thirty; what views follow is the session's matter. At the end
everything is sent once more, since a message may have been lost.

Must not know: when ticks come, or where the view is published.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, cast

from flyte_nb.views.header import causes_of, fixed_of, head_of
from flyte_nb.views.protocol import Answer, First, GroupsRequest, Head, RowsRequest
from flyte_nb.views.protocol_tabs import TabAnswer, TabsReader
from flyte_nb.views.session import Session, checked
from flyte_nb.views.shown import ShownRun
from flyte_nb.views.widget import RunWidget

CAUSES_SECONDS, FIRST_SECONDS = 1.0, 30.0
#: Rows of the page that a view shows before its first request is answered.
_FIRST_ROWS, _FIRST_GROUPS = 24, 24


class RunPanel:
    """The live view of one run: its widget, and the conversation with all who look at it.

    Args:
        run: what is shown.
        reader: answers questions about its actions.
        rerun: starts a new run of what failed (row 0), or of one action, and returns its name; None if that cannot be.
        soon: asks for a tick.
        clock: seconds that never go back.
    """

    def __init__(
        self,
        run: ShownRun,
        reader: TabsReader,
        *,
        rerun: Callable[[int], str] | None = None,
        soon: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._run, self._reader, self._rerun, self._soon, self._clock = run, reader, rerun, soon, clock
        self._aborting = False
        self._causes_at = self._first_at = clock()
        fixed = fixed_of(run.summary(brief=True))
        self.session = Session(reader, self._send, self, clock=clock)
        self.widget = RunWidget(fixed, self._head(), run.read(causes_of), self._first(), receive=self.session.receive)

    @property
    def model_id(self) -> str:
        """The id by which a front end finds the widget."""
        return str(self.widget.model_id)

    def paint(self, *, over: bool) -> None:
        """Send what changed; `over`: send everything, for the last time."""
        now, state = self._clock(), dict[str, Any](head=self._head())
        if over or now >= self._causes_at + CAUSES_SECONDS:
            self._causes_at = now
            state["causes"] = self._run.read(causes_of)
        if over or now >= self._first_at + FIRST_SECONDS:
            self._first_at = now
            state["first"] = self._first()
        self.widget.update(state, again=over)
        self.session.push(whole=over)

    def abort(self, row: int) -> None:
        """Stop the run (row 0) or an action: a view asked for it."""
        if row:
            self._run.action(row).abort("Abort was clicked")
            return
        self._aborting = True
        try:
            self._run.abort("Abort was clicked")
        except BaseException:
            self._aborting = False
            raise
        finally:
            self._soon()

    def rerun(self, row: int) -> str:
        """Start a new run: a view asked for it.

        Raises:
            RuntimeError: nothing can be started from here.
        """
        if self._rerun is None:
            raise RuntimeError("This run cannot be repeated from here.")
        return self._rerun(row)

    def close(self) -> None:
        """Take the widget out of the kernel and the browser."""
        self.widget.dispose()

    def _send(self, message: Answer | TabAnswer) -> None:
        self.widget.answer(message)

    def _head(self) -> Head:
        version, reused = self._run.read(lambda state: (state.version, len(state.reused) - (0 in state.reused)))
        summary = self._run.summary(brief=True)
        return head_of(summary, version=version, reused=reused, aborting=self._aborting, can_rerun=self._rerun is not None)

    def _first(self) -> First:
        rows, groups = (
            checked({"kind": "rows", "view": "-", "count": _FIRST_ROWS}),
            checked({"kind": "groups", "view": "-", "count": _FIRST_GROUPS}),
        )
        return {"rows": self._reader.rows(cast(RowsRequest, rows)), "groups": self._reader.groups(cast(GroupsRequest, groups))}
