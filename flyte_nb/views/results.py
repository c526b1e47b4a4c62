"""Decides what the Results tab shows: its columns, their cells with one count of decimals each, and how values are spread.

Must not know: which rows a page has, or how a histogram is drawn.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal

import numpy as np

from flyte_nb.core.events import Inputs, TaskFacts
from flyte_nb.core.payloads import Item
from flyte_nb.core.state import RunState
from flyte_nb.views.columns import SHOWN_PHASES, Columns, Numbers, ReadRun
from flyte_nb.views.fields import Field, Fields
from flyte_nb.views.outputs import Outputs, parts_of, plain, value_of
from flyte_nb.views.protocol import CELL_CHARACTERS, Row, TableColumn
from flyte_nb.views.protocol_tabs import MAX_BINS, MAX_WORDS, Spread
from flyte_nb.views.slices import Slices
from flyte_nb.views.sweepcells import SweepCells
from flyte_nb.views.values import Texts, Unreadable, scalar_text, value_text
from flyte_nb.views.wording import one_line

#: Columns that are shown at first, of inputs and of outputs.
MAX_SHOWN = 16
#: Of more numbers, every second, third ... one is counted into a histogram: its shape is the same.
MAX_COUNTED = 100_000
_WIDTH, _SAMPLE, _DIGITS, _MOST_DECIMALS = 24, 1_024, 4, 6
#: Numbers outside of these are written with an exponent.
_TINY, _HUGE = 1e-4, 1e12


class Results:
    """Columns and cells of one run's results."""

    def __init__(self, run: ReadRun, columns: Columns, fields: Fields, outputs: Outputs, notify: Callable[[], None] = lambda: None) -> None:
        self._run, self._columns, self._fields, self._outputs = run, columns, fields, outputs
        self._texts = Texts()
        self._sweep = SweepCells(run)
        self._wanted: list[str] = []
        self._slices = Slices("flyte_nb-inputs", self._read_slice, notify)

    def field(self, key: str) -> Field:
        """The column of a key, `in:...` or `out:...`, as far as it was read."""
        if key.startswith("in:"):
            return self._fields.known(key[3:], self._columns)
        return self._outputs.field(key[4:], self._columns.count)

    def read_inputs(self, keys: list[str]) -> int:
        """Read the inputs among these for a moment, and go on in a thread if that was not all; returns how many rows have been."""
        self._wanted = [key[3:] for key in keys if key.startswith("in:")]
        if any(self._fields.rows_of(name) < self._columns.count for name in self._wanted):
            self._slices.advance()
        return min([self._fields.rows_of(name) for name in self._wanted], default=self._columns.count)

    @property
    def is_reading(self) -> bool:
        """Whether the thread reads on."""
        return self._slices.is_working

    def _read_slice(self) -> bool:
        with self._outputs.making:
            return self._fields.read_on(self._wanted, self._columns)

    def join(self, timeout: float | None = None) -> None:
        """Wait until the thread has read what there is."""
        self._slices.join(timeout)

    # ------------------------------------------------------------------ columns
    def catalog(self, task_ids: list[int]) -> list[TableColumn]:
        """All columns: group and task, inputs, outputs."""
        columns = self._columns
        tasks = [columns.tasks[each] for each in task_ids]
        inputs = list(dict.fromkeys(name for task in tasks for name in task.parameters))
        groups = any(columns.node_groups[1:])
        made = [_word_column("task", "Task", shown=len(tasks) != 1), _word_column("group", "Group", shown=groups)]
        made += [_aside_column(key, one_line(title, _WIDTH * 2)) for key, title in self._sweep.titles(inputs)]
        made += [self._column(f"in:{name}", name, shown=place < MAX_SHOWN) for place, name in enumerate(inputs)]
        made += [self._column(f"out:{name}", name or "output", shown=place < MAX_SHOWN) for place, name in enumerate(self._outputs.names())]
        return made

    def _column(self, key: str, name: str, *, shown: bool) -> TableColumn:
        field = self.field(key)
        title = one_line(name, _WIDTH * 2)
        kind: Literal["text", "number"] = "number" if field.has_numbers and not field.words else "text"
        return {"key": key, "title": title, "type": kind, "width": min(_WIDTH, max(8, len(title))), "shown": shown, "sortable": True}

    # ------------------------------------------------------------------ cells
    def rows(self, rows: Numbers, keys: list[str]) -> list[Row]:
        """Rows of a page, with these columns."""
        read = self._run.read(lambda state: [_read(state, row) for row in rows.tolist()])
        decimals = {key: decimals_of(self.field(key)) for key in keys if ":" in key}
        looks = self._columns.shown_phases[rows].tolist()
        made: list[Row] = []
        for row, look, (task, inputs, output) in zip(rows.tolist(), looks, read, strict=True):
            values = self._values(row, task, inputs, output)
            cells = [self._cell(values.get(key), decimals.get(key)) for key in keys]
            started, ended = float(self._columns.started[row]), float(self._columns.ended[row])
            made.append({"row": row, "look": SHOWN_PHASES[look], "cells": cells, "seconds": ended - started if started and ended else None})
        return made

    def _values(self, row: int, task: TaskFacts, inputs: Inputs, output: Item) -> dict[str, Any]:
        columns = self._columns
        values: dict[str, Any] = {"task": task.short_name, "group": columns.groups[columns.node_groups[columns.node_ids[row]]]}
        values |= self._sweep.cells(row, columns)
        values |= {f"in:{name}": item for name, item in zip(task.parameters, inputs, strict=False)}
        value = value_of(output)
        parts = parts_of(value, task) if self._outputs.names() != [""] else {"": value}
        return values | {f"out:{name}": part for name, part in parts.items()}

    def _cell(self, value: Any, decimals: int | None) -> str:
        if value is None:
            return ""
        scalar = plain(value)
        if isinstance(scalar, int | float) and not isinstance(scalar, bool):
            return number_text(scalar, decimals)
        if isinstance(value, Unreadable):
            return one_line(value.words, CELL_CHARACTERS)
        return self._texts.cell(value, CELL_CHARACTERS) if hasattr(value, "size_bytes") else _plain_cell(value)

    # ------------------------------------------------------------------ spread
    def spread(self, key: str, rows: Numbers, marked: int) -> Spread:
        """How the values of a column are spread over some rows."""
        field = self.field(key)
        numbers, codes = field.numbers[rows], field.codes[rows]
        finite = numbers[np.isfinite(numbers)] if field.has_numbers else numbers[:0]
        made: Spread = {
            "key": key,
            "kind": "none",
            "low": "",
            "high": "",
            "bins": [],
            "marked": -1,
            "distinct": 0,
            "top": [],
            "count": len(finite) + (int((codes >= 0).sum()) if field.words else 0),
        }
        if len(finite):
            low, high = float(finite.min()), float(finite.max())
            every = max(1, len(finite) // MAX_COUNTED)
            counted = finite[::every]
            bins = _bin_count(counted, low, high)
            decimals = decimals_of(field)
            counts = np.bincount(_bin_of(counted, low, high, bins), minlength=bins) * every
            made |= {"kind": "numbers", "low": number_text(low, decimals), "high": number_text(high, decimals), "bins": counts.tolist()}
            value = field.numbers[marked] if 0 <= marked < len(field.numbers) else math.nan
            if low <= value <= high:
                made["marked"] = int(_bin_of(np.array([value]), low, high, bins)[0])
        elif field.words and (codes >= 0).any():
            words = list(field.words)
            counts = np.bincount(codes[codes >= 0], minlength=len(words))
            order = np.argsort(-counts, kind="stable")[:MAX_WORDS]
            top = sorted(
                ((one_line(words[each], _WIDTH), int(counts[each])) for each in order if counts[each]), key=lambda one: (-one[1], one[0])
            )
            made |= {"kind": "words", "distinct": int((counts > 0).sum()), "top": top}
        return made


def _read(state: RunState, row: int) -> tuple[TaskFacts, Inputs, Item]:
    return state.task_of(row), state.inputs(row), state.output(row)


def _plain_cell(value: Any) -> str:
    return one_line(value if isinstance(value, str) else value_text(value), CELL_CHARACTERS)


def _word_column(key: str, title: str, *, shown: bool) -> TableColumn:
    return {"key": key, "title": title, "type": "text", "width": 14, "shown": shown, "sortable": True}


def _aside_column(key: str, title: str) -> TableColumn:
    """A column of the frame that a sweep mapped; in the order of its rows, which is that of the calls."""
    return {"key": key, "title": title, "type": "text", "width": max(6, min(_WIDTH, len(title))), "shown": True, "sortable": False}


def _bin_count(finite: Numbers, low: float, high: float) -> int:
    """Twenty at most; as many as there are whole numbers, where there are fewer; one where all are equal."""
    if low == high:
        return 1
    whole = high - low < MAX_BINS and bool((finite == np.round(finite)).all())
    return int(high - low) + 1 if whole else MAX_BINS


def _bin_of(values: Numbers, low: float, high: float, bins: int) -> Numbers:
    if bins == 1:
        return np.zeros(len(values), np.int64)
    if bins < MAX_BINS:  # whole numbers: a bin each
        return np.round(values - low).astype(np.int64)
    with np.errstate(over="ignore", invalid="ignore"):
        places = (values - low) / (high - low) * bins
    return np.clip(np.nan_to_num(places, posinf=bins), 0, bins - 1).astype(np.int64)


def decimals_of(field: Field) -> int | None:
    """How many decimals a column's numbers are written with; None where an exponent is shorter. Looks at a part of it."""
    part = field.numbers[:: max(1, len(field.numbers) // _SAMPLE)]
    sample = part[np.isfinite(part)]
    if not len(sample):
        sample = field.numbers[np.isfinite(field.numbers)][:_SAMPLE]
    if not len(sample):
        return 0
    largest = float(np.abs(sample).max())
    if largest >= _HUGE or 0 < largest < _TINY:
        return None
    digits = _DIGITS - math.ceil(math.log10(largest)) if largest > 0 else 0
    most = min(_MOST_DECIMALS, max(0, digits))
    return next((few for few in range(most) if (np.round(sample, few) == sample).all()), most)


def number_text(value: float, decimals: int | None) -> str:
    """A number with a column's decimals."""
    if isinstance(value, int) and abs(value) >= _HUGE:
        return scalar_text(value, CELL_CHARACTERS)
    if not math.isfinite(value) or decimals is None:
        return f"{value:.4g}"
    return f"{value:.{decimals}f}"
