"""What counts as a score, and which row is the best."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

import flyte_nb as flyte
from flyte_nb.views import liveframe
from tests.fakes.fake_run import FakeRun, task

TABLE = pd.DataFrame(
    {"lr": [0.1, 0.2, 0.3, 0.4, 0.5], "score": [0.5, 0.9, np.nan, 0.9, 1.0], "phase": ["succeeded"] * 4 + ["failed"]}, index=list("abcde")
)


def test_the_best_row_is_one_that_succeeded_with_a_number() -> None:
    """Failures and NaN are passed over; of equal ones the first is the better."""
    row = flyte.best(TABLE)
    assert (row.name, row.lr, row.score) == ("b", 0.2, 0.9)
    assert flyte.best(TABLE, by="score", minimize=True).name == "a"
    assert flyte.best(TABLE, maximize=False).name == "a"


def test_several_rows_are_a_table_with_the_best_first() -> None:
    """At most so many; fewer where there are no more."""
    assert list(flyte.best(TABLE, n=2).index) == ["b", "d"]
    assert list(flyte.best(TABLE, n=99).index) == ["b", "d", "a"]
    assert list(flyte.best(TABLE, n=1, minimize=True).index) == ["a"]


def test_labels_that_are_there_twice_are_told_apart() -> None:
    """A table that was put together of two has each label twice."""
    twice = pd.DataFrame({"score": [1.0, 3.0, 2.0]}, index=[0, 0, 0])
    assert flyte.best(twice, n=2).score.tolist() == [3.0, 2.0]


def test_a_run_and_its_results_are_asked_the_same() -> None:
    """A handle has results; they are a live frame."""
    run = FakeRun()
    run.succeed(run.call(task("t", "x"), [(1,), (2,)]), [{"score": 5}, {"score": 7}])
    frame: Any = liveframe.live_results(run)

    class Handle:
        results = frame

    assert flyte.best(frame).x == flyte.best(Handle()).x == flyte.best(frame.live(sort="score")).x == 2


@pytest.mark.parametrize(
    "values",
    [[1, 2, None], [1.0, pd.NA, 3], [np.float64(1), np.float32(2), None], [True, False, True], [np.array(1), np.array(5), None]],
)
def test_numbers_of_any_kind_are_compared(values: list[Any]) -> None:
    """Objects, nullable types, truth values, arrays without dimensions."""
    table = pd.DataFrame({"score": pd.Series(values, dtype=object)})
    known = [float(value) for value in values if value is not None and value is not pd.NA]
    assert float(flyte.best(table).score) == max(known)


def test_a_column_that_is_not_there_names_those_that_are_near() -> None:
    """And lists what there is."""
    with pytest.raises(KeyError, match=r"There is no column 'scor'. Did you mean 'score'\? Columns: lr, score, phase."):
        flyte.best(TABLE, by="scor")


def test_what_is_no_number_is_refused_with_its_row() -> None:
    """Words, and numbers without order."""
    with pytest.raises(TypeError, match=r"Column .phase. holds something else than numbers: .succeeded. in row .a."):
        flyte.best(TABLE, by="phase")
    with pytest.raises(TypeError, match="complex"):
        flyte.best(pd.DataFrame({"score": [1j]}))
    with pytest.raises(TypeError, match=r"\[1, 2\] in row 0"):
        flyte.best(pd.DataFrame({"score": [[1, 2]]}))


def test_no_score_at_all_says_why() -> None:
    """How many rows there are, and in which phases."""
    failed = TABLE.assign(phase="failed")
    with pytest.raises(ValueError, match=r"No row has a score in column .score.: of 5 rows, 5 failed"):
        flyte.best(failed)
    with pytest.raises(ValueError, match="the table is empty"):
        flyte.best(TABLE.head(0))
    with pytest.raises(ValueError, match="all 2 values are missing"):
        flyte.best(pd.DataFrame({"score": [None, np.nan]}))


def test_a_phase_of_the_users_own_is_a_column_like_others() -> None:
    """`phase` of the moon says nothing of success."""
    assert flyte.best(pd.DataFrame({"score": [1, 2], "phase": ["full", "new"]})).phase == "new"


@pytest.mark.parametrize(
    "wrong", [{"n": 0}, {"n": True}, {"n": 1.5}, {"maximize": True, "minimize": True}, {"maximize": False, "minimize": False}]
)
def test_what_cannot_be_meant_is_refused(wrong: dict[str, Any]) -> None:
    """A number of rows below one, both directions or none."""
    with pytest.raises(ValueError, match=r"best|n is"):
        flyte.best(TABLE, **wrong)


def test_what_is_no_table_is_refused() -> None:
    """With its type."""
    with pytest.raises(TypeError, match="got a list"):
        flyte.best([1, 2])
