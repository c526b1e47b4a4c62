"""Decides what inputs and outputs are worth as columns to sort and count by: numbers, and words by rank.

An input never changes and an output changes once, so each value is looked at once, when its column is first asked for
or when its row is new. Values that are neither number nor text count as missing.

Must not know: queries, or how a column is shown.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

import numpy as np

from flyte_nb.core.payloads import Item
from flyte_nb.core.phases import CODE, TERMINAL_CODES, ActionPhase
from flyte_nb.core.state import RunState
from flyte_nb.views.columns import Columns, Numbers, ReadRun, lookup

#: Rows that are read while the engine waits; the words of a failure take longer to read.
_SLICE, _BAD_SLICE = 16_384, 1_024
_NUMBER_TYPES = frozenset({int, float, bool})
#: Characters of a text that count for its place.
_WORD = 300
_HAS_OUTPUT = lookup(frozenset({CODE[ActionPhase.SUCCEEDED], CODE[ActionPhase.RECOVERED]}))
_OVER = lookup(frozenset(TERMINAL_CODES))


class Field:
    """One column: `numbers` (NaN where there is none) and `codes` of words (-1 where there is none)."""

    def __init__(self) -> None:
        self.numbers = np.empty(0)
        self.codes = np.empty(0, np.int32)
        self.words: dict[str, int] = {}
        self.has_numbers = False
        self._key: Numbers | None = None

    def grow(self, count: int) -> None:
        """Make room for so many rows."""
        more = count - len(self.numbers)
        if more > 0:
            self.numbers = np.concatenate([self.numbers, np.full(more, np.nan)])
            self.codes = np.concatenate([self.codes, np.full(more, -1, np.int32)])
            self._key = None

    def put(self, rows: Numbers, items: Sequence[Item]) -> None:
        """Fill in the values of some rows."""
        self._key = None
        kinds = set(map(type, items))
        self.has_numbers = self.has_numbers or not _NUMBER_TYPES.isdisjoint(kinds)
        if kinds <= _NUMBER_TYPES:
            with contextlib.suppress(OverflowError):  # an int beyond all floats: one by one, then
                self.numbers[rows] = np.array(items, float)
                return
        if kinds == {str}:
            self.codes[rows] = [self._code(item) for item in items if isinstance(item, str)]
            return
        for row, item in zip(rows.tolist(), items, strict=True):
            if type(item) in _NUMBER_TYPES:
                self.numbers[row] = _as_float(item)
            elif isinstance(item, str):
                self.codes[row] = self._code(item)

    def _code(self, text: str) -> int:
        return self.words.setdefault(text[:_WORD], len(self.words))

    def key(self) -> Numbers:
        """A number to sort each row by: numbers as they are, words after them by the alphabet, NaN for neither."""
        if self._key is None:
            self._key = self.numbers
            if self.words:
                order = sorted(self.words, key=str.casefold)
                ranks = np.empty(len(order))
                ranks[[self.words[word] for word in order]] = np.arange(len(order))
                finite = self.numbers[np.isfinite(self.numbers)]
                base = finite.max() + 1 if len(finite) else 0.0
                self._key = np.where(self.codes >= 0, ranks[self.codes] + base, self.numbers)
        return self._key


def _as_float(item: object) -> float:
    try:
        return float(item)  # type: ignore[arg-type]  # an exact int, float or bool
    except OverflowError:
        return float("inf") if item > 0 else float("-inf")  # type: ignore[operator]  # an int


class Fields:
    """The inputs and outputs of one run as columns, filled as far as asked."""

    def __init__(self, run: ReadRun) -> None:
        self._run = run
        self._inputs: dict[str, tuple[Field, int]] = {}
        self._output = Field()
        self._output_done = np.zeros(0, bool)

    def input(self, name: str, columns: Columns, *, most: int | None = None) -> Field:
        """The column of an input, of all tasks that have one of this name.

        Args:
            name: of the parameter.
            columns: the run's.
            most: read no more than so many rows that were not read before.
        """
        field, upto = self._inputs.get(name, (Field(), 0))
        field.grow(columns.count)
        stop = columns.count if most is None else min(columns.count, upto + most)
        places = np.array([task.parameters.index(name) if name in task.parameters else -1 for task in columns.tasks])
        by_row = places[columns.node_tasks[columns.node_ids[upto:stop]]]
        for lo in range(upto, stop, _SLICE):
            rows = range(lo, min(lo + _SLICE, stop))
            self._put_inputs(field, rows, by_row[lo - upto : rows.stop - upto])
        self._inputs[name] = (field, max(upto, stop))
        return field

    def known(self, name: str, columns: Columns) -> Field:
        """The column of an input as far as it was read; at least of the first rows."""
        return self.input(name, columns, most=0 if name in self._inputs else _SLICE)

    def read_on(self, names: list[str], columns: Columns) -> bool:
        """Read a slice of the first of these inputs that was not read to the end; returns whether there may be more."""
        for name in names:
            if self.rows_of(name) < columns.count:
                self.input(name, columns, most=_SLICE)
                return True
        return False

    def rows_of(self, name: str) -> int:
        """How many rows of an input were read."""
        return self._inputs[name][1] if name in self._inputs else 0

    def _put_inputs(self, field: Field, rows: range, places: Numbers) -> None:
        inputs = self._run.read(lambda state: state.inputs_of(rows))
        for place in np.unique(places[places >= 0]).tolist():
            within = np.flatnonzero(places == place)
            chosen = inputs if len(within) == len(inputs) else [inputs[each] for each in within.tolist()]
            field.put(within + rows.start, [each[place] for each in chosen])

    def output(self, columns: Columns) -> Field:
        """The column of what is shown as an action's value: its output, or why it ended badly."""
        field = self._output
        field.grow(columns.count)
        self._output_done = np.concatenate([self._output_done, np.zeros(columns.count - len(self._output_done), bool)])
        fresh = np.flatnonzero(_OVER[columns.phases] & ~self._output_done)
        well = _HAS_OUTPUT[columns.phases[fresh]]
        for part in _slices(fresh[well], _SLICE):
            field.put(np.array(part), self._run.read(lambda state, part=part: state.outputs_of(part)))  # type: ignore[misc]  # bound now
        for part in _slices(fresh[~well], _BAD_SLICE):
            field.put(np.array(part), self._run.read(lambda state, part=part: [reason_of(state, row) for row in part]))  # type: ignore[misc]  # as above
        self._output_done[fresh] = True
        return field


def _slices(rows: Numbers, size: int) -> list[list[int]]:
    return [rows[lo : lo + size].tolist() for lo in range(0, len(rows), size)]


def reason_of(state: RunState, row: int) -> str:
    """Why an action ended badly, in one line; empty if it did not."""
    failure = state.failures.get(row)
    return failure.headline() if failure is not None else state.abort_reason(row)
