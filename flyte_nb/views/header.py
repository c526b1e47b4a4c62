"""Decides what the live view's header says: the traits `fixed`, `head` and `causes` from a run's summary and state.

A count is shown as somebody would count: an action that took its result from the cache is *cached*, and while the
workers' slots are busy something *runs*, also where actions are too short to be reported as running.

Must not know: widgets, the browser, or how the table is made.
"""

from __future__ import annotations

import heapq
import time

from flyte_nb.core.phases import ActionPhase
from flyte_nb.core.state import RunState
from flyte_nb.core.summary import Summary
from flyte_nb.views.protocol import PROTOCOL, Cause, Causes, Counts, Fixed, Head, Look, Step
from flyte_nb.views.wording import count, one_line, phase_word, plural, rate, time_left

#: Causes that are sent; the rest is counted.
MAX_CAUSES = 20
#: Seconds after which a run that nothing happens in waits for others: until then, its first actions may just not be reported yet.
_BEHIND_SECONDS = 2.0
_MESSAGE, _CAUSE, _NAME = 400, 200, 120
_HAS_OUTPUT: tuple[Look, ...] = ("succeeded", "cached", "recovered")


def fixed_of(summary: Summary) -> Fixed:
    """What never changes of a run."""
    return {"protocol": PROTOCOL, "run": summary.run, "task": one_line(summary.task, _NAME), "started_at": summary.started_at}


def head_of(
    summary: Summary, *, version: int, reused: int = 0, aborting: bool = False, can_rerun: bool = False, now: float | None = None
) -> Head:
    """A run at a glance.

    Args:
        summary: a brief one will do.
        version: grows with every change of the run.
        reused: actions that took their result from the cache.
        aborting: somebody asked for its end.
        can_rerun: what failed can be run again from here.
        now: the kernel's clock; the real one by default.
    """
    over = summary.phase.is_terminal
    counts = shown_counts(summary, reused)
    mixed = summary.phase is ActionPhase.SUCCEEDED and summary.failed > 0
    incomplete = summary.failed > 0 or summary.phase is not ActionPhase.SUCCEEDED
    return {
        "version": version,
        "now": round(time.time() if now is None else now, 2),
        "phase": summary.phase.value,
        "words": _words(summary),
        "mixed": mixed,
        "over": over,
        "counts": counts,
        "total": summary.total,
        "ended": summary.ended,
        "failed": summary.failed,
        "results": sum(counts.get(look, 0) for look in _HAS_OUTPUT),
        "seconds": round(summary.elapsed_seconds, 3),
        "rate": rate(summary.rate),
        "left": _left(summary, short=False),
        "left_short": _left(summary, short=True),
        "workers": summary.workers,
        "slots": summary.slots,
        "busy": summary.slots_in_use,
        "message": one_line(summary.message, _MESSAGE),
        "note": "" if over else _note(summary),
        "steps": steps_of(summary),
        "can_abort": not over and not aborting,
        "aborting": aborting and not over,
        "can_rerun": can_rerun and over and incomplete,
    }


def _words(summary: Summary) -> str:
    if summary.starting is not None:
        return "Starting the cluster"
    return "Queued behind another run" if _is_behind(summary) else outcome(summary)


def _is_behind(summary: Summary) -> bool:
    """Whether all slots do something else: nothing of this run ends or runs, although there are actions that could."""
    waits = summary.counts.get(ActionPhase.QUEUED, 0) > 0 and not summary.counts.get(ActionPhase.RUNNING)
    full = 0 < summary.slots <= summary.slots_in_use
    return waits and full and summary.rate is None and summary.elapsed_seconds > _BEHIND_SECONDS


def steps_of(summary: Summary) -> list[Step]:
    """What has to happen before the first action can run, and how far that is; empty once the cluster is there."""
    starting = summary.starting
    if starting is None:
        return []
    there, expected = starting.workers, starting.expected
    ready = f"{count(there)} of {count(expected)} ready" if expected else f"{count(there)} ready"
    working: Look = "succeeded" if 0 < expected <= there else "running" if starting.scheduler else "queued"
    queued = summary.total - summary.ended
    first = f"starts on the first free slot; {count(queued)} {'is' if queued == 1 else 'are'} queued" if queued else "none called yet"
    return [
        {
            "look": "succeeded" if starting.scheduler else "running",
            "title": "Scheduler",
            "text": "ready" if starting.scheduler else "starting",
        },
        {"look": working, "title": "Workers", "text": ready},
        {"look": "queued", "title": "First action", "text": first},
    ]


def outcome(summary: Summary) -> str:
    """The run's phase in words, with what a bare `succeeded` would hide."""
    word = phase_word(summary.phase).capitalize()
    if summary.phase is ActionPhase.SUCCEEDED and summary.failed:
        return f"{word}, but {plural(summary.failed, 'action')} failed"
    return word


def shown_counts(summary: Summary, reused: int = 0) -> Counts:
    """Actions by look: cached ones apart, and those that run although they are over before it is reported."""
    counts: Counts = {phase.value: number for phase, number in summary.counts.items()}
    reused = min(reused, counts.get("succeeded", 0))
    queued = counts.get("queued", 0)
    hidden = not summary.phase.is_terminal and not counts.get("running") and not _is_behind(summary)
    running = min(summary.slots_in_use, queued) if hidden else 0
    changed: Counts = {"succeeded": counts.get("succeeded", 0) - reused, "cached": reused, "queued": queued - running}
    counts |= changed
    counts["running"] = counts.get("running", 0) + running
    return {look: number for look, number in counts.items() if number}


def _left(summary: Summary, *, short: bool) -> str:
    """Time left in words; nothing before the first action has ended, when nobody expects it."""
    if summary.phase.is_terminal or not summary.ended or (summary.eta_seconds is None and summary.ended == summary.total):
        return ""
    return time_left(summary.eta_seconds, may_grow=summary.more_may_come, short=short)


def _note(summary: Summary) -> str:
    """What a run waits for, where it is not its own actions."""
    waiting = summary.counts.get(ActionPhase.WAITING_FOR_RESOURCES, 0)
    if waiting:
        return f"{plural(waiting, 'action')} waiting for resources: no worker that could take them is free, or there is none."
    if _is_behind(summary):
        return f"Other runs use {'the only slot' if summary.slots == 1 else f'all {summary.slots:,} slots'}."
    if summary.total and not summary.ended and not summary.workers and summary.starting is None:
        return "Waiting for the first worker of the cluster."
    return ""


def causes_of(state: RunState) -> Causes:
    """The most frequent causes of failure; to be called while the state stands still."""
    most = heapq.nlargest(MAX_CAUSES, state.causes.values(), key=lambda cause: cause.count)
    return {
        "total": len(state.causes),
        "failed": sum(cause.count for cause in state.causes.values()),
        "causes": [_cause(state, cause.first_row, cause.count) for cause in most],
    }


def _cause(state: RunState, row: int, count: int) -> Cause:
    return {
        "key": str(row),
        "look": state.phase_of(row).value,
        "count": count,
        "text": one_line(state.failures[row].headline(), _CAUSE),
        "task": one_line(state.task_of(row).short_name, _NAME),
        "action": "",
        "row": row,
    }
