"""Flyte 2's errors, with its names, codes and kinds.

Decides: which class each has, and how it reads.
Must not know: runs, actions, workers or how anything travels; it sees only their names. Standard library only.
"""

from typing import Self

from flyte_nb.errors.roots import CodedUserError, RuntimeUserError

# ------------------------------------------------------------------------------------- classes found by their code


class OOMError(RuntimeUserError):
    """The task ran out of memory.

    Give each worker more memory, run fewer actions at once, or pass smaller pieces. Attempts that ended so use up
    `retries=`.

    Args:
        code, message, worker: As of `RuntimeUserError`.
        rss_bytes: What its worker had in use when it was ended; 0 where nobody has seen it.
        limit_bytes: How much the worker may have in use.
    """

    rss_bytes = limit_bytes = 0

    def __init__(self, code: str, message: str, worker: str | None = None, *, rss_bytes: int = 0, limit_bytes: int = 0) -> None:
        super().__init__(code, message, worker)
        if limit_bytes:
            self.rss_bytes, self.limit_bytes = rss_bytes, limit_bytes


class TaskInterruptedError(RuntimeUserError):
    """The task was interrupted.

    Flyte's backend raises it; here an error of a task becomes one if its code has this word.
    """


class PrimaryContainerNotFoundError(RuntimeUserError):
    """The pod had no primary container.

    Flyte's backend raises it; here an error of a task becomes one if its code has this word.
    """


class RetriesExhaustedError(RuntimeUserError):
    """The last attempt failed; `code` is the task's own.

    Flyte's backend raises it; here an error of a task becomes one if its code has this word.
    """


class InvalidImageNameError(RuntimeUserError):
    """The name of the image is not valid.

    Flyte's backend raises it; here an error of a task becomes one if its code has this word.
    """


class ImagePullBackOffError(RuntimeUserError):
    """The image cannot be pulled.

    Flyte's backend raises it; here an error of a task becomes one if its code has this word.
    """


# --------------------------------------------------------------------------------------------------------- timeouts


class TaskTimeoutError(RuntimeUserError):
    """The task ran into one of its time limits.

    Catch this one for all three; its subclasses say which.

    Args:
        message: Which limit, and what to do.
        code: The name of the class.
    """

    def __init__(self, message: str, code: str = "TaskTimeoutError") -> None:
        super().__init__(code, message)


class MaxQueuedTimeExceededError(TaskTimeoutError):
    """An attempt waited longer than `Timeout.max_queued_time` for its start.

    Use more workers or fewer actions at once, or allow it to wait longer.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message, "MaxQueuedTimeExceededError")


class MaxRuntimeExceededError(TaskTimeoutError):
    """An attempt ran longer than `Timeout.max_runtime` (`timeout=` of the task).

    Allow more time, give each action less to do, or look for what hangs: `run.action(name).traceback`, `.logs`.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message, "MaxRuntimeExceededError")


class DeadlineExceededError(TaskTimeoutError):
    """All attempts together took longer than `Timeout.deadline`.

    Allow more time, or fewer retries.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message, "DeadlineExceededError")


# ------------------------------------------------------------------------------------- raised by users and by Flyte


class CustomError(RuntimeUserError):
    """An error of your own with a code of your own.

    Raise it in a task; the caller gets a `RuntimeUserError` with that code.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code, message)

    @classmethod
    def from_exception(cls, e: Exception) -> Self:
        """Wrap an exception: its class name becomes the code, its text the message, itself the cause."""
        error = cls(type(e).__name__, str(e))
        error.__cause__ = e
        return error


class NonRecoverableError(RuntimeUserError):
    """Raised by a task to say that another attempt is of no use.

    Raise it, or a class derived from it, where `retries=` would waste time.
    """

    def __init__(self, message: str, code: str = "NonRecoverableError") -> None:
        super().__init__(code, message)


class NotInTaskContextError(RuntimeUserError):
    """Something that exists only inside a task was used outside of one.

    Raised by Flyte only; here such things have a neutral value outside of a run, as `flyte.ctx()` is false.
    """


