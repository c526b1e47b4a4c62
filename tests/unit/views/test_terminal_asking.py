"""Questions at a terminal: a line, and what is typed is the answer; a clear word where nobody can be asked."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pytest

from flyte_nb.views.terminal import Terminal
from flyte_nb.views.terminal_asking import TerminalQuestions, somebody_types, typed_line
from tests.fakes.fake_run import FakeRun


def asking(run: FakeRun, *typed: str | None) -> tuple[TerminalQuestions, list[str]]:
    """Questions of a run, with what is typed at each look."""
    lines: Iterator[str | None] = iter(typed)
    written: list[str] = []
    return TerminalQuestions(run, written.append, lambda: next(lines, None)), written


def test_questions_are_asked_one_after_the_other() -> None:
    """An answer that cannot be read is asked for again."""
    run = FakeRun()
    first, second = run.ask("go", seconds=60), run.ask("size", "How many?", "int", "At most 9.")
    terminal, written = asking(run, None, "maybe\n", "y\n", "7\n")

    assert [terminal.tick() for _ in range(5)] == [True, True, True, True, False]
    assert run.answers == [(first, True), (second, 7)]
    assert "".join(written).startswith("\ngo: Go on? (waits for yes or no until ")
    assert "Answer yes or no; got 'maybe'.\n> " in written
    assert written[-1] == "\nsize: How many? (waits for a whole number)\nAt most 9.\n> "


def test_a_question_that_was_answered_elsewhere_is_taken_back() -> None:
    """What is typed then is not an answer to it."""
    run = FakeRun()
    row = run.ask("go")
    terminal, written = asking(run, None)
    terminal.tick()
    run.action(row).signal(value=True)

    assert not terminal.tick()
    assert written[-1] == "(no answer is wanted any more)\n"


def test_where_nobody_can_be_asked_it_is_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    """With the call that answers."""
    run = FakeRun()
    terminal = Terminal(lambda _name: None)
    terminal.run_started(run)
    run.ask("size", "How many?", "int")
    run.announce()
    run.announce()

    told = capsys.readouterr().err
    assert told.count("Nobody can be asked here") == 1
    assert f".get('{run.name}').condition('size').signal(1)" in told


def test_a_line_is_read_when_it_is_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system cannot tell, reading waits."""
    typed = io.StringIO("yes\n")
    monkeypatch.setattr("sys.stdin", typed)

    assert typed_line() == "yes\n"
    assert not somebody_types()
    assert not somebody_types(object())
