"""Decides what a caller is told: outputs and failures for its port, and the wording of failures that we cause.

Must not know: when something is told.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Collection, Iterator, Sequence

from flyte_nb import errors
from flyte_nb.core.events import Rows
from flyte_nb.core.failure import Failure, aborted, of_ours
from flyte_nb.core.payloads import Blob, Item
from flyte_nb.core.phases import CODE, ActionPhase
from flyte_nb.core.state import RunState
from flyte_nb.engine.commands import AnswerFailure, AnswerOutputs
from flyte_nb.engine.records import Chunk, RunRecord
from flyte_nb.engine.stimuli import Called, ChunkReport

#: Inputs are quoted in an error up to this many characters.
QUOTE_LIMIT = 300
_ABORTED = CODE[ActionPhase.ABORTED]
RUNTIME_CODE = "MaxRuntimeExceededError"


def blob_digest(blob: bytes) -> str:
    """Name of a pickled task."""
    return hashlib.blake2b(blob, digest_size=12).hexdigest()


def aborted_failure(reason: str, run: str) -> Failure:
    """The failure of an action that was stopped."""
    return aborted(reason, run)


def timeout_failure(seconds: float) -> Failure:
    """The failure of an attempt that ran for too long."""
    text = (
        f"The attempt ran for longer than its limit of {seconds:g} s and was stopped. Raise the task's timeout= or make the work smaller."
    )
    return of_ours(errors.MaxRuntimeExceededError(text), retryable=True)


def too_many_failure(run: str, limit: int) -> Failure:
    """The failure of a call that would exceed the run's limit on actions."""
    return of_ours(errors.ActionLimitError(run, limit))


def unknown_task_failure(key: str) -> Failure:
    """The failure of a call whose task nobody offered."""
    return Failure("system", "TaskMissingError", f"The kernel was not told of the task with key {key}.", retryable=False)


def defect_failure(error: BaseException) -> Failure:
    """The failure of a run that a defect of the engine ends."""
    text = f"flyte_nb itself failed, which is a defect of it, not of the task: {type(error).__name__}: {error}. The log has the details."
    return Failure("system", "EngineError", text, retryable=False)


def accepted(run: RunRecord, chunk: Chunk, report: ChunkReport) -> tuple[Rows, Sequence[Item], array[float], array[float]]:
    """The reported successes that count: those of actions that this chunk still holds."""
    indices, rows = report.indices, chunk.rows
    picked: Rows
    if isinstance(rows, range) and isinstance(indices, range):
        picked = rows[indices.start : indices.stop]
        held = run.tokens[picked[0] : picked[-1] + 1] == array("Q", (chunk.id,)) * len(picked)
    else:
        picked = [rows[index] for index in indices]
        held = all(run.tokens[row] == chunk.id for row in picked)
    if held:
        return picked, report.outputs, report.started, report.ended
    return without({row for row in picked if run.tokens[row] != chunk.id}, picked, report.outputs, report.started, report.ended)


def without(
    left_out: Collection[int], rows: Rows, outputs: Sequence[Item], started: array[float], ended: array[float]
) -> tuple[Rows, Sequence[Item], array[float], array[float]]:
    """Reported successes without those of some rows."""
    keep = [position for position, row in enumerate(rows) if row not in left_out]
    return (
        [rows[position] for position in keep],
        [outputs[position] for position in keep],
        array("d", [started[position] for position in keep]),
        array("d", [ended[position] for position in keep]),
    )


def cut_off(run: RunRecord, state: RunState, rows: Rows) -> list[int]:
    """Those of some rows that were told to stop and lost calls by that: what they return is no result, whatever they made of it."""
    return [row for row in rows if row in run.stopping and (row in run.cut_off or _lost_calls(state, row, run.stopping[row]))]


def _lost_calls(state: RunState, row: int, reason: str) -> bool:
    children = (child for block in state.children.get(row, ()) for child in block)
    return any(state.phases[child] == _ABORTED and state.abort_reason(child) == reason for child in children)


def clear_tokens(run: RunRecord, rows: Rows) -> None:
    """No chunk holds these rows any more."""
    if isinstance(rows, range):
        run.tokens[rows.start : rows.stop] = array("Q", (0,)) * len(rows)
    else:
        for row in rows:
            run.tokens[row] = 0


def outputs(run: RunRecord, rows: Rows, items: Sequence[Item]) -> Iterator[AnswerOutputs]:
    """Outputs for the ports that wait for them, as few answers as there are ports."""
    if isinstance(rows, range) and len(rows) > 1:
        lo, hi = rows.start, rows.stop
        port_id = run.port_ids[lo]
        if run.port_ids[lo:hi] == array("I", (port_id,)) * len(rows):
            place, port = run.ports[port_id]
            if place:
                yield AnswerOutputs(place, port, run.seqs[lo:hi], items)
            return
    by_port: dict[int, tuple[list[int], list[Item]]] = {}
    for row, item in zip(rows, items, strict=True):
        seqs, values = by_port.setdefault(run.port_ids[row], ([], []))
        seqs.append(run.seqs[row])
        values.append(item)
    for port_id, (seqs, values) in by_port.items():
        place, port = run.ports[port_id]
        if place:
            yield AnswerOutputs(place, port, seqs, values)


def failure(run: RunRecord, row: int, reason: Failure) -> Iterator[AnswerFailure]:
    """A failure for the port that waits for it, with where it happened."""
    place, port, seq = run.port_of(row)
    if place:
        yield AnswerFailure(place, port, seq, reason, whereabouts(run, row))


def plain_failure(run: RunRecord, row: int, reason: Failure) -> AnswerFailure:
    """A failure for the port that waits for an action, without a look at the run's state."""
    place, port, seq = run.port_of(row)
    return AnswerFailure(place, port, seq, reason, (run.state.name, "", "", "", ""))


def refuse(call: Called, reason: Failure) -> Iterator[AnswerFailure]:
    """The same failure for every call of a batch that cannot become actions."""
    for offset in range(len(call.inputs)):
        yield AnswerFailure(call.place, call.port, call.first_seq + offset, reason, (call.run, "", "", "", ""))


def whereabouts(run: RunRecord, row: int) -> tuple[str, str, str, str, str]:
    """(run, action name, task name, path of task names from the root, inputs) of an action, for error messages."""
    state = run.state
    path = [row]
    while path[-1]:
        path.append(state.parent_of(path[-1]))
    names = " > ".join(state.task_of(step).short_name for step in reversed(path))
    task = state.task_of(row)
    inputs = ", ".join(f"{name}={quote(item)}" for name, item in zip(task.parameters, state.inputs(row), strict=False))
    return state.name, state.action_name(row), task.name, names, inputs


def quote(item: Item) -> str:
    """An item for an error message; blobs are not opened here (their classes belong to the user)."""
    text = f"<{item.size_bytes:,} bytes pickled>" if isinstance(item, Blob) else repr(item)
    return text if len(text) <= QUOTE_LIMIT else text[:QUOTE_LIMIT] + "..."


def by_reason(run: RunRecord, rows: Sequence[int]) -> list[tuple[str, list[int]]]:
    """Rows that were told to stop, by the reason why."""
    grouped: dict[str, list[int]] = {}
    for row in rows:
        grouped.setdefault(run.stopping.get(row, "stopped"), []).append(row)
    return list(grouped.items())
