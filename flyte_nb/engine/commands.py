"""Decides what the controller can order: frozen values in the imperative, carried out by the runner.

`SendChunk`, `SendTask`, `StopActions`, `ForgetRun` and the answers go to a place over its link as they are.

Must not know: how anything is carried out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from flyte_nb.core.current import Context
from flyte_nb.core.events import NO_SETTINGS, Event, Inputs, RunSettings
from flyte_nb.core.failure import Failure
from flyte_nb.core.payloads import Item


@dataclass(frozen=True, slots=True)
class SendTask:
    """Make a task known at a place; `digest` names this very blob, `task` is the task's name."""

    place: str
    digest: str
    blob: bytes
    task: str = ""


@dataclass(frozen=True, slots=True)
class SendChunk:
    """Start one attempt of each of these actions at a place.

    Attributes:
        chunk: id of the chunk and token of its attempts.
        rows, inputs, attempts: one entry an action.
        groups: one entry an action, or a single one for all.
        budget_seconds: after this long, what has not started is to be handed back.
        recorded: by row, the steps that earlier attempts have taken.
        secrets: variables of the kernel's environment that the runner adds to the settings when it sends the chunk.
    """

    place: str
    chunk: int
    run: str
    run_started_at: float
    digest: str
    is_async: bool
    rows: Sequence[int]
    inputs: Sequence[Inputs]
    attempts: Sequence[int]
    groups: Sequence[str]
    custom_context: Context
    budget_seconds: float
    concurrency: int = 0
    settings: RunSettings = NO_SETTINGS
    recorded: Mapping[int, Mapping[str, Item | Failure]] | None = None
    secrets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StopActions:
    """Stop these actions of a chunk (positions), or drop them if they have not started."""

    place: str
    chunk: int
    indices: Sequence[int]


@dataclass(frozen=True, slots=True)
class AnswerOutputs:
    """Hand outputs to a port."""

    place: str
    port: int
    seqs: Sequence[int]
    outputs: Sequence[Item]


@dataclass(frozen=True, slots=True)
class AnswerFailure:
    """Hand a failure to a port; `where` is (run, action name, task name, path from the root, inputs as text)."""

    place: str
    port: int
    seq: int
    failure: Failure
    where: tuple[str, str, str, str, str]


@dataclass(frozen=True, slots=True)
class AnswerName:
    """Tell a body its action's name."""

    place: str
    port: int
    name: str


@dataclass(frozen=True, slots=True)
class ForgetRun:
    """Drop what a place keeps for a run."""

    place: str
    run: str


@dataclass(frozen=True, slots=True)
class HandBack:
    """Give back everything that has not started."""

    place: str


@dataclass(frozen=True, slots=True)
class EndProcess:
    """A worker on another machine ends itself."""

    place: str


@dataclass(frozen=True, slots=True)
class KillWorker:
    """End a worker's process: something on it does not stop."""

    agent: str
    reason: str


@dataclass(frozen=True, slots=True)
class WantSlots:
    """Ask for so many slots more of a worker that others use too."""

    place: str
    count: int


@dataclass(frozen=True, slots=True)
class RecordEvent:
    """Append an event (already applied to the run's state) to the log."""

    event: Event


@dataclass(frozen=True, slots=True)
class AnnounceEnd:
    """A run and all its actions have ended."""

    run: str


@dataclass(frozen=True, slots=True)
class RefuseRun:
    """A request cannot become a run."""

    run: str
    reason: str


@dataclass(frozen=True, slots=True)
class ReportDefect:
    """Say loudly that the engine itself failed; the runs that it concerns have been ended."""

    runs: str
    traceback: str


Command = (
    SendTask
    | SendChunk
    | StopActions
    | AnswerOutputs
    | AnswerFailure
    | AnswerName
    | ForgetRun
    | EndProcess
    | HandBack
    | KillWorker
    | WantSlots
    | RecordEvent
    | AnnounceEnd
    | RefuseRun
    | ReportDefect
)
