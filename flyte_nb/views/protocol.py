"""Decides what the live view and the kernel say to each other: every message, both ways, as types.

Two ways lead from the kernel to the browser. *Traits* (`fixed`, `head`, `causes`, `first`) are the present state: a page
that is reloaded, or a second tab, gets them before it asks for anything. *Answers* are custom messages; each names the
view that it is for, since every tab hears them all. From the browser come *requests* only, also custom messages.

A view that says `follow` has the answer sent again when it changed, from the painter's thread, without asking: so it
stays live also where requests wait for a busy cell (ipykernel 6). The answer then holds only what differs from the
answer `base`, in `changed`; a view that does not hold `base` asks again and gets all of it.

Everything in here that came from a user is plain text, cleaned and cut by the kernel; the browser only ever sets it as
text. Instants are UTC seconds; spans are seconds; rows are positions in the run (`run.action(row)`), 0 is the root.

`header.py` makes the traits from a summary; `query.py` has `RunQueries(run)`, a `RunReader`, which makes the answers; the
widget (`widget.py`) checks requests and finds differences. Must not know: how any of it is done.
"""

from __future__ import annotations

from typing import Literal, NotRequired, Protocol, TypedDict

#: Grows when a browser that runs the old script could misread the new messages.
PROTOCOL = 1

#: Most rows of one page (the view has at most 60 in the page, with room above and below what is seen).
MAX_PAGE = 60
#: Characters of a cell, of an input or output in the detail, and of a log that are sent unasked.
CELL_CHARACTERS, VALUE_CHARACTERS, LOG_CHARACTERS = 160, 4_000, 16_000
#: Characters of a whole detail; what is over is cut, and `more` says so.
DETAIL_CHARACTERS = 64_000

#: A phase as it is shown: Flyte's ten, and an action that took its result from the cache apart from one that ran.
Look = Literal[
    "queued",
    "waiting_for_resources",
    "initializing",
    "running",
    "paused",
    "succeeded",
    "cached",
    "recovered",
    "failed",
    "timed_out",
    "aborted",
]
#: Number of actions by look; those with none are left out.
Counts = dict[Look, int]


# ------------------------------------------------------------------ the present state, as traits
class Fixed(TypedDict):
    """What never changes: trait `fixed`."""

    protocol: int
    run: str
    task: str
    started_at: float


class Step(TypedDict):
    """A step of a start: of the cluster, until the first action can run."""

    look: Look
    title: str
    text: str


class Head(TypedDict):
    """The run at a glance: trait `head`, sent at most five times a second. Counts leave the root action out.

    `version` grows with every change of the run. `now` is the kernel's clock, so that the browser can let seconds
    pass without asking. `words` is the phase as a sentence (`Succeeded, but 27 actions failed`). `left` is the time
    left in words, `left_short` for narrow views; both are empty where there is nothing to say.

    `mixed`: it succeeded, but actions failed. `over`: nothing can change any more. `results` counts actions with an output.
    `message` is why the run did not succeed; `note` is a hint while it goes on (no worker fits). `steps` are those of a
    start that goes on; empty otherwise.
    """

    version: int
    now: float
    phase: Look
    words: str
    mixed: bool
    over: bool
    counts: Counts
    total: int
    ended: int
    failed: int
    results: int
    seconds: float
    rate: str
    left: str
    left_short: str
    workers: int
    slots: int
    busy: int
    message: str
    note: str
    steps: list[Step]
    can_abort: bool
    aborting: bool
    can_rerun: bool


class Cause(TypedDict):
    """One cause of failures: actions of one task with one headline.

    `key` is what a request filters by: the row of the first of them, as text (`Cause.first_row` of the state).
    """

    key: str
    look: Look
    count: int
    text: str
    task: str
    action: str
    row: int


class Causes(TypedDict):
    """The causes of failure, the most frequent first: trait `causes`. `total` counts those that are not listed too."""

    total: int
    failed: int
    causes: list[Cause]


class First(TypedDict):
    """What a view shows before its first request is answered: trait `first`; the default query's first page."""

    rows: RowsAnswer | None
    groups: GroupsAnswer | None


# ------------------------------------------------------------------ rows: the actions table
class Sort(TypedDict):
    """One column to sort by."""

    by: str
    down: bool


