"""Tables of a run: one row per action, inputs and outputs side by side."""

import pickle
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest

from flyte_nb.core.payloads import Blob
from flyte_nb.views.frames import actions_frame, results_frame
from flyte_nb.views.spread import MAX_SPREAD
from tests.fakes.fake_run import FakeRun, task


@dataclass
class Score:
    """A dataclass that a task returns."""

    auc: float
    depth: int


class Fit(NamedTuple):
    """A named tuple that a task returns."""

    loss: float
    model: str


COSTS = ("cpu_seconds", "memory_bytes")


def sweep() -> FakeRun:
    """Three actions of one task: good, bad, running."""
    run = FakeRun(at=1_000_000.0)
    rows = run.call(task("train", "depth", "rate"), [(1, 0.1), (2, 0.2), (3, 0.3)], group="fit")
    run.succeed([rows[0]], [{"auc": 0.5, "depth": 9}], seconds=2.0)
    run.fail(rows[1], "ValueError", "first line\nsecond line")
    run.start([rows[2]], "w2")
    return run


def test_actions_have_one_row_each_with_the_documented_columns() -> None:
    """The root is row 0; every column has the type that it is used with."""
    frame = actions_frame(sweep())

    assert list(frame) == ["action", "task", "group", "parent", "phase", "attempt", "worker", "started", "seconds", *COSTS, "error"]
    assert frame["task"].tolist() == ["main", "train", "train", "train"]
    assert frame["group"].tolist() == ["", "fit", "fit", "fit"]
    assert frame["phase"].tolist() == ["running", "succeeded", "failed", "running"]
    assert frame["attempt"].tolist() == [1, 1, 1, 1]
    assert frame["worker"].tolist() == ["kernel", "w1", "w1", "w2"]
    assert frame["error"].dropna().to_dict() == {2: "ValueError: first line"}
    assert frame["action"][0] == "a0"
    assert frame["action"].is_unique
    assert frame["parent"].isna().tolist() == [True, False, False, False]
    assert set(frame["parent"][1:]) == {"a0"}
    assert str(frame["started"].dtype).endswith("UTC]")
    assert frame["started"][1] == pd.Timestamp(1_000_000, unit="s", tz="UTC")
    assert frame["seconds"][1] == 2.0
    assert frame["seconds"][3] > 0


def test_an_action_that_has_not_started_has_no_start_and_no_seconds() -> None:
    """Missing is missing, not 1970."""
    run = FakeRun()
    run.call(task("t", "x"), [(1,)])
    frame = actions_frame(run)

    assert frame["started"].isna().tolist() == [False, True]
    assert frame["seconds"].isna().tolist() == [False, True]
    assert frame["worker"][1] == ""


def test_costs_are_missing_where_nothing_was_measured() -> None:
    """Short actions are not measured; what is known are numbers that add up."""
    run = FakeRun()
    rows = run.call(task("train", "x"), [(1,), (2,), (3,)])
    run.start(rows)
    run.measure(rows[0], 1.5, 2048)
    run.succeed(rows, [1, 2, 3])
    frame = actions_frame(run)

    assert frame["cpu_seconds"].isna().tolist() == [True, False, True, True]
    assert (frame["cpu_seconds"].sum(), frame["memory_bytes"].max()) == (1.5, 2048 * 1024)


def test_errors_are_text_even_where_there_are_none() -> None:
    """`run.actions.error.str.contains(...)` works before the first failure."""
    assert not actions_frame(FakeRun())["error"].str.contains("x", na=False).any()


def test_a_limit_takes_the_first_rows() -> None:
    """A display builds what it shows, not the whole table."""
    assert len(actions_frame(sweep(), limit=2)) == 2
    assert results_frame(sweep(), limit=2).index.tolist() == [1, 2]


def test_results_put_inputs_and_outputs_side_by_side() -> None:
    """Parameters, then the output's keys (a clash is prefixed), then phase and error; the index is the action's row."""
    frame = results_frame(sweep())

    assert list(frame) == ["depth", "rate", "auc", "output_depth", "phase", "error"]
    assert frame.index.tolist() == [1, 2, 3]
    assert frame["depth"].dtype == np.int64
    assert frame["auc"].tolist()[0] == 0.5
    assert frame["auc"].isna().tolist() == [False, True, True]
    assert frame["output_depth"][1] == 9
    assert frame["error"][2] == "ValueError: first line"
    assert frame.query("depth > 1").shape == (2, 6)


def test_the_root_is_a_row_of_the_results_only_when_asked_for() -> None:
    """Its inputs are seldom those of the sweep."""
    assert 0 in results_frame(sweep(), include_root=True).index
    assert 0 not in results_frame(sweep()).index


