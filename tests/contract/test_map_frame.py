"""`flyte.map_frame`: a table in, a table out. The same on every backend."""

from __future__ import annotations

import asyncio
import threading
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
from pydantic import BaseModel

import flyte_nb as flyte
from flyte_nb.remote import Run
from flyte_nb.workspace import Workspace
from tests.fakes.spaces import wait_until

env = flyte.TaskEnvironment("frames")


@env.task
def divide(a: float, b: int, c: int = 1) -> float:
    """May divide by zero."""
    return a / b * c


class Parts(NamedTuple):
    """Two outputs."""

    whole: int
    rest: int


@env.task
async def split(number: int, by: int) -> Parts:
    """Divide with a rest."""
    return Parts(*divmod(number, by))


@env.task
def score(depth: int) -> dict[str, Any]:
    """A dict of outputs, one named like the input."""
    return {"auc": depth / 10, "depth": depth + 1}


def ended(run: Run) -> pd.DataFrame:
    """The results of a run, once it has ended."""
    run.wait(timeout=60)
    assert run.done()
    return pd.DataFrame(run.results)


def test_outputs_are_joined_to_the_frame(space: Workspace) -> None:
    """Columns, order and index are kept; extra columns stay aside; a failure is a text in its row."""
    frame = pd.DataFrame({"b": [1, 0, 4], "note": ["x", "y", "z"], "a": [1, 2, 3]}, index=list("kkm"))

    results = ended(flyte.map_frame(divide, frame))

    pd.testing.assert_frame_equal(results[["b", "note", "a"]], frame)
    assert list(results.columns) == ["b", "note", "a", "output", "phase", "error"]
    assert results["output"].tolist()[::2] == [1.0, 0.75]
    assert results["output"].isna().tolist() == [False, True, False]
    assert results["phase"].tolist() == ["succeeded", "failed", "succeeded"]
    assert results["error"].tolist()[1] == "ZeroDivisionError: float division by zero"
    assert results["error"].isna().tolist() == [True, False, True]


def test_a_failed_row_does_not_fail_the_run(space: Workspace) -> None:
    """As with `flyte.map`, where errors are values."""
    run = flyte.map_frame(divide, pd.DataFrame({"a": [1.0], "b": [0]}))
    run.wait(timeout=60)

    assert run.phase == "succeeded"
    assert run.summary().failed == 1


def test_several_outputs_are_several_columns(space: Workspace) -> None:
    """By the names of a NamedTuple; an output named like an input gets a prefix."""
    parts = ended(flyte.map_frame(split, flyte.grid(number=[7, 9], by=[2, 4])))
    scores = ended(flyte.map_frame(score, pd.DataFrame({"depth": [3], "error": ["mine"]})))

    assert parts.drop(columns=["phase", "error"]).to_dict("list") == {
        "number": [7, 7, 9, 9],
        "by": [2, 4, 2, 4],
        "whole": [3, 1, 4, 2],
        "rest": [1, 3, 1, 1],
    }
    assert scores.iloc[0].drop("error").to_dict() == {
        "depth": 3,
        "input_error": "mine",
        "auc": 0.3,
        "output_depth": 4,
        "phase": "succeeded",
    }


def test_columns_are_renamed_and_parameters_bound(space: Workspace) -> None:
    """`rename` goes from column to parameter, a partial holds for all rows; the results keep the column's name."""
    frame = pd.DataFrame({"x": [1.0, 2.0]})

    results = ended(flyte.map_frame(partial(divide, b=2, c=10), frame, rename={"x": "a"}))

    assert results[["x", "output"]].to_dict("list") == {"x": [1.0, 2.0], "output": [5.0, 10.0]}


def test_nothing_is_started_when_a_value_does_not_fit(space: Workspace) -> None:
    """Row, column, parameter and value are named."""
    before = len(space.runs())
    frame = pd.DataFrame({"a": [1.0, 2.0], "b": ["1", 2]}, index=pd.Index(["first", "second"]))

    with pytest.raises(TypeError) as caught:
        flyte.map_frame(divide, frame)

    assert "row 'first' (the 1st), column 'b', parameter b: int, got '1' (str)" in str(caught.value)
    assert "nothing was started" in str(caught.value)
    assert len(space.runs()) == before


@pytest.mark.parametrize(
    "index",
    [
        pd.Index(["a", "a", "b"]),
        pd.MultiIndex.from_tuples([("a", 1), ("a", 1), ("b", 2)], names=["k", "n"]),
        pd.date_range("2024-01-01", periods=3),
        pd.Index([None, 1.5, "x"]),
    ],
    ids=["duplicates", "levels", "dates", "mixed"],
)
def test_any_index_is_kept(space: Workspace, index: pd.Index[Any]) -> None:
    """Rows are joined by their places, not by their labels."""
    results = ended(flyte.map_frame(divide, pd.DataFrame({"a": [1, 2, 3], "b": [1, 1, 1]}, index=index)))

    pd.testing.assert_index_equal(results.index, index)
    assert results["output"].tolist() == [1.0, 2.0, 3.0]


def test_a_level_of_the_index_can_be_a_parameter(space: Workspace) -> None:
    """As it is after a groupby."""
    frame = pd.DataFrame({"a": [4, 9]}, index=pd.Index([2, 3], name="b"))

    assert ended(flyte.map_frame(divide, frame))["output"].tolist() == [2.0, 3.0]


