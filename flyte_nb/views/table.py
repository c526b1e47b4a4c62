"""Decides what a page of the actions table shows: its columns, which of them at first, and the text of each cell.

Inputs are columns by the name of their parameter; those that vary are shown at first. What is shown at first depends on
the calls alone, so that columns do not come and go while results arrive. Every text is clean and cut.

Must not know: which rows a page has, or the order in which they stand.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from flyte_nb.core.costs import Cost
from flyte_nb.core.events import Inputs, TaskFacts
from flyte_nb.core.payloads import Blob, Item
from flyte_nb.core.state import RunState
from flyte_nb.views.columns import FAILED_CODES, SHOWN_PHASES, Columns, Numbers, ReadRun
from flyte_nb.views.protocol import CELL_CHARACTERS, Row, TableColumn
from flyte_nb.views.values import Texts, is_number
from flyte_nb.views.wording import duration, one_line, size

#: Inputs that are shown at first, actions that are looked at to find out which vary, and columns that may be chosen.
MAX_INPUTS, SAMPLE, MAX_COLUMNS = 6, 64, 200
#: A running action is remarkably slow from this many times the median of its task on, and after so many seconds.
SLOW_FACTOR, SLOW_SECONDS = 5, 2.0
_MEDIAN_OF = 2_048
_INPUT_WIDTH, _VALUE_WIDTH = 24, 40

_FIXED: tuple[TableColumn, ...] = (
    {"key": "phase", "title": "Phase", "type": "text", "width": 10, "shown": True, "sortable": True},
    {"key": "task", "title": "Task", "type": "text", "width": 12, "shown": True, "sortable": True},
)
_AFTER: tuple[TableColumn, ...] = (
    {"key": "value", "title": "Output or error", "type": "text", "width": _VALUE_WIDTH, "shown": True, "sortable": True},
    {"key": "try", "title": "Try", "type": "number", "width": 3, "shown": True, "sortable": True},
    {"key": "time", "title": "Time", "type": "seconds", "width": 8, "shown": True, "sortable": True},
    {"key": "action", "title": "Action", "type": "text", "width": 10, "shown": False, "sortable": False},
    {"key": "group", "title": "Group", "type": "text", "width": 14, "shown": False, "sortable": True},
    {"key": "parent", "title": "Called by", "type": "text", "width": 14, "shown": False, "sortable": True},
    {"key": "worker", "title": "Worker", "type": "text", "width": 12, "shown": False, "sortable": True},
    {"key": "queued", "title": "Waited", "type": "seconds", "width": 8, "shown": False, "sortable": True},
    {"key": "started", "title": "Started", "type": "instant", "width": 10, "shown": False, "sortable": True},
    {"key": "cpu", "title": "CPU", "type": "seconds", "width": 8, "shown": False, "sortable": True},
    {"key": "memory", "title": "Worker's memory", "type": "number", "width": 9, "shown": False, "sortable": True},
)


@dataclass(slots=True)
class _Seen:
    """What a sample of one task's inputs showed."""

    count: int
    numbers: list[bool] = field(default_factory=list)
    blobs: list[bool] = field(default_factory=list)
    varies: list[bool] = field(default_factory=list)
    widths: list[int] = field(default_factory=list)


