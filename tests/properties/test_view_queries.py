"""What a live view is told: the same as a view that is opened now is told, and the same as the state says."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flyte_nb.core.state import RunState
from flyte_nb.views import query as query_module
from flyte_nb.views.protocol import DetailRequest, GroupsRequest, Query, RowsRequest
from flyte_nb.views.query import RunQueries
from tests.fakes.histories import History, Step, histories

LOOKS = ("succeeded", "cached", "failed", "aborted", "running", "queued")
COLUMNS = ("row", "phase", "task", "group", "worker", "try", "time", "queued", "started", "value", "in:lr", "in:name")
SEARCHES = ("", "nor", "2.5", "valueerror: no 1", "train", "FETCH", "nothing like it")
SORTS = st.lists(st.builds(lambda by, down: {"by": by, "down": down}, st.sampled_from(COLUMNS), st.booleans()), max_size=2)
QUERIES = st.fixed_dictionaries(
    {},
    optional={
        "looks": st.lists(st.sampled_from(LOOKS), max_size=3),
        "node": st.sampled_from(["", "r", "g0.1", "t1", "t2", "d1", "d3"]),
        "task": st.sampled_from(["", "train", "drive"]),
        "search": st.sampled_from(SEARCHES),
        "sort": SORTS,
    },
)


def queries(history: History) -> RunQueries:
    """Return a reader of the history's run, on its clock."""
    return RunQueries(history.run, clock=lambda: history.run.now)


def rows_request(query: Any, offset: int = 0, view: str = "v") -> RowsRequest:
    """Return a request for a page, all columns."""
    made: Query = query
    columns = ["phase", "task", "in:lr", "in:depth", "in:name", "value", "try", "time", "group", "worker", "queued", "started"]
    return {"kind": "rows", "view": view, "id": 1, "follow": False, "query": made, "columns": columns, "offset": offset, "count": 20}


def groups_request(opened: list[str], sort: Any = "failures") -> GroupsRequest:
    """Return a request for the tree's first lines."""
    return {"kind": "groups", "view": "v", "id": 1, "follow": False, "open": opened, "sort": sort, "offset": 0, "count": 60}


def detail_request(row: int) -> DetailRequest:
    """Return a request for one action."""
    return {"kind": "detail", "view": "v", "id": 1, "follow": False, "row": row, "log_from": 0, "full": False}


@given(histories(), st.lists(QUERIES, min_size=1, max_size=3), st.data())
def test_a_view_that_followed_is_told_what_a_new_one_is_told(steps: list[Step], asked: list[Any], data: st.DataObject) -> None:
    """After any history, asked in between at any time, rows, groups and details equal those of a fresh reader."""
    history = History()
    followed = queries(history)
    opened = ["g0.1", "g0.2", "t1", "t2", "d1", "d2", "d3"]
    for step in steps:
        history.happen(step)
        if data.draw(st.booleans()):
            followed.rows(rows_request(data.draw(st.sampled_from(asked)), data.draw(st.sampled_from([0, 3]))))
            followed.groups(groups_request(opened))
            followed.detail(detail_request(data.draw(st.integers(0, 4))))
    if data.draw(st.booleans()):
        history.finish()
        followed.rows(rows_request(data.draw(st.sampled_from(asked))))
    fresh = queries(history)

    for query in asked:
        for offset in data.draw(st.lists(st.sampled_from([0, 2, 15]), min_size=1, max_size=3)):
            assert followed.rows(rows_request(query, offset)) == queries(history).rows(rows_request(query, offset))
    assert followed.groups(groups_request(opened)) == fresh.groups(groups_request(opened))
    for row in range(history.run.state.count + 1):
        assert followed.detail(detail_request(row)) == fresh.detail(detail_request(row))


def look_of(state: RunState, row: int) -> str:
    """How the state says that a row looks."""
    return "cached" if row in state.reused else state.phase_of(row).value


@given(histories(), QUERIES)
def test_a_page_is_what_the_state_says(steps: list[Step], query: Any) -> None:
    """Looks, tasks and texts filter as a loop over all rows does; the page's rows tell each row's own facts."""
    history = History()
    for step in steps:
        history.happen(step)
    state = history.run.state
    answer = queries(history).rows(rows_request({**query, "node": ""}))
    expected = {
        row
        for row in range(1, state.count)
        if (not query.get("looks") or look_of(state, row) in query["looks"])
        and (not query.get("task") or state.task_of(row).short_name == query["task"])
        and (not query.get("search") or query["search"].casefold() in text_of(state, row))
    }

    assert answer["total"] == len(expected)
    assert answer["searched"] == state.count - 1
    assert {row["row"] for row in answer["rows"]} <= expected
    assert len(answer["rows"]) == min(20, len(expected))
    for row in answer["rows"]:
        assert row["look"] == look_of(state, row["row"])
        cells = dict(zip(answer["columns"], row["cells"], strict=True))
        assert cells["task"] == state.task_of(row["row"]).short_name
        assert cells["group"] == state.group_of(row["row"])
        assert cells["try"] == str(state.attempts[row["row"]] or "")