class Query(TypedDict, total=False):
    """Which rows, in which order. Everything given must hold; what is left out, or empty, restricts nothing.

    `looks`: any of these. `node`: a row of the groups' tree by `key`, with everything below it. `task`: a short name.
    `cause`: `Cause.key`. `search`: text that a name (task, action, group), an input, an output or an error holds, in any
    case. `sort`: empty is the default order: while the run goes on, the latest change first; after an end with
    failures, failed ones first; then the order of calls. `hold`: keep the order of the answer before, as far as the
    rows still match (the reader points at a row, and rows must not move under the pointer). `causes`: rows of one cause together, under a
    heading each; in the default order only.
    """

    table: Literal["actions", "results"]
    looks: list[Look]
    node: str
    task: str
    cause: str
    search: str
    sort: list[Sort]
    hold: bool
    causes: bool


class RowsRequest(TypedDict):
    """Asks for rows `offset` to `offset + count` of a query, with these columns (none: the default ones)."""

    kind: Literal["rows"]
    view: str
    id: int
    follow: bool
    query: Query
    columns: list[str]
    offset: int
    count: int


class TableColumn(TypedDict):
    """A column that can be shown.

    `key`: `phase`, `task`, `row` (position in the run), `action`, `group`, `parent`, `worker`, `try`, `queued` (seconds
    until the start), `started`, `time`, `cpu`, `memory`, `value` (output or error), or `in:<parameter>`. `type` says how it is set:
    numbers flush right. `width` is the number of characters that it needs; `shown`: by default.
    """

    key: str
    title: str
    type: Literal["text", "number", "seconds", "instant"]
    width: int
    shown: bool
    sortable: bool


class Row(TypedDict):
    """One action.

    `cells` are texts in the order of the answer's `columns` (`phase` and `time` are empty there: the view writes them
    from `look`, `seconds` and `since`). `since`: it runs since then. `bad`: the `value` is an error's.
    `slow`: how many times the median of its task it has taken so far, if that is remarkable. `heading`: it is no action
    but the cause of the next `below` ones.
    """

    row: int
    look: Look
    cells: list[str]
    seconds: float | None
    since: NotRequired[float]
    bad: NotRequired[bool]
    slow: NotRequired[int]
    heading: NotRequired[str]
    below: NotRequired[int]


class RowsAnswer(TypedDict):
    """A page of rows. `total` matched of `searched`, headings (`headings` of them) counted; `newer` have changed since the order was held.

    `order` is the order in words (`latest change first`). `catalog` are all columns; empty if they are as in `base`.
    Whole: `rows` is the page. As a difference: `base` is not 0, `rows` is empty, `changed` holds rows by position in
    the page, and `length` is the page's length. `error` says why a query cannot be answered, for the reader.
    """

    kind: Literal["rows"]
    view: str
    id: int
    number: int
    base: int
    version: int
    total: int
    searched: int
    headings: int
    newer: int
    offset: int
    order: str
    columns: list[str]
    catalog: list[TableColumn]
    rows: list[Row]
    changed: dict[str, Row]
    length: int
    error: str


# ------------------------------------------------------------------ groups: the tree
class GroupsRequest(TypedDict):
    """Asks for lines `offset` to `offset + count` of the tree as it is when the nodes in `open` are open.

    The root is always open. `sort`: failures first (then what goes on, then in order of creation), or by name, time,
    progress (least first).
    """

    kind: Literal["groups"]
    view: str
    id: int
    follow: bool
    open: list[str]
    sort: Literal["failures", "name", "time", "progress"]
    offset: int
    count: int


class GroupRow(TypedDict):
    """A line of the tree: `root` (all actions), a `group`, a `task` in it, or a `driver` (an action that called others).

    `key` stays the same while the run lives. Counts include everything below. `leaf`: there is nothing to open.
    `seconds` is from the first call to the last end; `since` is given instead while something is open.
    """

    key: str
    kind: Literal["root", "group", "task", "driver"]
    name: str
    depth: int
    leaf: bool
    open: bool
    counts: Counts
    total: int
    ended: int
    failed: int
    seconds: float
    since: NotRequired[float]


class GroupsAnswer(TypedDict):
    """A page of the tree's lines; differences as in `RowsAnswer`. `bad` groups have failures, of `groups` in all."""

    kind: Literal["groups"]
    view: str
    id: int
    number: int
    base: int
    version: int
    total: int
    groups: int
    bad: int
    offset: int
    rows: list[GroupRow]
    changed: dict[str, GroupRow]
    length: int


