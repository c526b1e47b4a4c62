"""A submitter for code that calls nothing: whatever it is asked to do is a defect of the test."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

from flyte_nb.core.current import Frame, PendingCall, RunnableTask, Step
from flyte_nb.core.events import Inputs
from flyte_nb.core.payloads import Item


class NoSubmitter:
    """Refuses calls; keeps steps and reports for the test to look at."""

    def __init__(self) -> None:
        self.steps: list[tuple[Step, Exception | None]] = []
        self.replayed: list[str] = []
        self.reports: list[dict[str, str]] = []

    def start(self, call: PendingCall, task: RunnableTask, inputs: Inputs, frame: Frame) -> NoReturn:
        """Refuse."""
        del call, inputs, frame
        raise AssertionError(f"{task.facts.name} was called")

    def cancel(self, call: PendingCall) -> NoReturn:
        """Refuse."""
        del call
        raise AssertionError("a call was cancelled")

    def stream(self, task: RunnableTask, frame: Frame, limit: int = 0) -> NoReturn:
        """Refuse."""
        del frame, limit
        raise AssertionError(f"{task.facts.name} was called")

    def record_step(self, frame: Frame, step: Step, error: Exception | None) -> None:
        """Keep it."""
        del frame
        self.steps.append((step, error))

    def step_replayed(self, frame: Frame, key: str) -> None:
        """Keep it."""
        del frame
        self.replayed.append(key)

    def write_report(self, frame: Frame, tabs: Sequence[tuple[str, str]]) -> None:
        """Keep it."""
        del frame
        self.reports.append(dict(tabs))

    def answer_condition(self, run: str, name: str, answer: Item) -> NoReturn:
        """Refuse."""
        del run, answer
        raise AssertionError(f"{name} was answered")

    def action_name(self, frame: Frame) -> str:
        """A name."""
        return f"action-{frame.action.row}"
