"""Decides what is told of one action: what went in and came out, why it failed, what it printed, each try.

Everything is text, cleaned and cut to what a reader takes in at once; `full` gives the rest, to be copied.

Must not know: how a detail is laid out, or how rich output is shown (`rich`).
"""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import asdict, dataclass
from typing import cast

from flyte_nb.core.costs import Cost
from flyte_nb.core.events import Inputs, TaskFacts
from flyte_nb.core.failure import Failure
from flyte_nb.core.payloads import Blob, Item
from flyte_nb.core.phases import ActionPhase
from flyte_nb.core.rows import AttemptRecord
from flyte_nb.core.state import RunState
from flyte_nb.views.columns import ReadRun
from flyte_nb.views.protocol import (
    DETAIL_CHARACTERS,
    LOG_CHARACTERS,
    VALUE_CHARACTERS,
    AttemptLine,
    DetailAnswer,
    DetailRequest,
    ErrorInfo,
    Frame,
    LogPart,
    Look,
    Value,
)
from flyte_nb.views.rich import kinds_of
from flyte_nb.views.tracebacks import frames_of
from flyte_nb.views.values import Unreadable, item_text, kind_of, known_value, whole_text
from flyte_nb.views.wording import clean, one_line, phase_word, plain_log, worker_words

#: Characters of a value and of a log where all of it is asked for.
FULL_CHARACTERS = 2_000_000
#: Actions whose unpacked values are kept, and largest pickled output of which a rich form is drawn.
MAX_KEPT, RICH_BYTES = 8, 64 * 1024 * 1024
_NAME = 80
_DEEPEST = 24
_LOOK_OF_ENDING: dict[str, Look] = {"timeout": "timed_out", "timed_out": "timed_out", "lost": "aborted", "aborted": "aborted"}


@dataclass(frozen=True, slots=True)
class _Known:
    """What the state tells of an action at one moment."""

    version: int
    task: TaskFacts
    phase: ActionPhase
    cached: bool
    path: list[str]
    inputs: Inputs
    output: Item
    failure: Failure | None
    reason: str
    past: list[AttemptRecord]
    attempt: int
    worker: str
    called_at: float
    started_at: float
    ended_at: float
    log: str
    report: bool
    overdue: bool
    cost: Cost


class Details:
    """Tells of single actions of one run; what was unpacked for the last ones is kept while they are followed."""

    def __init__(self, run: ReadRun) -> None:
        self._run = run
        self._values: OrderedDict[tuple[int, int, ActionPhase], tuple[list[Value], list[Value], list[str]]] = OrderedDict()

    def answer(self, request: DetailRequest, *, name: str) -> DetailAnswer:
        """All that is told of one action.

        Args:
            request: which action.
            name: its name; empty while it is not known.
        """
        row = request["row"]
        known = self._run.read(lambda state: _read(state, row) if 0 <= row < state.count else None)
        if known is None:
            return _nothing(request)
        limit = FULL_CHARACTERS if request["full"] else VALUE_CHARACTERS
        return _told(known, request, self._values_of(known, row, limit), limit, name)

    def _values_of(self, known: _Known, row: int, limit: int) -> tuple[list[Value], list[Value], list[str]]:
        key = (row, limit, known.phase)
        if key not in self._values:
            inputs = [_value(name, item, limit) for name, item in zip(known.task.parameters, known.inputs, strict=False)]
            outputs, rich = _outputs(known, limit)
            self._values[key] = _capped(inputs, limit), _capped(outputs, limit), rich
            if len(self._values) > MAX_KEPT:
                self._values.popitem(last=False)
        return self._values[key]

    def output(self, row: int) -> object:
        """An action's output, to draw a rich form of it; None if there is none."""
        item = self._run.read(lambda state: state.output(row) if 0 <= row < state.count else None)
        return known_value(item, RICH_BYTES) if isinstance(item, Blob) else item

    def report(self, row: int) -> dict[str, str]:
        """An action's report: HTML by tab."""
        return self._run.read(lambda state: dict(state.reports.get(row, {})))


