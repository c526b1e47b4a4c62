"""Decides what `run.actions` and `run.results` are: ordinary DataFrames that stay up to date where they are displayed.

The data are those of the moment of asking, and every operation gives a plain DataFrame, so nothing changes under a
computation. Displayed as it is in a notebook, the table goes on refreshing itself until the run is over and then
leaves its final state as static HTML and text. A frame that was changed after asking is displayed as it is.

Must not know: how the columns are made, or when views are painted.
"""

from __future__ import annotations

import math
import uuid
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd

from flyte_nb.views.frames import actions_frame, results_frame
from flyte_nb.views.live import Bundle, NotebookPublisher, Publisher
from flyte_nb.views.markup import CELL_LIMIT, cell, escape, table
from flyte_nb.views.painter import PAINTER, Painter
from flyte_nb.views.shown import ShownRun
from flyte_nb.views.wording import GLYPHS, PHASE_ORDER, count, one_line, phase_word, plural

if TYPE_CHECKING:  # it builds on this module
    from flyte_nb.views.livequery import Change, LiveQuery

#: Rows and columns of a table that refreshes itself.
SHOWN_ROWS, SHOWN_COLUMNS = 20, 25
#: Characters of a cell; the whole is in its tip.
CELL_WIDTH = 80

Kind = Literal["actions", "results"]
_BUILD = {"actions": actions_frame, "results": results_frame}


class LiveTable:
    """A run's table as it is displayed in one cell.

    Args:
        run: whose table.
        kind: which of its tables.
        publisher: where bundles go.
        painter: what keeps the table up to date.
    """

    def __init__(self, run: ShownRun, kind: Kind, *, publisher: Publisher | None = None, painter: Painter | None = None) -> None:
        self.run = run
        self.kind = kind
        self._display_id = f"flyte-nb-{kind}-{uuid.uuid4().hex[:12]}"
        self._publisher = publisher or NotebookPublisher()
        self._painter = painter or PAINTER
        self._shown: Bundle = {}
        self._unsubscribe: Callable[[], None] | None = None

    def show(self) -> None:
        """Display the table in the current cell and keep it up to date until the run is over."""
        over = self.run.done()
        self._shown = self.bundle()
        self._publisher.show(self._shown, self._display_id)
        if not over:
            self._painter.add(self)
            self._unsubscribe = self.run.on_change(self._painter.notify)

    def paint(self) -> bool:
        """Send the table if it changed; returns whether the run is over."""
        over = self.run.done()
        bundle = self.bundle()
        if over or bundle != self._shown:
            self._shown = bundle
            self._publisher.update(bundle, self._display_id)
        if over and self._unsubscribe is not None:
            self._unsubscribe()
        return over

    def bundle(self) -> Bundle:
        """The first rows and the counts, as HTML and as text."""
        head = _BUILD[self.kind](self.run, limit=SHOWN_ROWS)
        return frame_bundle(head, self._caption(head))

    def _caption(self, head: pd.DataFrame) -> str:
        summary = self.run.summary()
        total = summary.total + (self.kind == "actions")
        phases = ", ".join(
            f"{GLYPHS[phase]} {count(summary.counts[phase])} {phase_word(phase)}" for phase in PHASE_ORDER if summary.counts.get(phase)
        )
        size = plural(total, "row") if len(head) >= total else f"first {count(len(head))} of {plural(total, 'row')}"
        wide = len(head.columns) - SHOWN_COLUMNS
        columns = f", {plural(wide, 'column')} not shown" if wide > 0 else ""
        return f"{size}{columns}; {one_line(summary.task, 60)} {phase_word(summary.phase)}: {phases or 'no actions yet'}"


def frame_bundle(head: pd.DataFrame, caption: str) -> Bundle:
    """A few rows and a line below them, as HTML and as text.

    Args:
        head: the rows that are shown; of many columns, only the first ones are.
        caption: the line below.
    """
    shown = head.iloc[:, :SHOWN_COLUMNS].map(value_text)
    numbers = frozenset(position for position, dtype in enumerate(head.dtypes.iloc[:SHOWN_COLUMNS], 1) if dtype.kind in "iuf")
    titles = [cell(_title(shown.index.names), 80), *(cell(str(name), 80) for name in shown.columns)]
    labels = [value_text(label) if not isinstance(label, int) else str(label) for label in shown.index]
    rows = [
        [escape(label), *(cell(text, CELL_WIDTH) for text in row)]
        for label, (_, *row) in zip(labels, shown.itertuples(name=None), strict=True)
    ]
    listed = table(titles, rows, numbers=numbers, one_line_rows=True)
    html = f'<div class="tex2jax_ignore mathjax_ignore">{listed}<p>{escape(caption)}</p></div>'
    shown.columns = pd.Index([one_line(str(name), 80) for name in shown.columns])
    shown.index = pd.Index(labels)
    return {"text/html": html, "text/plain": f"{shown.to_string(max_colwidth=60)}\n{one_line(caption, 1_000)}"}


