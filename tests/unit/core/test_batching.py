"""Items and batches: what holds results, and which items the parts of failed batches hold."""

from __future__ import annotations

from collections import deque
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flyte_nb.core.batching import Span, results_of_batch, spans_of, split_spans


class Pair(NamedTuple):
    """One result, and not two."""

    left: int
    right: int


@given(st.integers(0, 500), st.integers(1, 60))
def test_batches_hold_all_items_in_their_order(count: int, size: int) -> None:
    """Each is full but the last one."""
    spans = spans_of(count, size)

    assert [item for span in spans for item in range(span.start, span.start + span.count)] == list(range(count))
    assert all(span.count == size for span in spans[:-1])


@given(st.integers(1, 200), st.integers(1, 40), st.sets(st.integers(0, 199), max_size=30))
def test_what_parts_hold_follows_from_what_failed(count: int, size: int, bad: set[int]) -> None:
    """As a driver calls them that looks at ended calls in their order: each bad item ends up alone, and every part is known."""

    def fails(span: Span) -> bool:
        return any(span.start <= item < span.start + span.count for item in bad)

    called: list[Span] = []
    waiting = deque((span, fails(span)) for span in spans_of(count, size))
    batches = list(waiting)
    while waiting:
        span, failed = waiting.popleft()
        if failed and span.count > 1:
            called += span.halves()
            waiting.extend((half, fails(half)) for half in span.halves())

    assert split_spans(batches, [fails(span) for span in called]) == called
    assert {span.start for span in called if span.count == 1 and fails(span)} | {
        span.start for span, failed in batches if failed and span.count == 1
    } == {item for item in bad if item < count}


@given(st.integers(1, 100), st.integers(1, 20), st.integers(0, 40))
def test_what_was_called_so_far_is_the_beginning(count: int, size: int, seen: int) -> None:
    """While a run goes on, the parts that are known hold what they will hold."""
    batches = [(span, True) for span in spans_of(count, size)]
    everything = split_spans(batches, [True] * 1_000)

    assert split_spans(batches, [True] * seen) == everything[:seen]


@pytest.mark.parametrize(
    "value, results",
    [
        ([1, 2], [1, 2]),
        ((1, 2), [1, 2]),
        (np.array([1, 2]), [1, 2]),
        (pd.Series([1, 2], index=["a", "b"]), [1, 2]),
        (pd.Index([1, 2]), [1, 2]),
        (pd.DataFrame({"x": [1, 2], "y": ["a", "b"]}, index=[7, 8]), [{"x": 1, "y": "a"}, {"x": 2, "y": "b"}]),
        (pa.table({"x": [1, 2]}), [{"x": 1}, {"x": 2}]),
        (pa.array([1, None]), [1, None]),
        ([], []),
    ],
    ids=lambda value: type(value).__name__,
)
def test_lists_arrays_and_tables_hold_results(value: Any, results: list[Any]) -> None:
    """An item each; rows of a table as dicts."""
    assert results_of_batch(value) == results


def test_tables_of_polars_hold_results() -> None:
    """And its columns do."""
    polars = pytest.importorskip("polars")

    assert results_of_batch(polars.DataFrame({"x": [1, None]})) == [{"x": 1}, {"x": None}]
    assert results_of_batch(polars.Series([1, 2])) == [1, 2]


def test_rows_of_a_matrix_are_results() -> None:
    """An embedding for each item, say."""
    rows = results_of_batch(np.eye(3))

    assert rows is not None
    assert [row.tolist() for row in rows] == np.eye(3).tolist()


@pytest.mark.parametrize("value", [None, 3, "text", b"bytes", {"a": [1]}, Pair(1, 2), np.array(3), np.float64(3), {1, 2}, object(), list])
def test_what_has_no_items_in_order_holds_no_results(value: Any) -> None:
    """Nothing is guessed."""
    assert results_of_batch(value) is None
