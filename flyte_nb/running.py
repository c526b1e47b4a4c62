"""Decides how runs are asked for: `flyte.run`, `flyte.run.aio`, `flyte.with_runcontext(...)`, `flyte.runs()`.

Must not know: how a run is executed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from flyte_nb import workspace
from flyte_nb.authoring.task import Task
from flyte_nb.remote import Run

#: What with_runcontext() accepts and has no effect here (a Flyte backend uses it).
INERT = frozenset(
    "service_account version copy_style dry_run copy_bundle_to interactive_mode raw_data_path run_base_dir run_start_time "
    "overwrite_cache project domain env_vars annotations interruptible log_level log_format user_log_level reset_root_logger "
    "disable_run_cache queue notifications cache_lookup_scope preserve_original_types debug tracked tracked_strict "
    "max_action_concurrency".split()
)


class RunContext:
    """How runs are started: `run(task, ...)` and its async form `run.aio`."""

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 - keywords of run_task
        self._options = options

    @property
    def run(self) -> RunCall:
        """Start a run; see `flyte_nb.run`."""
        return RunCall(self._options)


class RunCall:
    """`flyte.run`: start a run of a task and return its handle at once.

    Call it with a task and its inputs; `await flyte.run.aio(...)` is the same for async code. An async task's body runs in
    the kernel process and may call other tasks, which run on the cluster; a sync task runs on the cluster.

    Raises (when called):
        TypeError: not a task, or an input of the wrong type.
        ValueError: inputs are missing.
        NotSerializableError: an input cannot be pickled.
    """

    def __init__(self, options: Mapping[str, Any] | None = None) -> None:
        self._options = dict(options or {})

    def __call__(self, task: Task[..., Any], *args: Any, **kwargs: Any) -> Run:  # noqa: ANN401 - the task's inputs
        """Start a run."""
        return workspace.current().run_task(task, args, kwargs, **self._options)

    async def aio(self, task: Task[..., Any], *args: Any, **kwargs: Any) -> Run:  # noqa: ANN401 - the task's inputs
        """Start a run without blocking the loop."""
        return await asyncio.to_thread(self, task, *args, **kwargs)


run = RunCall()


def with_runcontext(
    mode: str | None = None,
    *,
    name: str | None = None,
    custom_context: Mapping[str, str] | None = None,
    labels: Mapping[str, str] | None = None,
    driver: str | None = None,
    max_actions: int | None = None,
    **inert: Any,  # noqa: ANN401 - accepted for Flyte
) -> RunContext:
    """Settings for the runs started with what this returns: `with_runcontext(name="x").run(task)`.

    Args:
        mode: accepted for Flyte; runs are always executed on the notebook's cluster.
        name: the run's name.
        custom_context: what `flyte.ctx().custom_context` holds in all actions.
        labels: kept with the run.
        driver: "kernel" or "cluster": where the root's body runs.
        max_actions: most actions of the run (default 1,000,000).

    Raises:
        ValueError: a setting is out of range.
        TypeError: an unknown setting.
    """
    if mode not in {None, "local", "remote", "hybrid"}:
        raise ValueError(f'mode must be "local", "remote" or "hybrid", got {mode!r}')
    unknown = set(inert) - INERT
    if unknown:
        raise TypeError(f"with_runcontext() got an unexpected keyword argument '{min(unknown)}'")
    if max_actions is not None and max_actions < 1:
        raise ValueError(f"max_actions must be at least 1, got {max_actions}")
    return RunContext(name=name, custom_context=custom_context, labels=labels, driver=driver, max_actions=max_actions)
