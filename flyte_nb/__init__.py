"""Flyte 2's way of writing parallel programs, in a notebook, on a Dask cluster.

`import flyte_nb as flyte`, declare tasks with `@env.task` (or `%%flyte_task` after `%load_ext flyte_nb`), fan out with
`asyncio.gather` or `flyte.map`, and watch the run below the cell.
"""

from __future__ import annotations

import logging
from typing import Any

from flyte_nb import errors, models, remote
from flyte_nb.authoring.context import ctx, custom_context, get_custom_context, group
from flyte_nb.authoring.environment import TaskEnvironment
from flyte_nb.authoring.fanout import Map
from flyte_nb.authoring.inert import Image
from flyte_nb.authoring.task import Task
from flyte_nb.core.phases import ActionPhase
from flyte_nb.core.policy import Backoff, Cache, Resources, RetryStrategy, ReusePolicy, Secret, Timeout
from flyte_nb.initialize import init, init_from_api_key, init_from_config, init_in_cluster, init_passthrough
from flyte_nb.running import run, with_runcontext

__version__ = "0.1.0.dev0"

logger = logging.getLogger("flyte_nb")
map = Map()  # noqa: A001 - Flyte's name

__all__ = [
    "ActionPhase",
    "Backoff",
    "Cache",
    "Image",
    "Resources",
    "RetryStrategy",
    "ReusePolicy",
    "Secret",
    "Task",
    "TaskEnvironment",
    "Timeout",
    "ctx",
    "custom_context",
    "errors",
    "get_custom_context",
    "group",
    "init",
    "init_from_api_key",
    "init_from_config",
    "init_in_cluster",
    "init_passthrough",
    "logger",
    "map",
    "models",
    "remote",
    "run",
    "with_runcontext",
]


def load_ipython_extension(shell: Any) -> None:  # noqa: ANN401 - an IPython shell, which is not imported here
    """What `%load_ext flyte_nb` calls."""
    from flyte_nb import workspace  # noqa: PLC0415 - IPython is only needed in IPython
    from flyte_nb.notebook import magics  # noqa: PLC0415 - the same

    magics.register(shell, workspace.current())
