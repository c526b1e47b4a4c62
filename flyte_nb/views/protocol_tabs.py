"""Decides the messages of the Results and Timeline tabs and of rich output; `protocol` has the others, and the rules.

The rows of the Results tab are a `RowsRequest` whose query has `table: "results"`: its columns are `in:<parameter>` and
`out:<field>` (`out:` alone where outputs have no fields), its cells have one count of decimals a column, and its order is
that of the calls unless it is sorted. `RowsAnswer.searched` then counts rows whose outputs have been read, and is less
than `total` while that goes on. Must not know: how any of it is made.
"""

from __future__ import annotations

from typing import Literal, Protocol, TypedDict

from flyte_nb.views.protocol import Look, Query, RunReader

#: Most bins of a histogram, and most words of a column of words.
MAX_BINS, MAX_WORDS = 20, 3
#: Most bars of a timeline; where there are more, the narrow ones are told as a share.
MAX_BARS = 1_500
#: Most lanes of a page of a timeline, and most pixels.
MAX_LANES, MAX_PIXELS = 40, 2_400
#: Steps of the overview of a whole run.
MAX_OVERVIEW = 200


class SpreadRequest(TypedDict):
    """Asks how the values of some columns are spread over the rows of a query. `marked`: a row to mark, or -1."""

    kind: Literal["spread"]
    view: str
    id: int
    follow: bool
    query: Query
    columns: list[str]
    marked: int


class Spread(TypedDict):
    """How the values of one column are spread.

    `numbers`: counts of equally wide bins from `low` to `high` (texts with the column's decimals); `marked` is the bin of
    the marked row, or -1. `words`: the most frequent values in `top`, of `distinct` different ones. `none`: neither.
    """

    key: str
    kind: Literal["numbers", "words", "none"]
    low: str
    high: str
    bins: list[int]
    marked: int
    distinct: int
    top: list[tuple[str, int]]
    count: int


class SpreadAnswer(TypedDict):
    """The spread of columns over `total` rows, of which `read` have been looked at."""

    kind: Literal["spread"]
    view: str
    id: int
    version: int
    total: int
    read: int
    columns: list[Spread]


class TimelineRequest(TypedDict):
    """Asks for the lanes `first` to `first + count` of a span of time.

    `start` and `end` are UTC seconds; both 0 is the whole run; `end` 0 with a `span` is the last so many seconds.
    `pixels` is the width of the lanes: what is narrower than two of them is told as a share.
    """

    kind: Literal["timeline"]
    view: str
    id: int
    follow: bool
    start: float
    end: float
    span: float
    pixels: int
    first: int
    count: int


#: One try at an action on a lane: sub-lane, row, start and end (seconds after the answer's `start`), position in `tasks`, look,
#: number of the try. One that was lost with its worker is `aborted`.
Bar = tuple[int, int, float, float, int, Look, int]


class Lane(TypedDict):
    """One worker.

    `bars` are actions that are wide enough; `busy` is the share in percent of each pixel that the others take (empty if
    there are none; over 100 where several run at once); `failed` are (pixel, row, number) of bad ends, also of actions
    that are part of `busy`. `rows` is the number of sub-lanes; `longest` seconds of what runs there now.
    """

    worker: str
    rows: int
    bars: list[Bar]
    busy: list[int]
    failed: list[tuple[int, int, int]]
    actions: int
    longest: float


class Overview(TypedDict):
    """The whole run in `MAX_OVERVIEW` steps: how many actions ran at once on average, and the steps in which some ended badly."""

    start: float
    end: float
    busy: list[float]
    failed: list[int]


class TimelineAnswer(TypedDict):
    """A span of a run's time by worker. `share` is the part of the lanes' time that is busy, in percent."""

    kind: Literal["timeline"]
    view: str
    id: int
    version: int
    now: float
    start: float
    end: float
    overview: Overview
    total: int
    first: int
    lanes: list[Lane]
    tasks: list[str]
    actions: int


class RichRequest(TypedDict):
    """Asks for one of the forms in `DetailAnswer.rich` of an action's output (or for its "report")."""

    kind: Literal["rich"]
    view: str
    id: int
    row: int
    form: str


class RichAnswer(TypedDict):
    """One rich form.

    `mime` image/png or image/jpeg: `data` is base64. text/html: `text` is a document for `<iframe sandbox="" srcdoc=...>`,
    without rights, and it carries a policy that loads and runs nothing. `error` says in words why there is none.
    """

    kind: Literal["rich"]
    view: str
    id: int
    row: int
    form: str
    mime: str
    data: str
    text: str
    error: str


TabRequest = SpreadRequest | TimelineRequest | RichRequest
TabAnswer = SpreadAnswer | TimelineAnswer | RichAnswer


class TabsReader(RunReader, Protocol):
    """Answers the questions of the tabs too; the rules are those of `RunReader`."""

    def spread(self, request: SpreadRequest) -> SpreadAnswer:
        """How the values of some columns of the results are spread."""
        ...

    def timeline(self, request: TimelineRequest) -> TimelineAnswer:
        """The lanes of a span of time."""
        ...

    def rich(self, request: RichRequest) -> RichAnswer:
        """A rich form of an action's output, or its report."""
        ...
