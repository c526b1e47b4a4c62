"""This package's own errors: each says what happened, to what, and what to do next.

Decides: which class each has, and how it reads.
Must not know: runs, actions, workers or how anything travels; it sees only their names. Standard library only.
"""

from flyte_nb.errors.roots import CodedUserError, RuntimeSystemError, RuntimeUserError

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

    Pass what the task can make the value from: a path, numbers, a dict.

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

    Write it to a file and return its path (`flyte.io.File`), return smaller pieces, or give each worker more
    memory.

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


class BatchSizeError(RuntimeUserError):
    """A task that was called with a batch did not return one result for each item.

    Return a list with a result for each item, in their order, or a frame with a row for each.

    Args:
        task: The full name of the task.
        items: How many items the batch held.
        results: How many results came; None if it was nothing that holds results.
        type_name: The type of what was returned.
        which: Which items they were, if that is known.
    """

    task, items = "", 0
    results: int | None = None

    def __init__(self, task: str, items: int, results: int | None, *, type_name: str = "", which: str = "") -> None:
        got = f"a {type_name}" if results is None else f"{results} {'result' if results == 1 else 'results'}"
        batch = f"a batch of {items} {'item' if items == 1 else 'items'}" + (f" ({which})" if which else "")
        super().__init__(
            "BatchSizeError",
            f"Task '{task}' returned {got} for {batch}: return a list with one result for each item, in their order, or a frame with "
            "one row for each.",
        )
        self.task, self.items, self.results = task, items, results


class ResourcesUnavailableError(CodedUserError):
    """A task asks for more than any worker has.

    Ask for less, or make larger workers; the message says what there is.
    """


class ActionLimitError(RuntimeUserError):
    """A run made as many actions as its `max_actions` allows, and then called another.

    Raise `max_actions` if the calls are meant, or let each action do a batch; if not, look for a loop without end.

    Args:
        run: The name of the run.
        limit: How many actions it may make.
    """

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

    Install the package where the workers run, then run again.

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

    Something in the action ends the process: the message says what is known of it.

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
    """The cluster went away under a run.

    `flyte.rerun(name, recover=True)` does only what is missing, once a cluster is there again.

    Args:
        run: The name of the run.
        cluster: Its address, as far as it is known.
        reason: What happened.
    """

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

    The message says what was tried and what to do; the settings stay as they were.

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
    """A cluster's workers cannot run what this kernel would send to them.

    The message names what differs and the workers; give them the versions of this kernel.
    """

    def __init__(self, message: str) -> None:
        super().__init__("ClusterMismatchError", message)


class RunNotFoundError(CodedUserError):
    """There is no run of this name.

    `flyte.runs()` lists the runs of this project; another folder's are found by `flyte.init(store=FOLDER)`.

    Args:
        run: The name that was asked for.
    """

    run = ""

    def __init__(self, run: str) -> None:
        super().__init__(f"There is no run named '{run}' here. `flyte.runs()` lists the runs of this project.")
        self.run = run


class TaskNotDefinedError(CodedUserError):
    """A run is to be repeated whose task is neither defined here nor kept.

    Run the cell that defines it, or import its module; then try again.

    Args:
        task: The full name of the task.
        run: The name of the run.
        function: The name of the function, if it is another.
    """

    task = run = ""

    def __init__(self, task: str, run: str, function: str = "") -> None:
        super().__init__(
            f"Task '{task}' of run '{run}' is not defined here, and its code was not kept. Run the cell that defines "
            f"`{function or task.rpartition('.')[2]}` (or import its module), then try again."
        )
        self.task, self.run = task, run
