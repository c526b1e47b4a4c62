"""The search: whatever a row's text holds is found, in any case, and what has not been read yet is not claimed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from flyte_nb.views.columns import Columns
from flyte_nb.views.textindex import TextIndex
from tests.fakes.fake_run import FakeRun, task

LEAF = task("leaf", "x", "y")


def found(run: FakeRun, search: str, index: TextIndex | None = None) -> list[int]:
    """Return the rows that hold a text."""
    columns = Columns(run)
    columns.refresh()
    mask, _ = (index or TextIndex(run)).find(search, columns)
    return [row for row, hit in enumerate(mask) if hit]


def test_inputs_outputs_and_errors_are_found() -> None:
    """Each by a part of its text, in any case; a number as it is and as it is shown."""
    run = FakeRun()
    rows = run.call(LEAF, [("North Sea", 1), (0.123456789, [1, 2]), (None, {"k": "Straße"})])
    run.start(rows)
    run.succeed([rows[0]], [{"auc": 0.75}])
    run.fail(rows[1], "KeyError", "no such Column")

    assert found(run, "north sea") == [1]
    assert found(run, "0.123456789") == [2]
    assert found(run, "0.123457") == [2]
    assert found(run, "'auc': 0.75") == [1]
    assert found(run, "KEYERROR: no such column") == [2]
    assert found(run, "STRASSE") == [3]
    assert found(run, "[1, 2]") == [2]


def test_a_text_across_two_values_is_no_text() -> None:
    """What stands in two inputs, or in two actions, is not found as one."""
    run = FakeRun()
    run.call(LEAF, [("ab", "cd"), ("ef", "gh")])

    assert found(run, "abcd") == found(run, "cdef") == []
    assert found(run, "\x00") == found(run, "\x01") == []


def test_what_comes_later_is_found_by_the_same_index() -> None:
    """Calls and ends after the first search belong to the next."""
    run = FakeRun()
    index = TextIndex(run)
    first = run.call(LEAF, [("one", 1)])

    assert found(run, "done", index) == []
    run.succeed(first, ["done"])
    run.call(LEAF, [("done too", 1)])
    assert found(run, "done", index) == [1, 2]


def test_a_search_says_what_it_has_not_seen() -> None:
    """Of a run larger than a slice some rows are searched at once, all of them when the thread is through."""
    run = FakeRun()
    rows = run.call(LEAF, [(f"item {number}", number) for number in range(5_000)])
    run.succeed(rows, ["fine"] * 5_000)
    told: list[int] = []
    index = TextIndex(run, lambda: told.append(1))
    index._make_slice()
    columns = Columns(run)
    columns.refresh()

    assert 0 <= index._searched(columns).sum() < 5_000
    index.find("item", columns)
    index.join(30)
    mask, whole = index.find("item 4999", columns)
    assert whole[1:].all()
    assert mask.nonzero()[0].tolist() == [5_000]


def test_errors_are_searched_first() -> None:
    """The first slice of a large run holds the text of its failures."""
    run = FakeRun()
    rows = run.call(LEAF, [(f"item {number}", number) for number in range(5_000)])
    run.start([rows[-1]])
    run.fail(rows[-1], "ValueError", "needle")
    index = TextIndex(run)
    index._make_slice()

    assert index._parts[0].find(b"needle").tolist() == [5_000]


WORDS = st.text(alphabet="abAB \u00e9\u00df\u0130.", max_size=6)


@given(st.lists(st.tuples(WORDS, WORDS), min_size=1, max_size=20), WORDS)
def test_the_search_is_a_plain_search(inputs: list[tuple[str, str]], search: str) -> None:
    """For any texts: the same rows as looking into each text by itself."""
    run = FakeRun()
    run.call(LEAF, inputs)
    wanted = " ".join(search.split()).casefold()
    expected = [row for row, values in enumerate(inputs, 1) if any(wanted in " ".join(value.split()).casefold() for value in values)]

    assert found(run, search) == (expected if wanted else [])
