"""One action as a row: the columns of `run.results`, and what is known of the action."""

from __future__ import annotations

import copy
import math
import pickle
from typing import NamedTuple

import pandas as pd
import pytest

from flyte_nb.views.frames import results_frame
from flyte_nb.views.rows import Row, rows_of
from tests.fakes.fake_run import FakeRun, task

TRAIN = task("train", "lr", "depth")


class Scores(NamedTuple):
    """An output with two parts."""

    score: float
    depth: int


def row_of(run: FakeRun, position: int) -> Row:
    """One row."""
    return rows_of(run, [position])[0]


def test_a_row_has_the_columns_of_the_results() -> None:
    """Inputs, outputs that are spread, phase and error, by the names that they have in the table."""
    run = FakeRun()
    rows = run.call(TRAIN, [(0.1, 3), (0.2, 4), (0.3, 5), (0.4, 6)])
    run.succeed(rows[:1], [{"score": 0.9, "phase": "x"}])
    run.succeed(rows[1:2], [Scores(0.8, 7)])
    run.succeed(rows[2:3], [[1, 2]])
    run.fail(rows[3], message="no luck")
    table = results_frame(run)

    for row in rows_of(run, list(rows)):
        columns = {name: value for name, value in row.items() if name != "task"}
        expected = {name: value for name, value in table.loc[row.position].items() if not _is_missing(value)}
        assert {name: value for name, value in columns.items() if value is not None} == expected


def _is_missing(value: object) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def test_columns_are_items_and_attributes() -> None:
    """`row["lr"]`, `row.lr`, `row.get`, `in`; an attribute of its own goes before a column of its name."""
    run = FakeRun()
    (row_number,) = run.call(task("train", "lr", "group"), [(0.1, "mine")], group="sweep")
    row = row_of(run, row_number)

    assert (row["lr"], row.lr, row.get("lr"), row.get("loss", 7)) == (0.1, 0.1, 0.1, 7)
    assert (row.group, row["group"]) == ("sweep", "mine")
    assert "lr" in row
    assert "loss" not in row
    assert row.inputs == {"lr": 0.1, "group": "mine"}
    assert {"lr", "seconds"} <= set(dir(row))


def test_what_is_missing_says_what_there_is() -> None:
    """The nearest name, the phase, and all columns."""
    run = FakeRun()
    (row_number,) = run.call(TRAIN, [(0.1, 3)])
    row = row_of(run, row_number)

    with pytest.raises(KeyError, match=r"no column 'dept' in action 1 of task train, which is queued. Did you mean 'depth'\? It has task"):
        row["dept"]
    with pytest.raises(AttributeError, match=r"no column 'score'.*queued"):
        _ = row.score


def test_what_is_known_of_the_action() -> None:
    """Phase, attempt, worker, seconds up to now, start, output, error, handle."""
    run = FakeRun()
    rows = run.call(TRAIN, [(0.1, 3)] * 4)
    run.start(rows[1:2], "w7")
    run.succeed(rows[2:3], [5], seconds=2)
    run.fail(rows[3], message="first line\nsecond")
    queued, running, good, bad = rows_of(run, list(rows))

    assert (queued.phase, running.phase, good.phase, bad.phase) == ("queued", "running", "succeeded", "failed")
    assert (math.isnan(queued.seconds), running.seconds > 1e6, good.seconds, bad.seconds) == (True, True, 2.0, 0.5)
    assert (queued.started, running.worker, running.attempt) == (None, "w7", 1)
    assert (good.output, good.error, bad.output, bad.error) == (5, None, None, "ValueError: first line")
    assert good.name == run.state.action_name(rows[2])
    bad.action.abort("why")
    assert run.aborts == [f"{rows[3]}: why"]


def test_rows_become_a_table_and_travel() -> None:
    """A list of rows is what `DataFrame` takes; a pickled or copied row is a dict."""
    run = FakeRun()
    rows = run.call(TRAIN, [(0.1, 3), (0.2, 4)])
    run.succeed(rows, [{"score": 1}, {"score": 2}])
    made = rows_of(run, list(rows))

    assert pd.DataFrame(made)[["lr", "score"]].to_numpy().tolist() == [[0.1, 1.0], [0.2, 2.0]]
    assert pickle.loads(pickle.dumps(made[0])) == dict(made[0]) == copy.deepcopy(made[0])


def test_text_of_a_user_is_one_clean_line_in_its_text() -> None:
    """Control characters and line breaks of values and reasons do not reach the terminal."""
    run = FakeRun()
    (row_number,) = run.call(task("t", "x"), [("a\x1b[31m\nb" * 50,)])
    run.fail(row_number, message="\x1b]0;title\x07")
    text = repr(row_of(run, row_number))

    assert text.isprintable()
    assert len(text) < 300
