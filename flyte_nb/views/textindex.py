"""Decides how the text of a run's actions is searched: inputs, outputs and errors, put together once and then kept.

To make the text of a million actions takes seconds, so it is made slice by slice in a thread, from the moment when
somebody searches for the first time; until it is done, an answer says how many actions were searched. A search then
looks through the bytes of a slice at the speed of memory and asks for rows only where something was found.

Must not know: names of tasks and groups (few: they are matched as they are), or how a match is shown.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from flyte_nb.core.payloads import Item
from flyte_nb.core.phases import TERMINAL_CODES
from flyte_nb.core.state import RunState
from flyte_nb.views.columns import FAILED_CODES, Columns, Numbers, ReadRun, lookup
from flyte_nb.views.slices import Slices
from flyte_nb.views.values import Texts
from flyte_nb.views.wording import clean, one_line

#: Actions whose text is made at a time: about three milliseconds.
SLICE = 2_048
#: Characters of a value that are searched.
VALUE_LIMIT = 400
#: Bytes of text that are kept; what is over is not searched, and the answer says so.
MAX_BYTES = 400_000_000
#: Whole numbers below are written as they are.
_SHORT = 10**15
#: Between rows and between values. Neither is in a text (control characters are taken out) nor in what is looked for.
_ROW, _VALUE = "\x00", "\x01"


@dataclass(frozen=True, slots=True)
class _Part:
    """The text of some rows: one after the other in `text`, from `starts` on."""

    rows: Numbers
    starts: Numbers
    text: bytes

    def find(self, needle: bytes) -> Numbers:
        """The rows that hold it."""
        if not needle or needle not in self.text:
            return self.rows[:0]
        letters = np.frombuffer(self.text, np.uint8)
        at = np.flatnonzero(letters[: len(letters) - len(needle) + 1] == needle[0])
        for place, letter in enumerate(needle[1:], 1):
            at = at[letters[at + place] == letter]
        found: Numbers = self.rows[np.unique(np.searchsorted(self.starts, at, side="right") - 1)]
        return found


def _part(rows: Numbers, texts: list[str]) -> _Part:
    text = (_ROW + _ROW.join(texts)).casefold().encode("utf8", "replace")
    return _Part(rows, np.flatnonzero(np.frombuffer(text, np.uint8) == 0), text)


def needle_of(search: str) -> bytes:
    """What is looked for, in the form of the text."""
    return clean(" ".join(search.split())).casefold().encode("utf8", "replace")


class TextIndex:
    """The text of one run's actions: of a call as soon as there is one, of its end when it has ended.

    Args:
        run: whose actions.
        notify: called (from the thread) when more was made.
    """

    def __init__(self, run: ReadRun, notify: Callable[[], None] = lambda: None) -> None:
        self._run = run
        self._texts = Texts()
        self._parts: list[_Part] = []
        self._bytes = 0
        self._calls = 1  # rows up to here have the text of their call; the root is no row of the table
        self._ends = np.zeros(0, bool)
        self._todo: list[Numbers] = []
        self._making = threading.Lock()
        self._slices = Slices("flyte_nb-search", self._make_slice, notify)
        self._found: tuple[bytes, int, Numbers] = (b"", 0, np.zeros(0, bool))

    # ------------------------------------------------------------------ asking
    def find(self, search: str, columns: Columns) -> tuple[Numbers, Numbers]:
        """Two masks: of the rows that hold a text, and of the rows that have been searched whole."""
        self._slices.advance()
        needle, parts = needle_of(search), list(self._parts)
        known, upto, mask = self._found
        if known != needle or len(mask) > columns.count:
            upto, mask = 0, np.zeros(0, bool)
        mask = _grown(mask, max((int(part.rows[-1]) + 1 for part in parts[upto:]), default=0))
        for part in parts[upto:]:
            mask[part.find(needle)] = True
        self._found = (needle, len(parts), mask)
        return _grown(mask, columns.count)[: columns.count], self._searched(columns)

    def _searched(self, columns: Columns) -> Numbers:
        whole: Numbers = _grown(self._ends, columns.count)[: columns.count] | ~_TERMINAL[columns.phases]
        whole[self._calls :] = False
        return whole

    # ------------------------------------------------------------------ making
    def _make_slice(self) -> bool:
        """Make the text of some rows; returns whether there may be more to make."""
        with self._making:
            count = self._run.read(lambda state: state.count)
            if self._bytes > MAX_BYTES:
                return False
            if not self._todo:
                self._look_for_ends(only_bad=self._calls < count)  # errors are what people look for
            if not self._todo and self._calls < count:
                self._add_calls(range(self._calls, min(self._calls + SLICE, count)))
                return True
            if self._todo:
                self._add_ends(self._todo.pop())
            return bool(self._todo) or self._calls < count

    def _look_for_ends(self, *, only_bad: bool) -> None:
        phases = self._run.read(lambda state: np.frombuffer(bytes(state.phases), np.uint8))
        self._ends = _grown(self._ends, len(phases))
        rows = np.flatnonzero((_FAILED if only_bad else _TERMINAL)[phases] & ~self._ends[: len(phases)])
        rows = rows[rows > 0]
        self._todo = [rows[lo : lo + SLICE] for lo in range(0, len(rows), SLICE)][::-1]

    def _add(self, rows: Numbers, texts: list[str]) -> None:
        part = _part(rows, texts)
        self._parts.append(part)
        self._bytes += len(part.text) + part.rows.nbytes + part.starts.nbytes

    def _add_calls(self, rows: range) -> None:
        inputs = self._run.read(lambda state: state.inputs_of(rows))
        self._add(np.arange(rows.start, rows.stop), [_VALUE.join(map(self._text, each)) for each in inputs])
        self._calls = rows.stop

    def _add_ends(self, rows: Numbers) -> None:
        ends = self._run.read(lambda state: [_end_of(state, row) for row in rows.tolist()])
        self._add(rows, [one_line(reason, VALUE_LIMIT) if reason else self._text(output) for output, reason in ends])
        self._ends[rows] = True

    def _text(self, item: Item) -> str:
        if type(item) is int and abs(item) < _SHORT:
            return str(item)
        if type(item) is float:  # as it is, and as it is shown
            exact, shown = repr(item), f"{item:.6g}"
            return exact if exact.startswith(shown) else f"{exact}{_VALUE}{shown}"
        return self._texts.cell(item, VALUE_LIMIT)

    def join(self, timeout: float | None = None) -> None:
        """Wait until the thread has made what there is."""
        self._slices.join(timeout)


_TERMINAL, _FAILED = lookup(frozenset(TERMINAL_CODES)), lookup(FAILED_CODES)


def _grown(mask: Numbers, count: int) -> Numbers:
    """A copy of a mask, at least so long."""
    return np.concatenate([mask, np.zeros(max(0, count - len(mask)), bool)])


def _end_of(state: RunState, row: int) -> tuple[Item, str]:
    """An action's output, and the reason of a bad end."""
    failure = state.failures.get(row)
    reason = f"{failure.code}: {failure.message[:VALUE_LIMIT]}" if failure is not None else state.abort_reason(row)
    return state.output(row), reason
