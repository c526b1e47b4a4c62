"""Conditions of a run, read as questions; and what counts as an answer."""

from __future__ import annotations

import pytest

from flyte_nb.core.phases import ActionPhase
from flyte_nb.core.questions import Question, Questions, parsed_answer
from tests.fakes.fake_run import FakeRun, task


def test_conditions_read_as_questions_with_what_became_of_them() -> None:
    """Open, answered and asked again by another attempt; other actions are none."""
    run, questions = FakeRun(), Questions()
    run.call(task("fetch", "x"), [(1,), (2,)])
    first = run.ask("go", seconds=60)
    second = run.ask("size", "How many?", "int", "at most 9")

    assert run.read(questions.read) == [
        Question(first, "go", "Go on?", "bool", "", run.now, run.now + 60, ActionPhase.PAUSED),
        Question(second, "size", "How many?", "int", "at most 9", run.now, None, ActionPhase.PAUSED),
    ]

    run.action(second).signal(7)
    third = run.ask("go", seconds=60)

    told = run.read(questions.read)
    assert [(each.row, each.is_open, each.answer) for each in told] == [(first, True, None), (second, False, 7), (third, True, None)]


@pytest.mark.parametrize(
    "text, kind, answer",
    [
        ("yes", "bool", True),
        (" N ", "bool", False),
        ("7", "int", 7),
        (" -7 ", "int", -7),
        ("1e3", "float", 1000.0),
        ("2", "float", 2.0),
        (" as it is ", "str", " as it is "),
    ],
)
def test_typed_answers_are_read_by_their_type(text: str, kind: str, answer: object) -> None:
    """Texts are taken as they are."""
    read = parsed_answer(text, kind)

    assert (read, type(read)) == (answer, type(answer))


@pytest.mark.parametrize(
    "text, kind, words", [("maybe", "bool", "yes or no"), ("1.5", "int", "whole number"), ("x", "float", "a number"), ("", "int", "whole")]
)
def test_what_is_no_answer_is_said(text: str, kind: str, words: str) -> None:
    """With what would be one."""
    with pytest.raises(ValueError, match=words):
        parsed_answer(text, kind)