class RuntimeDataValidationError(RuntimeUserError):
    """An output, or an input that came with its task, does not fit its declared type.

    Return what the annotation says, or mend the annotation; None is an output too.

    Args:
        var: The parameter or output.
        e: Why it does not fit.
        task_name: The full name of the task.
    """

    def __init__(self, var: str, e: Exception | str, task_name: str = "") -> None:
        message = f"In task {task_name} variable {var}, failed to serialize/deserialize because of {e}"
        super().__init__("DataValidationError", message)


class InvalidPackageError(RuntimeUserError):
    """An image names a system package that does not exist.

    Raised by Flyte only; images are not used here.

    Args:
        package_name: The system package.
        original_error: What the package manager said.
    """

    def __init__(self, package_name: str, original_error: str) -> None:
        super().__init__(
            "InvalidPackageError",
            f"Invalid system package detected: '{package_name}'. This package does not exist in apt repositories. Error: {original_error}",
        )
        self.package_name = package_name
        self.original_error = original_error


class ActionAbortedError(CodedUserError):
    """An action was aborted; the caller that awaits it gets this.

    It is no failure of the task. `run.action(name).abort_info` has the reason.
    """


class SyncTaskCallInAsyncContextError(CodedUserError):
    """A sync task was called, blocking, where it would block an event loop.

    Write `await task.aio(...)`. Here the plain call works too, so nothing raises it.
    """


class TraceDoesNotAllowNestedTasksError(CodedUserError):
    """A task was called inside a function with `@flyte.trace`.

    Call it from the task itself, before or after the traced function.
    """


class InlineIOMaxBytesBreached(CodedUserError):
    """The inputs or outputs of a task are larger than its `max_inline_io_bytes`.

    Pass a `flyte.io.File` or `DataFrame`, or raise the limit of the task.
    """


class RestrictedTypeError(CodedUserError):
    """A type that Flyte does not take in this place.

    Raised by Flyte only.
    """

    CODE = "RestrictedTypeUsage"


class SlowDownError(CodedUserError):
    """Too many requests: try again later.

    Raised by Flyte's server; raise it yourself, if it tells what your task met.
    """


class ResourceExhaustedError(SlowDownError):
    """A quota is used up; keeps the code of `SlowDownError`, as in Flyte.

    Raised by Flyte's server only.
    """


class OnlyAsyncIOSupportedError(CodedUserError):
    """Sync input or output was used where only async works.

    Raised by Flyte only; here both forms work.
    """


class RemoteTaskNotFoundError(CodedUserError):
    """There is no such deployed task.

    Raised by Flyte only; nothing is deployed here.
    """


class RemoteTaskUsageError(CodedUserError):
    """A deployed task was used in a way that it does not offer.

    Raised by Flyte only; nothing is deployed here.
    """


class DeploymentError(CodedUserError):
    """A deployment failed.

    Raised by Flyte only; nothing is deployed here.
    """


class ImageBuildError(CodedUserError):
    """An image could not be built.

    Raised by Flyte only; images are not built here.
    """


class ModuleLoadError(CodedUserError):
    """A module does not exist or does not load.

    Raised by Flyte only; here it is `WorkerImportError`, or Python's own.
    """


class CodeBundleError(CodedUserError):
    """The code could not be bundled.

    Raised by Flyte only; here code travels with its task.
    """


class ParameterMaterializationError(CodedUserError):
    """A parameter of an app could not be filled.

    Raised by Flyte only; there are no apps here.
    """


class ConditionAlreadyExistsError(CodedUserError):
    """The action has a condition of this name already.

    Raised by Flyte only; here a second one of the same name is the same question.
    """


class ConditionFailedError(CodedUserError):
    """A condition failed.

    Raised by Flyte only.
    """


class ConditionNotFoundError(CodedUserError):
    """There is no such condition.

    `run.conditions` lists those that there are.
    """


class ConditionTimedoutError(CodedUserError):
    """Nobody answered a condition in time.

    Allow more time (`timeout=` of `flyte.new_condition`), or catch it and decide.
    """


class ActionNotFoundError(RuntimeError):
    """There is no such action. In Flyte, too, no `BaseRuntimeError`.

    `run.actions` lists them; the root is "a0".
    """