def text_of(state: RunState, row: int) -> str:
    """All text of a row, in small letters."""
    from flyte_nb.core.payloads import unpack  # noqa: PLC0415 - for this one use

    failure = state.failures.get(row)
    values = [*map(unpack, state.inputs(row))]
    if state.phase_of(row).value == "succeeded":
        values.append(unpack(state.output(row)))
    shown = [value if isinstance(value, str) else repr(value) for value in values]
    reason = failure.headline() if failure else state.abort_reason(row)
    return "\n".join([state.task_of(row).name, state.group_of(row), reason, *shown]).casefold()


@given(histories(60))
def test_the_tree_counts_what_is_below(steps: list[Step]) -> None:
    """Every line, opened all the way down, counts the rows that filtering by it shows; the root counts all but itself."""
    history = History()
    for step in steps:
        history.happen(step)
    reader, state = queries(history), history.run.state
    opened = [f"{kind}{number}" for kind in "td" for number in range(1, state.count + 1)]
    opened += [f"g{row}.{group}" for row in range(state.count) for group in range(1, 4)]
    tree = reader.groups(groups_request(opened))

    assert tree["rows"][0]["total"] == state.count - 1
    assert tree["groups"] == len({_entry(state, row) for row in range(1, state.count)})
    for line in tree["rows"]:
        below = reader.rows(rows_request({"node": line["key"]}))
        assert not below["error"]
        assert line["total"] == below["total"]
        assert line["failed"] == reader.rows(rows_request({"node": line["key"], "looks": ["failed", "timed_out"]}))["total"]
        assert ("since" in line) == (line["ended"] < line["total"])
    depth = [line["depth"] for line in tree["rows"]]
    assert all(below <= above + 1 for above, below in pairwise(depth))
    assert tree["total"] == len(tree["rows"]) or tree["total"] > 60


def _entry(state: RunState, row: int) -> tuple[object, ...]:
    group = state.group_of(row)
    return (state.parent_of(row), group) if group else (state.parent_of(row), group, state.task_of(row).name)


@given(histories(), st.sampled_from(COLUMNS), st.booleans(), st.integers(0, 6), st.integers(1, 6))
def test_a_page_is_a_part_of_the_whole_order(steps: list[Step], by: str, down: bool, offset: int, count: int) -> None:  # noqa: FBT001 - drawn
    """Any window of a sorted table is the same part of the table sorted as a whole."""
    history = History()
    for step in steps:
        history.happen(step)
    query = {"sort": [{"by": by, "down": down}]}
    reader = queries(history)
    whole = [row["row"] for row in reader.rows({**rows_request(query), "count": 60})["rows"]]
    part = [row["row"] for row in reader.rows({**rows_request(query, offset), "count": count})["rows"]]

    assert part == whole[offset : offset + count]


@given(histories(), histories(10))
def test_a_held_order_stays(before: list[Step], after: list[Step]) -> None:
    """While the order is held, rows that still match keep their places, and new ones come after them."""
    history = History()
    for step in before:
        history.happen(step)
    reader = queries(history)
    first = [row["row"] for row in reader.rows({**rows_request({}), "count": 60})["rows"]]
    for step in after:
        history.happen(step)
    held = [row["row"] for row in reader.rows({**rows_request({"hold": True}), "count": 60})["rows"]]

    assert held[: len(first)] == first[:60]
    assert sorted(held) == list(range(1, min(61, history.run.state.count)))


def test_only_the_readers_of_large_runs_that_were_asked_last_keep_their_copies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hundreds of finished views may stand in a notebook; the others make their copies again when asked."""
    monkeypatch.setattr(query_module, "LARGE_ROWS", 2)
    history = History()
    history.happen(("call", 3, 0))
    readers = [queries(history) for _ in range(5)]
    answers = [reader.rows(rows_request({})) for reader in readers]

    assert [reader._columns.count > 0 for reader in readers] == [False] * 3 + [True] * 2
    assert [reader.rows(rows_request({})) for reader in readers] == answers
