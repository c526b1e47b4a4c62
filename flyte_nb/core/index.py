"""Decides what a list of runs tells of each: one entry a run, cheap to read without its actions.

Must not know: where runs are kept (store), or how lists look (views).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from flyte_nb.core.phases import PHASES, ActionPhase
from flyte_nb.core.state import RunState

#: Whose run it is: this process's, another living kernel's, or nobody's (its kernel is gone, and the run has ended).
Owner = Literal["here", "elsewhere", "gone"]


@dataclass(frozen=True, slots=True)
class RunEntry:
    """A run in a list.

    Attributes:
        name: the run's name.
        task: its root task's name.
        phase: where the run is.
        counts: actions by phase, the root left out; phases without actions are missing.
        started_at: UTC seconds since 1970.
        ended_at: the same; None while it goes on.
        notebook: the notebook or script that started it; empty if that is not known.
        labels: what it was labelled with.
        owner: whose run it is.
        stored: it is kept on disk.
    """

    name: str
    task: str
    phase: ActionPhase
    counts: Mapping[ActionPhase, int]
    started_at: float
    ended_at: float | None
    notebook: str = ""
    labels: tuple[tuple[str, str], ...] = ()
    owner: Owner = "here"
    stored: bool = False

    @property
    def actions(self) -> int:
        """Number of actions, the root left out."""
        return sum(self.counts.values())


@dataclass(frozen=True, slots=True)
class RunFilter:
    """Which runs a list shows; what is None or empty is no condition.

    Attributes:
        phases: one of these.
        task: the root task's name or its part after the dot.
        since: started at this instant or later, UTC seconds.
        before: started before this instant.
        notebook: the notebook's path or its last part.
        labels: all of these.
        limit: only so many, the latest.
    """

    phases: frozenset[ActionPhase] = frozenset()
    task: str = ""
    since: float | None = None
    before: float | None = None
    notebook: str = ""
    labels: tuple[tuple[str, str], ...] = ()
    limit: int | None = None

    def accepts(self, entry: RunEntry) -> bool:
        """Whether a run passes (`limit` is not looked at)."""
        return (
            (not self.phases or entry.phase in self.phases)
            and self.task in {"", entry.task, entry.task.rpartition(".")[2]}
            and (self.since is None or entry.started_at >= self.since)
            and (self.before is None or entry.started_at < self.before)
            and self.notebook in {"", entry.notebook, entry.notebook.rpartition("/")[2]}
            and set(self.labels) <= set(entry.labels)
        )


ALL_RUNS = RunFilter()


def entry_of(state: RunState, *, notebook: str = "", stored: bool = False) -> RunEntry:
    """The entry of a run that this process holds."""
    return RunEntry(
        name=state.name,
        task=state.root.name,
        phase=state.phase,
        counts={phase: count for phase, count in state.phase_counts().items() if count},
        started_at=state.started_at,
        ended_at=state.ended_at,
        notebook=notebook,
        labels=state.labels,
        stored=stored,
    )


def phase_counts(codes: Mapping[int, int]) -> dict[ActionPhase, int]:
    """Counts by phase from counts by phase code."""
    return {PHASES[code]: count for code, count in sorted(codes.items())}
