"""Decides who is to blame when a worker is gone, and what becomes of the actions that it had.

A worker that dies says nothing, so of what it ran each action may be the cause. Those that waited for others are not
suspects (unless one of these has just ended: they may have gone on), nor is what had not started. A single suspect is
convicted, and has lost one of its attempts. Of several, each half is tried again by itself, and if they are suspected
once more, by itself on a worker that has nothing else to do. So the cause is found in a few steps, however many others
there are, and these lose nothing but time.

Pure. Must not know: chunks' ways, or who carries this out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from flyte_nb import errors
from flyte_nb.core.failure import Failure, of_ours
from flyte_nb.engine.records import AgentRecord, RunRecord

#: How often an action may lose its worker before it fails, unless it is set.
MAX_LOSSES = 10
#: The same for one that waited for others each time: it is hardly the cause, but nothing goes on without end.
PARKED_FACTOR = 10
#: When a chunk has been at a worker for so long, what runs of it has been told.
TOLD_SECONDS = 0.3
#: Suspected so often, or convicted, an action is tried alone.
ALONE_FROM = 2
#: From this conviction on an action waits before it is tried again, twice as long each time.
FIRST_REST, REST_SECONDS, MOST_REST_SECONDS = 3, 0.05, 1.0


@dataclass(frozen=True, slots=True)
class Suspicion:
    """Who of a lost chunk may have ended its worker.

    Attributes:
        rows: the suspects of this chunk.
        total: how many suspects the worker had, of all its chunks.
        crowded: it also had actions that waited for others: no suspects, but they took memory too.
    """

    rows: Sequence[int] = ()
    total: int = 0
    crowded: bool = False


NOBODY = Suspicion()


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of the actions of a lost chunk.

    Attributes:
        bystanders: queued again in front; their worker's end was not theirs.
        apart: queued again in halves.
        alone: queued again in halves, each for a worker of its own.
        spent: lost too often, they fail.
        rest_seconds: how long those apart and alone wait before they are queued.
    """

    bystanders: list[int]
    apart: list[int]
    alone: list[int]
    spent: list[int]
    rest_seconds: float


def suspects_on(agent: AgentRecord, runs: Mapping[str, RunRecord], now: float) -> dict[int, Suspicion]:
    """The suspects of a worker, by chunk: what is known to run, and what may have been started without being told yet."""
    found: dict[int, list[int]] = {}
    crowded, slots = False, agent.slots
    for chunk in agent.chunks.values():  # in the order in which they were sent: what a slot has not come to has not started
        run = runs.get(chunk.run)
        if run is None:
            continue
        held = [row for row in chunk.rows if run.tokens[row] == chunk.id]
        parked = {row for row in held if row in run.open_children and now - run.stirred_at.get(row, 0.0) > TOLD_SECONDS}
        crowded = crowded or bool(parked)
        told = [row for row in held if run.state.started_ats[row]]
        if chunk.is_async and now - chunk.sent_at <= TOLD_SECONDS:
            told = []
        elif not chunk.is_async and not chunk.lent:
            if slots <= 0:
                continue
            slots -= max(1, chunk.weight)
        found[chunk.id] = [row for row in told or held if row not in parked]
    total = sum(len(rows) for rows in found.values())
    return {number: Suspicion(rows, total, crowded) for number, rows in found.items()}


def judge(run: RunRecord, rows: Sequence[int], suspicion: Suspicion, most: int) -> Verdict:
    """Count what a lost chunk's actions have lost, and say what becomes of each.

    Args:
        run: the run's working memory.
        rows: the actions, without those that were told to stop.
        suspicion: who of them may be to blame.
        most: how many losses an action may have.
    """
    guilty = [row for row in suspicion.rows if row in set(rows)]
    apart, alone, spent = list[int](), list[int](), list[int]()
    counts = run.losses if suspicion.total == 1 else run.suspicions
    for row in guilty:
        counts[row] = counts.get(row, 0) + 1
        if run.losses.get(row, 0) > most or run.suspicions.get(row, 0) > most + ALONE_FROM:
            spent.append(row)
        else:
            (alone if counts[row] >= ALONE_FROM or row in run.losses else apart).append(row)
    bystanders = [row for row in rows if row not in set(guilty)]
    for row in [row for row in bystanders if row in run.open_children]:
        run.parked_losses[row] = run.parked_losses.get(row, 0) + 1
        if run.parked_losses[row] > most * PARKED_FACTOR:
            bystanders.remove(row)
            spent.append(row)
    return Verdict(bystanders, apart, alone, spent, rest_seconds(max((run.losses.get(row, 0) for row in guilty), default=0)))


def count(run: RunRecord, row: int) -> int:
    """How many attempts an action has lost."""
    return run.losses.get(row, 0) + run.suspicions.get(row, 0) + run.parked_losses.get(row, 0)


def rest_seconds(losses: int) -> float:
    """How long an action waits that has lost so many attempts."""
    return min(REST_SECONDS * 2.0 ** (losses - FIRST_REST), MOST_REST_SECONDS) if losses >= FIRST_REST else 0.0


def convicts_of_memory(run: RunRecord, row: int, suspicion: Suspicion) -> bool:
    """Whether an action is what used up its worker's memory: nothing else was there, or it was tried alone before."""
    return suspicion.total == 1 and (not suspicion.crowded or run.suspicions.get(row, 0) >= ALONE_FROM)


def memory_text(rss: int, limit: int) -> str:
    """How much memory a worker had in use, in words."""
    return f"{rss / 2**20:,.0f} MiB of {limit / 2**20:,.0f} MiB"


def lost_failure(run: RunRecord, row: int, worker: str, reason: str) -> Failure:
    """The failure of an action whose workers kept dying."""
    state = run.state
    return of_ours(errors.WorkerLostError(state.action_name(row), state.name, attempts=count(run, row), worker=worker, reason=reason))


def oom_failure(worker: str, rss: int, limit: int) -> Failure:
    """The failure of an attempt that took more memory than its worker may."""
    text = (
        f"The action used up the memory of worker {worker}, which was ended at {memory_text(rss, limit)}. Give each worker more "
        "(flyte.init(memory_limit=..., workers=...)), let the task ask for it (Resources(memory=...)), or pass smaller pieces."
    )
    return of_ours(errors.OOMError("OOMError", text, worker, rss_bytes=rss, limit_bytes=limit), retryable=True)
