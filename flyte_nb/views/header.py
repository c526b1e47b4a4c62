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
from flyte_nb.views.protocol import PROTOCOL, Cause, Causes, Counts, Fixed, Head, Look
from flyte_nb.views.wording import one_line, phase_word, plural, rate, time_left

#: Causes that are sent; the rest is counted.
MAX_CAUSES = 20
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
        "words": outcome(summary),
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
        "can_abort": not over and not aborting,
        "aborting": aborting and not over,
        "can_rerun": can_rerun and over and incomplete,
    }


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
    running = 0 if summary.phase.is_terminal or counts.get("running") else min(summary.slots_in_use, queued)
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
    if summary.total and not summary.ended and not summary.workers:
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
