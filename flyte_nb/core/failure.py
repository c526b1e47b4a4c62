"""Decides what is kept of an attempt that did not succeed: the recorded reason, as plain text and facts.

A `Failure` crosses process borders, is stored and is shown; it therefore holds text, never live objects.
The pickled exception is an extra that may be missing (not every exception can be pickled).

Must not know: how the failure is turned back into the exception that a parent sees (`errors.from_code`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

FailureKind = Literal["user", "system", "timeout"]


@dataclass(frozen=True, slots=True)
class Failure:
    """The recorded reason of a failed attempt.

    Attributes:
        kind: whose fault it is: the user's code, the system, or a time limit.
        code: short name to match on; for a user's exception the name of its class.
        message: `str()` of the exception.
        type_name: qualified name of the exception class.
        traceback: the task's own frames as text, ending in `Type: message`; empty for system failures.
        pickled: the exception, pickled, where that was possible.
        worker: name of the worker that ran the attempt; empty if none did.
        retryable: whether another attempt may be made.
    """

    kind: FailureKind
    code: str
    message: str
    type_name: str = ""
    traceback: str = ""
    pickled: bytes | None = None
    worker: str = ""
    retryable: bool = True

    def headline(self) -> str:
        """`Code: first line of the message`, for tables and digests."""
        lines = self.message.strip().splitlines()
        return f"{self.code}: {lines[0]}" if lines else self.code
