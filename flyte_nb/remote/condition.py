"""Decides what the handle of a condition can tell and do: `flyte.remote.Condition`, the way to answer from elsewhere.

Must not know: how questions are shown.
"""

from __future__ import annotations

from collections.abc import Iterator

from flyte_nb.authoring.conditions import checked_answer
from flyte_nb.core.questions import ANSWER_TYPES, Answer, Question, Questions
from flyte_nb.remote.action import Action
from flyte_nb.remote.home import run_named
from flyte_nb.syncify import class_with_aio, with_aio


class Condition:
    """A question of a run: found by `listall` or `get`, answered by `signal`."""

    def __init__(self, action: Action, question: Question) -> None:
        self._action, self._question = action, question

    @property
    def name(self) -> str:
        """Its name, as it was given."""
        return self._question.name

    @property
    def action_name(self) -> str:
        """The name of its row among the run's actions."""
        return self._action.name

    @property
    def run_name(self) -> str:
        """The run that asks."""
        return self._action.run_name

    @property
    def phase(self) -> str:
        """Where it is: "PAUSED" while it waits for an answer."""
        return self._action.phase.name

    @property
    def expected_type(self) -> type | None:
        """What an answer is: bool, int, float or str."""
        return ANSWER_TYPES.get(self._question.kind)

    @with_aio
    def signal(self, payload: Answer) -> None:
        """Answer it with `payload`.

        Raises:
            TypeError: the answer is of another type than was asked for.
            ConditionNotFoundError: it has been answered, or its time is over.
        """
        if not isinstance(payload, bool | int | float | str):
            raise TypeError(f"payload must be bool, int, float, or str, got {type(payload).__name__}")
        self._action.signal(checked_answer(payload, self._question.kind))

    @class_with_aio
    def listall(cls: type[Condition], /, run_name: str, action_name: str | None = None, limit: int = 100) -> Iterator[Condition]:
        """The conditions of a run, the oldest first, open or not.

        Args:
            run_name: the run.
            action_name: only those that this action asks.
            limit: at most so many.

        Raises:
            RunNotFoundError: there is no such run here.
        """
        run = run_named(run_name)
        found = [cls(run.action(each.row), each) for each in run.read(Questions().read)]
        yield from [each for each in found if action_name in {None, each._action.parent_name}][:limit]  # noqa: SLF001 - its own

    @class_with_aio
    def get(cls: type[Condition], name: str, /, run_name: str, action_name: str | None = None) -> Condition | None:
        """The first condition of a name in a run (`run_name`), or of one of its actions (`action_name`); None if there is none.

        Raises:
            RunNotFoundError: there is no such run here.
        """
        return next((each for each in cls.listall(run_name, action_name, 1_000_000) if each.name == name), None)

    def __repr__(self) -> str:
        return f"<condition {self.name} of run {self.run_name}: {self.phase}>"
