"""Decides who is to blame when a worker is gone, and what becomes of the actions that it had.

A worker that dies says nothing, so of what it ran each action may be the cause. Those that waited for others are not
suspects, nor is what had not started. One suspect is guilty; of several each half is tried again by itself, until the
guilty one is alone. A guilty action uses up one of its losses; when none is left, it fails.

Pure. Must not know: chunks' ways, or who carries this out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from flyte_nb.core.failure import Failure
from flyte_nb.engine.records import Chunk, RunRecord

#: How often an action may lose its worker before it fails, unless it is set.
MAX_LOSSES = 10
#: The same for one that waited for others each time: it is hardly the cause, but nothing goes on without end.
PARKED_FACTOR = 10
#: From this loss on an action waits before it is tried again, twice as long each time.
FIRST_REST, REST_SECONDS, MOST_REST_SECONDS = 3, 0.05, 1.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of the actions of a lost chunk.

    Attributes:
        bystanders: queued again in front; their worker's end was not theirs.
        suspects: queued again apart from others.
        rest_seconds: how long the suspects wait before that.
        spent: lost too often, they fail.
    """

    bystanders: list[int]
    suspects: list[int]
    rest_seconds: float
    spent: list[int]


def suspects_of(run: RunRecord, chunk: Chunk) -> tuple[list[int], bool]:
    """Actions of a chunk that may have ended its worker, and whether they are known to have run."""
    held = [row for row in chunk.rows if run.tokens[row] == chunk.id and row not in run.open_children]
    if chunk.lent and not chunk.is_async:  # its only running action waits for others, and lent its slot
        return [], True
    started = [row for row in held if run.state.started_ats[row]]
    if chunk.is_async and started:
        return started, True
    return held, False


def judge(run: RunRecord, rows: Sequence[int], suspects: Sequence[int], *, told: bool, most: int) -> Verdict:
    """Count the losses of a lost chunk's actions, and say what becomes of each.

    Args:
        run: the run's working memory.
        rows: the actions, without those that were told to stop.
        suspects: those of them that may be to blame.
        told: the suspects are known to have run.
        most: how many losses an action may have.
    """
    losses, guilty = run.losses, set(suspects)
    kept: list[int] = []
    spent: list[int] = []
    for row in suspects:
        if told or len(suspects) == 1:
            losses[row] = losses.get(row, 0) + 1
        (spent if losses.get(row, 0) > most else kept).append(row)
    bystanders = [row for row in rows if row not in guilty]
    for row in [row for row in bystanders if row in run.open_children]:
        run.parked_losses[row] = run.parked_losses.get(row, 0) + 1
        if run.parked_losses[row] > most * PARKED_FACTOR:
            bystanders.remove(row)
            spent.append(row)
    worst = max((losses.get(row, 0) for row in kept), default=0)
    rest = min(REST_SECONDS * 2 ** (worst - FIRST_REST), MOST_REST_SECONDS) if worst >= FIRST_REST else 0.0
    return Verdict(bystanders, kept, rest, spent)


def memory_text(rss: int, limit: int) -> str:
    """How much memory a worker had in use, in words."""
    return f"{rss / 2**20:,.0f} MiB of {limit / 2**20:,.0f} MiB"


def lost_failure(worker: str, reason: str, losses: int) -> Failure:
    """The failure of an action whose workers kept dying."""
    times = "once" if losses == 1 else f"{losses} times"
    return Failure(
        "system",
        "WorkerLostError",
        f"The worker that ran this action was lost {times}, last {worker}: {reason}. Something in the action ends its process, or "
        "takes more memory than the machine has: run it alone to see, or give it fewer data.",
        worker=worker,
        retryable=False,
    )


def oom_failure(worker: str, rss: int, limit: int) -> Failure:
    """The failure of an attempt that took more memory than its worker may."""
    return Failure(
        "user",
        "OOMError",
        f"The action used up the memory of worker {worker}, which was ended at {memory_text(rss, limit)}. Give each worker more "
        "(flyte.init(memory_limit=..., workers=...)), let the task ask for it (Resources(memory=...)), or pass smaller pieces.",
        worker=worker,
    )
