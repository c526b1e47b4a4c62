"""Decides how the engine uses Dask: it owns the processes, their nannies, their memory limits and TLS; we own the work.

Each worker gets a plugin (see `worker_main`) that starts an `Agent` in it and connects back to the kernel. Chunks
travel over that link; a worker's death is the end of its connection. The scheduler is not on the way of an action.

Must not know: what messages mean.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import ssl
from collections.abc import Callable, Sequence
from typing import Any

import dask.config
from distributed import Client, SpecCluster, WorkerPlugin
from distributed.deploy import Cluster
from distributed.security import Security

from flyte_nb.engine.backend import ClusterFacts, Listener
from flyte_nb.engine.cluster import CONFIG, ClusterSize, start_embedded
from flyte_nb.engine.commands import Command
from flyte_nb.engine.files import make_folder, remove_folder
from flyte_nb.engine.hello import Hello, LinkAddress, LinkTls, host_id
from flyte_nb.engine.link import TOKEN_BYTES, LinkServer
from flyte_nb.engine.stimuli import AgentJoined


class DaskBackend:
    """A Dask cluster: the embedded one, or one that the user has.

    Args:
        make_plugin: makes what is put into every worker (see `worker_main`).
        size: of the embedded cluster.
        cluster: a scheduler's address, a `Client`, or a Dask cluster object; None is the embedded one.
        kill_workers: whether workers that we did not start may be ended when an action does not stop.
    """

    def __init__(
        self,
        make_plugin: Callable[[LinkAddress], WorkerPlugin],
        size: ClusterSize | None = None,
        *,
        cluster: str | Client | Cluster | None = None,
        security: Security | None = None,
        kill_workers: bool = False,
    ) -> None:
        self._make_plugin = make_plugin
        self._size = size or ClusterSize()
        self._given = cluster
        self._security = security
        self._kill_workers = kill_workers
        self._cluster: SpecCluster | None = None
        self._client: Client | None = None
        self._listener: Listener | None = None
        self._link: LinkServer | None = None
        self._hellos: dict[str, Hello] = {}
        self._folder = ""
        self._plugin_name = f"flyte_nb-{secrets.token_hex(4)}"

    # ------------------------------------------------------------------ start and stop
    async def start(self, listener: Listener) -> None:
        """See `Backend`."""
        self._listener = listener
        link_tls = Security.temporary()
        self._link = LinkServer(secrets.token_bytes(TOKEN_BYTES), self._hello, self._messages, self._closed)
        token = self._link.token
        starting = asyncio.ensure_future(self._connect())
        try:
            host = "127.0.0.1" if self._given is None else "0.0.0.0"  # noqa: S104 - workers are on other machines
            port = await self._link.listen(host, _server_tls(link_tls))
            client = await starting
            hosts = ["127.0.0.1"] if self._given is None else _own_hosts(client)
            self._folder = make_folder()
            address = LinkAddress(tuple(hosts), port, token, _client_tls(link_tls), host_id(), os.getpid(), self._folder)
            await client.register_plugin(self._make_plugin(address), name=self._plugin_name)
        except BaseException:
            starting.cancel()
            await self.close()
            raise

    async def _connect(self) -> Client:
        if self._given is None:
            with dask.config.set(CONFIG):
                self._cluster = await start_embedded(self._size, asynchronous=True)
                self._client = await Client(self._cluster, asynchronous=True, set_as_default=False)
            return self._client
        given = self._given
        address = given if isinstance(given, str) else _address_of(given)
        security = self._security or getattr(given, "security", None)
        self._client = await Client(address, security=security, asynchronous=True, set_as_default=False)
        return self._client

    async def close(self) -> None:
        """See `Backend`."""
        self._listener = None
        if self._client is not None:
            if self._given is not None:
                await self._client.unregister_worker_plugin(self._plugin_name)
            await self._client.close()
        if self._cluster is not None:
            await self._cluster.close()
        if self._link is not None:
            await self._link.close()
        remove_folder(self._folder)

    async def scale(self, workers: int) -> None:
        """See `Backend`."""
        cluster = self._cluster if self._given is None else self._given
        if not isinstance(cluster, Cluster):
            raise TypeError("This cluster is known by its address only: change its size where it was started.")
        scaled = cluster.scale(workers)
        if scaled is not None:
            await scaled
        if isinstance(cluster, SpecCluster) and cluster is self._cluster:
            await cluster._correct_state()  # noqa: SLF001 - the awaitable form of what scale() only begins

    # ------------------------------------------------------------------ messages
    def _hello(self, hello: Hello) -> None:
        self._hellos[hello.agent] = hello
        ours = self._given is None or self._kill_workers
        joined = AgentJoined(hello.agent, hello.name, hello.pid, hello.slots, ours)
        if self._listener is not None:
            self._listener.joined(joined)

    def _messages(self, _agent: str, messages: Sequence[Any]) -> None:
        if self._listener is not None:
            self._listener.received(messages)

    def _closed(self, agent: str, reason: str) -> None:
        self._hellos.pop(agent, None)
        if self._listener is not None:
            self._listener.lost(agent, reason)

    def send(self, agent: str, command: Command) -> None:
        """See `Backend`."""
        if self._link is not None:
            self._link.send(agent, command)

    def kill(self, agent: str) -> bool:
        """See `Backend`. The nanny starts another worker in its place."""
        hello = self._hellos.get(agent)
        if hello is None or (self._given is not None and not self._kill_workers):
            return False
        if hello.host_id != host_id():
            return False
        os.kill(hello.pid, signal.SIGKILL)
        return True

    def facts(self) -> ClusterFacts:
        """See `Backend`."""
        slots = sum(hello.slots for hello in self._hellos.values())
        memory = sum(hello.memory_limit for hello in self._hellos.values())
        client = self._client
        address = client.scheduler.address if client is not None and client.scheduler is not None else ""
        return ClusterFacts(
            kind="embedded" if self._given is None else "existing",
            address=address,
            dashboard=client.dashboard_link or "" if client is not None else "",
            workers=len(self._hellos),
            slots=slots,
            memory_bytes=memory,
            limits="" if self._given is None or self._kill_workers else "workers that do not stop are not ended",
        )


def _address_of(given: Client | Cluster) -> str:
    if isinstance(given, Client):
        return str(given.scheduler.address)
    return str(given.scheduler_address)


def _own_hosts(client: Client) -> list[str]:
    """Addresses of this machine under which workers may find it."""
    local = client.scheduler_comm.comm.local_address
    host = local.split("://", 1)[-1].rsplit(":", 1)[0]
    return list(dict.fromkeys((host, "127.0.0.1")))


def _server_tls(security: Security) -> ssl.SSLContext:
    context: ssl.SSLContext = security.get_listen_args("scheduler")["ssl_context"]
    return context


def _client_tls(security: Security) -> LinkTls:
    """A worker's certificate and key (contexts cannot be pickled)."""
    return LinkTls(str(security.tls_ca_file), str(security.tls_worker_cert), str(security.tls_worker_key))
