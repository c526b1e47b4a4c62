"""The Results tab: columns of inputs and outputs, decimals, histograms; the same as the results frame says."""

from __future__ import annotations

import threading
from collections import namedtuple
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flyte_nb.views import fields, query, slices
from flyte_nb.views.frames import results_frame
from flyte_nb.views.outputs import Outputs
from flyte_nb.views.protocol import RowsAnswer
from flyte_nb.views.protocol_tabs import SpreadAnswer
from flyte_nb.views.query import RunQueries
from flyte_nb.views.results import number_text
from tests.fakes.fake_run import FakeRun, task

Point = namedtuple("Point", "x y")  # noqa: PYI024 - users write it so


def rows(run: FakeRun, **query: Any) -> RowsAnswer:
    """Return the first page of a run's results."""
    made = {"table": "results", **query}
    request = {"kind": "rows", "view": "v", "id": 1, "follow": False, "query": made, "columns": [], "offset": 0, "count": 60}
    return RunQueries(run).rows(request)  # type: ignore[arg-type]  # built from parts


def spread(run: FakeRun, columns: list[str], marked: int = -1) -> SpreadAnswer:
    """Return how some columns are spread."""
    return ask_spread(RunQueries(run), columns, marked)


def ask_spread(reader: RunQueries, columns: list[str], marked: int = -1) -> SpreadAnswer:
    """Ask a reader how some columns are spread."""
    return reader.spread({"kind": "spread", "view": "v", "id": 1, "follow": False, "query": {}, "columns": columns, "marked": marked})


def swept(inputs: list[tuple[Any, ...]], outputs: list[Any], *parameters: str, declared: tuple[str, ...] = ()) -> FakeRun:
    """Return a run of one task with these results."""
    run = FakeRun()
    called = run.call(task("score", *parameters, outputs=declared), inputs)
    run.succeed(called, outputs)
    return run


def cells(answer: RowsAnswer, key: str) -> list[str]:
    """Return one column."""
    place = answer["columns"].index(key)
    return [row["cells"][place] for row in answer["rows"]]


def test_outputs_with_names_are_columns() -> None:
    """Dicts and named tuples become a column a field beside the inputs; numbers of a column have equally many decimals."""
    answer = rows(swept([(0.1, 3), (0.05, 4)], [{"auc": 0.9, "n": 12}, {"auc": 0.8734, "n": 7}], "lr", "k"))

    assert answer["columns"] == ["in:lr", "in:k", "out:auc", "out:n"]
    assert cells(answer, "in:lr") == ["0.10", "0.05"]
    assert cells(answer, "out:auc") == ["0.9000", "0.8734"]
    assert cells(answer, "out:n") == ["12", "7"]
    assert {column["key"]: column["type"] for column in answer["catalog"]}["out:auc"] == "number"


def test_outputs_without_names_are_one_column() -> None:
    """A number or a text is the column `output`; declared tuples are spread, and what has no result has no row."""
    plain = swept([(1,), (2,), (3,)], ["a", "b", "<b>c</b>"], "x")
    late = plain.call(task("score", "x"), [(4,)])
    plain.start(late)
    plain.fail(late[0])

    assert cells(rows(plain), "out:") == ["a", "b", "<b>c</b>"]
    assert rows(swept([(1,)], [(1, 2.5)], "x", declared=("o0", "o1")))["columns"] == ["in:x", "out:o0", "out:o1"]
    assert cells(rows(swept([(1,)], [Point(1, 2)], "x")), "out:y") == ["2"]


def test_results_sort_by_an_output() -> None:
    """The best on top; what has no number comes last in both directions."""
    run = swept([(number,) for number in range(4)], [{"auc": 0.2}, {"auc": 0.9}, {"other": 1}, {"auc": 0.5}], "x")

    assert [row["row"] for row in rows(run, sort=[{"by": "out:auc", "down": True}])["rows"]] == [2, 4, 1, 3]
    assert [row["row"] for row in rows(run, sort=[{"by": "out:auc", "down": False}])["rows"]] == [1, 4, 2, 3]


def test_a_histogram_counts_every_number() -> None:
    """Whole numbers have a bin each; others twenty; the marked row's bin is told; words are counted."""
    run = swept(
        [(number % 5, "north" if number % 3 else "south") for number in range(60)], [number / 7 for number in range(60)], "k", "where"
    )
    k, where, output = spread(run, ["in:k", "in:where", "out:"], marked=3)["columns"]

    assert k["bins"] == [12, 12, 12, 12, 12]
    assert (k["low"], k["high"], k["marked"]) == ("0", "4", 2)
    assert where["kind"] == "words"
    assert where["top"] == [("north", 40), ("south", 20)]
    assert len(output["bins"]) == 20
    assert sum(output["bins"]) == 60