def test_columns_with_levels_take_outputs_beside_them(space: Workspace) -> None:
    """The other levels of an output's label are empty."""
    frame = pd.DataFrame({("in", "a"): [1.0], ("in", "b"): [2]})

    results = ended(flyte.map_frame(divide, frame, rename={("in", "a"): "a", ("in", "b"): "b"}))

    columns: list[Any] = results.columns.tolist()
    assert columns == [("in", "a"), ("in", "b"), ("output", ""), ("phase", ""), ("error", "")]
    assert results[("output", "")].tolist() == [0.5]


def test_a_frame_without_rows_has_results_without_rows(space: Workspace) -> None:
    """The run ends at once."""
    results = ended(flyte.map_frame(divide, pd.DataFrame({"a": [], "b": []})))

    assert list(results.columns) == ["a", "b", "phase", "error"]
    assert len(results) == 0


def test_a_sweep_is_recovered_like_any_run(space: Workspace) -> None:
    """What succeeded is taken over, what failed runs again; the table is the same."""
    frame = pd.DataFrame({"a": [1.0, 2.0, 3.0], "b": [1, 0, 2]})
    first = flyte.map_frame(divide, frame)
    ended(first)

    again = ended(first.rerun(recover=True))

    assert again["phase"].tolist() == ["recovered", "failed", "recovered"]
    assert again["output"].tolist()[::2] == [1.0, 1.5]


def test_rows_of_a_sweep_that_was_aborted_are_aborted_too(space: Workspace) -> None:
    """Those that were never called have the reason; going on calls them."""

    @env.task
    async def ask(a: int) -> int:
        await (await flyte.new_condition.aio(f"go{a}")).wait.aio()
        return a

    run = flyte.map_frame(ask, pd.DataFrame({"a": range(5)}), concurrency=2)
    wait_until(lambda: len(run.conditions) == 2)
    run.abort("enough")
    results = ended(run)

    assert set(results["phase"]) == {"aborted"}
    assert results["error"].str.contains("enough").all()


def test_a_column_that_cannot_be_kept_is_named(space: Workspace) -> None:
    """With how to leave it out."""
    frame = pd.DataFrame({"a": [4.0], "b": [2], "lock": [threading.Lock()]})

    with pytest.raises(flyte.errors.NotSerializableError, match=r"'column lock' .* its type is lock .*keep=") as caught:
        flyte.map_frame(divide, frame)

    assert caught.value.argument == "column lock"
    assert ended(flyte.map_frame(divide, frame, keep=[]))["output"].tolist() == [2.0]


def test_it_can_be_awaited(space: Workspace) -> None:
    """`await flyte.map_frame.aio(...)` is the same for async code."""

    async def main() -> list[float]:
        run = await flyte.map_frame.aio(divide, pd.DataFrame({"a": [3.0], "b": [2]}))
        await run.wait.aio(timeout=60)
        return list(run.results["output"])

    assert asyncio.run(main()) == [1.5]


def test_a_rule_stops_rows_of_a_sweep_that_was_just_started(space: Workspace) -> None:
    """The call returns before its rows are called; the rule is asked about them all the same."""
    run = flyte.map_frame(score, pd.DataFrame({"depth": []}, dtype=int))
    assert run.abort_where(bool) == 0
    run = flyte.map_frame(block, pd.DataFrame({"number": range(4)}))
    assert run.abort_where(lambda row: row.number >= 0) == 4
    assert ended(run)["phase"].tolist() == ["aborted"] * 4


@env.task
async def block(number: int) -> int:
    """Go on until it is stopped."""
    await asyncio.Event().wait()
    return number


class Fit(BaseModel):
    """Two outputs."""

    loss: float
    kind: str


def test_the_fields_of_a_model_are_columns(space: Workspace) -> None:
    """As those of a dataclass."""

    @env.task
    def fit(rate: float) -> Fit:
        return Fit(loss=rate / 2, kind="tree")

    results = ended(flyte.map_frame(fit, pd.DataFrame({"rate": [1.0, 2.0]})))
    assert results["loss"].tolist() == [0.5, 1.0]
    assert results["kind"].tolist() == ["tree", "tree"]


def test_whole_numbers_of_numpy_are_numbers(space: Workspace) -> None:
    """For the size of batches, and for the calls in flight."""

    @env.task
    def double(number: list[int]) -> list[int]:
        return [2 * each for each in number]

    results = ended(flyte.map_frame(double, pd.DataFrame({"number": [1, 2, 3]}), batch_size=np.int64(2), concurrency=np.int64(1)))  # type: ignore[arg-type]
    assert results["output"].tolist() == [2, 4, 6]
    assert list(flyte.map(double, [1, 2, 3], batch_size=np.int64(2), concurrency=np.int64(1))) == [2, 4, 6]


def test_one_row_is_no_frame(space: Workspace) -> None:
    """A dict of single values, or an iterator of them."""
    for given in ({"depth": 1}, ({"depth": number} for number in range(2))):
        with pytest.raises(TypeError, match="one row, a dict of single values: pass a list of such dicts"):
            flyte.map_frame(score, given)