# ------------------------------------------------------------------ detail: one action
class DetailRequest(TypedDict):
    """Asks for one action. `full`: also what is over the limits (to copy all of it); `log_from`: characters already held."""

    kind: Literal["detail"]
    view: str
    id: int
    follow: bool
    row: int
    log_from: int
    full: bool


class Value(TypedDict):
    """An input or an output, as text. `more`: it was cut. `name` is empty for a single output."""

    name: str
    type: str
    text: str
    more: bool


class Frame(TypedDict):
    """A frame of a traceback. `lines` are numbered source lines, `line` the failing one; `own`: the user's code."""

    file: str
    function: str
    line: int
    own: bool
    lines: list[tuple[int, str]]


class ErrorInfo(TypedDict):
    """Why it failed: whose fault (`user`, `system`, `timeout`), the error's class and message, and where.

    `traceback` is the task's own as text; `frames` is the same taken apart (empty where that is not possible).
    """

    fault: Literal["user", "system", "timeout", "abort"]
    code: str
    message: str
    traceback: str
    frames: list[Frame]


class AttemptLine(TypedDict):
    """One try: `ended_by` in words, empty while it runs; `counted`: it used up a retry."""

    number: int
    look: Look
    ended_by: str
    counted: bool
    worker: str
    started_at: float
    seconds: float | None
    cpu_seconds: float | None
    memory_bytes: int | None


class LogPart(TypedDict):
    """What was printed, from character `start` on. `total` characters and `lines` lines are known; `more`: it was cut."""

    start: int
    text: str
    total: int
    lines: int
    more: bool


class DetailAnswer(TypedDict):
    """One action. `path`: names from the run's task to this one, groups included. `attempts`: the newest first.

    `cpu_seconds`: of the body's own code. `memory_bytes`: the most that its worker's process had while it ran. Both are those
    of the last try, and None where it was too short to be measured.
    """

    kind: Literal["detail"]
    view: str
    id: int
    version: int
    row: int
    action: str
    task: str
    look: Look
    words: str
    path: list[str]
    worker: str
    called_at: float
    queued_seconds: float | None
    seconds: float | None
    since: NotRequired[float]
    cpu_seconds: float | None
    memory_bytes: int | None
    error: ErrorInfo | None
    inputs: list[Value]
    outputs: list[Value]
    rich: list[str]
    attempts: list[AttemptLine]
    log: LogPart
    can_abort: bool
    can_rerun: bool
    gone: str


# ------------------------------------------------------------------ commands
class AbortRequest(TypedDict):
    """Asks to stop an action and all that it called; row 0 is the run."""

    kind: Literal["abort"]
    view: str
    id: int
    row: int


class RerunRequest(TypedDict):
    """Asks for a new run: of what failed or never ran (`row` 0), or of one action."""

    kind: Literal["rerun"]
    view: str
    id: int
    row: int


class StopRequest(TypedDict):
    """Says that nothing more shall be sent unasked: the view is hidden or gone. `what` is empty for everything."""

    kind: Literal["stop"]
    view: str
    id: int
    what: Literal["", "rows", "groups", "detail", "spread", "timeline"]


Request = RowsRequest | GroupsRequest | DetailRequest | AbortRequest | RerunRequest | StopRequest


class DoneAnswer(TypedDict):
    """A command was taken (`ok`), or why not; `run` is the new run's name."""

    kind: Literal["done"]
    view: str
    id: int
    ok: bool
    message: str
    run: str


Answer = RowsAnswer | GroupsAnswer | DetailAnswer | DoneAnswer


# ------------------------------------------------------------------ what the widget asks of the rest
class RunReader(Protocol):
    """Answers a view's questions about one run. Called from any thread, one call at a time.

    It makes whole answers with `number` and `base` 0; the widget finds the differences. Requests come from a browser:
    their fields have been checked for type and range, but keys, columns and rows may not exist (any more). It may keep
    what makes the next answer quick (an order, matches of a search): a sort or filter of 50,000 rows answers within
    150 ms, of 1,000,000 within 500 ms, and the same page again, after changes, costs a few milliseconds. The name of one
    action costs the hashes of all siblings before it, so names are made for the detail, and for rows where the column
    `action` is asked for (not by default), a part at a time.
    """

    def rows(self, request: RowsRequest) -> RowsAnswer:
        """A page of the actions table."""
        ...

    def groups(self, request: GroupsRequest) -> GroupsAnswer:
        """A page of the groups' tree."""
        ...

    def detail(self, request: DetailRequest) -> DetailAnswer:
        """One action; `gone` says in words that there is no such row."""
        ...
