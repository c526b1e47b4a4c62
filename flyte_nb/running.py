"""Decides how runs are asked for: `flyte.run`, `flyte.run.aio`, `flyte.with_runcontext(...)`, `flyte.runs()`.

Must not know: how a run is executed.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from flyte_nb import workspace
from flyte_nb.authoring.task import Task
from flyte_nb.core.events import RunSettings
from flyte_nb.core.ids import ROOT_ACTION
from flyte_nb.core.policy import check_action_concurrency
from flyte_nb.remote import Run
from flyte_nb.sweeps import MapFrame

#: What with_runcontext() accepts and has no effect here (a Flyte backend uses it).
_INERT = (
    "service_account copy_style dry_run copy_bundle_to interactive_mode run_base_dir run_start_time project domain annotations "
    "interruptible log_format user_log_level reset_root_logger queue notifications cache_lookup_scope preserve_original_types "
    "debug tracked tracked_strict"
)
INERT = frozenset(_INERT.split())


class RunContext:
    """How runs are started: `run(task, ...)`, `map_frame(task, frame)` and `rerun(name, ...)`, and their async forms `.aio`."""

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 - keywords of run_task
        self._options = options

    @property
    def rerun(self) -> RerunCall:
        """Repeat a run; see `flyte_nb.rerun`."""
        return RerunCall(self._options)

    @property
    def run(self) -> RunCall:
        """Start a run; see `flyte_nb.run`."""
        return RunCall(self._options)

    @property
    def map_frame(self) -> MapFrame:
        """Start a run of a call for each row of a table; see `flyte_nb.map_frame`."""
        return MapFrame(self._options)


class RunCall:
    """`flyte.run`: start a run of a task and return its handle at once.

    Call it with a task and its inputs; `await flyte.run.aio(...)` is the same for async code. An async task's body runs in
    the kernel process and may call other tasks, which run on the cluster; a sync task runs on the cluster.

    Args (when called):
        task: what was declared with `@env.task` or `%%flyte_task`.
        args: its inputs, by position.
        kwargs: its inputs, by name.

    Raises (when called):
        TypeError: not a task, or an input of the wrong type.
        ValueError: inputs are missing.
        NotSerializableError: an input cannot be pickled.

    Example:
        >>> env = flyte.TaskEnvironment("docs")
        >>> @env.task
        ... async def double(x: int) -> int:
        ...     return 2 * x
        >>> run = flyte.run(double, x=4)
        >>> run.outputs()[0]
        8
    """

    def __init__(self, options: Mapping[str, Any] | None = None) -> None:
        self._options = dict(options or {})

    def __call__(self, task: Task[..., Any], *args: Any, **kwargs: Any) -> Run:  # noqa: ANN401 - the task's inputs
        """Start a run."""
        return workspace.current().run_task(task, args, kwargs, **self._options)

    async def aio(self, task: Task[..., Any], *args: Any, **kwargs: Any) -> Run:  # noqa: ANN401 - the task's inputs
        """Start a run without blocking the loop."""
        return await asyncio.to_thread(self, task, *args, **kwargs)


class RerunCall:
    """`flyte.rerun`: start a new run of an earlier run's task, with its inputs, or with others for some of them.

    The code is that of now: a task that was edited since runs as it is defined today. (Flyte replays the code of the
    earlier run.) Custom context, labels and environment variables are kept, unless `with_runcontext` gives others.

    Args (when called):
        run_name: the earlier run.
        action_name: the action that the new run consists of, with what it calls; by default the root, "a0".
        recover: do not run again what succeeded: such actions are `recovered`, with the outputs that they had. Which action
            is which follows from its parent, its task and the version of its code, its inputs, its group, and its number
            among identical calls. Edited tasks, and those of which something failed below, run again.
        force_rerun_actions: with `recover`, names of actions that run again although they succeeded. What they called
            is recovered unless it is named too; names that the run does not have are passed over.
        allow_missing_source_outputs: accepted for Flyte; here inputs are kept apart from outputs.
        inputs: the task's inputs that are to be others than they were.

    Raises (when called):
        RunNotFoundError, ActionNotFoundError: there is no such run, or it has no such action.
        ValueError: an input is unknown, the arguments contradict each other, or the run to recover has not ended.
        TypeError: an input is of the wrong type.
        TaskNotDefinedError: the task is not defined here, and its code was not kept.

    Example:
        >>> env = flyte.TaskEnvironment("docs")
        >>> @env.task
        ... async def double(x: int) -> int:
        ...     return 2 * x
        >>> first = flyte.run(double, x=4)
        >>> first.wait()
        >>> flyte.rerun(first.name, x=5).outputs()[0]
        10
        >>> again = flyte.rerun(first.name, recover=True)
        >>> again.outputs()[0], str(again.root.phase)
        (8, 'recovered')
    """

    def __init__(self, options: Mapping[str, Any] | None = None) -> None:
        self._options = dict(options or {})

    def __call__(
        self,
        run_name: str,
        action_name: str = ROOT_ACTION,
        recover: bool = False,  # noqa: FBT001, FBT002 - Flyte's signature
        force_rerun_actions: Sequence[str] | None = None,
        allow_missing_source_outputs: bool = False,  # noqa: FBT001, FBT002 - Flyte's signature
        **inputs: Any,  # noqa: ANN401 - the task's inputs
    ) -> Run:
        """Start the new run."""
        del allow_missing_source_outputs  # Flyte's: here inputs are kept apart from outputs
        force = tuple(force_rerun_actions or ())
        space = workspace.current()
        return space.rerun(run_name, action_name, inputs, recover=recover, force=force, options=self._options)

    async def aio(self, run_name: str, *args: Any, **kwargs: Any) -> Run:  # noqa: ANN401 - the task's inputs
        """The same without blocking the loop."""
        return await asyncio.to_thread(self, run_name, *args, **kwargs)


run = RunCall()
rerun = RerunCall()


def with_runcontext(  # noqa: PLR0913 - Flyte's signature
    mode: str | None = None,
    *,
    name: str | None = None,
    custom_context: Mapping[str, str] | None = None,
    labels: Mapping[str, str] | None = None,
    driver: str | None = None,
    max_actions: int | None = None,
    env_vars: Mapping[str, str] | None = None,
    disable_run_cache: bool = False,
    overwrite_cache: bool = False,
    raw_data_path: str | Path | None = None,
    version: str | None = None,
    max_action_concurrency: int | None = None,
    log_level: int | str | None = None,
    **inert: Any,  # noqa: ANN401 - accepted for Flyte
) -> RunContext:
    """Settings for the runs started with what this returns: `with_runcontext(name="x").run(task)`.

    Args:
        mode: accepted for Flyte; runs are always executed on the notebook's cluster.
        name: the run's name.
        custom_context: what `flyte.ctx().custom_context` holds in all actions.
        labels: kept with the run.
        driver: "kernel" or "cluster": where the root's body runs.
        max_actions: most actions of the run (by default what `init` says, which is 1,000,000).
        env_vars: environment variables around the bodies of all actions; they go over those of a task.
        disable_run_cache: results are neither taken from the cache nor stored in it.
        overwrite_cache: results are computed and stored.
        raw_data_path: a folder for the files that actions write; one that all workers see.
        version: what `flyte.ctx().version` holds.
        max_action_concurrency: most actions of the run at once, those included that wait for others; 0 is no limit.
        log_level: of this package's logger.
        inert: Flyte's other settings, without effect here.

    Raises:
        ValueError: a setting is out of range.
        TypeError: an unknown setting.

    Example:
        >>> env = flyte.TaskEnvironment("docs")
        >>> @env.task
        ... async def who() -> str:
        ...     return flyte.ctx().custom_context["who"]
        >>> run = flyte.with_runcontext(name="docs-who", custom_context={"who": "me"}).run(who)
        >>> run.name, run.outputs()[0]
        ('docs-who', 'me')
    """
    if mode not in {None, "local", "remote", "hybrid"}:
        raise ValueError(f'mode must be "local", "remote" or "hybrid", got {mode!r}')
    unknown = set(inert) - INERT
    if unknown:
        raise TypeError(f"with_runcontext() got an unexpected keyword argument '{min(unknown)}'")
    if max_actions is not None and max_actions < 1:
        raise ValueError(f"max_actions must be at least 1, got {max_actions}")
    check_action_concurrency(max_action_concurrency)
    if log_level is not None:
        logging.getLogger("flyte_nb").setLevel(log_level)
    settings = RunSettings(
        env_vars=_texts(env_vars),
        disable_cache=disable_run_cache,
        overwrite_cache=overwrite_cache,
        raw_data_path=str(raw_data_path or ""),
        version=version or "",
        max_action_concurrency=max_action_concurrency or 0,
    )
    return RunContext(name=name, custom_context=custom_context, labels=labels, driver=driver, max_actions=max_actions, settings=settings)


def _texts(values: Mapping[str, str] | None) -> tuple[tuple[str, str], ...]:
    for key, value in (values or {}).items():
        if not isinstance(key, str) or not isinstance(value, str):
            raise TypeError(f"env_vars takes texts, got {key!r}: {value!r}")
    return tuple((values or {}).items())


def runs(**conditions: Any) -> Any:  # noqa: ANN401 - a pandas.DataFrame, which this module does not import
    """Runs of this project as a table, the latest last: this kernel's, those of other kernels, and those of kernels that are gone.

    Args:
        conditions: `phase` (one or several), `task`, `since` and `before` (a datetime, or how long ago: a timedelta, "2h", "7d"),
            `notebook`, `labels` (a dict), `limit` (only the latest).

    Raises:
        TypeError: there is no such condition.
        ValueError: a condition cannot be read.

    Example:
        >>> env = flyte.TaskEnvironment("docs")
        >>> @env.task
        ... async def seen() -> int:
        ...     return 1
        >>> flyte.run(seen).wait()
        >>> list(flyte.runs(task="seen", since="1h").phase)
        ['succeeded']
    """
    return workspace.current().table_of_runs(**conditions)


def form(task: Task[..., Any], /, **values: Any) -> Any:  # noqa: ANN401 - a widget, which this module does not import
    """A form to start a task by hand: a field for each parameter, and a Run button; the live view appears below it.

    Ticks for `bool`, lists to choose from for `Enum` and `Literal`, sliders for numbers with both bounds (`Annotated[int, range(1, 10)]`,
    annotated_types' `Interval`, pydantic's `Field`), fields of dataclasses, uploads for `bytes`; lines for all else: numbers, texts, days
    and times, paths, literals such as `[1, 2]`, and names of variables for tables and classes of your own. Entries are read, never
    evaluated. One that does not fit says so beside its field, and nothing starts.

    Args:
        task: the task.
        values: what the fields begin with, by parameter, instead of the defaults.

    Returns:
        A widget; `form.run` is the run that it started last, `form.start()` does what the button does, `form.inputs` is what is entered.

    Raises:
        TypeError: it is no task, or has no such parameter.

    Example:
        >>> env = flyte.TaskEnvironment("docs")
        >>> @env.task
        ... def area(width: float, height: float = 2.0) -> float:
        ...     return width * height
        >>> form = flyte.form(area, width=1.5)
        >>> form.inputs
        {'width': 1.5, 'height': 2.0}
        >>> form.start().outputs()[0]
        3.0
    """
    from flyte_nb.notebook.form import TaskForm  # noqa: PLC0415 - it loads widgets
    from flyte_nb.notebook.kernel import current_shell  # noqa: PLC0415 - it is of IPython

    if not isinstance(task, Task):
        raise TypeError(f"flyte.form takes a task, got {type(task).__name__}: put `@env.task` above the function.")
    shell = current_shell()
    return TaskForm(task, run, shell.user_ns if shell is not None else {}, values)