def _told(known: _Known, request: DetailRequest, values: tuple[list[Value], list[Value], list[str]], limit: int, name: str) -> DetailAnswer:
    inputs, outputs, rich = values
    answer: DetailAnswer = {
        "kind": "detail",
        "view": request["view"],
        "id": request["id"],
        "version": known.version,
        "row": request["row"],
        "action": name,
        "task": one_line(known.task.short_name, _NAME),
        "look": "cached" if known.cached else known.phase.value,
        "words": _words(known),
        "path": [one_line(each, _NAME) for each in known.path],
        "worker": worker_words(known.worker),
        "called_at": known.called_at,
        "queued_seconds": max(0.0, known.started_at - known.called_at) if known.started_at and not known.cached else None,
        "seconds": max(0.0, known.ended_at - known.started_at) if known.ended_at and known.started_at else None,
        "cpu_seconds": known.cost.cpu_seconds,
        "memory_bytes": known.cost.memory_bytes,
        "error": _error(known, limit),
        "inputs": inputs,
        "outputs": outputs,
        "rich": ["report", *rich] if known.report else rich,
        "attempts": _attempts(known),
        "log": _log(known.log, request["log_from"], full=request["full"]),
        "can_abort": not known.phase.is_terminal,
        "can_rerun": known.phase.is_terminal and known.task.kind == "task",
        "gone": "",
    }
    if known.started_at and not known.ended_at:
        answer["since"] = known.started_at
    return answer


def _read(state: RunState, row: int) -> _Known:
    return _Known(
        version=state.version,
        task=state.task_of(row),
        phase=state.phase_of(row),
        cached=row in state.reused,
        path=_path(state, row),
        inputs=state.inputs(row),
        output=state.output(row),
        failure=state.failures.get(row),
        reason=state.abort_reason(row),
        past=list(state.past.get(row, ())),
        attempt=state.attempts[row],
        worker=state.workers[state.worker_ids[row]],
        called_at=state.called_at[row],
        started_at=state.started_ats[row],
        ended_at=state.ended_ats[row],
        log=state.logs(row),
        report=row in state.reports,
        overdue=row in state.overdue,
        cost=state.costs.of(row),
    )


def _path(state: RunState, row: int) -> list[str]:
    """Names from the run's task to this one, groups included; of a very deep one the first and the last."""
    names: list[str] = []
    while row:
        names.append(state.task_of(row).short_name)
        if group := state.group_of(row):
            names.append(group)
        row = state.parent_of(row)
    names.append(state.task_of(0).short_name)
    names.reverse()
    return names if len(names) <= _DEEPEST else [*names[:4], "…", *names[-8:]]


def _words(known: _Known) -> str:
    """The phase in words: `failed on try 3 of 3`."""
    if known.overdue:
        return "stop requested, still running"
    if known.cached:
        return "took an earlier result"
    most = known.task.retries.count + 1
    word = phase_word(known.phase)
    if most == 1 and known.attempt <= 1:
        return word
    of = f" of {most}" if known.attempt <= most else ""
    return f"{word} on try {known.attempt}{of}" if known.attempt else word


# ------------------------------------------------------------------ values
def _value(name: str, item: Item, limit: int) -> Value:
    kind, text = item_text(item)
    return {"name": one_line(name, _NAME), "type": one_line(kind, _NAME), "text": text[:limit], "more": len(text) > limit}


def _outputs(known: _Known, limit: int) -> tuple[list[Value], list[str]]:
    """What came out, and the kinds of rich output that it has."""
    if known.phase not in {ActionPhase.SUCCEEDED, ActionPhase.RECOVERED}:
        return [], []
    item = known.output
    value = known_value(item) if isinstance(item, Blob) else item
    rich = kinds_of(value)
    names = known.task.outputs
    if len(names) > 1 and isinstance(value, tuple) and len(value) == len(names):
        return [_named(name, part, limit) for name, part in zip(names, value, strict=True)], rich
    if isinstance(value, Unreadable):
        return [{"name": "", "type": value.kind, "text": value.words[:limit], "more": False}], rich
    return [_named("", value, limit)], rich


def _named(name: str, value: object, limit: int) -> Value:
    text = whole_text(value)
    return {"name": one_line(name, _NAME), "type": one_line(kind_of(value), _NAME), "text": text[:limit], "more": len(text) > limit}


