"""Decides what a view may know of a run at a glance: an immutable read model, cheap to make at any size.

Everything here comes from counts that the state keeps anyway, so a summary of a million actions costs as much as one
of ten (it grows with the number of groups and of causes of failure, and both lists are capped).

Must not know: widgets, HTML, colours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from flyte_nb.core.phases import CODE, PHASES, TERMINAL, ActionPhase
from flyte_nb.core.state import Node, RunState

MAX_GROUPS = 500
MAX_CAUSES = 50
#: An ETA is given from this many ended actions on. Its range is this much to either side; where the pace was seen to
#: vary more, it goes from the 90th to the 10th percentile of the paces over so many samples.
_ETA_FROM, _ETA_LOW, _ETA_HIGH = 5, 0.75, 1.35
_PACE_SPAN, _PACES_NEEDED = 4, 5
_FAILED = (CODE[ActionPhase.FAILED], CODE[ActionPhase.TIMED_OUT])


@dataclass(frozen=True, slots=True)
class GroupSummary:
    """Actions that one parent called in one group (`name` is empty for calls outside of groups).

    `seconds` is the time from the first call to the last end (or to now while some are open).
    """

    parent: int
    parent_name: str
    name: str
    tasks: tuple[str, ...]
    counts: Mapping[ActionPhase, int]
    total: int
    ended: int
    failed: int
    seconds: float


@dataclass(frozen=True, slots=True)
class FailureLine:
    """One cause of failures: `count` actions of `task` with the same code and message; `row` is the first of them."""

    row: int
    action: str
    task: str
    code: str
    message: str
    count: int


@dataclass(frozen=True, slots=True)
class Starting:
    """A cluster that is being started: whether its scheduler is there, and how many of its workers; `expected` is 0 if nobody knows."""

    scheduler: bool
    workers: int
    expected: int


@dataclass(frozen=True, slots=True)
class Summary:
    """A run at one moment. Counts leave the root action out: it is the run."""

    run: str
    task: str
    phase: ActionPhase
    counts: Mapping[ActionPhase, int]
    total: int
    ended: int
    failed: int
    started_at: float
    elapsed_seconds: float
    rate: float | None
    eta_seconds: tuple[float, float] | None
    more_may_come: bool
    groups: tuple[GroupSummary, ...]
    groups_total: int
    failures: tuple[FailureLine, ...]
    failure_causes_total: int
    workers: int
    slots: int
    slots_in_use: int
    message: str
    starting: Starting | None = None


def summarise(
    state: RunState,
    now: float,
    *,
    workers: int = 0,
    slots: int = 0,
    slots_in_use: int = 0,
    starting: Starting | None = None,
    brief: bool = False,
) -> Summary:
    """Read a run's state.

    Args:
        state: the run.
        now: UTC seconds; used while the run is open.
        workers: workers of the cluster.
        slots: what they can run at once.
        slots_in_use: of these, busy ones.
        starting: how far the cluster is that is being started; None if it is there.
        brief: leave out groups and failures: then it costs the same whatever the run holds.
    """
    counts = state.phase_counts()
    total = state.count - 1
    ended = sum(counts[phase] for phase in TERMINAL)
    until = state.ended_at if state.ended_at is not None else now
    rate = _rate(state, now)
    over = state.phase.is_terminal
    groups = [] if brief else _groups(state, now)
    return Summary(
        run=state.name,
        task=state.root.short_name,
        phase=state.phase,
        counts={phase: count for phase, count in counts.items() if count},
        total=total,
        ended=ended,
        failed=sum(state.totals[code] for code in _FAILED) - (state.phases[0] in _FAILED),
        started_at=state.started_at,
        elapsed_seconds=max(0.0, until - state.started_at),
        rate=rate,
        eta_seconds=None if over else _eta(state, total - ended, ended, rate),
        more_may_come=not state.phase_of(0).is_terminal,
        groups=tuple(groups[:MAX_GROUPS]),
        groups_total=len(groups),
        failures=() if brief else _failures(state),
        failure_causes_total=len(state.causes),
        workers=workers,
        slots=slots,
        slots_in_use=slots_in_use,
        message=_message(state),
        starting=None if over else starting,
    )


def _rate(state: RunState, now: float) -> float | None:
    """Ended actions a second over the last samples; over the whole run once it has ended."""
    ended = state.count - state.open_count
    if state.ended_at is not None:
        seconds = state.ended_at - state.started_at
        return (ended - 1) / seconds if seconds > 0 and ended > 1 else None
    if not state.pace:
        return None
    first_at, first_count = state.pace[0]
    if len(state.pace) == 1:
        first_at, first_count = state.started_at, 0
    seconds = now - first_at
    return (ended - first_count) / seconds if seconds > 0 and ended > first_count else None


def _eta(state: RunState, remaining: int, ended: int, rate: float | None) -> tuple[float, float] | None:
    if rate is None or ended < _ETA_FROM or remaining <= 0:
        return None
    low, high = remaining / rate * _ETA_LOW, remaining / rate * _ETA_HIGH
    samples = list(state.pace)
    pairs = zip(samples, samples[_PACE_SPAN:], strict=False)
    paces = sorted((after[1] - before[1]) / (after[0] - before[0]) for before, after in pairs if after[0] > before[0])
    if len(paces) >= _PACES_NEEDED:
        slow, fast = paces[len(paces) // 10], paces[-1 - len(paces) // 10]
        low, high = min(low, remaining / fast if fast > 0 else low), max(high, remaining / slow if slow > 0 else high)
    return low, high


def _groups(state: RunState, now: float) -> list[GroupSummary]:
    """Groups with failures first, then those that go on; otherwise in the order of their first call."""
    merged: dict[tuple[int, int], list[Node]] = {}
    for node in state.nodes[1:]:
        merged.setdefault((node.parent, node.group), []).append(node)
    summaries = [_group(state, parent, state.groups[group], nodes, now) for (parent, group), nodes in merged.items()]
    summaries.sort(key=lambda group: (not group.failed, group.ended == group.total))
    return summaries


def _group(state: RunState, parent: int, name: str, nodes: list[Node], now: float) -> GroupSummary:
    sums = [sum(column) for column in zip(*(node.counts for node in nodes), strict=True)]
    total = sum(sums)
    ended = sum(count for count, phase in zip(sums, PHASES, strict=True) if phase in TERMINAL)
    last = max(node.last_ended_at for node in nodes) if ended == total else now
    return GroupSummary(
        parent=parent,
        parent_name=state.task_of(parent).short_name,
        name=name,
        tasks=tuple(dict.fromkeys(state.tasks[node.task].short_name for node in nodes)),
        counts={phase: count for phase, count in zip(PHASES, sums, strict=True) if count},
        total=total,
        ended=ended,
        failed=sum(sums[code] for code in _FAILED),
        seconds=max(0.0, last - min(node.first_called_at for node in nodes)),
    )


def _failures(state: RunState) -> tuple[FailureLine, ...]:
    """Causes, the most frequent first; the root's own failure is the run's message."""
    causes = sorted(state.causes.values(), key=lambda cause: -cause.count)
    lines = []
    for cause in causes[:MAX_CAUSES]:
        row = cause.first_row
        failure = state.failures[row]
        lines.append(FailureLine(row, state.action_name(row), state.task_of(row).short_name, failure.code, failure.message, cause.count))
    return tuple(lines)


def _message(state: RunState) -> str:
    """Why a run did not succeed, or why it does not end, in one line."""
    if state.overdue:
        count = len(state.overdue)
        what = "1 action" if count == 1 else f"{count:,} actions"
        return f"stop requested, still running: {what} on workers that are not ours to end (flyte.init(kill_workers=True) would)"
    if 0 in state.failures:
        return state.failures[0].headline()
    return state.abort_reason(0)
