"""The names of a table are those that each action has by itself."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flyte_nb.core import ids
from flyte_nb.core.events import ActionsCalled, CacheFacts
from flyte_nb.views import allnames
from flyte_nb.views.columns import Columns
from tests.fakes.fake_run import FakeRun, task

TRAIN, SCORE, NONE = task("train", "x", "y"), task("score", "x"), task("none")
VALUES = (0, 1, True, 1.0, -0.0, 0.0, "a", "", "\ud800", None, b"a", [1], {"a": 1}, 10**5000)


def names(run: FakeRun) -> list[str]:
    """The names of all actions, in one go."""
    columns = Columns(run)
    columns.refresh()
    return [name.decode() for name in allnames.all_names(run, columns).tolist()]


@given(
    st.lists(st.tuples(st.sampled_from((TRAIN, SCORE, NONE)), st.lists(st.sampled_from(VALUES), max_size=9), st.integers(0, 5)), max_size=9)
)
def test_all_at_once_is_one_by_one(calls: list[tuple[object, list[object], int]]) -> None:
    """Whatever was called by whom, however often, with which values, in which groups."""
    run = FakeRun()
    for what, values, who in calls:
        chosen = what if isinstance(what, type(TRAIN)) else TRAIN
        inputs = [(value,) * len(chosen.parameters) for value in values]
        if inputs:
            run.call(chosen, inputs, group="g" * (who % 3), parent=who % run.state.count)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(allnames, "_FEW", 2)
        made = names(run)

    assert made == [run.state.action_name(row) for row in range(run.state.count)]


@pytest.mark.parametrize("ignored", [(), (1,)])
def test_many_calls_are_named_by_columns(ignored: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """Of several tasks and groups, with repeats among them; inputs that the cache ignores do not count."""
    monkeypatch.setattr(allnames, "_SLICE", 100)
    run = FakeRun()
    train = replace(TRAIN, cache=CacheFacts(ignored=ignored))
    for turn in range(3):
        run.call(train, [(number % 50, number) for number in range(150)], group="g" * (turn % 2))
        run.call(SCORE, [(f"text {number % 7}",) for number in range(90)])

    assert names(run) == [run.state.action_name(row) for row in range(run.state.count)]


def test_calls_that_say_which_they_are_keep_that() -> None:
    """An attempt that takes over calls of an earlier one counts on from those."""
    run = FakeRun()
    run.call(SCORE, [(1,)] * 80)
    run.state.apply(ActionsCalled(run.name, 81, 0, 1, "", [(1,)] * 80, run.now, list(range(100, 180))))

    assert names(run) == [run.state.action_name(row) for row in range(161)]


def test_numbers_are_written_as_elsewhere() -> None:
    """With no digits in front that say nothing."""
    numbers = [0, 1, 35, 36, 36**5 - 1, 36**5, 2**64, 36**24 - 1, 36**24, 2**128 - 1]
    column = np.frombuffer(bytearray(b"".join(number.to_bytes(16, "big") for number in numbers)), np.uint8).reshape(-1, 16)

    assert allnames.base36(column).tolist() == [ids.base36(number).encode() for number in numbers]
