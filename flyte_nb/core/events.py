"""Decides which facts are recorded about a run: immutable, in the past tense, applied in order by `RunState`.

Facts about many actions are one event (rows are a `range` where they are adjacent): a fan-out of 100,000 calls is a
handful of events. All instants are UTC seconds since 1970. An event never carries live objects; inputs and outputs
are items (`payloads`).

Must not know: who decides (controller) or who keeps (store).
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from flyte_nb.core.failure import Failure
from flyte_nb.core.payloads import Item
from flyte_nb.core.phases import ActionPhase
from flyte_nb.core.policy import Resources, RetryStrategy, Timeout

#: 2: `AttemptsMeasured`.
FORMAT_VERSION = 2

Rows = Sequence[int]
Inputs = tuple[Item, ...]
#: What a row of a run is a call of: a task, a traced function, or a condition that somebody answers.
TaskKind = Literal["task", "trace", "condition"]
#: How a run came of an earlier one.
Relation = Literal["", "rerun", "recover"]


@dataclass(frozen=True, slots=True)
class CacheFacts:
    """How results of a task are reused: "auto" reads and stores, "override" only stores, "disable" does neither.

    Attributes:
        serialize: of several equal calls at one time one runs, and the others take its result.
        max_age_seconds: how old a result may be.
        ignored: positions of the inputs that do not count.
    """

    behavior: str = "disable"
    serialize: bool = False
    max_age_seconds: float | None = None
    ignored: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class RunSettings:
    """What holds for all actions of a run.

    Attributes:
        env_vars: environment variables around the bodies.
        disable_cache: results are neither read from the cache nor stored in it.
        overwrite_cache: results are computed and stored.
        raw_data_path: the folder for files of the run.
        version: what the bodies are told as the version.
        max_action_concurrency: most actions that run at once, those included that wait for others; 0 is no limit.
    """

    env_vars: tuple[tuple[str, str], ...] = ()
    disable_cache: bool = False
    overwrite_cache: bool = False
    raw_data_path: str = ""
    version: str = ""
    max_action_concurrency: int = 0


NO_SETTINGS = RunSettings()


@dataclass(frozen=True, slots=True)
class TaskFacts:
    """What a run needs to know of a task.

    Attributes:
        key: identifies this definition of the task (a re-run cell makes another one).
        name: `<environment>.<function>`; `short_name` is for display.
        parameters: names, in the order of an action's inputs.
        outputs: names of the declared outputs; empty if none are declared.
        is_async: whether the body is an `async def`.
        on_cluster: a root of this task runs on the cluster although it is async (its environment asks for resources).
        concurrency: most actions of it that may run at once on one worker; 0 is no limit.
        kind: a task, or what is recorded beside tasks.
        code: digest of its code.
        version: digest of its code and of all that it uses, as it was when it was first called in the run; part of the
            names of its actions. Empty where that is not known.
        place: `<module>:<qualified name>` of its function.
        cache: how its results are reused.
        secrets: names of the kernel's environment variables that its bodies get; their values are recorded nowhere.
    """

    key: str
    name: str
    short_name: str
    parameters: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    is_async: bool = False
    on_cluster: bool = False
    retries: RetryStrategy = RetryStrategy(0)
    timeout: Timeout = Timeout()
    resources: Resources = Resources()
    concurrency: int = 0
    kind: TaskKind = "task"
    code: str = ""
    cache: CacheFacts = CacheFacts()
    version: str = ""
    place: str = ""
    secrets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RunStarted:
    """A run began; its root action is row 0.

    `source` is the earlier run that it repeats, `relation` how: as a "rerun", or as a "recover" of it. `blob` is the pickled
    task, if it can be had: another kernel may want to run it again.
    """

    run: str
    task: TaskFacts
    inputs: Inputs
    at: float
    custom_context: tuple[tuple[str, str], ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    settings: RunSettings = RunSettings()
    source: str = ""
    relation: Relation = ""
    blob: Item = None


@dataclass(frozen=True, slots=True)
class TaskDeclared:
    """A task was called for the first time in the run; its id is its position. `blob` is the pickled task."""

    run: str
    task: TaskFacts
    blob: Item = None


@dataclass(frozen=True, slots=True)
class ActionsCalled:
    """One parent called one task in one group, `len(inputs)` times in a row; rows are given from `first` on.

    `sequences` says which of the parent's identical calls each one is, where that is not told by counting: in an attempt
    that takes over calls of an earlier one. `step` finds a traced step again in another attempt of its parent.
    """

    run: str
    first: int
    parent: int
    task: int
    group: str
    inputs: Sequence[Inputs]
    at: float
    sequences: Sequence[int] = ()
    step: str = ""


@dataclass(frozen=True, slots=True)
class AttemptsStarted:
    """Attempts began to run on a worker."""

    run: str
    rows: Rows
    worker: str
    at: array[float]


@dataclass(frozen=True, slots=True)
class AttemptsMeasured:
    """What attempts cost that are about to end.

    `cpu_seconds`: of processor time, -1 where it is not known. `memory`: the most that their worker's process had meanwhile,
    in KiB, 0 where it is not known.
    """

    run: str
    rows: Rows
    cpu_seconds: array[float]
    memory: array[int]


@dataclass(frozen=True, slots=True)
class ActionsSucceeded:
    """Actions ended well. Includes the start of attempts that no `AttemptsStarted` told of."""

    run: str
    rows: Rows
    worker: str
    outputs: Sequence[Item]
    started: array[float]
    ended: array[float]


@dataclass(frozen=True, slots=True)
class ActionsReused:
    """Actions ended well without running: an earlier result was taken."""

    run: str
    rows: Rows
    outputs: Sequence[Item]
    at: float


@dataclass(frozen=True, slots=True)
class ActionsRecovered:
    """Actions did not run: they had succeeded in the run that this one recovers, and their outputs were taken."""

    run: str
    rows: Rows
    outputs: Sequence[Item]
    at: float


@dataclass(frozen=True, slots=True)
class ActionPaused:
    """A running action waits for somebody's answer."""

    run: str
    row: int
    at: float


