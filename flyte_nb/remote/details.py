"""Decides what an action tells of itself in the words of Flyte's details: times by phase, error, abort, where it belongs.

Must not know: what can be done with an action.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol, TypeVar

from flyte_nb import errors
from flyte_nb.authoring.context import ActionID
from flyte_nb.core.phases import ActionPhase
from flyte_nb.core.state import RunState
from flyte_nb.remote.home import Home

T = TypeVar("T")


class Owner(Protocol):
    """What an action needs of its run's handle."""

    state: RunState
    home: Home

    @property
    def name(self) -> str:
        """The run's name."""
        ...

    def read(self, reader: Callable[[RunState], T]) -> T:
        """Call `reader(state)` while nothing changes."""
        ...


@dataclass(frozen=True, slots=True)
class ErrorInfo:
    """What went wrong, in Flyte's words.

    Attributes:
        kind: Whose error it is: "user", "system" or "unknown".
        code: What it is matched by; of a user's error the name of its class.
        message: The text.
    """

    kind: str
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class AbortInfo:
    """Why an action was aborted.

    Attributes:
        reason: The reason.
        aborted_by: Who did it; empty here.
    """

    reason: str
    aborted_by: str = ""


@dataclass(frozen=True, slots=True)
class ActionMetadata:
    """What Flyte keeps beside an action.

    Attributes:
        group: The group that it was called in; empty if there was none.
        funtask_name: The name of the task.
        parent: The name of the action that called it; None for the root.
    """

    group: str
    funtask_name: str
    parent: str | None


@dataclass(frozen=True, slots=True)
class PhaseTransitionInfo:
    """A phase that an attempt went through.

    Attributes:
        phase: The phase.
        start_time, end_time: When, UTC; no end while it is in it.
    """

    phase: ActionPhase
    start_time: datetime
    end_time: datetime | None

    @property
    def duration(self) -> timedelta:
        """How long, until now if it goes on."""
        return (self.end_time or datetime.now(UTC)) - self.start_time


