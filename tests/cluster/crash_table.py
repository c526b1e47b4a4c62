"""Where an action dies, how it dies, and what is then shown: one row for each pair.

`test_crash_table.py` runs the rows, `scripts/failures_table.py` renders them for the documentation. Must not know how they are run.
"""

from __future__ import annotations

import ctypes
import os
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
        message: a part of the message.
        attempts, most_attempts: how many are recorded. Where others ran beside it, up to two more find out who it was.
    """

    where: Where
    how: How
    phase: str
    kind: str = ""
    code: str = ""
    error: type[BaseException] | None = None
    message: str = ""
    attempts: int = 1
    most_attempts: int = 1

    @property
    def id(self) -> str:
        """For the test's name."""
        return f"{self.where.replace(' ', '-')}-{self.how}"


_LOST = replace(
    Row("in a sync body", "os._exit", "failed", "system", "WorkerLostError", errors.WorkerLostError),
    attempts=SYSTEM_RETRIES + 1,
    most_attempts=SYSTEM_RETRIES + 3,
)
_USER = Row("in a sync body", "raise", "failed", "user", "ValueError", errors.RuntimeUserError, "on purpose")
_SLOW = Row("in a sync body", "hang", "timed_out", "timeout", "MaxRuntimeExceededError", errors.MaxRuntimeExceededError, "limit of 1 s")
_WELL = Row("after its result", "os._exit", "succeeded")

#: What a way of dying means for an action whose body it happens in.
IN_A_BODY: dict[How, Row] = {
    "raise": _USER,
    "sys.exit": replace(_USER, how="sys.exit", code="SystemExit", message="3"),
    "os._exit": replace(_LOST, how="os._exit", message="exit code 3"),
    "SIGKILL": replace(_LOST, how="SIGKILL", message="signal 9 (SIGKILL)"),
    "SIGSEGV": replace(_LOST, how="SIGSEGV", message="signal 11 (SIGSEGV)"),
    "memory": replace(_USER, how="memory", code="OOMError", error=errors.OOMError, message="MiB of 500 MiB", most_attempts=3),
    "hang": _SLOW,
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
        return replace(row, code="NotSerializableError", error=errors.NotSerializableError, message="Output 'o0'")
    return row


ROWS: list[Row] = _rows()
