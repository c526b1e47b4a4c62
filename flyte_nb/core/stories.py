"""Decides how what happened to one action reads, line by line.

Must not know: events; it reads the state that they made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flyte_nb.core.phases import PHASES, ActionPhase

if TYPE_CHECKING:  # the state is what is told of; only its shape is needed
    from flyte_nb.core.state import RunState


def story_of(state: RunState, row: int) -> list[str]:
    """What happened to an action, in order, a line each; times are seconds since the run's start."""

    def at(instant: float) -> str:
        return f"{instant - state.started_at:+.3f} s"

    caller = f" by {state.action_name(state.parent_of(row))}" if row else ""
    lines = [f"{at(state.called_at[row])} called: {state.task_of(row).name}{caller}"]
    for past in state.past.get(row, ()):
        if past.started_at:
            lines.append(f"{at(past.started_at)} attempt {past.number} started on {past.worker or 'no worker'}")
        lines.append(f"{at(past.ended_at)} attempt {past.number} {past.ending}: {past.reason}")
    phase = PHASES[state.phases[row]]
    if state.started_ats[row] and phase in {ActionPhase.RUNNING, ActionPhase.SUCCEEDED} and row not in state.reused:
        worker = state.workers[state.worker_ids[row]]
        lines.append(f"{at(state.started_ats[row])} attempt {state.attempts[row]} started on {worker}")
    if row in state.overdue:
        lines.append("stop requested, still running: its worker is not ours to end")
    if phase.is_terminal:
        told = f": succeeded in run {state.source}" if phase is ActionPhase.RECOVERED and state.source else ""
        lines.append(f"{at(state.ended_ats[row])} {phase}{told}")
    return lines
