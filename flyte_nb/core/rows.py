"""The small things that a run's state is made of, beside its columns.

Decides: what is kept of rows that share parent, group and task, and of what few rows have.
Must not know: events, or when any of this changes (`state`).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from flyte_nb.core.costs import UNKNOWN, Cost
from flyte_nb.core.phases import PHASES


class InvalidTransition(Exception):  # noqa: N818 - distributed's word for the same thing
    """An event does not fit the state: a defect in the controller or a damaged store. Carries the action's story."""


@dataclass(slots=True)
class Node:
    """Actions of one task, called by one parent in one group, and how many of them are in each phase."""

    parent: int
    group: int
    task: int
    counts: list[int] = field(default_factory=lambda: [0] * len(PHASES))
    first_called_at: float = 0.0
    last_ended_at: float = 0.0
    busy_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class AttemptRecord:
    """An attempt that ended without success."""

    number: int
    worker: str
    started_at: float
    ended_at: float
    ending: str
    reason: str
    cost: Cost = UNKNOWN


@dataclass(slots=True)
class Cause:
    """Failures of one task with one headline."""

    first_row: int
    count: int = 0
