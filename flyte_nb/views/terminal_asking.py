"""Decides how a question of a run is put to a person at a terminal: a line, and what they type is the answer.

The terminal is looked at now and then while a script waits for its run, so that the run, and other questions, go on.

Must not know: runs beyond their questions.
"""

from __future__ import annotations

import select
import sys
import threading
from collections.abc import Callable
from typing import Any

from flyte_nb.core.questions import Question, Questions, parsed_answer
from flyte_nb.views.asking import LIMIT, how_to_answer, outcome
from flyte_nb.views.shown import ShownRun
from flyte_nb.views.wording import clean


class TerminalQuestions:
    """Asks the open questions of a run, one after the other.

    Args:
        run: whose.
        write: shows text to the person.
        read: what was typed, a line with its end; None if there is no whole line yet.
    """

    def __init__(self, run: ShownRun, write: Callable[[str], object], read: Callable[[], str | None]) -> None:
        self._run, self._write, self._read = run, write, read
        self._questions = Questions()
        self._asked: Question | None = None
        self._answered: set[int] = set()

    def tick(self) -> bool:
        """Ask, or look for an answer; returns whether a question stands on the terminal."""
        waiting = [each for each in self._run.read(self._questions.read) if each.is_open and each.row not in self._answered]
        if self._asked is not None and all(each.row != self._asked.row for each in waiting):
            self._write("(no answer is wanted any more)\n")
            self._asked = None
        if not waiting:
            return False
        if self._asked is None:
            self._ask(waiting[0])
        line = self._read()
        if line is not None and self._asked is not None:
            self._take(line.rstrip("\r\n"), self._asked)
        return True

    def _ask(self, question: Question) -> None:
        self._asked = question
        described = f"\n{clean(question.description[:LIMIT])}" if question.description else ""
        self._write(f"\n{clean(question.name)}: {clean(question.prompt[:LIMIT])} ({outcome(question)}){described}\n> ")

    def _take(self, line: str, question: Question) -> None:
        try:
            self._run.action(question.row).signal(parsed_answer(line, question.kind))
        except Exception as error:  # noqa: BLE001 - whatever is wrong with the answer, the person gives another one
            self._write(f"{error}\n> ")
            return
        self._answered.add(question.row)
        self._asked = None


def typed_line() -> str | None:
    """A line that was typed at standard input, if there is a whole one; without waiting, where the system can tell."""
    try:
        ready, _, _ = select.select([sys.stdin], [], [], 0)
    except (OSError, ValueError):  # Windows knows this for sockets only
        return sys.stdin.readline()
    return sys.stdin.readline() if ready else None


def somebody_types(stream: Any = None) -> bool:
    """Whether standard input is a terminal."""
    try:
        return bool((stream or sys.stdin).isatty())
    except (AttributeError, ValueError):  # there is none, or it is closed
        return False


def tell_when_asked(run: ShownRun, say: Callable[[str], object]) -> None:
    """Where nobody can be asked: say it, once a question, instead of waiting without a word."""
    questions, told, guard = Questions(), set[int](), threading.Lock()

    def look() -> None:
        with guard:
            fresh = [question for question in run.read(questions.read) if question.is_open and question.row not in told]
            told.update(question.row for question in fresh)
        for question in fresh:
            say(how_to_answer(run.name, question))

    run.on_change(look)
    look()  # it may have been asked before anybody listened
