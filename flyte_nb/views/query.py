"""Decides nothing by itself: answers the live view's questions about one run, each with the module that knows.

It reads the run through copies (`columns`), so that the run goes on while a million rows are sorted. What is built for
answers (copies, orders, text for the search) is made when something is first asked for.

A cause of failure is filtered by the row of its first action, as text: `Cause["key"] == str(Cause["row"])`.

Must not know: widgets, comms, or how anything looks.
"""

from __future__ import annotations

import threading
import time
import weakref
from collections import OrderedDict
from collections.abc import Callable

import numpy as np

from flyte_nb.views.columns import SHOWN_PHASES, Columns, Numbers, ReadRun
from flyte_nb.views.detail import Details
from flyte_nb.views.fields import Fields, reason_of
from flyte_nb.views.grouptree import GroupTree, Line, rows_below
from flyte_nb.views.namer import Namer
from flyte_nb.views.outputs import Outputs
from flyte_nb.views.protocol import (
    CELL_CHARACTERS,
    MAX_PAGE,
    Counts,
    DetailAnswer,
    DetailRequest,
    GroupRow,
    GroupsAnswer,
    GroupsRequest,
    Query,
    Row,
    RowsAnswer,
    RowsRequest,
)
from flyte_nb.views.protocol_tabs import RichAnswer, RichRequest, SpreadAnswer, SpreadRequest, TimelineAnswer, TimelineRequest
from flyte_nb.views.results import Results
from flyte_nb.views.rich import report_form, rich_form
from flyte_nb.views.selection import Selections
from flyte_nb.views.slices import TURN
from flyte_nb.views.table import Table
from flyte_nb.views.textindex import TextIndex
from flyte_nb.views.timeline import Timeline
from flyte_nb.views.tries import Earlier
from flyte_nb.views.wording import one_line

#: Readers that keep copies, orders and text of large runs, and what is large: a hundred million bytes for a million rows.
MAX_LARGE, LARGE_ROWS = 2, 20_000
_large: OrderedDict[int, weakref.ref[RunQueries]] = OrderedDict()
_large_guard = threading.Lock()
#: Histograms of a run that goes on, or is being read, stand for so many times as long as they took to count.
SPREAD_REST = 10.0
#: Columns that need names of actions.
_NAMED = frozenset({"action"})


