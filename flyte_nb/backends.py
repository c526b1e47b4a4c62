"""Decides which backend runs actions, by the settings: worker processes by Dask, or threads of this process.

Must not know: runs.
"""

from __future__ import annotations

from flyte_nb.engine import nursery
from flyte_nb.engine.backend import Backend
from flyte_nb.settings import Settings


def make_backend(settings: Settings, passing: str | None, owner: object) -> Backend:
    """A backend that was not started yet.

    Args:
        settings: which one, and how large.
        passing: where large values may be put on their way into the store; None is among temporary files.
        owner: who will say to the nursery that it needs no workers any more.
    """
    if settings.cluster == "inline":
        from flyte_nb.engine.inline_backend import InlineBackend  # noqa: PLC0415 - only when asked for

        return InlineBackend(settings.workers or 2, settings.threads_per_worker)
    if settings.cluster is None:
        nursery.enter(owner)  # it imports Dask while this process does
    from flyte_nb.engine.cluster import ClusterSize  # noqa: PLC0415 - importing Dask takes half a second
    from flyte_nb.engine.dask_backend import DaskBackend  # noqa: PLC0415 - the same
    from flyte_nb.worker_main import AgentPlugin  # noqa: PLC0415 - the same

    return DaskBackend(
        AgentPlugin,
        ClusterSize(settings.workers, settings.threads_per_worker, settings.memory_limit, settings.adaptive),
        cluster=settings.cluster,
        security=settings.security,
        kill_workers=settings.kill_workers,
        ship_package=settings.ship_package,
        kernel_host=settings.kernel_host,
        passing=passing,
    )
