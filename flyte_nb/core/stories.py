"""Decides how what happened to one action reads, line by line.

Must not know: events; it reads the state that they made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flyte_nb.core.phases import PHASES, ActionPhase

if TYPE_CHECKING:  # the state is what is told of; only its shape is needed
    from flyte_nb.core.state import RunState


def story_of(state: RunState, row: int) -> list[str]:
    """What happened to an action, in order, a line each."""
    lines = [f"{state.called_at[row]:.3f} called: {state.task_of(row).name} by row {state.parent_of(row)}"]
    for past in state.past.get(row, ()):
        if past.started_at:
            lines.append(f"{past.started_at:.3f} attempt {past.number} started on {past.worker or 'no worker'}")
        lines.append(f"{past.ended_at:.3f} attempt {past.number} {past.ending}: {past.reason}")
    phase = PHASES[state.phases[row]]
    if state.started_ats[row] and phase in {ActionPhase.RUNNING, ActionPhase.SUCCEEDED} and row not in state.reused:
        worker = state.workers[state.worker_ids[row]]
        lines.append(f"{state.started_ats[row]:.3f} attempt {state.attempts[row]} started on {worker}")
    if row in state.overdue:
        lines.append("stop requested, still running: its worker is not ours to end")
    if phase.is_terminal:
        told = f": succeeded in run {state.source}" if phase is ActionPhase.RECOVERED and state.source else ""
        lines.append(f"{state.ended_ats[row]:.3f} {phase}{told}")
    return lines
