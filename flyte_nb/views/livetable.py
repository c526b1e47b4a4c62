"""Decides how a table that refreshes itself stands in a cell: its first rows and a line below, until the run is over.

Must not know: how the columns are made (`frames`), or when views are painted.
"""

from __future__ import annotations

import math
import uuid
from collections.abc import Callable, Sequence
from typing import Any, Literal

import pandas as pd

from flyte_nb.views.frames import actions_frame
from flyte_nb.views.live import Bundle, NotebookPublisher, Publisher
from flyte_nb.views.markup import CELL_LIMIT, cell, escape, table
from flyte_nb.views.painter import PAINTER, Painter
from flyte_nb.views.shown import ShownRun
from flyte_nb.views.swept import results_table, row_count
from flyte_nb.views.wording import GLYPHS, PHASE_ORDER, count, one_line, phase_word, plural

#: Rows and columns of a table that refreshes itself.
SHOWN_ROWS, SHOWN_COLUMNS = 20, 25
#: Characters of a cell; the whole is in its tip.
CELL_WIDTH = 80

Kind = Literal["actions", "results"]
#: What makes each kind of table.
BUILD = {"actions": actions_frame, "results": results_table}


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
        head = BUILD[self.kind](self.run, limit=SHOWN_ROWS)
        return frame_bundle(head, self._caption(head))

    def _caption(self, head: pd.DataFrame) -> str:
        summary = self.run.summary()
        rows = row_count(self.run) if self.kind == "results" else None
        total = rows if rows is not None else summary.total + (self.kind == "actions")
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


def in_kernel() -> bool:
    """Whether this process is a Jupyter kernel, where what was displayed can be updated."""
    from IPython import get_ipython  # noqa: PLC0415 - `import flyte_nb` must not load IPython

    return hasattr(get_ipython(), "kernel")
