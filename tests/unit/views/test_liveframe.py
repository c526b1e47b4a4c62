"""`run.actions` and `run.results`: ordinary DataFrames that refresh themselves where they are displayed."""

import copy
import pickle
from typing import Any

import pandas as pd
import pytest

from flyte_nb.views import liveframe
from flyte_nb.views.liveframe import LiveFrame
from flyte_nb.views.livetable import SHOWN_ROWS, LiveTable, value_text
from tests.fakes.fake_run import FakeRun, task
from tests.fakes.hostile import HOSTILE, text_of
from tests.unit.views.conftest import FakePainter, FakePublisher


def running(count: int = 30) -> FakeRun:
    """A run with open actions."""
    run = FakeRun()
    run.succeed(run.call(task("t", "x"), [(n,) for n in range(count)])[:5], [{"y": n} for n in range(5)])
    return run


def test_it_is_a_data_frame_and_its_results_are_plain_ones() -> None:
    """Everything that pandas does works, and gives frames that do not change."""
    frame = liveframe.live_results(running())

    assert isinstance(frame, pd.DataFrame)
    for made in (
        frame.query("x > 3"),
        frame.copy(),
        frame.head(),
        frame[["x"]],
        frame.merge(frame, on="x"),
        frame.groupby("phase").first(),
    ):
        assert type(made) is pd.DataFrame
    for made in (pickle.loads(pickle.dumps(frame)), copy.copy(frame), copy.deepcopy(frame)):
        assert type(made) is pd.DataFrame
        pd.testing.assert_frame_equal(made, pd.DataFrame(frame))


def test_it_can_be_written_as_parquet(tmp_path: Any) -> None:
    """Also while columns are partly missing."""
    pytest.importorskip("pyarrow")
    frame = liveframe.live_results(running())
    frame.to_parquet(tmp_path / "results.parquet")

    assert len(pd.read_parquet(tmp_path / "results.parquet")) == len(frame)


def test_a_frame_keeps_the_rows_of_the_moment_of_asking() -> None:
    """A computation must not change under the reader; asking again gives the newer rows."""
    run = running(3)
    frame = liveframe.live_actions(run)
    run.call(task("t", "x"), [(9,)])

    assert len(frame) == 4
    assert len(liveframe.live_actions(run)) == 5


def test_a_displayed_table_refreshes_itself_until_the_run_is_over(publisher: FakePublisher, painter: FakePainter) -> None:
    """Only changes are sent, and the last state is always sent."""
    run = running()
    table = LiveTable(run, "results", publisher=publisher, painter=painter)  # type: ignore[arg-type]  # a fake painter
    table.show()
    painter.paint()
    assert [kind for kind, _ in publisher.messages] == ["show"]

    run.succeed(range(6, 31), [{"y": 1}] * 25)
    run.announce()
    painter.paint()
    assert painter.notified == 1
    assert [kind for kind, _ in publisher.messages] == ["show", "update"]

    run.finish()
    painter.paint()
    (bundle,) = publisher.outputs.values()
    assert [kind for kind, _ in publisher.messages] == ["show", "update", "update"]
    assert f"first {SHOWN_ROWS} of 30 rows; main succeeded: ✓ 30 succeeded" in text_of(bundle["text/html"])
    assert f"first {SHOWN_ROWS} of 30 rows; main succeeded: ✓ 30 succeeded" in bundle["text/plain"]
    assert painter.views == []
    assert run.callbacks == []


def test_a_table_of_a_run_that_is_over_is_shown_once(publisher: FakePublisher, painter: FakePainter) -> None:
    """No thread, no update."""
    run = FakeRun()
    run.finish()
    LiveTable(run, "actions", publisher=publisher, painter=painter).show()  # type: ignore[arg-type]  # a fake painter

    assert painter.views == []
    assert "1 row; main succeeded" in next(iter(publisher.outputs.values()))["text/plain"]


def test_values_of_users_are_inert_in_tables(publisher: FakePublisher, painter: FakePainter) -> None:
    """Column names, inputs, outputs and errors are text."""
    for text in HOSTILE:
        run = FakeRun()
        rows = run.call(task("t", text), [(text,), ({text: 1},), (3,)])
        run.succeed([rows[0]], [{text: [text]}])
        run.fail(rows[1], text, text)
        LiveTable(run, "results", publisher=publisher, painter=painter).show()  # type: ignore[arg-type]  # a fake painter
    for bundle in publisher.outputs.values():
        text_of(bundle["text/html"])
        bundle["text/plain"].encode("utf8")


def test_displaying_in_a_notebook_shows_the_live_table(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only as it was made: a frame that the user changed is shown as it is."""
    shown = []

    class Table:
        def show(self) -> None:
            shown.append(1)

    monkeypatch.setattr(liveframe, "in_kernel", lambda: True)
    frame = LiveFrame(running(), "results", table=Table())  # type: ignore[arg-type]  # a fake table
    frame._ipython_display_()
    assert shown == [1]

    frame["x"] = 0
    with pytest.raises(NotImplementedError):
        frame._ipython_display_()


def test_displaying_outside_of_a_kernel_is_pandas_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal cannot update what it printed."""
    monkeypatch.setattr(liveframe, "in_kernel", lambda: False)
    with pytest.raises(NotImplementedError):
        LiveFrame(running(), "actions")._ipython_display_()


def test_a_repr_that_raises_takes_only_its_cell() -> None:
    """A user's class must not take the display away."""

    class Bad:
        def __repr__(self) -> str:
            raise ValueError

    assert value_text(Bad()) == "<Bad, whose repr raised ValueError>"
    assert [value_text(value) for value in (None, float("nan"), pd.NaT, 0.1 + 0.2, "a\nb", [1])] == ["", "", "", "0.3", "a b", "[1]"]