class Described(ABC):
    """What an action tells of itself; `Action` adds what can be done with it."""

    def __init__(self, run: Owner, row: int) -> None:
        self._run, self._row = run, row

    @property
    def name(self) -> str:
        """The action's deterministic name; the root is `a0`."""
        return self._run.read(lambda state: state.action_name(self._row))

    @property
    def run_name(self) -> str:
        """The run's name."""
        return self._run.name

    @property
    def task_name(self) -> str:
        """`<environment>.<function>`."""
        return self._run.state.task_of(self._row).name

    @property
    def parent_name(self) -> str | None:
        """Name of the action that called it; None for the root."""
        if self._row == 0:
            return None
        return self._run.read(lambda state: state.action_name(state.parent_of(self._row)))

    @property
    def group(self) -> str | None:
        """The group that it was called in."""
        return self._run.state.group_of(self._row) or None

    @property
    def phase(self) -> ActionPhase:
        """Where it is."""
        return self._run.state.phase_of(self._row)

    @property
    def raw_phase(self) -> ActionPhase:
        """The same as `phase`."""
        return self.phase

    @property
    def action_id(self) -> ActionID:
        """Its name and its run's."""
        return ActionID(self.name, self.run_name)

    @property
    def attempts(self) -> int:
        """Attempts that have started."""
        return self._run.state.attempts[self._row]

    @property
    def start_time(self) -> datetime | None:
        """When its last attempt started, UTC."""
        return instant(self._run.state.started_ats[self._row])

    @property
    def end_time(self) -> datetime | None:
        """When it ended, UTC."""
        return instant(self._run.state.ended_ats[self._row])

    @property
    @abstractmethod
    def error(self) -> errors.BaseRuntimeError | None:
        """What it raised; see `Action`."""

    @property
    def logs(self) -> str:
        """What it printed (at most 100,000 characters are kept)."""
        return self._run.read(lambda state: state.logs(self._row))

    @property
    def created_at(self) -> datetime | None:
        """When it was called, UTC."""
        return instant(self._run.state.called_at[self._row])

    @property
    def is_running(self) -> bool:
        """Whether it runs now."""
        return self.phase is ActionPhase.RUNNING

    @property
    def runtime(self) -> timedelta:
        """How long its last attempt ran, or has been running."""
        return (self.end_time or datetime.now(UTC)) - (self.start_time or self.end_time or datetime.now(UTC))

    @property
    def running_time(self) -> timedelta | None:
        """The same; None before its start."""
        return self.runtime if self.start_time is not None else None

    @property
    def queued_time(self) -> timedelta | None:
        """From its call to the start of its last attempt, or until now."""
        called = self.created_at
        return None if called is None else (self.start_time or self.end_time or datetime.now(UTC)) - called

    @property
    def error_info(self) -> ErrorInfo | None:
        """Kind, code and message of its error; None if it has none."""
        error = self.error
        return None if error is None or self.phase is ActionPhase.ABORTED else ErrorInfo(error.kind, error.code, str(error))

    @property
    def abort_info(self) -> AbortInfo | None:
        """Why it was aborted; None if it was not."""
        reason = self._run.state.abort_reason(self._row)
        return AbortInfo(reason) if self.phase is ActionPhase.ABORTED else None

    @property
    def metadata(self) -> ActionMetadata:
        """What Flyte keeps under this name."""
        return ActionMetadata(self.group or "", self.task_name, self.parent_name)

    def logs_available(self, attempt: int | None = None) -> bool:
        """Whether it has printed something, in any `attempt`."""
        del attempt
        return bool(self.logs)

    @property
    def code_bundle(self) -> None:
        """There are no bundles here: code travels with its task."""
        return

    # ------------------------------------------------------------------ times
    def get_phase_transitions(self, attempt: int | None = None) -> list[PhaseTransitionInfo]:
        """The phases that an attempt went through, and when.

        Args:
            attempt: counted from 1; None is the latest. One that there is not has none.
        """
        return self._run.read(lambda state: transitions(state, self._row, attempt))

    @property
    def phase_durations(self) -> dict[ActionPhase, timedelta]:
        """How long the latest attempt was in each phase."""
        return {each.phase: each.duration for each in self.get_phase_transitions()}

    @property
    def waiting_for_resources_time(self) -> timedelta | None:
        """Always None: an action that waits for a worker is queued."""
        return self.phase_durations.get(ActionPhase.WAITING_FOR_RESOURCES)

    @property
    def initializing_time(self) -> timedelta | None:
        """Always None: workers are warm."""
        return self.phase_durations.get(ActionPhase.INITIALIZING)

    # ------------------------------------------------------------------ as text
    def to_dict(self) -> dict[str, Any]:
        """Facts about it, of types that JSON knows."""
        return {
            "run": self.run_name,
            "name": self.name,
            "task": self.task_name,
            "parent": self.parent_name,
            "group": self.group,
            "phase": self.phase.value,
            "attempts": self.attempts,
            "start_time": _iso(self.start_time),
            "end_time": _iso(self.end_time),
        }

    def to_json(self) -> str:
        """The same as JSON."""
        return json.dumps(self.to_dict())


def transitions(state: RunState, row: int, attempt: int | None) -> list[PhaseTransitionInfo]:
    """The phases that an attempt of an action went through."""
    past = state.past.get(row, [])
    started, ended = state.started_ats[row], state.ended_ats[row]
    spans = [(each.started_at, each.ended_at) for each in past]
    if not state.phase_of(row).is_terminal or len(past) < max(1, state.attempts[row]):
        spans.append((started, ended))
    number = len(spans) if attempt is None else attempt
    if not 1 <= number <= len(spans):
        return []
    queued = state.called_at[row] if number == 1 else spans[number - 2][1]
    began, over = spans[number - 1]
    found = [PhaseTransitionInfo(ActionPhase.QUEUED, _sure(queued), instant(began or over))]
    if began:
        phase = ActionPhase.PAUSED if state.task_of(row).kind == "condition" else ActionPhase.RUNNING
        found.append(PhaseTransitionInfo(phase, _sure(began), instant(over)))
    return found


def last_lines(lines: Sequence[str], most: int | None) -> Sequence[str]:
    """The last of some lines, or all of them."""
    return lines if most is None else lines[max(0, len(lines) - most) :]


def instant(seconds: float) -> datetime | None:
    """Seconds since 1970 as an instant; None for 0."""
    return _sure(seconds) if seconds else None


def _sure(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
