"""Decides how a run's conditions read as questions, and what counts as an answer.

A condition is a row of the run whose task is of kind "condition"; its inputs are what is asked. It is open while it is
paused.

Must not know: who asks, who answers, or how a question is shown.
"""

from __future__ import annotations

from dataclasses import dataclass

from flyte_nb.core.payloads import unpack
from flyte_nb.core.phases import ActionPhase
from flyte_nb.core.state import RunState

Answer = bool | int | float | str
#: Types of answers, by the name that a condition gives.
ANSWER_TYPES: dict[str, type[bool | int | float | str]] = {"bool": bool, "int": int, "float": float, "str": str}
_YES, _NO = frozenset({"y", "yes", "true", "1"}), frozenset({"n", "no", "false", "0"})


@dataclass(frozen=True, slots=True)
class Question:
    """A condition as it stands.

    Attributes:
        row: the condition's row.
        name: its name.
        prompt, description: what is asked.
        kind: "bool", "int", "float" or "str".
        asked_at: UTC seconds.
        answer_by: UTC seconds until it can be answered; None is without end.
        phase: paused while it is open.
        answer: what was answered; None while nobody has.
    """

    row: int
    name: str
    prompt: str
    kind: str
    description: str
    asked_at: float
    answer_by: float | None
    phase: ActionPhase
    answer: object = None

    @property
    def is_open(self) -> bool:
        """Whether it can be answered."""
        return not self.phase.is_terminal


class Questions:
    """The conditions of one run, the oldest first. Each row is looked for once, so that asking again is cheap at any size."""

    def __init__(self) -> None:
        self._rows: dict[int, list[int]] = {}
        self._seen = 0

    def read(self, state: RunState) -> list[Question]:
        """All conditions, as they are now; call it while nothing changes."""
        for number in range(self._seen, len(state.nodes)):
            if state.tasks[state.nodes[number].task].kind == "condition":
                self._rows[number] = []
        self._seen = len(state.nodes)
        for number, rows in self._rows.items():
            while len(rows) < sum(state.nodes[number].counts):
                rows.append(state.node_ids.index(number, rows[-1] + 1 if rows else 0))
        return [_question(state, row) for row in sorted(row for rows in self._rows.values() for row in rows)]


def _question(state: RunState, row: int) -> Question:
    prompt, kind, description = (str(each) for each in state.inputs(row)[:3])
    task, phase = state.task_of(row), state.phase_of(row)
    limit = task.timeout.max_runtime_seconds
    asked = state.started_ats[row] or state.called_at[row]
    answer = unpack(state.output(row)) if phase is ActionPhase.SUCCEEDED else None
    return Question(row, task.name, prompt, kind, description, asked, asked + limit if limit else None, phase, answer)


def parsed_answer(text: str, kind: str) -> Answer:
    """What somebody typed, as an answer of the type that was asked for.

    Raises:
        ValueError: it cannot be read as that.
    """
    word = text.strip()
    if kind == "str":
        return text
    if kind == "bool":
        if word.lower() in _YES | _NO:
            return word.lower() in _YES
        raise ValueError(f"Answer yes or no; got {text!r}.")
    try:
        return ANSWER_TYPES[kind](word)
    except ValueError:
        wanted = "a whole number" if kind == "int" else "a number"
        raise ValueError(f"Answer with {wanted}; got {text!r}.") from None