def _title(names: Sequence[Any]) -> str:
    """What stands over the labels of the rows: the names that were grouped by."""
    return ", ".join(str(name) for name in names if name is not None)


def value_text(value: object) -> str:
    """A value in a table's cell: short, on one line, never an exception of the value's own `repr`."""
    if value is None or value is pd.NaT or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, str):
        return one_line(value, CELL_LIMIT)
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, pd.Timestamp):
        return f"{value:%Y-%m-%d %H:%M:%S %Z}"
    try:
        return one_line(repr(value), CELL_LIMIT)
    except Exception as error:  # noqa: BLE001 - a user's repr
        return f"<{type(value).__name__}, whose repr raised {type(error).__name__}>"


class LiveFrame(pd.DataFrame):
    """A run's actions or results: a DataFrame of this moment that refreshes itself where it is displayed.

    Args:
        run: whose table.
        kind: which of its tables.
        table: where it is displayed from; tests bring their own.
    """

    _live_table: LiveTable
    _as_built: pd.DataFrame

    def __init__(self, run: ShownRun, kind: Kind, *, table: LiveTable | None = None) -> None:
        super().__init__(_BUILD[kind](run))  # type: ignore[call-arg]  # pandas' stubs type `__new__` only
        object.__setattr__(self, "_live_table", table or LiveTable(run, kind))
        object.__setattr__(self, "_as_built", pd.DataFrame(self, copy=False))

    @property
    def _constructor(self) -> Callable[..., pd.DataFrame]:  # an operation's result is not live
        return pd.DataFrame

    def __reduce__(self) -> tuple[Any, ...]:
        return pd.DataFrame, (self._plain(),)

    def _plain(self) -> pd.DataFrame:
        return pd.DataFrame(self)

    def _is_as_built(self) -> bool:
        try:
            return self._as_built.equals(self._plain())
        except Exception:  # noqa: BLE001 - values that cannot be compared: then nothing is claimed
            return False

    def live(
        self,
        where: str | Change | None = None,
        *,
        sort: str | list[str] | None = None,
        ascending: bool = True,
        groupby: str | list[str] | None = None,
        agg: Any = "mean",
        limit: int | None = None,
    ) -> LiveQuery:
        """A part or a summary of this table that stays up to date where it is displayed.

        Args:
            where: an expression for `DataFrame.query`, or a function from a DataFrame to a DataFrame or a Series.
            sort: columns to sort by.
            ascending: the smallest first.
            groupby: columns to group by.
            agg: how groups are summed up, as `DataFrame.agg` takes it; of a name such as "mean", numbers only.
            limit: only the first so many rows.

        Returns:
            A `LiveQuery`; its `frame` is a DataFrame of the moment, and its own `live(...)` asks further.

        Example:
            >>> run.results.live("auc > 0.8", sort="auc", ascending=False)  # doctest: +SKIP
            >>> run.results.live(groupby="depth", agg={"auc": "max"})  # doctest: +SKIP
        """
        from flyte_nb.views.livequery import LiveQuery  # noqa: PLC0415 - it builds on this module

        table = self._live_table
        asked = LiveQuery(table.run, table.kind)
        return asked.live(where, sort=sort, ascending=ascending, groupby=groupby, agg=agg, limit=limit)

    def _ipython_display_(self) -> None:
        if not in_kernel() or not self._is_as_built():
            raise NotImplementedError  # IPython then displays it like any other frame
        self._live_table.show()


def in_kernel() -> bool:
    """Whether this process is a Jupyter kernel, where what was displayed can be updated."""
    from IPython import get_ipython  # noqa: PLC0415 - `import flyte_nb` must not load IPython

    return hasattr(get_ipython(), "kernel")


def live_actions(run: ShownRun) -> pd.DataFrame:
    """What `run.actions` returns."""
    return LiveFrame(run, "actions")


def live_results(run: ShownRun) -> pd.DataFrame:
    """What `run.results` returns."""
    return LiveFrame(run, "results")
