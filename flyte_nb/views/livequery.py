"""Decides what `run.results.live(...)` is: a question about a run's table that is asked again while the run goes on.

A question is a chain of steps (filter, group, sort, limit), each a function from a DataFrame to a DataFrame. It is put to
the whole table each time, so what is shown at the end is what pandas gives for the final table. While a column that it
names is not there yet, it says so and waits.

Must not know: how the table is built, or when views are painted.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pandas as pd

from flyte_nb.views.live import Bundle
from flyte_nb.views.livetable import BUILD, SHOWN_ROWS, Kind, LiveTable, frame_bundle, in_kernel
from flyte_nb.views.shown import ShownRun
from flyte_nb.views.wording import count, one_line, phase_word, plural

#: A table that took long to make rests so many times as long: the other views have the same thread.
REST_FACTOR = 10.0

Change = Callable[[pd.DataFrame], "pd.DataFrame | pd.Series[Any]"]


class LiveQuery:
    """A question about a run's table. Displayed in a notebook, its answer stays up to date until the run is over.

    Args:
        run: whose table.
        kind: which of its tables.
        steps: what is done with it, in this order.
    """

    def __init__(self, run: ShownRun, kind: Kind, steps: tuple[Change, ...] = ()) -> None:
        self._run, self._kind, self._steps = run, kind, steps

    @property
    def frame(self) -> pd.DataFrame:
        """The answer of this moment.

        Raises:
            Exception: whatever pandas says of a step that does not fit, such as a column that is not there (yet).
        """
        made: pd.DataFrame | pd.Series[Any] = BUILD[self._kind](self._run)
        for step in self._steps:
            made = step(_frame_of(made))
        return _frame_of(made)

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
        """Ask further: first the filter, then the groups, then the order, then the limit.

        Args:
            where: an expression for `DataFrame.query`, or a function from a DataFrame to a DataFrame or a Series.
            sort: columns to sort by.
            ascending: the smallest first.
            groupby: columns to group by.
            agg: how groups are summed up, as `DataFrame.agg` takes it; of a name such as "mean", numbers only.
            limit: only the first so many rows.
        """
        steps: list[Change] = []
        if where is not None:
            steps.append(where if callable(where) else lambda frame: frame.query(where))
        if groupby is not None:
            steps.append(lambda frame: _grouped(frame, groupby, agg))
        if sort is not None:
            steps.append(lambda frame: frame.sort_values(sort, ascending=ascending, kind="stable"))
        if limit is not None:
            steps.append(lambda frame: frame.head(limit))
        return LiveQuery(self._run, self._kind, (*self._steps, *steps))

    def table(self, **where: Any) -> QueryTable:
        """What displays it; `where`: publisher and painter, for tests."""
        return QueryTable(self, self._run, self._kind, **where)

    def _ipython_display_(self) -> None:
        if not in_kernel():
            raise NotImplementedError  # IPython then shows the text
        self.table().show()

    def __repr__(self) -> str:
        return str(self.table().bundle()["text/plain"])


class QueryTable(LiveTable):
    """The answer to a question as it is displayed in one cell."""

    def __init__(self, query: LiveQuery, run: ShownRun, kind: Kind, **where: Any) -> None:
        super().__init__(run, kind, **where)
        self._query = query
        self._version = -1
        self._rest_until = 0.0

    def paint(self) -> bool:
        """Ask again if the run has changed, but not too often where that takes long; returns whether the run is over."""
        over = self.run.done()
        version = self.run.read(lambda state: state.version)
        began = time.perf_counter()
        if not over and (version == self._version or began < self._rest_until):
            return False
        self._version = version
        done = super().paint()
        self._rest_until = time.perf_counter() + REST_FACTOR * (time.perf_counter() - began)
        return done

    def bundle(self) -> Bundle:
        """The answer's first rows, or what is missing, as HTML and as text."""
        over = self.run.done()
        try:
            frame = self._query.frame
        except Exception as error:  # noqa: BLE001 - the user's own steps; what is missing may come with the next result
            why = one_line(f"{type(error).__name__}: {error}", 300)
            return frame_bundle(pd.DataFrame(), why if over else f"no answer yet ({why})")
        summary = self.run.summary()
        size = plural(len(frame), "row") if len(frame) <= SHOWN_ROWS else f"first {count(SHOWN_ROWS)} of {plural(len(frame), 'row')}"
        of = f"{count(summary.ended)} of {plural(summary.total, 'action')} ended"
        return frame_bundle(frame.head(SHOWN_ROWS), f"{size}; {one_line(summary.task, 60)} {phase_word(summary.phase)}: {of}")


def _frame_of(made: pd.DataFrame | pd.Series[Any]) -> pd.DataFrame:
    return made.to_frame() if isinstance(made, pd.Series) else made


def _grouped(frame: pd.DataFrame, by: str | list[str], agg: Any) -> pd.DataFrame:
    keys = [by] if isinstance(by, str) else list(by)
    if isinstance(agg, str) and agg not in {"count", "size", "first", "last", "nunique"}:
        numbers = [name for name in frame.columns if name not in keys and pd.api.types.is_numeric_dtype(frame[name])]
        frame = frame[[*keys, *numbers]]
    made: pd.DataFrame | pd.Series[Any] = frame.groupby(keys if len(keys) > 1 else keys[0]).agg(agg)
    return _frame_of(made)
