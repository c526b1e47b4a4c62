"""Decides which phases an action can be in and which moves between them are legal.

The words are Flyte 2's own (`flyte.models.ActionPhase`). The table below is the one place where moves are
defined: `RunState` refuses every other one, and the diagram in ARCHITECTURE.md is drawn from it.

Must not know: why a move happens (that is the controller), or how a phase is shown (that is a view).
"""

from __future__ import annotations

from enum import Enum


class ActionPhase(str, Enum):
    """Where an action is, and a run: that of its root. Each is a text too: `phase == "failed"`.

    Attributes:
        QUEUED: It was called, and waits for a place, for others before it, or for its next attempt.
        WAITING_FOR_RESOURCES: Flyte's; here an action that waits for a worker is queued.
        INITIALIZING: Flyte's; workers are warm here.
        RUNNING: Its body runs, or waits for what it called.
        PAUSED: It is a question, and waits for its answer.
        SUCCEEDED: Its output can be read. Terminal, as are all that follow.
        FAILED: It raised an error, or lost its worker too often, and has no attempt left.
        ABORTED: It was stopped: by a person, by the end of its caller, or with its kernel.
        TIMED_OUT: It ran into a time limit, and has no attempt left.
        RECOVERED: It was not run: its output is that of an earlier run.
    """

    QUEUED = "queued"
    WAITING_FOR_RESOURCES = "waiting_for_resources"
    INITIALIZING = "initializing"
    RUNNING = "running"
    PAUSED = "paused"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    ABORTED = "aborted"
    TIMED_OUT = "timed_out"
    RECOVERED = "recovered"

    @property
    def is_terminal(self) -> bool:
        """Whether nothing can follow this phase."""
        return not PHASE_TRANSITIONS[self]

    def __str__(self) -> str:
        return self.value


_P = ActionPhase
_ENDS = frozenset({_P.SUCCEEDED, _P.FAILED, _P.ABORTED, _P.TIMED_OUT})

#: phase -> the phases that may follow it. An empty set marks a terminal phase.
#: queued -> an end without running: a short action whose start and end arrive in one report, a cached result,
#: or one that is dropped before it started. running -> queued: another attempt.
PHASE_TRANSITIONS: dict[ActionPhase, frozenset[ActionPhase]] = {
    _P.QUEUED: _ENDS | {_P.WAITING_FOR_RESOURCES, _P.INITIALIZING, _P.RUNNING, _P.RECOVERED},
    _P.WAITING_FOR_RESOURCES: _ENDS | {_P.QUEUED, _P.INITIALIZING, _P.RUNNING},
    _P.INITIALIZING: _ENDS | {_P.QUEUED, _P.RUNNING},
    _P.RUNNING: _ENDS | {_P.QUEUED, _P.PAUSED},
    _P.PAUSED: _ENDS | {_P.QUEUED, _P.RUNNING},
    _P.SUCCEEDED: frozenset(),
    _P.FAILED: frozenset(),
    _P.ABORTED: frozenset(),
    _P.TIMED_OUT: frozenset(),
    _P.RECOVERED: frozenset(),
}

#: A phase's code is its position here; columns hold codes, one byte an action.
PHASES: tuple[ActionPhase, ...] = tuple(ActionPhase)
CODE: dict[ActionPhase, int] = {phase: code for code, phase in enumerate(PHASES)}
TERMINAL: frozenset[ActionPhase] = frozenset(phase for phase in PHASES if phase.is_terminal)
TERMINAL_CODES: frozenset[int] = frozenset(CODE[phase] for phase in TERMINAL)
#: allowed[a][b] is true where code a may be followed by code b.
ALLOWED: tuple[tuple[bool, ...], ...] = tuple(tuple(b in PHASE_TRANSITIONS[a] for b in PHASES) for a in PHASES)