def test_several_tasks_share_a_table() -> None:
    """The union of their parameters, and a column that tells which is which."""
    run = FakeRun()
    run.succeed(run.call(task("fetch", "user"), [("ann",)]), ["page"])
    run.succeed(run.call(task("score", "user", "fold"), [("bob", 2)]), [0.5])
    frame = results_frame(run)

    assert list(frame) == ["task", "user", "fold", "output", "phase", "error"]
    assert frame["task"].tolist() == ["fetch", "score"]
    assert frame["fold"].isna().tolist() == [True, False]
    assert frame["output"].tolist() == ["page", 0.5]


def test_parameters_with_our_columns_names_keep_their_values() -> None:
    """Nothing is overwritten."""
    run = FakeRun()
    run.succeed(run.call(task("t", "phase", "error", "output"), [("p", "e", "o")]), ["out"])
    frame = results_frame(run)

    assert frame.iloc[0][["input_phase", "input_error", "output", "output_output", "phase"]].tolist() == ["p", "e", "o", "out", "succeeded"]


@pytest.mark.parametrize(
    "value, declared, columns",
    [
        (3.5, (), {"output": 3.5}),
        (None, (), {"output": None}),
        ({"a": 1, "b": [2]}, (), {"a": 1, "b": [2]}),
        ({}, (), {"output": {}}),
        ({1: "x"}, (), {"output": {1: "x"}}),
        (Score(0.5, 3), (), {"auc": 0.5, "depth": 3}),
        (Fit(0.1, "m"), ("loss", "model"), {"loss": 0.1, "model": "m"}),
        ((1, 2), ("o0", "o1"), {"o0": 1, "o1": 2}),
        ((1, 2), ("o0",), {"output": (1, 2)}),
        ((1, 2), (), {"output": (1, 2)}),
    ],
)
def test_outputs_are_spread_by_their_kind(value: object, declared: tuple[str, ...], columns: dict[str, object]) -> None:
    """Dicts, dataclasses, named tuples and declared tuples become columns; the rest is `output`."""
    run = FakeRun()
    run.succeed(run.call(task("t", outputs=declared), [()]), [value])
    frame = results_frame(run)

    assert frame[list(columns)].astype(object).iloc[0].tolist() == [*columns.values()] or value is None
    assert list(frame) == [*columns, "phase", "error"]


def test_outputs_with_very_many_keys_stay_values() -> None:
    """A count of words is not a row of a table."""
    run = FakeRun()
    rows = run.call(task("t", "x"), [(0,), (1,)])
    run.succeed(rows, [{f"word{row}-{n}": n for n in range(MAX_SPREAD)} for row in range(2)])

    assert list(results_frame(run)) == ["x", "output", "phase", "error"]


@pytest.mark.parametrize("value", [np.arange(3), [1, 2, 3], pd.DataFrame({"a": [1, 2]}), {"k": np.arange(2)}, (1, 2)])
def test_containers_stay_one_value_each(value: Any) -> None:
    """Equally long lists and arrays must not become another dimension."""
    run = FakeRun()
    run.succeed(run.call(task("t", "x"), [(value,), (value,)]), [value, value])
    frame = results_frame(run)

    assert len(frame) == 2
    assert type(frame["x"].iloc[1]) is type(value)


def test_a_value_that_cannot_be_read_takes_only_its_own_cell() -> None:
    """A class that is gone from this kernel must not take the table away."""
    run = FakeRun()
    gone = pickle.dumps(Fit(0.1, "m")).replace(b"Fit", b"Fix")
    run.succeed(run.call(task("t", "x"), [(1,), (2,)]), [1.0, 2.0])
    run.state._outputs[1] = Blob(gone)
    frame = results_frame(run)

    assert "cannot be read here: AttributeError" in repr(frame["output"][1])
    assert frame["output"][2] == 2.0


def test_a_value_that_many_actions_share_is_unpacked_once() -> None:
    """One object for a data set that goes to all actions."""
    run = FakeRun()
    rows = run.call(task("t", "data"), [([1, 2],), ([1, 2],)])
    shared = run.state.inputs(rows[0])
    run.state._inputs[rows[1]] = shared
    frame = results_frame(run)

    assert frame["data"].iloc[0] is frame["data"].iloc[1]


def test_fifty_thousand_rows_are_quick(benchmark_seconds: Any) -> None:
    """Whole columns, no loop over cells: well under a second, names included."""
    run = FakeRun()
    rows = run.call(task("t", "a", "b", "c"), [(n, n % 5, "x") for n in range(50_000)], group="g")
    run.succeed(rows, [{"loss": 0.5, "auc": n} for n in range(50_000)])

    assert benchmark_seconds(lambda: actions_frame(run)) < 1.5
    assert benchmark_seconds(lambda: results_frame(run)) < 1.5


def test_the_state_can_grow_while_a_table_is_held() -> None:
    """A view on an array would forbid it."""
    run = FakeRun()
    run.call(task("t", "x"), [(1,)])
    frame = actions_frame(run)
    run.call(task("t", "x"), [(2,)])

    assert len(frame) == 2
