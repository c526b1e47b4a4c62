"""Every error that a user can meet: Flyte 2's tree, with its codes and kinds, and this package's own.

Decides: which class an error has, how it reads, and which class a parent sees for a failure that travelled as
kind, code and message (`from_code`).
Must not know: runs, actions, workers or how anything travels; it sees only their names. Standard library only.

Flyte's rule is to match on `code`, never on the type: the class of a user's error does not travel, its name does.
Each message of ours says what happened, to what, and what to do next.
"""

from typing import Literal, NoReturn, Self, TypeVar

ErrorKind = Literal["system", "unknown", "user"]

_E = TypeVar("_E", bound="BaseRuntimeError")


class BaseRuntimeError(RuntimeError):
    """The base of the errors that Flyte raises.

    Args:
        code: What went wrong, in one word; for a user's error the name of its class.
        kind: Whose error it is.
        root_cause_message: The message; `str(error)` is exactly this.
        worker: Where it happened, when known.
    """

    def __init__(self, code: str, kind: ErrorKind, root_cause_message: str, worker: str | None = None) -> None:
        super().__init__(root_cause_message)
        self.code = code
        self.kind = kind
        self.worker = worker

    def __reduce__(self) -> tuple[object, ...]:
        # The default calls type(self)(*self.args), which fits no constructor of the tree. The attributes, notes
        # included, travel in __dict__.
        return rebuild_error, (type(self), self.args), dict(self.__dict__)

    def _reraise(self, _other: object) -> NoReturn:
        # `flyte.map` yields errors as values: sum(results) shall show the task's error, not a TypeError.
        raise self

    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = _reraise
    __truediv__ = __rtruediv__ = __floordiv__ = __rfloordiv__ = _reraise


def rebuild_error(cls: type[_E], args: tuple[object, ...]) -> _E:
    """Make an error without its constructor; its attributes follow as state."""
    return cls.__new__(cls, *args)


class InitializationError(BaseRuntimeError):
    """Something was used before it was set up."""


class RuntimeSystemError(BaseRuntimeError):
    """The system failed, not the user's code."""

    def __init__(self, code: str, message: str, worker: str | None = None) -> None:
        super().__init__(code, "system", message, worker)


class UnionRpcError(RuntimeSystemError):
    """Communication with a Flyte server failed."""


class LogsNotYetAvailableError(BaseRuntimeError):
    """The logs of an action are not there yet."""

    def __init__(self, message: str) -> None:
        super().__init__("LogsNotYetAvailable", "system", message)


class RuntimeUnknownError(BaseRuntimeError):
    """Nobody knows whose error it was."""

    def __init__(self, code: str, message: str, worker: str | None = None) -> None:
        super().__init__(code, "unknown", message, worker)


class RuntimeUserError(BaseRuntimeError):
    """The user's code failed; `code` is the name of the class that it raised."""

    def __init__(self, code: str, message: str, worker: str | None = None) -> None:
        super().__init__(code, "user", message, worker)


class _CodedUserError(RuntimeUserError):
    """A user error with one code, which is the name of the class unless the class says otherwise."""

    CODE = ""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "CODE" not in cls.__dict__ and not cls.CODE:
            cls.CODE = cls.__name__

    def __init__(self, message: str) -> None:
        super().__init__(self.CODE, message)


# ------------------------------------------------------------------------------------- classes found by their code


class OOMError(RuntimeUserError):
    """The task ran out of memory.

    Args:
        code, message, worker: as in Flyte.
        rss_bytes: What its worker had in use when it was ended; 0 where nobody has seen it.
        limit_bytes: How much the worker may have in use.
    """

    rss_bytes = limit_bytes = 0

    def __init__(self, code: str, message: str, worker: str | None = None, *, rss_bytes: int = 0, limit_bytes: int = 0) -> None:
        super().__init__(code, message, worker)
        if limit_bytes:
            self.rss_bytes, self.limit_bytes = rss_bytes, limit_bytes


