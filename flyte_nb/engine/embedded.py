"""Decides how the embedded cluster is kept alive: started, watched, mended, scaled and closed.

Dask's nannies restart workers that die, but give up on one that dies while it starts; a cluster whose last nanny gave up
would let runs wait for ever. So nannies are looked at now and then, and one that holds no process is replaced.

Must not know: actions.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from typing import Any

import dask.config
from distributed import Client, Nanny, SpecCluster
from distributed.core import Status
from distributed.security import Security

from flyte_nb.core.summary import Starting
from flyte_nb.engine import nursery
from flyte_nb.engine.cluster import CONFIG, ClusterSize, memory_limit_of, most_workers, start_embedded, workers_of

logger = logging.getLogger("flyte_nb")
#: How often nannies are looked at, and how many looks in a row must find no process.
LOOK_SECONDS, LOOKS = 1.0, 4
#: The same for workers that have connected, until their nanny knows that they have started.
START_LOOK_SECONDS, START_LOOKS = 0.02, 500


class EmbeddedCluster:
    """The cluster of one kernel. Use on one loop.

    Args:
        size: what was asked for.
        folder: where its processes keep what they put on disk; "" for Dask's own place.
        security: certificates of its connections.
    """

    def __init__(self, size: ClusterSize, folder: str, security: Security) -> None:
        self._size, self._folder, self._security = size, folder, security
        self._cluster: SpecCluster | None = None
        self._begun: SpecCluster | None = None
        self._tending: asyncio.Task[None] | None = None
        self._processes: dict[int, Any] = {}
        self._idle_looks: dict[Any, int] = {}

    async def start(self) -> Client:
        """Start it; returns a client of it."""
        nursery.enter(self)
        with dask.config.set({**CONFIG, "temporary-directory": self._folder or None}):  # of the scheduler
            self._begun = start_embedded(self._size, self._security, folder=self._folder, asynchronous=True)
            self._cluster = await self._begun
            client: Client = await Client(self._cluster, asynchronous=True, set_as_default=False)
        self._tending = asyncio.get_running_loop().create_task(self._tend())
        return client

    def starting(self) -> Starting:
        """How far its start is; from any thread."""
        scheduler = getattr(self._begun, "scheduler", None)
        return Starting(
            scheduler=getattr(scheduler, "status", None) is Status.running,
            workers=len(getattr(scheduler, "workers", ())),
            expected=workers_of(self._size),
        )

    @property
    def scheduler(self) -> Any:  # noqa: ANN401 - a Scheduler, which Dask does not tell mypy
        """Its scheduler, None before it was started."""
        return self._cluster.scheduler if self._cluster is not None else None

    @property
    def is_up(self) -> bool:
        """Whether its scheduler runs."""
        return getattr(self.scheduler, "status", None) is Status.running

    # ------------------------------------------------------------------ processes
    def _nannies(self) -> dict[Any, Nanny]:
        return {} if self._cluster is None else {name: each for name, each in self._cluster.workers.items() if isinstance(each, Nanny)}

    def note_processes(self) -> None:
        """Remember the processes that run now: their exit codes are asked for when their nannies have dropped them."""
        for nanny in self._nannies().values():
            process = nanny.process.process if nanny.process is not None else None
            if process is not None and process.pid is not None:
                self._processes[process.pid] = process

    async def started(self, pid: int, is_there: Callable[[], bool]) -> None:
        """Wait until a worker's nanny holds it for started: it gives up on one that dies before."""
        for _look in range(START_LOOKS):
            if not is_there():
                return
            for nanny in self._nannies().values():
                if nanny.process is not None and nanny.process.pid == pid and nanny.process.status is Status.running:
                    return
            await asyncio.sleep(START_LOOK_SECONDS)

    def exit_code(self, pid: int) -> int | None:
        """The exit code of a worker's process, None while it is not known."""
        if pid not in self._processes:
            self.note_processes()
        process = self._processes.get(pid)
        return process.exitcode if process is not None else None

    def forget(self, pid: int) -> None:
        """A process has ended and its end was told."""
        self._processes.pop(pid, None)

    # ------------------------------------------------------------------ tending
    async def _tend(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            self.note_processes()
            try:
                await self._mend()
            except Exception as error:  # noqa: BLE001 - looked at again in a second
                logger.warning("flyte_nb: a worker could not be replaced: %s: %s", type(error).__name__, error)

    async def _mend(self) -> None:
        cluster = self._cluster
        if cluster is None or not self.is_up:
            return
        for name, nanny in self._nannies().items():
            holds = nanny.process is not None and nanny.process.status in {Status.starting, Status.running}
            self._idle_looks[name] = 0 if holds else self._idle_looks.get(name, 0) + 1
        for name in [name for name, looks in self._idle_looks.items() if looks >= LOOKS]:
            del self._idle_looks[name]
            nanny = cluster.workers.pop(name, None)
            if nanny is not None:
                logger.info("flyte_nb: worker %s has no process; another one takes its place", name)
                with suppress(Exception):  # it has failed already
                    await asyncio.wait_for(nanny.close(), 5)
        if set(cluster.worker_spec) - set(cluster.workers):
            await cluster._correct_state()  # noqa: SLF001 - the awaitable form of what scale() begins

    # ------------------------------------------------------------------ size
    async def scale(self, workers: int, leaving: Collection[str]) -> None:
        """Change the number of workers; the ones named go first."""
        cluster = self._cluster
        if cluster is None:
            return
        limit = memory_limit_of(self._size, max(workers, most_workers(self._size)))
        cluster.new_spec["options"]["memory_limit"] = limit  # of those that come; the others keep theirs
        let_go(cluster, workers, leaving)
        scaling = cluster.scale(workers)
        if scaling is not None:
            await scaling
        await cluster._correct_state()  # noqa: SLF001 - as above

    @property
    def wanted(self) -> int:
        """How many workers it is to have."""
        return len(self._cluster.worker_spec) if self._cluster is not None else 0

    async def close(self) -> None:
        """End all its processes."""
        if self._tending is not None:
            self._tending.cancel()
        if self._cluster is not None:
            closing: Awaitable[None] | None = self._cluster.close()
            if closing is not None:
                await closing
        await asyncio.to_thread(nursery.leave, self)


def let_go(cluster: SpecCluster, workers: int, leaving: Collection[str]) -> None:
    """Take the workers named out of a cluster's plan, until so many are left; `scale` would take the last ones."""
    for name in [name for name in cluster.worker_spec if str(name) in leaving]:
        if len(cluster.worker_spec) > workers:
            del cluster.worker_spec[name]
