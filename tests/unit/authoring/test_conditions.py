"""Conditions: what may be asked, what may be answered."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from flyte_nb.authoring.conditions import Condition, NewCondition, checked_answer
from flyte_nb.core.current import CURRENT, ActionFacts, Frame
from tests.fakes.no_submitter import NoSubmitter

new_condition = NewCondition()


@pytest.mark.parametrize(
    "settings, error, message",
    [
        ({"data_type": list}, TypeError, "Invalid data_type"),
        ({"timeout": 0}, ValueError, "timeout must be positive"),
        ({"timeout": timedelta(seconds=-1)}, ValueError, "timeout must be positive"),
    ],
    ids=["type", "no time", "less than no time"],
)
def test_what_cannot_be_asked_is_refused(settings: dict[str, object], error: type[Exception], message: str) -> None:
    """In Flyte's words."""
    with pytest.raises(error, match=message):
        new_condition("name", **settings)  # type: ignore[arg-type]  # wrong on purpose


@pytest.mark.parametrize("value, kind, taken", [(True, "bool", True), (3, "int", 3), (3, "float", 3.0), ("x", "str", "x")], ids=str)
def test_an_answer_of_the_right_type_is_taken(value: object, kind: str, taken: object) -> None:
    """A whole number is a float too."""
    answer = checked_answer(value, kind)

    assert (answer, type(answer)) == (taken, type(taken))


@pytest.mark.parametrize("value, kind", [(1, "bool"), (True, "int"), ("1", "int"), (None, "str")], ids=str)
def test_an_answer_of_another_type_is_refused(value: object, kind: str) -> None:
    """The message says what was asked for."""
    with pytest.raises(TypeError, match=f"asks for {kind}"):
        checked_answer(value, kind)


def test_a_condition_can_be_made_outside_of_a_run_but_not_waited_for() -> None:
    """Flyte's rule and words."""
    condition = asyncio.run(new_condition.aio("name", prompt="Go?", data_type=int))

    assert (condition.name, condition.prompt, condition.data_type) == ("name", "Go?", int)
    with pytest.raises(RuntimeError, match="within a task context"):
        condition.wait()
    with pytest.raises(RuntimeError, match="within a task context"):
        condition.signal(1)


def test_an_answer_of_an_earlier_attempt_is_not_asked_for_again() -> None:
    """It is there at once, for the same condition asked for the same time."""
    facts = ActionFacts("run", 4, 1, "", 1, 0.0, recorded={"condition:4:name:2": 7})
    token = CURRENT.set(Frame(facts, NoSubmitter()))
    try:
        facts.note("conditions", dict)["name"] = 1
        condition = Condition("name", data_type=int)
        condition.open()

        assert (condition.wait(), asyncio.run(condition.wait.aio())) == (7, 7)
    finally:
        CURRENT.reset(token)
