"""Decides which rows a query means, and in which order they stand.

Filters are masks over whole columns. An order is worked out only as far as the page that is looked at needs it: a page
near the top of a million rows costs a few milliseconds, and is exactly what a full sort would show. A held order is
what was shown before, so that nothing moves under the reader's pointer.

Must not know: what is shown of a row, or messages beyond the query itself.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NotRequired, TypedDict

import numpy as np

from flyte_nb.views.columns import CACHED, FAILED_CODES, SHOWN_CODE, SHOWN_PHASES, Columns, Numbers, lookup
from flyte_nb.views.fields import Fields
from flyte_nb.views.grouptree import rows_below
from flyte_nb.views.outputs import Outputs
from flyte_nb.views.protocol import Query, Sort
from flyte_nb.views.textindex import TextIndex
from flyte_nb.views.wording import PHASE_ORDER

#: Views whose last order is kept.
MAX_VIEWS = 8
#: A page within the first so many of all rows is picked out without sorting the rest.
_NEAR_TOP = 0.2
#: Fewer rows are sorted at once.
_FEW = 5_000

_RANK = np.zeros(len(SHOWN_PHASES))
_RANK[CACHED] = 0.5
for _place, _phase in enumerate(PHASE_ORDER):
    _RANK[SHOWN_CODE[_phase.value]] = _place
_FAILED = lookup(FAILED_CODES)
_WITH_RESULT = lookup((SHOWN_CODE["succeeded"], SHOWN_CODE["recovered"], CACHED))


class Page(TypedDict):
    """Rows of one page, and what is said about all. A heading is the row of the first below it, as a negative number.

    `total` counts headings; `below` has how many rows stand below each.
    """

    rows: Numbers
    total: int
    searched: int
    newer: int
    order: str
    headings: NotRequired[int]
    below: NotRequired[dict[int, int]]


@dataclass(slots=True)
class _Shown:
    """What a view was shown last: the rows that matched, and what they were sorted by."""

    query: Query
    rows: Numbers
    keys: list[Numbers]
    latest: float
    version: int
    words: str
    order: Numbers | None = field(default=None)

    def sorted(self) -> Numbers:
        """All rows in order."""
        if self.order is None:
            self.order = self.rows[_full_order(self.keys, len(self.rows))]
        return self.order


class Selections:
    """Answers queries about one run; remembers what each view was shown, so that it can be held."""

    def __init__(self, columns: Columns, fields: Fields, outputs: Outputs, index: TextIndex) -> None:
        self._columns, self._fields, self._outputs, self._index = columns, fields, outputs, index
        self._shown: OrderedDict[str, _Shown] = OrderedDict()
        self._matched: tuple[object, Numbers, int] = (None, np.empty(0, np.int64), 0)

    def page(self, view: str, query: Query, offset: int, count: int, now: float) -> Page:
        """Rows `offset` to `offset + count` of a query."""
        columns, (rows, searched) = self._columns, self._matching(query)
        if query.get("causes") and not query.get("sort"):
            return self._by_cause(rows, searched, offset, count)
        held = self._shown.get(view) if query.get("hold") else None
        if held is not None and _without_hold(held.query) == _without_hold(query):
            ordered = self._held(held, rows)
            newer = int((self._of(columns.changed, rows) > held.latest).sum())
            words = "order held" + (f", {newer:,} newer" if newer else "")
            return Page(
                rows=ordered[offset : offset + count], total=len(rows), headings=0, below={}, searched=searched, newer=newer, order=words
            )
        again = self._shown.get(view)
        if again is not None and self._is_as_before(again, query, rows):
            shown = again.sorted()[offset : offset + count] if offset else window(rows, again.keys, 0, count)
            return Page(rows=shown, total=len(rows), searched=searched, newer=0, order=again.words)
        keys, words = self._keys(query, rows, now)
        latest = float(self._of(columns.changed, rows).max(initial=0.0))
        self._shown[view] = _Shown(query, rows, keys, latest, columns.version, words)
        self._shown.move_to_end(view)
        while len(self._shown) > MAX_VIEWS:
            self._shown.popitem(last=False)
        return Page(rows=window(rows, keys, offset, count), total=len(rows), searched=searched, newer=0, order=words)

    def _by_cause(self, rows: Numbers, searched: int, offset: int, count: int) -> Page:
        """Rows of one task with the same words together, those of the most frequent cause first, under a heading each."""
        columns = self._columns
        words = self._fields.output(columns).codes[rows].astype(np.int64)
        causes = words * max(1, len(columns.tasks)) + columns.node_tasks[columns.node_ids[rows]]
        _, first, cause, sizes = np.unique(causes, return_index=True, return_inverse=True, return_counts=True)
        ranked = np.lexsort((first, -sizes))
        rank = np.argsort(ranked)[cause]
        order = np.argsort(rank, kind="stable")
        lines = np.empty(len(rows) + len(first), np.int64)
        lines[np.arange(len(rows)) + rank[order] + 1] = rows[order]
        starts = np.cumsum(sizes[ranked] + 1) - sizes[ranked] - 1
        lines[starts] = -rows[first[ranked]]
        page = lines[offset : offset + count]
        place = dict(zip((-rows[first]).tolist(), sizes.tolist(), strict=True))
        below = {line: place[line] for line in page[page < 0].tolist()}
        return Page(rows=page, total=len(lines), headings=len(first), below=below, searched=searched, newer=0, order="by cause")

    def _is_as_before(self, shown: _Shown, query: Query, rows: Numbers) -> bool:
        """Whether a run that is over is scrolled: the order, once worked out in full, is good for every page.

        Outputs are read little by little, so an order by one of them is worked out each time.
        """
        over = self._columns.ended_at is not None and shown.version == self._columns.version
        over = over and not any(sort["by"].startswith("out:") for sort in query.get("sort") or [])
        return over and _without_hold(shown.query) == _without_hold(query) and np.array_equal(shown.rows, rows)

    def _of(self, column: Numbers, rows: Numbers) -> Numbers:
        """A column's values in rows that matched. All rows but the root's are a part of the column, and nothing is copied."""
        return column[1:] if len(rows) == self._columns.count - 1 else column[rows]

    def matching(self, query: Query) -> Numbers:
        """All rows of a query, in the order of calls."""
        return self._matching(query)[0]

    def _held(self, held: _Shown, rows: Numbers) -> Numbers:
        """The order as it was, without what no longer matches; what newly matches comes last."""
        before = held.sorted()
        matches = np.zeros(self._columns.count, bool)
        matches[rows] = True
        known = np.zeros(self._columns.count, bool)
        known[before] = True
        return np.concatenate([before[matches[before]], rows[~known[rows]]])

    # ------------------------------------------------------------------ which
    def _matching(self, query: Query) -> tuple[Numbers, int]:
        """Rows that match, in the order of calls, and how many could be looked at."""
        columns = self._columns
        filters = {key: value for key, value in query.items() if key not in {"sort", "hold", "causes"} and value}
        key = (columns.version, columns.count, sorted(filters.items(), key=lambda item: item[0]))
        if not filters.get("search") and self._matched[0] == key:
            return self._matched[1:]
        searched = columns.count - 1
        if set(filters) <= {"table"} and filters.get("table") != "results":
            self._matched = (key, np.arange(1, columns.count), searched)
            return self._matched[1:]
        mask = self._mask(query)
        if search := query.get("search", "").strip():
            found, whole = self._index.find(search, columns)
            found |= self._named(search)
            mask &= found
            searched = int(whole[1:].sum())
        rows = np.flatnonzero(mask)
        self._matched = (key, rows, searched)
        return rows, searched

    def _mask(self, query: Query) -> Numbers:
        columns = self._columns
        mask = np.ones(columns.count, bool)
        mask[0] = False  # the root action is the run
        looks = query.get("looks") or []
        if looks:
            mask &= lookup(tuple(SHOWN_CODE[look] for look in looks if look in SHOWN_CODE))[columns.shown_phases]
        if query.get("table") == "results":
            mask &= _WITH_RESULT[columns.shown_phases]
        if task := query.get("task"):
            wanted = np.array([facts.short_name == task for facts in columns.tasks], bool)
            mask &= wanted[columns.node_tasks][columns.node_ids]
        if node := query.get("node"):
            below = rows_below(columns, node)
            mask &= below if below is not None else False
        if cause := query.get("cause"):
            mask &= self._of_cause(cause)
        return mask

    def _of_cause(self, key: str) -> Numbers:
        """Rows of the same task that failed with the same words as the row whose number is the key."""
        columns = self._columns
        row = int(key) if key.isdecimal() and int(key) < columns.count else 0
        words = self._fields.output(columns).codes
        if not _FAILED[columns.phases[row]]:
            return np.zeros(columns.count, bool)
        tasks = columns.node_tasks[columns.node_ids]
        same: Numbers = (words == words[row]) & (tasks == tasks[row]) & _FAILED[columns.phases]
        return same

    def _named(self, search: str) -> Numbers:
        """Rows whose task or group is named so."""
        needle, columns = " ".join(search.split()).casefold(), self._columns
        tasks = np.array([needle in task.name.casefold() or needle in task.short_name.casefold() for task in columns.tasks], bool)
        groups = np.array([needle in group.casefold() for group in columns.groups], bool)
        named: Numbers = (tasks[columns.node_tasks] | groups[columns.node_groups])[columns.node_ids]
        return named

    # ------------------------------------------------------------------ in which order
    def _keys(self, query: Query, rows: Numbers, now: float) -> tuple[list[Numbers], str]:
        """What the rows are sorted by, the most important first, and the order in words."""
        sorts = query.get("sort") or []
        if sorts:
            keys = [self._key(sort, rows, now) for sort in sorts]
            return keys, "by " + ", ".join(_title(sort) for sort in sorts)
        columns = self._columns
        if query.get("table") == "results":
            return [], "in order of calls"
        if columns.ended_at is None:
            return [-self._of(columns.changed, rows)], "latest change first"
        failed = _FAILED[self._of(columns.phases, rows)]
        if failed.any():
            return [(~failed).astype(float)], "failed first"
        return [], "in order of calls"

    def _key(self, sort: Sort, rows: Numbers, now: float) -> Numbers:
        key = self._column_key(sort["by"], rows, now)
        return -key if sort["down"] else key.copy()  # it may be a part of a column that goes on changing

    def _column_key(self, by: str, rows: Numbers, now: float) -> Numbers:
        columns = self._columns
        if by.startswith("in:"):
            return self._of(self._fields.input(by[3:], columns).key(), rows)
        if by.startswith("out:"):
            return self._of(self._outputs.field(by[4:], columns.count).key(), rows)
        if by == "value":
            return self._of(self._fields.output(columns).key(), rows)
        if by == "time":
            return self._of(columns.seconds(now), rows)
        if by in _BY_NODE:
            ranks: Numbers = _BY_NODE[by](columns)[self._of(columns.node_ids, rows)]
            return ranks
        return self._of(_BY_ROW[by](columns), rows) if by in _BY_ROW else rows.astype(float)


def _started(columns: Columns) -> Numbers:
    started: Numbers = np.where(columns.started > 0, columns.started, np.nan)
    return started


def window(rows: Numbers, keys: list[Numbers], offset: int, count: int) -> Numbers:
    """`rows[offset : offset + count]` as they stand after a stable sort by these keys (NaN last)."""
    if not keys:
        return rows[offset : offset + count]
    stop = min(offset + count, len(rows))
    if len(rows) < _FEW or stop > _NEAR_TOP * len(rows) or stop <= 0:
        return rows[_full_order(keys, len(rows))[offset:stop]]
    first = keys[0]
    last = np.partition(first, stop - 1)[stop - 1]
    if np.isnan(last):
        if len(keys) > 1:
            return rows[_full_order(keys, len(rows))[offset:stop]]
        without = np.isnan(first)  # as long as few have a value, which is how a run begins
        known = np.flatnonzero(~without)
        page: Numbers = np.concatenate([known[np.argsort(first[known], kind="stable")], np.flatnonzero(without)[:stop]])[offset:stop]
        return rows[page]
    near = np.flatnonzero(first <= last)
    return rows[near[_full_order([key[near] for key in keys], len(near))[offset:stop]]]


def _full_order(keys: list[Numbers], count: int) -> Numbers:
    if not keys:
        return np.arange(count)
    return np.argsort(keys[0], kind="stable") if len(keys) == 1 else np.lexsort(keys[::-1])


def _ranks(words: list[str]) -> Numbers:
    """The place of each word in the alphabet; equal words share it, and no word comes last."""
    order = {word: float(place) for place, word in enumerate(sorted(set(words), key=lambda word: (word.casefold(), word)))}
    return np.array([order[word] if word else np.nan for word in words])


#: What each column is worth: one value for a node, or one for a row.
_BY_NODE: dict[str, Callable[[Columns], Numbers]] = {
    "task": lambda columns: _ranks([task.short_name for task in columns.tasks])[columns.node_tasks],
    "group": lambda columns: _ranks(columns.groups)[columns.node_groups],
    "parent": lambda columns: columns.node_parents.astype(float),
}
_BY_ROW: dict[str, Callable[[Columns], Numbers]] = {
    "phase": lambda columns: _RANK[columns.shown_phases],
    "try": lambda columns: columns.attempts.astype(float),
    "worker": lambda columns: _ranks(columns.workers)[columns.worker_ids],
    "started": _started,
    "queued": lambda columns: _started(columns) - columns.called,
    "cpu": lambda columns: columns.costs()[0],
    "memory": lambda columns: columns.costs()[1],
}


def _title(sort: Sort) -> str:
    name = sort["by"].removeprefix("in:").removeprefix("out:")
    return f"{name}, {'descending' if sort['down'] else 'ascending'}"


def _without_hold(query: Query) -> dict[str, object]:
    return {key: value for key, value in query.items() if key != "hold" and value}
