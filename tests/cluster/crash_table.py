"""Where an action dies, how it dies, and what is then shown: one row for each pair.

`test_crash_table.py` runs the rows, `scripts/failures_table.py` renders them for the documentation. Must not know how they are run.
"""

from __future__ import annotations

import ctypes
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from flyte_nb import errors

How = Literal["raise", "sys.exit", "os._exit", "SIGKILL", "SIGSEGV", "memory", "hang"]
Where = Literal[
    "before it starts",
    "unpickling its input",
    "in a sync body",
    "in an async body",
    "pickling its output",
    "after its result",
    "while it waits for a child",
    "between its children",
]

#: What the table is made with: losses that an action may have, seconds of its time limit, seconds of grace, bytes of a worker.
SYSTEM_RETRIES, TIMEOUT_SECONDS, GRACE_SECONDS, MEMORY_LIMIT = 1, 1, 0.5, 500 * 2**20
_STEP_BYTES, _MOST_BYTES = 64 * 2**20, 2 * 2**30


def _fill_memory() -> None:
    kept = []
    for _ in range(_MOST_BYTES // _STEP_BYTES):
        kept.append(b"x" * _STEP_BYTES)
        time.sleep(0.03)  # so that the nanny, which looks ten times a second, sees it grow
    time.sleep(60)


def _raise() -> None:
    raise ValueError("on purpose")


WAYS: dict[How, Callable[[], object]] = {
    "raise": _raise,
    "sys.exit": lambda: sys.exit(3),
    "os._exit": lambda: os._exit(3),
    "SIGKILL": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "SIGSEGV": lambda: ctypes.string_at(0),
    "memory": _fill_memory,
    "hang": lambda: time.sleep(3600),
}


def perish(how: How) -> None:
    """Die in this way."""
    WAYS[how]()


def perish_soon(how: How, seconds: float) -> None:
    """Die in this way a little later, in a thread of its own."""
    threading.Timer(seconds, perish, (how,)).start()


class DiesWhenUnpickled:
    """Dies where it is read."""

    def __init__(self, how: How) -> None:
        self.how = how

    def __reduce__(self) -> tuple[object, ...]:
        return perish, (self.how,)


class DiesWhenPickled:
    """Dies where it is written."""

    def __init__(self, how: How) -> None:
        self.how = how

    def __reduce__(self) -> tuple[object, ...]:
        perish(self.how)
        return DiesWhenPickled, (self.how,)


@dataclass(frozen=True, slots=True)
class Row:
    """What is shown of an action that dies somewhere, somehow.

    Attributes:
        phase: the action's, in the end.
        kind, code: of its failure; empty if it succeeded.
        error: what its caller gets.
        message: the whole message, "..." for what differs from run to run.
        facts: what the error knows beyond its message, by attribute; "..." for anything.
        attempts, most_attempts: how many are recorded. Where others ran beside it, a few more find out who it was.
    """

    where: Where
    how: How
    phase: str
    kind: str = ""
    code: str = ""
    error: type[BaseException] | None = None
    message: str = ""
    facts: tuple[tuple[str, object], ...] = ()
    attempts: int = 1
    most_attempts: int = 1

    @property
    def id(self) -> str:
        """For the test's name."""
        return f"{self.where.replace(' ', '-')}-{self.how}"


#: "..." in a message, or for a fact, is what differs from run to run.
_VARIES = "..."
_LOST = replace(
    Row("in a sync body", "os._exit", "failed", "system", "WorkerLostError", errors.WorkerLostError),
    facts=(("action", _VARIES), ("run", _VARIES), ("attempts", _VARIES), ("reason", _VARIES)),
    attempts=SYSTEM_RETRIES + 1,
    most_attempts=SYSTEM_RETRIES + 3,
)
_USER = Row("in a sync body", "raise", "failed", "user", "ValueError", errors.RuntimeUserError, "on purpose")
_SLOW = Row("in a sync body", "hang", "timed_out", "timeout", "MaxRuntimeExceededError", errors.MaxRuntimeExceededError)
_WELL = Row("after its result", "os._exit", "succeeded")


def _lost_by(how: How, reason: str) -> Row:
    """An action whose workers all died for this reason."""
    error = errors.WorkerLostError(_VARIES, _VARIES, attempts=SYSTEM_RETRIES + 1, worker=_VARIES, reason=f"its process {reason}")
    return replace(_LOST, how=how, message=str(error).replace(f"{error.attempts} times", f"{_VARIES} times"))


#: What a way of dying means for an action whose body it happens in.
IN_A_BODY: dict[How, Row] = {
    "raise": _USER,
    "sys.exit": replace(_USER, how="sys.exit", code="SystemExit", message="3"),
    "os._exit": _lost_by("os._exit", "ended with exit code 3"),
    "SIGKILL": _lost_by("SIGKILL", "was killed by signal 9 (SIGKILL)"),
    "SIGSEGV": _lost_by("SIGSEGV", "was killed by signal 11 (SIGSEGV)"),
    "memory": replace(
        _USER,
        how="memory",
        code="OOMError",
        error=errors.OOMError,
        message="The action used up the memory of worker ..., which was ended at ... MiB of 500 MiB. Give each worker more "
        "(flyte.init(memory_limit=..., workers=...)), let the task ask for it (Resources(memory=...)), or pass smaller pieces.",
        facts=(("rss_bytes", _VARIES), ("limit_bytes", MEMORY_LIMIT)),
        most_attempts=3,
    ),
    "hang": replace(
        _SLOW,
        message="The attempt ran for longer than its limit of 1 s and was stopped. Raise the task's timeout= or make the work smaller.",
    ),
}
_DEADLY: tuple[How, ...] = ("os._exit", "SIGKILL", "SIGSEGV", "memory")


def _rows() -> list[Row]:
    rows = [replace(_WELL, where="before it starts", how="SIGKILL")]
    for where in ("unpickling its input", "in a sync body", "in an async body", "pickling its output"):
        rows += [replace(row, where=where) for row in IN_A_BODY.values()]
    rows += [replace(_WELL, how=how) for how in WAYS]
    rows += [replace(_WELL, where="while it waits for a child", how=how, attempts=2, most_attempts=3) for how in _DEADLY]
    rows += [_among_others(replace(IN_A_BODY[how], where="between its children")) for how in WAYS]
    return [_as_it_is(row) for row in rows]


def _among_others(row: Row) -> Row:
    """A driver's slot is lent while it waits, so others are there when it goes on: it takes longer until it is convicted."""
    return replace(row, most_attempts=SYSTEM_RETRIES + 4) if row.code == "WorkerLostError" else row


def _as_it_is(row: Row) -> Row:
    """What differs from the rule."""
    if (row.where, row.how) == ("pickling its output", "raise"):
        error = errors.NotSerializableError("o0", "DiesWhenPickled", "crash.returns", reason="on purpose", is_output=True)
        facts = {name: value for name, value in vars(error).items() if name in {"argument", "type_name", "task"}}
        return replace(row, code=error.code, error=type(error), message=str(error), facts=tuple(facts.items()))
    return row


def is_as_told(row: Row, message: str) -> bool:
    """Whether a message is the row's, but for what differs from run to run."""
    return re.fullmatch(".+?".join(map(re.escape, row.message.split(_VARIES))), message) is not None


def facts_of(row: Row, error: object) -> tuple[tuple[str, object], ...]:
    """What an error knows of the row's facts, in the row's form."""
    known = {name: getattr(error, name, None) for name, _value in row.facts}
    return tuple((name, _VARIES if value == _VARIES and known[name] else known[name]) for name, value in row.facts)


ROWS: list[Row] = _rows()