@dataclass(frozen=True, slots=True)
class AttemptFailed:
    """An attempt ended badly and another one will be made, not before `retry_at`."""

    run: str
    row: int
    failure: Failure
    started: float
    ended: float
    retry_at: float


@dataclass(frozen=True, slots=True)
class ActionFailed:
    """An action ended badly: phase failed or timed_out."""

    run: str
    row: int
    phase: ActionPhase
    failure: Failure
    started: float
    ended: float


@dataclass(frozen=True, slots=True)
class AttemptsLost:
    """Attempts ended because their worker went away; they are queued again at no cost to their retries."""

    run: str
    rows: Rows
    reason: str
    at: float


@dataclass(frozen=True, slots=True)
class ActionsAborted:
    """Actions were stopped, or dropped before they started."""

    run: str
    rows: Rows
    reason: str
    at: float


@dataclass(frozen=True, slots=True)
class StopsOverdue:
    """Actions were told to stop and go on, on workers that are not ours to end."""

    run: str
    rows: Rows
    at: float


@dataclass(frozen=True, slots=True)
class LogWritten:
    """An attempt printed."""

    run: str
    row: int
    attempt: int
    text: str


@dataclass(frozen=True, slots=True)
class ReportWritten:
    """An attempt wrote its report: HTML by tab, all of it."""

    run: str
    row: int
    tabs: tuple[tuple[str, str], ...]


Event = (
    RunStarted
    | TaskDeclared
    | ActionsCalled
    | AttemptsStarted
    | AttemptsMeasured
    | ActionsSucceeded
    | ActionsReused
    | ActionsRecovered
    | ActionPaused
    | AttemptFailed
    | ActionFailed
    | AttemptsLost
    | ActionsAborted
    | StopsOverdue
    | LogWritten
    | ReportWritten
)
