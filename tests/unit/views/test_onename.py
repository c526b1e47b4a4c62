"""One action's name, found without naming those before it, is the one that it has."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flyte_nb.core.events import ActionsCalled, CacheFacts
from flyte_nb.views import onename
from flyte_nb.views.onename import one_name
from tests.fakes.fake_run import FakeRun, task

TASKS = (task("train", "x", "y"), task("score", "x"), task("none"), replace(task("score", "x"), key="score again"))
VALUES = (0, 1, True, 1.0, -0.0, 0.0, "a", None, b"a", [1], float("nan"))


@given(st.lists(st.tuples(st.integers(0, 3), st.lists(st.sampled_from(VALUES), max_size=6), st.integers(0, 5)), max_size=8))
def test_a_name_is_the_one_that_the_action_has(calls: list[tuple[int, list[object], int]]) -> None:
    """Or it is not told; of plain values it always is."""
    run = FakeRun()
    for which, values, who in calls:
        if values:
            inputs = [(value,) * len(TASKS[which].parameters) for value in values]
            run.call(TASKS[which], inputs, group="g" * (who % 3), parent=who % run.state.count)
    told = {row: one_name(run, row) for row in reversed(range(run.state.count))}

    assert {row: name for row, name in told.items() if name} == {row: run.state.action_name(row) for row, name in told.items() if name}
    if all(type(value) in {int, bool, str} for _which, values, _who in calls for value in values):
        assert None not in told.values()


def test_what_cannot_be_told_by_comparing_is_left_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pickled values, inputs that do not count, calls that say which they are, and very many equal ones."""
    monkeypatch.setattr(onename, "_MOST_EQUAL", 5)
    run = FakeRun()
    blobs = run.call(TASKS[1], [([1],)])
    some = run.call(replace(task("part", "x"), cache=CacheFacts(ignored=(0,))), [(1,)])
    many = run.call(TASKS[1], [(1,)] * 9)
    below_a_blob = run.call(TASKS[2], [()], parent=blobs[0])

    assert [one_name(run, row) for row in (blobs[0], some[0], many[8], below_a_blob[0])] == [None] * 4
    assert one_name(run, many[2]) == run.state.action_name(many[2])
    run.state.apply(ActionsCalled(run.name, run.state.count, 0, 2, "", [("z",)], run.now, [7]))
    assert one_name(run, many[8]) is None
