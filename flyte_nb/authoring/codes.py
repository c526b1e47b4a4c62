"""Decides which exception class stands for a recorded failure: Flyte 2's rule, which goes by the code's text.

Must not know: where failures come from.
"""

from __future__ import annotations

from flyte_nb import errors
from flyte_nb.errors.roots import rebuild_error

_CLASS_BY_WORD: tuple[tuple[str, type[errors.RuntimeUserError | errors.RuntimeUnknownError]], ...] = (
    ("Interrupted", errors.TaskInterruptedError),
    ("PrimaryContainerNotFound", errors.PrimaryContainerNotFoundError),
    ("RetriesExhausted", errors.RetriesExhaustedError),
    ("Unknown", errors.RuntimeUnknownError),
    ("InvalidImageName", errors.InvalidImageNameError),
    ("ImagePullBackOff", errors.ImagePullBackOffError),
)
_TIMEOUTS: dict[str, type[errors.TaskTimeoutError]] = {
    cls.__name__: cls
    for cls in (errors.TaskTimeoutError, errors.MaxQueuedTimeExceededError, errors.MaxRuntimeExceededError, errors.DeadlineExceededError)
}
# What the engine itself raises in the parent keeps its class, as the SDK's controller does.
_ENGINE_ERRORS: dict[str, type[errors.BaseRuntimeError]] = {
    "DataValidationError": errors.RuntimeDataValidationError,
    **{
        cls.__name__: cls
        for cls in (
            errors.ActionAbortedError,
            errors.BatchSizeError,
            errors.ClusterLostError,
            errors.ConditionTimedoutError,
            errors.InlineIOMaxBytesBreached,
            errors.NotSerializableError,
            errors.OOMError,
            errors.OutputTooLargeError,
            errors.ResourcesUnavailableError,
            errors.SyncTaskCallInAsyncContextError,
            errors.ActionLimitError,
            errors.TraceDoesNotAllowNestedTasksError,
            errors.WorkerImportError,
            errors.WorkerLostError,
        )
    },
}


def from_code(kind: str, code: str, message: str, worker: str | None = None, *, from_engine: bool = False) -> errors.BaseRuntimeError:
    """Make the error that the parent of a failed action sees.

    Args:
        kind: "user", "system", "timeout" or "unknown".
        code: The error's code; what stands before a "|" is the server's word, as in "RetriesExhausted|ValueError".
        message: The error's message, kept as it is.
        worker: Where the action ran.
        from_engine: True if the engine failed the action, False if the task's body raised. Only then do classes such
            as `ActionAbortedError` come back as themselves; a body's error is never more than its code.
    """
    cls = _ENGINE_ERRORS.get(code.strip()) if from_engine else None
    if cls is None:
        cls = _class_for(kind, code)
    error = rebuild_error(cls, (message,))
    error.code = code.split("|", 1)[-1].strip()
    error.kind = _kind_of(cls)
    error.worker = worker or None
    return error


def _class_for(kind: str, code: str) -> type[errors.BaseRuntimeError]:
    if kind == "system":
        return errors.RuntimeSystemError
    if kind == "timeout":
        return _TIMEOUTS.get(code.strip(), errors.TaskTimeoutError)
    if kind != "user":
        return errors.RuntimeUnknownError
    if "OOM" in code.upper():
        return errors.OOMError
    for word, cls in _CLASS_BY_WORD:
        if word in code:
            return cls
    return _TIMEOUTS.get(code.strip(), errors.RuntimeUserError)


def _kind_of(cls: type[errors.BaseRuntimeError]) -> errors.ErrorKind:
    if issubclass(cls, errors.RuntimeSystemError):
        return "system"
    return "unknown" if issubclass(cls, errors.RuntimeUnknownError) else "user"
