"""Decides what `run.actions` and `run.results` are: ordinary DataFrames that stay up to date where they are displayed.

The data are those of the moment of asking, and every operation gives a plain DataFrame, so nothing changes under a
computation. Displayed as it is in a notebook, the table goes on refreshing itself until the run is over and then
leaves its final state as static HTML and text. A frame that was changed after asking is displayed as it is.

Must not know: how the columns are made, or when views are painted.
"""

from __future__ import annotations

from typing import Any

import pandas as pd

from flyte_nb.views.exploding import ResultsFrame
from flyte_nb.views.livequery import Change, LiveQuery
from flyte_nb.views.livetable import BUILD, Kind, LiveTable, in_kernel
from flyte_nb.views.shown import ShownRun


class LiveFrame(ResultsFrame):
    """A run's actions or results: a DataFrame of this moment that refreshes itself where it is displayed.

    Args:
        run: whose table.
        kind: which of its tables.
        table: where it is displayed from; tests bring their own.
    """

    _live_table: LiveTable
    _as_built: pd.DataFrame

    def __init__(self, run: ShownRun, kind: Kind, *, table: LiveTable | None = None) -> None:
        super().__init__(BUILD[kind](run))
        object.__setattr__(self, "_live_table", table or LiveTable(run, kind))
        object.__setattr__(self, "_as_built", pd.DataFrame(self, copy=False))

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
        table = self._live_table
        asked = LiveQuery(table.run, table.kind)
        return asked.live(where, sort=sort, ascending=ascending, groupby=groupby, agg=agg, limit=limit)

    def _ipython_display_(self) -> None:
        if not in_kernel() or not self._is_as_built():
            raise NotImplementedError  # IPython then displays it like any other frame
        self._live_table.show()


def live_actions(run: ShownRun) -> pd.DataFrame:
    """What `run.actions` returns."""
    return LiveFrame(run, "actions")


def live_results(run: ShownRun) -> pd.DataFrame:
    """What `run.results` returns."""
    return LiveFrame(run, "results")