class TaskInterruptedError(RuntimeUserError):
    """The task was interrupted."""


class PrimaryContainerNotFoundError(RuntimeUserError):
    """The pod had no primary container."""


class RetriesExhaustedError(RuntimeUserError):
    """The last attempt failed; `code` is the task's own."""


class InvalidImageNameError(RuntimeUserError):
    """The name of the image is not valid."""


class ImagePullBackOffError(RuntimeUserError):
    """The image cannot be pulled."""


# --------------------------------------------------------------------------------------------------------- timeouts


class TaskTimeoutError(RuntimeUserError):
    """The task ran into one of its timeouts."""

    def __init__(self, message: str, code: str = "TaskTimeoutError") -> None:
        super().__init__(code, message)


class MaxQueuedTimeExceededError(TaskTimeoutError):
    """An attempt waited longer than `Timeout.max_queued_time` for its start."""

    def __init__(self, message: str) -> None:
        super().__init__(message, "MaxQueuedTimeExceededError")


class MaxRuntimeExceededError(TaskTimeoutError):
    """An attempt ran longer than `Timeout.max_runtime`."""

    def __init__(self, message: str) -> None:
        super().__init__(message, "MaxRuntimeExceededError")


class DeadlineExceededError(TaskTimeoutError):
    """All attempts together took longer than `Timeout.deadline`."""

    def __init__(self, message: str) -> None:
        super().__init__(message, "DeadlineExceededError")


# ------------------------------------------------------------------------------------- raised by users and by Flyte


class CustomError(RuntimeUserError):
    """A user's own error with a code of its own."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code, message)

    @classmethod
    def from_exception(cls, e: Exception) -> Self:
        """Wrap an exception: its class name becomes the code, its text the message, itself the cause."""
        error = cls(type(e).__name__, str(e))
        error.__cause__ = e
        return error


class NonRecoverableError(RuntimeUserError):
    """Raised by a task to say that another attempt is of no use."""

    def __init__(self, message: str, code: str = "NonRecoverableError") -> None:
        super().__init__(code, message)


class NotInTaskContextError(RuntimeUserError):
    """Something that exists only inside a task was used outside of one."""


class RuntimeDataValidationError(RuntimeUserError):
    """An input or output does not fit its declared type.

    Args:
        var: The parameter or output.
        e: Why it does not fit.
        task_name: The full name of the task.
    """

    def __init__(self, var: str, e: Exception | str, task_name: str = "") -> None:
        message = f"In task {task_name} variable {var}, failed to serialize/deserialize because of {e}"
        super().__init__("DataValidationError", message)


class InvalidPackageError(RuntimeUserError):
    """An image names a system package that does not exist."""

    def __init__(self, package_name: str, original_error: str) -> None:
        super().__init__(
            "InvalidPackageError",
            f"Invalid system package detected: '{package_name}'. This package does not exist in apt repositories. Error: {original_error}",
        )
        self.package_name = package_name
        self.original_error = original_error


class ActionAbortedError(_CodedUserError):
    """An action was aborted from outside; the parent that awaits it gets this."""


class SyncTaskCallInAsyncContextError(_CodedUserError):
    """A sync task was called, blocking, where it would block an event loop."""


class TraceDoesNotAllowNestedTasksError(_CodedUserError):
    """A task was called inside a traced function."""


class InlineIOMaxBytesBreached(_CodedUserError):
    """The inputs or outputs of a task are larger than its `max_inline_io_bytes`."""


class RestrictedTypeError(_CodedUserError):
    """A type that Flyte does not take in this place."""

    CODE = "RestrictedTypeUsage"


class SlowDownError(_CodedUserError):
    """Too many requests: try again later."""


class ResourceExhaustedError(SlowDownError):
    """A quota is used up; keeps the code of `SlowDownError`, as in Flyte."""


class OnlyAsyncIOSupportedError(_CodedUserError):
    """Sync input or output was used where only async works."""


class RemoteTaskNotFoundError(_CodedUserError):
    """There is no such deployed task."""


class RemoteTaskUsageError(_CodedUserError):
    """A deployed task was used in a way that it does not offer."""


class DeploymentError(_CodedUserError):
    """A deployment failed."""


class ImageBuildError(_CodedUserError):
    """An image could not be built."""


class ModuleLoadError(_CodedUserError):
    """A module does not exist or does not load."""


class CodeBundleError(_CodedUserError):
    """The code could not be bundled."""


class ParameterMaterializationError(_CodedUserError):
    """A parameter of an app could not be filled."""


class ConditionAlreadyExistsError(_CodedUserError):
    """The action has a condition of this name already."""


class ConditionFailedError(_CodedUserError):
    """A condition failed."""


class ConditionNotFoundError(_CodedUserError):
    """There is no such condition."""


class ConditionTimedoutError(_CodedUserError):
    """Nobody answered a condition in time."""


class ActionNotFoundError(RuntimeError):
    """There is no such action. In Flyte, too, no `BaseRuntimeError`."""


# -------------------------------------------------------------------------------------------------------------- ours
# Rebuilt from code and message alone (`from_code`), such an error has only the defaults of its own attributes.


def _because(reason: str) -> str:
    return f" ({reason.strip().rstrip('.')})" if reason.strip() else ""


def _what_ends_a_process(reason: str) -> str:
    """What to look for, by what is known of the end of a worker's process."""
    if "exit code" in reason:
        return "Something in it ends the process: os._exit, or a library that does that. Raise an error instead."
    if any(signal in reason for signal in ("SIGSEGV", "SIGABRT", "SIGBUS", "SIGFPE", "SIGILL")):
        return "Compiled code that it calls crashes: run the task's function in a plain Python process with `-X faulthandler` to see where."
    return (
        "Something in it ends the process, and too little memory is the usual cause: give each worker more, run fewer actions at once, "
        "or pass smaller pieces."
    )