def _capped(values: list[Value], limit: int) -> list[Value]:
    """The values, cut so that all together fit into a detail."""
    left = max(DETAIL_CHARACTERS // 2, limit)
    for value in values:
        if len(value["text"]) > left:
            value["text"], value["more"] = value["text"][:left], True
        left -= len(value["text"])
    return values


# ------------------------------------------------------------------ error, tries, log
def _error(known: _Known, limit: int) -> ErrorInfo | None:
    failure = known.failure
    if failure is None:
        if known.phase is not ActionPhase.ABORTED:
            return None
        reason = clean(known.reason or "it was stopped")
        return {"fault": "abort", "code": "", "message": reason[:limit], "traceback": "", "frames": []}
    most = max(limit, LOG_CHARACTERS)
    return {
        "fault": failure.kind,
        "code": one_line(failure.code, _NAME),
        "message": clean(failure.message)[:limit],
        "traceback": clean(failure.traceback)[-most:],
        "frames": _frames(failure.traceback),
    }


def _frames(traceback: str) -> list[Frame]:
    frames = []
    for frame in frames_of(clean(traceback))[-_DEEPEST:]:
        made = cast(Frame, asdict(frame))
        made["file"], made["function"] = one_line(frame.file, 200), one_line(frame.function, _NAME)
        made["lines"] = [(number, clean(text)[:200]) for number, text in frame.lines]
        frames.append(made)
    return frames


def _attempts(known: _Known) -> list[AttemptLine]:
    """The tries, the newest first."""
    tries = [_ended(record) for record in known.past]
    last = max((record.number for record in known.past), default=0)
    if known.attempt > last or (known.phase in {ActionPhase.RUNNING, ActionPhase.SUCCEEDED} and known.attempt and not known.cached):
        over = known.phase.is_terminal
        tries.append(
            {
                "number": known.attempt,
                "look": known.phase.value,
                "ended_by": phase_word(known.phase) if over else "",
                "counted": True,
                "worker": one_line(known.worker, _NAME),
                "started_at": known.started_at,
                "seconds": known.ended_at - known.started_at if known.ended_at and known.started_at else None,
                "cpu_seconds": known.cost.cpu_seconds,
                "memory_bytes": known.cost.memory_bytes,
            }
        )
    return tries[::-1]


def _ended(record: AttemptRecord) -> AttemptLine:
    return {
        "number": record.number,
        "look": _LOOK_OF_ENDING.get(record.ending, "failed"),
        "ended_by": one_line(record.reason or phase_word(ActionPhase.ABORTED), 300),
        "counted": record.ending not in {"lost", "aborted"},
        "worker": one_line(record.worker, _NAME),
        "started_at": record.started_at,
        "seconds": None if not record.started_at or math.isnan(record.ended_at) else max(0.0, record.ended_at - record.started_at),
        "cpu_seconds": record.cost.cpu_seconds,
        "memory_bytes": record.cost.memory_bytes,
    }


def _log(printed: str, held: int, *, full: bool) -> LogPart:
    """What was printed from the place on that the view holds; of a long one the end."""
    text = plain_log(printed)
    most = FULL_CHARACTERS if full else LOG_CHARACTERS
    start = max(0 if full else min(held, len(text)), len(text) - most)
    lines = text.count("\n") + (not text.endswith("\n")) if text else 0
    return {"start": start, "text": text[start:], "total": len(text), "lines": lines, "more": start > 0 and not 0 < held == start}


def _nothing(request: DetailRequest) -> DetailAnswer:
    return {
        "kind": "detail",
        "view": request["view"],
        "id": request["id"],
        "version": 0,
        "row": request["row"],
        "action": "",
        "task": "",
        "look": "queued",
        "words": "",
        "path": [],
        "worker": "",
        "called_at": 0.0,
        "queued_seconds": None,
        "seconds": None,
        "cpu_seconds": None,
        "memory_bytes": None,
        "error": None,
        "inputs": [],
        "outputs": [],
        "rich": [],
        "attempts": [],
        "log": {"start": 0, "text": "", "total": 0, "lines": 0, "more": False},
        "can_abort": False,
        "can_rerun": False,
        "gone": f"This run has no action in row {request['row']:,}.",
    }
