"""Decides how slots of a cluster that others use too are asked for: each one is a task of its scheduler, held while we use it.

What the scheduler does not see it gives away a second time: our work and that of others would share threads, a scheduler that
is idle in its own books would shut down under us, and an adaptive cluster would send our busy workers home. So a slot is used
only while a task of ours holds a thread of that worker ("slot"), and a worker that has anything of ours has one more task that
takes no thread ("stay"). The worker gives a slot back when there is nothing to do for it, or when others wait for the thread.

What runs on workers here is pickled by value: its scheduler may not have this package.

Must not know: actions, or when a slot is needed.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from distributed import Client

logger = logging.getLogger("flyte_nb")
#: Higher than what others ask for: of a thread that has become free we get the next turn. In return, after a turn in which
#: others had to wait, we wait as long before we ask again (see `workforce`).
PRIORITY = 1
#: More than that: a "stay" leaves its thread as soon as it has it. One that came after a slot would wait for the thread of that slot,
#: and the slot would give way to it for a turn, as to others.
STAY_PRIORITY = 2
#: Pause before a slot is asked for again that was not granted, because the scheduler is away, say.
RETRY_SECONDS = 0.5


def make_holder() -> Callable[[str, str, str], bool]:
    """A task that holds a thread of a worker (kind "slot"), or none ("stay"), until our agent there does not need it."""

    def flyte_nb_hold(plugin: str, agent: str, kind: str) -> bool:
        from distributed import get_worker, secede  # noqa: PLC0415 - it runs elsewhere

        worker = get_worker()
        ours: Any = worker.plugins[plugin]
        if kind == "stay":
            secede()  # type: ignore[no-untyped-call]  # Dask's
        return bool(ours.inner.hold(agent, kind, lambda: bool(worker.state.ready or worker.state.constrained)))

    return flyte_nb_hold


class Leases:
    """The slots that are asked for, or held. Use on the client's loop.

    Args:
        client: of the cluster.
        plugin: the name of what was put into its workers.
    """

    def __init__(self, client: Client, plugin: str) -> None:
        self._client: Any = client
        self._plugin = plugin
        self._hold = make_holder()
        self._numbers = itertools.count(1)
        self._asking: dict[str, set[asyncio.Task[None]]] = {}
        self._stays: set[str] = set()

    def want(self, agent: str, count: int) -> None:
        """Ask for so many slots more of a worker, which is to stay."""
        self.stay(agent)
        for _each in range(count):
            self._ask(agent, "slot")

    def stay(self, agent: str) -> None:
        """A worker gets something of ours: it is to stay until it has nothing any more."""
        if agent not in self._stays:
            self._stays.add(agent)
            self._ask(agent, "stay")

    def _ask(self, agent: str, kind: str) -> None:
        asking = self._asking.setdefault(agent, set())
        task = asyncio.get_running_loop().create_task(self._until_held(agent, kind))
        asking.add(task)
        task.add_done_callback(asking.discard)

    async def _until_held(self, agent: str, kind: str) -> None:
        while not await self._held(agent, kind):  # noqa: ASYNC110 - it is asked again, not looked at
            await asyncio.sleep(RETRY_SECONDS)
        if kind == "stay":
            self._stays.discard(agent)

    async def _held(self, agent: str, kind: str) -> bool:
        """Have it held once; False if the scheduler did not see to it."""
        future: Any = None
        try:
            future = self._client.submit(
                self._hold,
                self._plugin,
                agent,
                kind,
                key=f"flyte_nb_{kind}-{self._plugin}-{next(self._numbers)}",
                workers=[agent.rpartition("#")[0]],
                allow_other_workers=False,
                priority=STAY_PRIORITY if kind == "stay" else PRIORITY,
                pure=False,
                retries=0,
            )
            await future
        except asyncio.CancelledError:
            if future is None or not future.cancelled():  # it is this loop's task that ends, not the scheduler's
                raise
            return False
        except Exception as error:  # noqa: BLE001 - the scheduler is away, or the worker is about to be told as lost
            logger.debug("flyte_nb: a slot of %s was not granted: %s", agent, error)
            return False
        finally:
            if future is not None:
                with suppress(Exception):  # a client that is closed
                    future.release()
        return True

    def drop(self, agent: str) -> None:
        """A worker is gone."""
        self._stays.discard(agent)
        for task in self._asking.pop(agent, set()):
            task.cancel()

    async def close(self) -> None:
        """Give back what is not granted yet; what is held ends with the connections of the agents."""
        tasks = [task for agent in list(self._asking) for task in self._asking[agent]]
        for agent in list(self._asking):
            self.drop(agent)
        if tasks:
            await asyncio.wait(tasks, timeout=1)