class Table:
    """Columns and cells of one run's actions."""

    def __init__(self, run: ReadRun, columns: Columns) -> None:
        self._run, self._columns = run, columns
        self._texts = Texts()
        self._samples: dict[int, _Seen] = {}
        self._medians: tuple[int, dict[int, float]] = (-1, {})

    # ------------------------------------------------------------------ columns
    def catalog(self, task_ids: list[int]) -> list[TableColumn]:
        """All columns that actions of these tasks can have, in the order in which they stand."""
        inputs: dict[str, TableColumn] = {}
        shown = 0
        for task_id in task_ids:
            facts, seen = self._columns.tasks[task_id], self._sample(task_id)
            few = not any(seen.varies)
            for place, name in enumerate(facts.parameters[:MAX_COLUMNS]):
                column = inputs.setdefault(f"in:{name}", _input_column(name))
                if place < len(seen.numbers):
                    _widen(column, seen, place)
                    if not column["shown"] and shown < MAX_INPUTS and (few or seen.varies[place]):
                        column["shown"], shown = True, shown + 1
        fixed = [dict(column) for column in _FIXED]
        fixed[1]["shown"] = len(task_ids) != 1
        names = [self._columns.tasks[task_id].short_name for task_id in task_ids]
        fixed[1]["width"] = min(_INPUT_WIDTH, max([4, *map(len, names)]))
        return [*fixed, *inputs.values(), *(dict(column) for column in _AFTER)]  # type: ignore[list-item]  # copies of typed ones

    def tasks_of(self, node_ids: Numbers | None = None) -> list[int]:
        """Tasks that have actions beside the root's, in the order in which they were declared; of some nodes only."""
        nodes = np.arange(1, self._columns.node_count) if node_ids is None else np.unique(node_ids[node_ids > 0])
        return [int(task) for task in np.unique(self._columns.node_tasks[nodes])]

    def _sample(self, task_id: int) -> _Seen:
        columns = self._columns
        count = int(columns.node_sizes[columns.node_tasks == task_id].sum())
        known = self._samples.get(task_id)
        if known is not None and known.count == count:
            return known
        only = count == columns.count - 1  # beside the root
        rows = np.arange(1, columns.count) if only else np.flatnonzero((columns.node_tasks == task_id)[columns.node_ids])
        chosen = rows[np.unique(np.concatenate([np.arange(min(len(rows), SAMPLE)), np.arange(SAMPLE) * len(rows) // SAMPLE]))]
        inputs = self._run.read(lambda state: [state.inputs(row) for row in chosen.tolist()])
        seen = self._samples[task_id] = _looked_at(count, inputs, self._texts)
        return seen

    # ------------------------------------------------------------------ cells
    def rows(self, rows: Numbers, keys: list[str], names: dict[int, str], now: float) -> list[Row]:
        """Rows of a page.

        Args:
            rows: which ones.
            keys: keys of the columns; unknown ones are empty.
            names: action names, as far as they are known.
            now: UTC seconds.
        """
        facts = self._run.read(lambda state: [_facts_of(state, row) for row in rows.tolist()])
        looks = self._columns.shown_phases[rows].tolist()
        return [self._row(row, look, fact, keys, names, now) for row, look, fact in zip(rows.tolist(), looks, facts, strict=True)]

    def _row(self, row: int, look: int, fact: _Fact, keys: list[str], names: dict[int, str], now: float) -> Row:
        columns = self._columns
        started, ended = float(columns.started[row]), float(columns.ended[row])
        running = bool(started and not ended)
        made: Row = {
            "row": row,
            "look": SHOWN_PHASES[look],  # type: ignore[typeddict-item]  # the codes are those of the looks
            "cells": [self._cell(key, row, fact, names) for key in keys],
            "seconds": round(ended - started, 6) if started and ended else None,
        }
        if running:
            made["since"] = round(started, 3)
            slow = self._slow(int(columns.node_tasks[columns.node_ids[row]]), now - started)
            if slow:
                made["slow"] = slow
        if look in FAILED_CODES:
            made["bad"] = True
        return made

    def _cell(self, key: str, row: int, fact: _Fact, names: dict[int, str]) -> str:
        if key.startswith("in:"):
            place = fact.task.parameters.index(key[3:]) if key[3:] in fact.task.parameters else len(fact.inputs)
            return self._texts.cell(fact.inputs[place], CELL_CHARACTERS) if place < len(fact.inputs) else ""
        if key == "value":
            if fact.reason:
                return one_line(fact.reason, CELL_CHARACTERS)
            return self._texts.cell(fact.output, CELL_CHARACTERS) if fact.has_output else ""
        if key in {"cpu", "memory"}:
            return _cost_text(fact.cost, key)
        columns = self._columns
        if key == "queued":
            started = columns.started[row]
            return duration(float(started - columns.called[row])) if started else ""
        simple: dict[str, Any] = {
            "task": fact.task.short_name,
            "try": str(columns.attempts[row] or ""),
            "action": names.get(row, ""),
            "group": columns.groups[columns.node_groups[columns.node_ids[row]]],
            "parent": fact.parent_task.short_name if fact.parent_task else "",
            "worker": columns.workers[columns.worker_ids[row]],
            "started": f"{columns.started[row]:.3f}" if columns.started[row] else "",
        }
        return one_line(simple.get(key, ""), CELL_CHARACTERS)

    def _slow(self, task_id: int, seconds: float) -> int:
        if seconds < SLOW_SECONDS:
            return 0
        if self._medians[0] != self._columns.version:
            self._medians = (self._columns.version, {})
        medians = self._medians[1]
        if task_id not in medians:
            medians[task_id] = self._median(task_id)
        times = seconds / medians[task_id] if medians[task_id] > 0 else 0.0
        return int(times) if times >= SLOW_FACTOR else 0

    def _median(self, task_id: int) -> float:
        """How long an action of a task takes, of those that ran; 0 if none has ended."""
        columns = self._columns
        ran = (columns.ended > 0) & (columns.attempts > 0) & (columns.node_tasks == task_id)[columns.node_ids]
        rows = np.flatnonzero(ran)
        rows = rows[:: max(1, len(rows) // _MEDIAN_OF)]
        return float(np.median(columns.ended[rows] - columns.started[rows])) if len(rows) else 0.0


@dataclass(frozen=True, slots=True)
class _Fact:
    """What the state knows of one row beside the copied columns."""

    task: TaskFacts
    parent_task: TaskFacts | None
    inputs: Inputs
    output: Item
    has_output: bool
    reason: str
    cost: Cost


def _facts_of(state: RunState, row: int) -> _Fact:
    failure = state.failures.get(row)
    reason = failure.headline() if failure is not None else state.abort_reason(row)
    has_output = state.phase_of(row).value in {"succeeded", "recovered"}
    parent = state.task_of(state.parent_of(row)) if row else None
    inputs, output = state.inputs(row), state.output(row)
    return _Fact(state.task_of(row), parent, inputs, output, has_output, "" if has_output else reason, state.costs.of(row))


def _cost_text(cost: Cost, key: str) -> str:
    if key == "cpu":
        return "" if cost.cpu_seconds is None else duration(cost.cpu_seconds)
    return "" if cost.memory_bytes is None else size(cost.memory_bytes)


def _input_column(name: str) -> TableColumn:
    title = one_line(name, _INPUT_WIDTH * 2)
    return {"key": f"in:{name}", "title": title, "type": "number", "width": min(_INPUT_WIDTH, len(title)), "shown": False, "sortable": True}


def _widen(column: TableColumn, seen: _Seen, place: int) -> None:
    if not seen.numbers[place]:
        column["type"] = "text"
    if seen.blobs[place]:
        column["sortable"] = False
    column["width"] = min(_INPUT_WIDTH, max(column["width"], seen.widths[place]))


def _looked_at(count: int, inputs: list[Inputs], texts: Texts) -> _Seen:
    seen = _Seen(count)
    for place in range(min((len(each) for each in inputs), default=0)):
        items = [each[place] for each in inputs]
        cells = [texts.cell(item, CELL_CHARACTERS) for item in items]
        seen.numbers.append(all(is_number(item) for item in items))
        seen.blobs.append(any(isinstance(item, Blob) for item in items))
        seen.varies.append(len(set(cells)) > 1)
        seen.widths.append(max(map(len, cells)))
    return seen
