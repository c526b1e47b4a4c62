"""Flyte 2's way of writing parallel programs, in a notebook, on a Dask cluster.

`import flyte_nb as flyte`, declare tasks with `@env.task` (or `%%flyte_task` after `%load_ext flyte_nb`), fan out with
`asyncio.gather` or `flyte.map`, and watch the run below the cell.
"""

from __future__ import annotations

import logging
from typing import Any

from flyte_nb import durable, errors, io, models, plots, remote, report
from flyte_nb.authoring.checkpoints import Checkpoint, latest_checkpoint
from flyte_nb.authoring.conditions import ConditionWebhook, NewCondition
from flyte_nb.authoring.context import ctx, custom_context, get_custom_context, group
from flyte_nb.authoring.deployment import Documentation, ImageBuild, build, build_images, deploy
from flyte_nb.authoring.environment import TaskEnvironment
from flyte_nb.authoring.fanout import Map
from flyte_nb.authoring.inert import (
    Cron,
    FixedRate,
    Image,
    Link,
    OnArtifact,
    PodTemplate,
    Trigger,
    TriggeredArtifact,
    TriggeredPartition,
    TriggerTime,
)
from flyte_nb.authoring.task import Task
from flyte_nb.authoring.trace import trace
from flyte_nb.core.phases import ActionPhase
from flyte_nb.core.policy import (
    Backoff,
    Cache,
    CachePolicy,
    CacheRequest,
    Resources,
    RetryStrategy,
    ReusePolicy,
    Secret,
    SecretRequest,
    Timeout,
    TimeoutType,
)
from flyte_nb.core.resources import AMD_GPU, APPLE_SILICON, GPU, HABANA_GAUDI, TPU, Device, DeviceClass, Neuron
from flyte_nb.initialize import (
    current_domain,
    current_project,
    init,
    init_from_api_key,
    init_from_config,
    init_in_cluster,
    init_passthrough,
    is_control_plane_available,
)
from flyte_nb.moving import export
from flyte_nb.running import form, rerun, run, runs, with_runcontext
from flyte_nb.sweeps import MapFrame, choice, grid, lognormal, loguniform, normal, randint, sample, uniform
from flyte_nb.views.scores import best

__version__ = "0.1.0.dev0"

#: What this package logs to; `flyte.with_runcontext(log_level="DEBUG")` says how much.
logger = logging.getLogger("flyte_nb")
map = Map()
map_frame = MapFrame()
new_condition = NewCondition()
#: The same as `logger`; in Flyte it is the SDK's own.
system_logger = logger
#: Flyte's names for what is one class here.
AsyncFunctionTaskTemplate = TaskTemplate = Task
Environment = TaskEnvironment


def version() -> str:
    """The version of this package."""
    return __version__


__all__ = [
    "AMD_GPU",
    "APPLE_SILICON",
    "GPU",
    "HABANA_GAUDI",
    "TPU",
    "ActionPhase",
    "AsyncFunctionTaskTemplate",
    "Backoff",
    "Cache",
    "CachePolicy",
    "CacheRequest",
    "Checkpoint",
    "ConditionWebhook",
    "Cron",
    "Device",
    "DeviceClass",
    "Documentation",
    "Environment",
    "FixedRate",
    "Image",
    "ImageBuild",
    "Link",
    "Neuron",
    "OnArtifact",
    "PodTemplate",
    "Resources",
    "RetryStrategy",
    "ReusePolicy",
    "Secret",
    "SecretRequest",
    "Task",
    "TaskEnvironment",
    "TaskTemplate",
    "Timeout",
    "TimeoutType",
    "Trigger",
    "TriggerTime",
    "TriggeredArtifact",
    "TriggeredPartition",
    "best",
    "build",
    "build_images",
    "choice",
    "ctx",
    "current_domain",
    "current_project",
    "custom_context",
    "deploy",
    "durable",
    "errors",
    "export",
    "form",
    "get_custom_context",
    "grid",
    "group",
    "init",
    "init_from_api_key",
    "init_from_config",
    "init_in_cluster",
    "init_passthrough",
    "io",
    "is_control_plane_available",
    "latest_checkpoint",
    "logger",
    "lognormal",
    "loguniform",
    "map",
    "map_frame",
    "models",
    "new_condition",
    "normal",
    "plots",
    "randint",
    "remote",
    "report",
    "rerun",
    "run",
    "runs",
    "sample",
    "system_logger",
    "trace",
    "uniform",
    "version",
    "with_runcontext",
]


#: What people look for here who come from elsewhere: Flyte 1, Dask, Ray.
_ELSEWHERE = {
    "task": 'make an environment first, `env = flyte.TaskEnvironment("name")`, then `@env.task`',
    "workflow": "a driver is a task that calls tasks: `@env.task`",
    "dynamic": "a driver is a task that calls tasks, and may loop and branch: `@env.task`",
    "map_task": "`flyte.map(task, items)`",
    "gather": "`await asyncio.gather(*calls)`",
    "delayed": "`@env.task`",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401 - it never returns
    hint = f": here {_ELSEWHERE[name]}." if name in _ELSEWHERE else ""
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}{hint}", name=name)


def load_ipython_extension(shell: Any) -> None:  # noqa: ANN401 - an IPython shell, which is not imported here
    """What `%load_ext flyte_nb` calls."""
    from flyte_nb import workspace  # noqa: PLC0415 - IPython is only needed in IPython
    from flyte_nb.notebook import magics  # noqa: PLC0415 - the same

    magics.register(shell, workspace.current(), map_frame)