class RunQueries:
    """Answers a view's questions about one run (a `protocol.RunReader`).

    Args:
        run: whose actions.
        notify: called, from a thread, when an answer may have more to say although the run has not changed: more
            actions were searched, or named.
        clock: UTC seconds now.
    """

    def __init__(self, run: ReadRun, notify: Callable[[], None] = lambda: None, *, clock: Callable[[], float] = time.time) -> None:
        self._run, self._notify, self._clock = run, notify, clock
        self._guard = threading.RLock()
        self._build()

    def _build(self) -> None:
        run, notify = self._run, self._notify
        self._columns = Columns(run)
        self._fields = Fields(run)
        self._outputs = Outputs(run, notify)
        self._selections = Selections(self._columns, self._fields, self._outputs, TextIndex(run, notify))
        self._results = Results(run, self._columns, self._fields, self._outputs, notify)
        self._table = Table(run, self._columns)
        self._timeline = Timeline(self._columns, Earlier(run))
        self._details = Details(run)
        self._names = Namer(run, notify)
        self._tree: tuple[int, GroupTree | None] = (-1, None)
        self._spread: tuple[dict[str, object], SpreadAnswer, float] | None = None

    # ------------------------------------------------------------------ memory
    def _refresh(self) -> None:
        """Bring the copies up to date; of large runs, only those that were asked about last keep theirs."""
        self._columns.refresh()
        if self._columns.count < LARGE_ROWS:
            return
        with _large_guard:
            _large.pop(id(self), None)
            _large[id(self)] = weakref.ref(self)
            others = [_large.popitem(last=False)[1]() for _ in range(len(_large) - MAX_LARGE)]
        for other in others:
            if other is not None:
                other.forget()

    def forget(self) -> None:
        """Give the memory back, unless an answer is being made; what is asked next makes it again."""
        if self._guard.acquire(blocking=False):
            try:
                self._build()
            finally:
                self._guard.release()

    # ------------------------------------------------------------------ rows
    def rows(self, request: RowsRequest) -> RowsAnswer:
        """A page of the actions table."""
        with TURN, self._guard, self._outputs.making:
            self._refresh()
            now, query = self._clock(), request["query"]
            of_results = query.get("table") == "results"
            read = self._outputs.advance() if of_results else 0
            page = self._selections.page(request["view"], query, request["offset"], min(request["count"], MAX_PAGE), now)
            catalog = (self._results if of_results else self._table).catalog(self._tasks_in(query))
            known = {column["key"] for column in catalog}
            keys = [key for key in request["columns"] if key in known] or [column["key"] for column in catalog if column["shown"]]
            shown = np.abs(page["rows"])
            names = self._names.known(shown.tolist()) if _NAMED & set(keys) else {}
            rows = self._results.rows(shown, keys) if of_results else self._table.rows(shown, keys, names, now)
            for line, row in zip(page["rows"].tolist(), rows, strict=True):
                if line < 0:
                    self._make_heading(row, page.get("below", {})[line])
            return {
                "kind": "rows",
                "view": request["view"],
                "id": request["id"],
                "number": 0,
                "base": 0,
                "version": self._columns.version,
                "total": page["total"],
                "searched": min(read, page["searched"]) if of_results else page["searched"],
                "headings": page.get("headings", 0),
                "newer": page["newer"],
                "offset": request["offset"],
                "order": page["order"],
                "columns": keys,
                "catalog": catalog,
                "rows": rows,
                "changed": {},
                "length": len(page["rows"]),
                "error": self._error(query),
            }

    def _make_heading(self, row: Row, below: int) -> None:
        """Make a row the heading of its cause."""
        reason = self._run.read(lambda state: reason_of(state, row["row"]))
        row["heading"] = one_line(reason or row["look"], CELL_CHARACTERS)
        row["below"], row["cells"] = below, []

    def _tasks_in(self, query: Query) -> list[int]:
        """The tasks whose inputs are columns: of the chosen task or line of the tree, otherwise all."""
        columns = self._columns
        nodes: Numbers | None = None
        if node := query.get("node"):
            below = rows_below(columns, node)
            if below is not None:
                nodes = columns.node_ids[below]
        ids = self._table.tasks_of(nodes)
        if task := query.get("task"):
            ids = [each for each in ids if columns.tasks[each].short_name == task]
        return ids

    def _error(self, query: Query) -> str:
        node = query.get("node")
        return "This group is not there any more." if node and rows_below(self._columns, node) is None else ""

    # ------------------------------------------------------------------ groups
    def groups(self, request: GroupsRequest) -> GroupsAnswer:
        """A page of the groups' tree."""
        with TURN, self._guard, self._outputs.making:
            self._refresh()
            tree = self._current_tree()
            total, lines = tree.page(frozenset(request["open"]), request["sort"], request["offset"], min(request["count"], MAX_PAGE))
            return {
                "kind": "groups",
                "view": request["view"],
                "id": request["id"],
                "number": 0,
                "base": 0,
                "version": self._columns.version,
                "total": total,
                "groups": tree.group_count,
                "bad": tree.bad_count(),
                "offset": request["offset"],
                "rows": [_group_row(line) for line in lines],
                "changed": {},
                "length": len(lines),
            }

    def _current_tree(self) -> GroupTree:
        version, tree = self._tree
        if tree is None or version != self._columns.version:
            tree = GroupTree(self._columns)
            self._tree = (self._columns.version, tree)
        return tree

    # ------------------------------------------------------------------ one action
    def detail(self, request: DetailRequest) -> DetailAnswer:
        """One action; `gone` says in words that there is no such row."""
        row = request["row"]
        with TURN:
            return self._details.answer(request, name=self._names.of(row))

    def rich(self, request: RichRequest) -> RichAnswer:
        """A rich form of an action's output, or its report, to be shown in a frame without rights."""
        row, form = request["row"], request["form"]
        made = report_form(self._details.report(row)) if form == "report" else rich_form(self._details.output(row), form)
        return {"kind": "rich", "view": request["view"], "id": request["id"], "row": row, "form": form, **made}

    # ------------------------------------------------------------------ tabs
    def spread(self, request: SpreadRequest) -> SpreadAnswer:
        """How the values of some columns of the results are spread; while they arrive, not counted again all the time."""
        with TURN, self._guard:
            question = {**request, "id": 0, "view": ""}
            if (
                self._spread is not None
                and self._spread[0] == question
                and time.perf_counter() < self._spread[2]
                and self._more_will_come()
            ):
                return {**self._spread[1], "view": request["view"], "id": request["id"]}
            began = time.perf_counter()
            answer = self._spread_now(request)
            now = time.perf_counter()
            self._spread = (question, answer, now + SPREAD_REST * (now - began))
            return answer

    def _more_will_come(self) -> bool:
        """Whether histograms will be asked for again anyway: the run goes on, or values are still being read."""
        over = self._run.read(lambda state: state.ended_at is not None)
        return not over or self._outputs.is_reading or self._results.is_reading

    def _spread_now(self, request: SpreadRequest) -> SpreadAnswer:
        with self._outputs.making:
            self._refresh()
            read = self._outputs.advance()
            known = {column["key"] for column in self._results.catalog(self._tasks_in(request["query"]))}
            keys = [key for key in request["columns"] if key in known and ":" in key]
            read = min(read, self._results.read_inputs(keys))
            rows = self._selections.matching({**request["query"], "table": "results"})
            return {
                "kind": "spread",
                "view": request["view"],
                "id": request["id"],
                "version": self._columns.version,
                "total": len(rows),
                "read": min(read, len(rows)),
                "columns": [self._results.spread(key, rows, request["marked"]) for key in keys],
            }

    def timeline(self, request: TimelineRequest) -> TimelineAnswer:
        """The lanes of a span of time."""
        with TURN, self._guard, self._outputs.making:
            self._refresh()
            return self._timeline.answer(request, self._clock())


def _group_row(line: Line) -> GroupRow:
    counts: Counts = {SHOWN_PHASES[code]: number for code, number in enumerate(line.counts) if number}  # type: ignore[misc]  # the codes are those of looks
    made: GroupRow = {
        "key": line.key,
        "kind": line.kind,
        "name": one_line(line.name, CELL_CHARACTERS),
        "depth": line.depth,
        "leaf": line.leaf,
        "open": line.open,
        "counts": counts,
        "total": line.total,
        "ended": line.ended,
        "failed": line.failed,
        "seconds": round(max(0.0, line.last_end - line.first_call), 3) if line.last_end else 0.0,
    }
    if line.ended < line.total:
        made["since"] = round(line.first_call, 3)
    return made
