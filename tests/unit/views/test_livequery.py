"""`run.results.live(...)`: a filter, an order or groups that stay right while rows arrive."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flyte_nb.views import liveframe
from flyte_nb.views.frames import results_frame
from flyte_nb.views.livequery import LiveQuery
from tests.fakes.fake_run import FakeRun, task
from tests.fakes.hostile import HOSTILE, text_of
from tests.unit.views.conftest import FakePainter, FakePublisher

SCORE = task("score", "depth", "lr")


def sweep(count: int = 12, ended: int = 6) -> FakeRun:
    """Return a run of which some actions have a result."""
    run = FakeRun()
    rows = run.call(SCORE, [(number % 3, number / 10) for number in range(count)])
    run.succeed(rows[:ended], [{"auc": number / 8} for number in range(ended)])
    return run


def test_a_question_is_a_chain() -> None:
    """Filter, order and limit; each further `live` asks of the answer before."""
    results = liveframe.live_results(sweep())
    asked = results.live("auc > 0.1", sort="auc", ascending=False).live(lambda frame: frame[["depth", "auc"]], limit=2)  # type: ignore[operator]  # of a LiveFrame

    assert asked.frame.to_dict("list") == {"depth": [2, 1], "auc": [0.625, 0.5]}


def test_groups_are_summed_up() -> None:
    """By a name such as mean: of numbers only; or as `DataFrame.agg` takes it; a Series is a column."""
    asked = LiveQuery(sweep(), "results")

    assert asked.live(groupby="depth").frame["auc"].tolist() == [0.1875, 0.3125, 0.4375]
    assert asked.live(groupby=["depth"], agg={"auc": "max"}).frame["auc"].tolist() == [0.375, 0.5, 0.625]
    assert asked.live(groupby="phase", agg="size").frame.iloc[:, 0].to_dict() == {"queued": 6, "succeeded": 6}
    assert asked.live(lambda frame: frame.groupby("depth")["auc"].max()).frame["auc"].tolist() == [0.375, 0.5, 0.625]


def test_it_stays_up_to_date_until_the_run_is_over(publisher: FakePublisher, painter: FakePainter) -> None:
    """Each change of the run is a new answer; none without a change; the last one is saved."""
    run = sweep()
    table = LiveQuery(run, "results").live(groupby="depth", agg={"auc": "count"}).table(publisher=publisher, painter=painter)
    table._rest_until = float("-inf")
    table.show()
    run.succeed(range(7, 13), [{"auc": 1.0}] * 6)
    painter.paint()
    table._rest_until = float("-inf")
    sent = len(publisher.messages)
    painter.paint()
    assert len(publisher.messages) == sent

    run.finish()
    painter.paint()
    (bundle,) = publisher.outputs.values()
    assert painter.views == []
    assert "3 rows; main succeeded: 12 of 12 actions ended" in text_of(bundle["text/html"])


def test_a_column_that_is_not_there_yet_is_waited_for(publisher: FakePublisher, painter: FakePainter) -> None:
    """No result has arrived: the table says what it waits for; at the end it says what is wrong."""
    run = sweep(ended=0)
    table = LiveQuery(run, "results").live("auc > 0.1").table(publisher=publisher, painter=painter)
    table.show()
    (bundle,) = publisher.outputs.values()

    assert "no answer yet (UndefinedVariableError" in bundle["text/plain"]
    with pytest.raises(pd.errors.UndefinedVariableError):
        _ = LiveQuery(run, "results").live("auc > 0.1").frame


def test_a_slow_question_rests(publisher: FakePublisher, painter: FakePainter) -> None:
    """What takes long is not asked again at once: other views are painted by the same thread."""
    run = sweep()
    asked: list[int] = []

    def slow(frame: pd.DataFrame) -> pd.DataFrame:
        asked.append(len(frame))
        return frame

    table = LiveQuery(run, "results").live(slow).table(publisher=publisher, painter=painter)
    table.show()
    painter.paint()
    table._rest_until = float("inf")
    run.succeed([7], [{"auc": 1.0}])
    painter.paint()
    assert len(asked) == 2


@pytest.mark.parametrize("text", HOSTILE[:12])
def test_groups_named_by_a_user_are_text(text: str) -> None:
    """Labels of rows are values too."""
    run = FakeRun()
    run.succeed(run.call(SCORE, [(text, 1.0)]), [{"auc": 1.0}])
    bundle = LiveQuery(run, "results").live(groupby="depth").table().bundle()

    text_of(bundle["text/html"])


def test_outside_of_a_notebook_it_is_its_text() -> None:
    """The answer of the moment."""
    assert "3 rows; main running: 6 of 12 actions ended" in repr(LiveQuery(sweep(), "results").live(groupby="depth"))


VALUES = st.one_of(st.none(), st.integers(0, 3), st.floats(-1, 1))


@given(st.lists(st.tuples(st.integers(0, 2), VALUES), min_size=1, max_size=25), st.lists(st.integers(0, 24), max_size=6))
def test_a_live_groupby_is_what_pandas_says_of_the_final_table(values: list[tuple[int, Any]], asked_after: list[int]) -> None:
    """Asked at any moments while rows arrive, the last answer is pandas' own."""
    run = FakeRun()
    rows = run.call(task("score", "k"), [(key,) for key, _ in values])
    live = LiveQuery(run, "results").live(groupby="k", agg={"value": ["count", "max"]})
    for place, (row, (_, value)) in enumerate(zip(rows, values, strict=True)):
        run.succeed([row], [{"value": value}])
        if place in asked_after:
            assert live.frame["value"]["count"].sum() <= place + 1
    expected = results_frame(run).groupby("k").agg({"value": ["count", "max"]})

    pd.testing.assert_frame_equal(live.frame, expected)
    numbers = [value for _, value in values if value is not None]
    assert live.frame["value"]["count"].sum() == len(numbers)
    assert np.nanmax(pd.to_numeric(live.frame["value"]["max"]).to_numpy(float), initial=-2.0) == max(numbers, default=-2.0)
