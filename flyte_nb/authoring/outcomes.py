"""Decides what a caller gets for an action that failed: the exception, its cause, and where to look.

The class and the code follow Flyte 2 (`codes.from_code`); `str()` of it is the user's own message. Beyond Flyte, the
cause is the task's own exception where it could be pickled, and notes tell the action, its inputs and its traceback.

Must not know: how the answer came.
"""

from __future__ import annotations

import asyncio
import pickle

from flyte_nb import errors
from flyte_nb.authoring.codes import from_code
from flyte_nb.core.current import Whereabouts
from flyte_nb.core.failure import CALLED_NOTE, TRACEBACK_NOTE, Failure

#: As failures name it.
_CANCELLED = f"{asyncio.CancelledError.__module__}.{asyncio.CancelledError.__qualname__}"
_UNKNOWN = f"{errors.RuntimeUnknownError.__module__}.{errors.RuntimeUnknownError.__qualname__}"


def error_of(failure: Failure, where: Whereabouts | None) -> errors.BaseRuntimeError:
    """The exception that the caller of a failed action sees."""
    kind = "unknown" if failure.type_name == _UNKNOWN else failure.kind
    error = from_code(kind, failure.code, failure.message, failure.worker or None, from_engine=not failure.type_name)
    cause = cause_of(failure)
    if not failure.type_name and type(cause) is type(error):  # an error of ours: what it knows beyond its message
        vars(error).update({**vars(cause), "worker": error.worker})
    else:
        error.__cause__ = cause
    if where is not None and where[1]:
        run, action, task, path, inputs = where
        worker = f" on worker {failure.worker}" if failure.worker not in {"", "kernel"} else ""
        error.add_note(f"{CALLED_NOTE}{action} of task {task}{worker}, run {run} ({path}).")
        if inputs:
            error.add_note(f"Its inputs: {inputs}")
    if failure.traceback:
        error.add_note(f"{TRACEBACK_NOTE}\n{failure.traceback.rstrip()}")
    return error


def cause_of(failure: Failure) -> BaseException | None:
    """The task's own exception, or None where it cannot be had."""
    if failure.pickled is None:
        return None
    try:
        cause = pickle.loads(failure.pickled)  # noqa: S301 - made by our own workers from the user's exception
    except Exception:  # noqa: BLE001 - a class that only the worker has, for instance
        return None
    return cause if isinstance(cause, BaseException) else None


def thrown_at(failure: Failure, where: Whereabouts | None) -> BaseException:
    """What a call throws at its caller: as `error_of`, but a task that cancels itself cancels the call (Flyte's rule)."""
    if failure.type_name == _CANCELLED:
        return asyncio.CancelledError(failure.message)
    return error_of(failure, where)
