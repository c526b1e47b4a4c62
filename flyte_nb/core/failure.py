"""Decides what is kept of an attempt that did not succeed: the recorded reason, as plain text and facts.

A `Failure` crosses process borders, is stored and is shown; it therefore holds text, never live objects.
The pickled exception is an extra that may be missing (not every exception can be pickled). An error of our own, which
no body raised, has it where it has facts beyond its message: `OOMError.rss_bytes`, say.

Must not know: how the failure is turned back into the exception that a parent sees (`authoring.codes.from_code`).
"""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from typing import Literal

from flyte_nb import errors

FailureKind = Literal["user", "system", "timeout"]

#: How the notes begin that the error of a called action carries for its caller.
CALLED_NOTE, TRACEBACK_NOTE = "In action ", "The task's own traceback:"
#: How the reason of an abort begins that the end of the cluster caused.
CLUSTER_LOST = "the cluster was lost"


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


def of_ours(error: errors.BaseRuntimeError, *, retryable: bool = False) -> Failure:
    """The failure of an attempt that the engine itself fails, with an error that its caller gets as it is."""
    kind: FailureKind = "system" if error.kind == "system" else "user"
    if isinstance(error, errors.TaskTimeoutError):
        kind = "timeout"
    facts = vars(error).keys() - {"code", "kind", "worker"}
    pickled = pickle.dumps(error, 5) if facts else None
    return Failure(kind, error.code, str(error), pickled=pickled, worker=error.worker or "", retryable=retryable)


def aborted(reason: str, run: str, action: str = "The action") -> Failure:
    """What is told of an action that was stopped."""
    if reason.startswith(CLUSTER_LOST):
        return of_ours(errors.ClusterLostError(run, reason=reason.removeprefix(CLUSTER_LOST).lstrip(": ")))
    return of_ours(errors.ActionAbortedError(f"{action} was aborted: {reason}."))
