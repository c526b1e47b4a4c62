"""`run.results.explode_frames()`: outputs that are frames, one below the other."""

from __future__ import annotations

import pickle
import warnings
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from flyte_nb.views import liveframe
from flyte_nb.views.exploding import explode_frames
from tests.fakes.fake_run import FakeRun, task


def sweep(*outputs: Any) -> FakeRun:
    """A run of as many succeeded actions, one that failed and one that runs."""
    run = FakeRun()
    rows = run.call(task("load", "year", "where"), [(2000 + n, "x") for n in range(len(outputs) + 2)])
    run.succeed(rows[: len(outputs)], list(outputs))
    run.fail(rows[-2], "ValueError", "no such year")
    run.start([rows[-1]], "w2")
    return run


def exploded(run: FakeRun, *column: str) -> pd.DataFrame:
    """The frames, without what is told of the rest."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        results: Any = liveframe.live_results(run)
        made: pd.DataFrame = results.explode_frames(*column)
        return made


def test_each_row_of_a_frame_has_the_inputs_it_came_of() -> None:
    """Labels of the action, then those of the frame."""
    frame = exploded(sweep(pd.DataFrame({"day": [1, 2]}), pd.DataFrame({"day": [3]})))

    wanted = pd.DataFrame(
        {"year": [2000, 2000, 2001], "where": ["x"] * 3, "day": [1, 2, 3]},
        index=pd.MultiIndex.from_tuples([(1, 0), (1, 1), (2, 0)], names=["action", None]),
    )
    pd.testing.assert_frame_equal(frame, wanted)


def test_what_is_left_out_is_told() -> None:
    """Failed, running, and without a frame."""
    results: Any = liveframe.live_results(sweep(pd.DataFrame({"day": [1]}), None))

    with pytest.warns(UserWarning, match=r"3 of 4 rows are left out \(1 without a frame, 1 failed, 1 running\)") as told:
        results.explode_frames()

    assert told[0].filename == __file__


def test_a_column_named_like_an_input_gets_a_prefix() -> None:
    """As outputs do elsewhere."""
    assert list(exploded(sweep(pd.DataFrame({"year": [1]})))) == ["year", "where", "output_year"]


def test_other_outputs_are_repeated_and_the_frames_can_be_chosen() -> None:
    """A dict of a frame and a score."""
    run = sweep({"table": pd.DataFrame({"day": [1, 2]}), "score": 0.5})
    several = sweep({"left": pd.DataFrame({"day": [1]}), "right": pd.DataFrame({"night": [2, 3]})})

    assert exploded(run).to_dict("list") == {"year": [2000] * 2, "where": ["x"] * 2, "score": [0.5] * 2, "day": [1, 2]}
    assert exploded(several, "right").to_dict("list") == {"year": [2000] * 2, "where": ["x"] * 2, "night": [2, 3]}
    with pytest.raises(ValueError, match=r"'left', 'right': say which, as explode_frames\('left'\)"):
        exploded(several)
    with pytest.raises(ValueError, match="the outputs are 'left', 'right'"):
        exploded(several, "middle")


def test_frames_of_other_libraries_become_those_of_pandas() -> None:
    """Arrow, polars."""
    polars = pytest.importorskip("polars")
    frame = exploded(sweep(pa.table({"day": [1]}), polars.DataFrame({"day": [2]})))

    assert frame["day"].tolist() == [1, 2]


def test_frames_without_rows_and_runs_without_frames() -> None:
    """The first have no rows; of the second it is said."""
    assert exploded(sweep(pd.DataFrame({"day": []}), pd.DataFrame({"day": [1]})))["day"].tolist() == [1]
    assert len(exploded(sweep(pd.DataFrame({"day": []})))) == 0
    with pytest.raises(ValueError, match=r"No output of this run is a frame \(so far\); its outputs are 'output'"):
        exploded(sweep(1, 2))


def test_labels_with_levels_stand_side_by_side() -> None:
    """All of the row's, then all of the frame's."""
    table = pd.DataFrame({"out": [pd.DataFrame({"v": [1, 2]}, index=pd.Index(["p", "q"], name="k"))]})
    table.index = pd.MultiIndex.from_tuples([("a", 1)], names=["x", "y"])

    frame = explode_frames(table, ["out"])

    assert frame.index.names == ["x", "y", "k"]
    assert frame.index.tolist() == [("a", 1, "p"), ("a", 1, "q")]


def test_the_results_of_an_operation_are_plain_and_travel() -> None:
    """Nothing of the run is pickled with them."""
    results = liveframe.live_results(sweep(1))

    assert type(pickle.loads(pickle.dumps(results))) is pd.DataFrame
    assert type(results.head(1)) is pd.DataFrame
    assert results.attrs == {}
