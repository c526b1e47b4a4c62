"""Decides what can reach the controller: everything that happens outside of it, as frozen values.

Those that come from a worker travel over the link as they are, so they hold items and text, never live objects.
A *place* is where a caller lives: a worker's agent id, or `KERNEL`. A *port* is one caller's mailbox at its place.

Must not know: what the controller makes of them.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field

from flyte_nb.core.caching import Sought
from flyte_nb.core.current import Context, Step
from flyte_nb.core.events import NO_SETTINGS, Inputs, RunSettings, TaskFacts
from flyte_nb.core.failure import Failure
from flyte_nb.core.payloads import Item
from flyte_nb.engine.recovery import NO_ORIGIN, Origin

KERNEL = "kernel"


@dataclass(frozen=True, slots=True)
class RunRequested:
    """Somebody wants a run; `blob` is the pickled task, `in_kernel` says where the root's body runs.

    `kept` is the pickled task of a root in the kernel, for a later kernel that runs it again.

    `origin` says which earlier run it repeats, and what it takes over of it.
    """

    run: str
    task: TaskFacts
    blob: bytes
    inputs: Inputs
    in_kernel: bool
    max_actions: int
    custom_context: Context = ()
    labels: Context = ()
    settings: RunSettings = NO_SETTINGS
    cache_key: str = ""
    origin: Origin = NO_ORIGIN
    kept: bytes = b""


@dataclass(frozen=True, slots=True)
class TaskOffered:
    """A place is about to call a task that its run may not know yet."""

    run: str
    task: TaskFacts
    blob: bytes


@dataclass(frozen=True, slots=True)
class Called:
    """Calls of one task by one action, in one group, made in one go; answers go to `port`, from `first_seq` on."""

    place: str
    port: int
    first_seq: int
    run: str
    parent: int
    token: int
    task_key: str
    group: str
    custom_context: Context
    inputs: Sequence[Inputs]
    cache_keys: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class CallsCancelled:
    """A caller no longer wants these answers."""

    place: str
    port: int
    seqs: Sequence[int]


@dataclass(frozen=True, slots=True)
class NameAsked:
    """A body wants to know its action's name."""

    place: str
    port: int
    run: str
    row: int


@dataclass(frozen=True, slots=True)
class ChunkReport:
    """What became of a chunk's actions since its last report; indices are positions in the chunk.

    Attributes:
        begun: actions that run now, with the instants of their start.
        indices, outputs, started, ended: actions that succeeded.
        failed: (index, failure, started, ended).
        stopped: (index, ended) of actions that ended because they were told to.
        returned: indices that were not started and are handed back.
        logs: (index, text).
        measured: (index, seconds of processor time, bytes of memory) of actions that ended, if they were not short.
        finished: nothing more will come for this chunk.
        tainted: an exception was thrown into an action's thread to stop it.
        busy_seconds: time that the code of `steps` actions kept the thread or the loop to itself.
    """

    chunk: int
    begun: Sequence[tuple[int, float]] = ()
    indices: Sequence[int] = ()
    outputs: Sequence[Item] = ()
    started: array[float] = field(default_factory=lambda: array("d"))
    ended: array[float] = field(default_factory=lambda: array("d"))
    failed: Sequence[tuple[int, Failure, float, float]] = ()
    stopped: Sequence[tuple[int, float]] = ()
    returned: Sequence[int] = ()
    logs: Sequence[tuple[int, str]] = ()
    measured: Sequence[tuple[int, float, int]] = ()
    finished: bool = False
    busy_seconds: float = 0.0
    steps: int = 0
    tainted: bool = False


@dataclass(frozen=True, slots=True)
class StepEnded:
    """A traced function ended inside an action; `failure` if it raised."""

    place: str
    run: str
    parent: int
    token: int
    group: str
    step: Step
    failure: Failure | None


@dataclass(frozen=True, slots=True)
class StepReplayed:
    """A body came to a traced step or a condition whose outcome was known from before."""

    run: str
    parent: int
    token: int
    key: str


@dataclass(frozen=True, slots=True)
class ReportFlushed:
    """A body wrote its report: HTML by tab, all of it."""

    run: str
    row: int
    token: int
    tabs: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class ConditionAnswered:
    """Somebody answers an open condition: the one of a row, or else the first one of a name."""

    run: str
    row: int | None
    name: str
    answer: Item


@dataclass(frozen=True, slots=True)
class ResultsSought:
    """What the cache of results had left open."""

    sought: Sought


@dataclass(frozen=True, slots=True)
class SlotYielded:
    """A sync body waits for its children (`waiting`) and lends its slot, or goes on."""

    chunk: int
    waiting: bool


@dataclass(frozen=True, slots=True)
class SlotGranted:
    """A worker that others use too has a slot more for us."""

    agent: str


@dataclass(frozen=True, slots=True)
class SlotReturned:
    """It has one less; `others_wait` says that others are waiting for it."""

    agent: str
    others_wait: bool = False


@dataclass(frozen=True, slots=True)
class AgentJoined:
    """A worker is ready for chunks; `leased` says that its slots must be asked for, as others use it too."""

    agent: str
    name: str
    pid: int
    slots: int
    ours: bool = True
    memory_limit: int = 0
    gpus: int = 0
    leased: bool = False


@dataclass(frozen=True, slots=True)
class AgentLeaving:
    """A worker is about to go: it takes nothing new, and what it has and has not started comes back.

    `gone` says that its connection has ended already, and that it will soon be told why.
    """

    agent: str
    gone: bool = False


@dataclass(frozen=True, slots=True)
class AgentLost:
    """A worker is gone, and with it everything that it held.

    `rss_bytes` is what it used when it was ended for using more than `limit_bytes`; 0 if it was not.
    """

    agent: str
    reason: str
    rss_bytes: int = 0
    limit_bytes: int = 0


@dataclass(frozen=True, slots=True)
class ClusterSettled:
    """The cluster has started: the workers that are there are those that are to be expected."""


@dataclass(frozen=True, slots=True)
class ClusterLost:
    """All workers are gone, and none will come."""

    reason: str


@dataclass(frozen=True, slots=True)
class AbortRequested:
    """A person, or a rule, stops an action and all that it called; row 0 is the whole run."""

    run: str
    row: int
    reason: str


@dataclass(frozen=True, slots=True)
class TimeReached:
    """An instant that the controller asked to be woken at has come."""


Stimulus = (
    RunRequested
    | TaskOffered
    | Called
    | CallsCancelled
    | NameAsked
    | ChunkReport
    | SlotYielded
    | SlotGranted
    | SlotReturned
    | StepEnded
    | StepReplayed
    | ReportFlushed
    | ConditionAnswered
    | ResultsSought
    | AgentJoined
    | AgentLeaving
    | AgentLost
    | ClusterSettled
    | ClusterLost
    | AbortRequested
    | TimeReached
)