class NotSerializableError(RuntimeUserError):
    """A value cannot travel between the notebook and the workers.

    Args:
        argument: The parameter, or the output, that holds the value.
        type_name: The type of the value that cannot be pickled.
        task: The full name of the task.
        reason: What pickle said.
        is_output: True for a value that the task returned.
    """

    argument = type_name = task = ""

    def __init__(self, argument: str, type_name: str, task: str, *, reason: str = "", is_output: bool = False) -> None:
        what, remedy = ("Output", "Return plain data") if is_output else ("Argument", "Pass what the task can make it from")
        super().__init__(
            "NotSerializableError",
            f"{what} '{argument}' of task '{task}' cannot be pickled, so it cannot travel: "
            f"its type is {type_name}{_because(reason)}. {remedy}, such as a path, numbers or a dict.",
        )
        self.argument, self.type_name, self.task = argument, type_name, task


class OutputTooLargeError(RuntimeUserError):
    """A task returned more than its worker can hand over.

    Args:
        task: The full name of the task.
        size_bytes: The size of what it returned.
        limit_bytes: How much it may be.
    """

    task, size_bytes, limit_bytes = "", 0, 0

    def __init__(self, task: str, size_bytes: int, limit_bytes: int) -> None:
        super().__init__(
            "OutputTooLargeError",
            f"Task '{task}' returned {size_bytes / 2**20:,.0f} MiB; its worker can hand over at most {limit_bytes / 2**20:,.0f} MiB, "
            "a part of its memory. Write the data to a file and return its path, return smaller pieces, or give each worker more memory.",
        )
        self.task, self.size_bytes, self.limit_bytes = task, size_bytes, limit_bytes


class ResourcesUnavailableError(_CodedUserError):
    """A task asks for more than any worker has."""


