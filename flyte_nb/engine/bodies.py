"""Decides what an exception that left a task's body becomes: a `Failure` with the task's own frames.

Used wherever bodies run: on workers, and in the kernel for drivers.

Must not know: chunks, slots, loops.
"""

from __future__ import annotations

import asyncio
import pickle
import traceback
from dataclasses import replace
from pathlib import Path

from flyte_nb import errors
from flyte_nb.core.failure import CALLED_NOTE, TRACEBACK_NOTE, Failure, FailureKind
from flyte_nb.core.labels import file_label
from flyte_nb.core.payloads import dumps

_OWN = str(Path(__file__).resolve().parents[1])
_ASYNCIO = str(Path(asyncio.__file__).resolve().parent)
#: Longest traceback text that is kept, and largest pickled exception.
TRACEBACK_LIMIT, PICKLE_LIMIT = 20_000, 1_000_000

_CODED = (errors.RuntimeUserError, errors.RuntimeSystemError, errors.RuntimeUnknownError)


class StopAction(BaseException):
    """Thrown into a sync body that is to stop. Not an `Exception`, so that `except Exception` does not swallow it."""


def output_failure(error: BaseException, worker: str) -> Failure:
    """What is kept when a body returned something that cannot be its output. The engine's own word, not the body's."""
    return replace(failure_of(error, worker), type_name="", traceback="", retryable=False)


def failure_of(error: BaseException, worker: str) -> Failure:
    """What is kept of an exception that a task's body raised; never raises itself."""
    try:
        return _failure_of(error, worker)
    except Exception as broken:  # noqa: BLE001 - a user's class may have anything for its attributes
        message = f"<{type(error).__name__} that cannot be told: {type(broken).__name__}>"
        return Failure("user", type(error).__name__, message, worker=worker)


def _failure_of(error: BaseException, worker: str) -> Failure:
    kind: FailureKind = "user"
    code = type(error).__name__
    if isinstance(error, _CODED):  # Flyte's rule: of any other class the name is the code
        code = str(error.code)
        kind = "system" if error.kind == "system" else "user"
    return Failure(
        kind=kind,
        code=code,
        message=_text(error),
        type_name=f"{type(error).__module__}.{type(error).__qualname__}",
        traceback=own_traceback(error),
        pickled=_pickled(error),
        worker=worker,
        retryable=not isinstance(error, errors.NonRecoverableError | asyncio.CancelledError),
    )


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as broken:  # noqa: BLE001 - a user's __str__ may raise anything
        return f"<{type(error).__name__} whose message cannot be shown: {type(broken).__name__}>"


def own_traceback(error: BaseException) -> str:
    """The traceback as text, of the error and of what it came from, without our own frames and asyncio's.

    The error of a called action is named and not told again: the action has a traceback of its own.
    """
    try:
        shown = traceback.TracebackException.from_exception(error)
        _leave_out_ours(shown)
        text = "".join(shown.format())
    except Exception:  # noqa: BLE001 - formatting runs user code (repr, str)
        text = f"{type(error).__name__} (its traceback cannot be shown)\n"
    return text if len(text) <= TRACEBACK_LIMIT else text[:2_000] + "\n[...]\n" + text[-TRACEBACK_LIMIT:]


def _leave_out_ours(shown: traceback.TracebackException) -> None:
    waiting: list[traceback.TracebackException | None] = [shown]
    while waiting:
        part = waiting.pop()
        if part is None:
            continue
        part.stack[:] = [frame for frame in part.stack if not frame.filename.startswith((_OWN, _ASYNCIO))]
        for frame in part.stack:
            frame.filename = file_label(frame.filename)
        if any(note.startswith(CALLED_NOTE) for note in part.__notes__ or ()):
            part.__notes__ = [note for note in part.__notes__ or () if not note.startswith(TRACEBACK_NOTE)]
            part.__cause__ = part.__context__ = None
        waiting += [part.__cause__, part.__context__, *(part.exceptions or ())]


def _pickled(error: BaseException) -> bytes | None:
    """The exception without its traceback, if it survives a round trip."""
    for part in _chained(error):  # Dask teaches pickle to keep tracebacks: ours, and with lines that readers show wrongly
        part.__traceback__ = None
    try:
        data = dumps(error)
        pickle.loads(data)  # noqa: S301 - bytes made in the line above
    except Exception:  # noqa: BLE001 - exceptions that cannot be pickled, or not read back, are common
        return None
    return data if len(data) <= PICKLE_LIMIT else None


def _chained(error: BaseException) -> list[BaseException]:
    """An exception and all that it came from, or holds."""
    found: list[BaseException] = []
    waiting: list[BaseException | None] = [error]
    while waiting:
        part = waiting.pop()
        if part is not None and not any(part is other for other in found):
            found.append(part)
            waiting += [part.__cause__, part.__context__, *(part.exceptions if isinstance(part, BaseExceptionGroup) else ())]
    return found
