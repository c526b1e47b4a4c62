"""Decides how the earlier tries of actions are read as columns: those that were followed by another one.

Only actions that were tried more than once are asked for theirs, so a run in which nothing went wrong costs nothing.

Must not know: what they are drawn as.
"""

from __future__ import annotations

import numpy as np

from flyte_nb.core.phases import TERMINAL_CODES
from flyte_nb.core.rows import AttemptRecord
from flyte_nb.core.state import RunState
from flyte_nb.views.columns import SHOWN_CODE, SHOWN_PHASES, Columns, Numbers, ReadRun, lookup

#: A try that ended with its worker: shown as aborted, and counted as a bad end.
LOST = len(SHOWN_PHASES)
#: Rows whose tries are read while the run stands still.
_AT_A_TIME = 1_024
_OVER = lookup(frozenset(TERMINAL_CODES))
#: Codes by what ended a try; any other ending is that of the action, and told by its phase.
_CODE = {"user": SHOWN_CODE["failed"], "system": SHOWN_CODE["failed"], "timeout": SHOWN_CODE["timed_out"], "lost": LOST}


class Earlier:
    """The earlier tries of one run's actions."""

    def __init__(self, run: ReadRun) -> None:
        self._run = run
        self._known: tuple[int, list[Numbers]] = (-1, [])

    def columns(self, columns: Columns) -> list[Numbers]:
        """Rows, starts, ends, positions of workers, codes of what ended them, numbers, and whether each is its action's newest."""
        if self._known[0] != columns.version:
            self._known = (columns.version, self._read(columns))
        return self._known[1]

    def _read(self, columns: Columns) -> list[Numbers]:
        waits = (columns.attempts == 1) & (columns.started == 0) & ~_OVER[columns.phases]
        rows = np.flatnonzero((columns.attempts > 1) | waits)
        rows = rows[rows > 0]  # the root action is the run
        workers = {name: place for place, name in enumerate(columns.workers)}
        found: list[tuple[float, ...]] = []
        for lo in range(0, len(rows), _AT_A_TIME):
            part = rows[lo : lo + _AT_A_TIME].tolist()
            for row, records in self._run.read(lambda state, part=part: _records(state, part)):  # type: ignore[misc]  # part is bound
                found += [(row, *_facts(record, workers)) for record in records if record.ending in _CODE and record.started_at]
        kinds = (np.int64, np.float64, np.float64, np.int64, np.int64, np.int64)
        made = [np.array(column, kind) for column, kind in zip(zip(*found, strict=True) if found else [()] * 6, kinds, strict=True)]
        return [*made, made[5] == columns.attempts[made[0]]]


def _records(state: RunState, rows: list[int]) -> list[tuple[int, list[AttemptRecord]]]:
    return [(row, list(state.past[row])) for row in rows if row in state.past]


def _facts(record: AttemptRecord, workers: dict[str, int]) -> tuple[float, float, int, int, int]:
    return record.started_at, record.ended_at, workers.get(record.worker, 0), _CODE[record.ending], record.number