class ActionLimitError(RuntimeUserError):
    """A run made as many actions as its `max_actions` allows, and then called another."""

    run, limit = "", 0

    def __init__(self, run: str, limit: int) -> None:
        super().__init__(
            "ActionLimitError",
            f"Run '{run}' reached its limit of {limit:,} actions; further calls are refused. If they are meant, raise the limit "
            f"(flyte.init(max_actions=...), with_runcontext(max_actions=...)) or let each action work on a batch of items; if not, "
            f"look for a loop without end.",
        )
        self.run, self.limit = run, limit


class WorkerImportError(RuntimeUserError):
    """A worker cannot import a module that a task needs.

    Args:
        module: The module.
        task: The full name of the task.
        worker: The worker.
        reason: What Python said.
    """

    module = task = ""

    def __init__(self, module: str, task: str, *, worker: str | None = None, reason: str = "") -> None:
        where = f"Worker '{worker}'" if worker else "A worker"
        super().__init__(
            "WorkerImportError",
            f"{where} cannot import module '{module}', which task '{task}' needs"
            f"{_because(reason)}. Install the package where the workers run, then run again.",
            worker,
        )
        self.module, self.task = module, task


class WorkerLostError(RuntimeSystemError):
    """The worker of an action went away, and no system retry is left.

    Args:
        action: The action that was running.
        run: The name of its run.
        attempts: How many of its attempts were lost in this way.
        worker: The last worker.
        reason: What is known of the last one's end, such as "its process was killed by signal 9 (SIGKILL)".
    """

    action, run, attempts, reason = "", "", 1, ""

    def __init__(self, action: str, run: str, *, attempts: int = 1, worker: str | None = None, reason: str = "") -> None:
        lastly = f", lastly worker '{worker}'" if worker else ""
        times = "once" if attempts == 1 else f"{attempts} times"
        super().__init__(
            "WorkerLostError",
            f"Action '{action}' of run '{run}' lost its worker {times}{lastly}{_because(reason)}, and is not tried again. "
            f"{_what_ends_a_process(reason)}",
            worker,
        )
        self.action, self.run, self.attempts, self.reason = action, run, attempts, reason


class ClusterLostError(RuntimeSystemError):
    """The cluster went away under a run."""

    run = cluster = ""

    def __init__(self, run: str, cluster: str = "", *, reason: str = "") -> None:
        super().__init__(
            "ClusterLostError",
            f"The cluster{f' at {cluster}' if cluster else ''} went away while run '{run}' was running{_because(reason)}. "
            f'When it is there again, `flyte.rerun("{run}", recover=True)` repeats only what is missing; an embedded one is '
            f"started anew.",
        )
        self.run, self.cluster = run, cluster


class ClusterUnreachableError(RuntimeSystemError):
    """A cluster that was named cannot be reached.

    Args:
        cluster: Its address, as far as it is known.
        reason: What happened.
        remedy: What to do, a sentence.
    """

    cluster = ""

    def __init__(self, cluster: str, reason: str, remedy: str) -> None:
        where = f"The cluster at {cluster}" if cluster else "The cluster"
        super().__init__("ClusterUnreachableError", f"{where} cannot be reached: {reason}. {remedy}")
        self.cluster = cluster


class ClusterMismatchError(RuntimeSystemError):
    """A cluster's workers cannot run what this kernel would send to them."""

    def __init__(self, message: str) -> None:
        super().__init__("ClusterMismatchError", message)


class RunNotFoundError(_CodedUserError):
    """There is no run of this name."""

    run = ""

    def __init__(self, run: str) -> None:
        super().__init__(f"There is no run named '{run}' here. `flyte.runs()` lists the runs of this project.")
        self.run = run


class TaskNotDefinedError(_CodedUserError):
    """A run is to be repeated whose task is neither defined here nor kept."""

    task = run = ""

    def __init__(self, task: str, run: str, function: str = "") -> None:
        super().__init__(
            f"Task '{task}' of run '{run}' is not defined here, and its code was not kept. Run the cell that defines "
            f"`{function or task.rpartition('.')[2]}` (or import its module), then try again."
        )
        self.task, self.run = task, run