def test_odd_numbers_break_nothing() -> None:
    """Equal values, infinities, not-a-number, whole numbers beyond floats: a histogram of what is finite, and cells for all."""
    odd = [float("inf"), float("nan"), 1e300, -1e300, 10**400, 10**5000, 1e-300, True, np.float32(0.5)]
    run = swept([(number,) for number in range(len(odd))], odd, "x")

    assert len(cells(rows(run), "out:")) == len(odd)
    assert spread(run, ["out:"])["columns"][0]["kind"] == "numbers"
    assert spread(swept([(1,), (1,)], [2, 2], "x"), ["out:"])["columns"][0]["bins"] == [2]
    assert spread(swept([(1,)], [None], "x"), ["out:"])["columns"][0]["kind"] == "none"
    assert number_text(1e-9, None) == "1e-09"


def test_many_outputs_are_read_in_a_thread_and_the_answer_says_how_far() -> None:
    """More than can be read at once: the first answer says how many were, the last that all were."""
    told: list[int] = []
    run = swept([(number,) for number in range(3_000)], [{"auc": number} for number in range(3_000)], "x")
    outputs = Outputs(run, lambda: told.append(1))
    read = outputs._read_slice()
    outputs.advance()
    outputs.join(30)

    assert read
    assert int(outputs.read_mask(3_001).sum()) == 3_000
    assert outputs.field("auc", 3_001).numbers[3_000] == 2_999.0


def test_many_inputs_are_read_in_a_thread_and_the_answer_says_how_far(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first answer counts what was read of every column; the last one all of it, and is what a new reader says."""
    monkeypatch.setattr(fields, "_SLICE", 100)
    monkeypatch.setattr(slices, "AT_ONCE_SECONDS", 0.0)
    run = swept([(number, number / 4) for number in range(3_000)], list(range(3_000)), "x", "y")
    run.finish()
    told = threading.Event()
    reader = RunQueries(run, told.set)
    first = ask_spread(reader, ["in:x", "in:y"])
    reader._results.join(30)
    last = ask_spread(reader, ["in:x", "in:y"])

    assert first["read"] < 3_000
    assert (last["read"], [sum(column["bins"]) for column in last["columns"]]) == (3_000, [3_000, 3_000])
    assert told.is_set()


def test_histograms_of_a_run_that_goes_on_stand_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are not counted again for each tick; once the run is over they are."""
    monkeypatch.setattr(query, "SPREAD_REST", 1e9)
    run = swept([(1,)], [1], "x")
    reader = RunQueries(run)
    first = ask_spread(reader, ["out:"])["total"]
    run.succeed(run.call(run.state.tasks[1], [(2,)]), [2])
    second = ask_spread(reader, ["out:"])["total"]
    other = ask_spread(reader, ["in:x"])["total"]
    run.finish()

    assert (first, second, other, ask_spread(reader, ["in:x"])["total"]) == (1, 1, 2, 2)


def test_too_many_fields_stay_one_value() -> None:
    """A count of words is a value, not a thousand columns."""
    run = swept([(number,) for number in range(120)], [{f"word{number}": 1} for number in range(120)], "x")

    assert [key for key in rows(run)["columns"] if key.startswith("out:")] == ["out:"]
    assert cells(rows(run), "out:")[0] == "{'word0': 1}"


NUMBERS = st.one_of(st.none(), st.integers(-5, 5), st.floats(-10, 10), st.sampled_from(["north", "South", ""]))


@given(st.lists(st.tuples(NUMBERS, NUMBERS), min_size=1, max_size=40))
def test_the_tab_and_the_frame_agree(values: list[tuple[Any, Any]]) -> None:
    """Numbers of the frame are the numbers that the tab sorts and counts by."""
    run = swept([(one,) for one, _ in values], [{"a": two} for _, two in values], "x")
    frame = results_frame(run)
    reader = RunQueries(run)
    reader._columns.refresh()
    reader._outputs.advance()
    for column, key in (("x", "in:x"), ("a", "out:a")):
        expected = pd.to_numeric(frame[column].map(lambda value: value if isinstance(value, int | float) else None), errors="coerce")
        assert np.array_equal(reader._results.field(key).numbers[1:], expected.to_numpy(float), equal_nan=True)
