"""Decides how the engine uses Dask: it owns the processes, their nannies, their memory limits and TLS; we own the work.

Each worker gets a plugin (see `worker_main`) that starts an `Agent` in it and connects back to the kernel. Chunks
travel over that link; a worker's death is the end of its connection. The scheduler is not on the way of an action, so
runs go on while it is away; only new workers wait for it.

Must not know: what messages mean.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import ssl
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import psutil
from distributed import Client, SpecCluster, WorkerPlugin
from distributed.comm.core import CommClosedError
from distributed.deploy.cluster import Cluster
from distributed.security import Security

from flyte_nb.core.summary import Starting
from flyte_nb.engine import existing, nursery
from flyte_nb.engine.backend import ClusterFacts, Listener, WorkerFacts
from flyte_nb.engine.cluster import ClusterSize, most_workers, workers_of
from flyte_nb.engine.commands import Command, EndProcess, SendChunk, WantSlots
from flyte_nb.engine.connecting import address_of, connect, dashboard_link, has_dashboard, own_hosts
from flyte_nb.engine.deaths import Deaths
from flyte_nb.engine.embedded import EmbeddedCluster, let_go
from flyte_nb.engine.files import make_folder, remove_folder
from flyte_nb.engine.frozen import FROZEN_SECONDS, Frozen
from flyte_nb.engine.hello import Hello, LinkAddress, LinkTls, host_id
from flyte_nb.engine.hush import hush_thread
from flyte_nb.engine.leases import Leases
from flyte_nb.engine.link import TOKEN_BYTES, LinkServer
from flyte_nb.engine.reaper import Reaper
from flyte_nb.engine.stimuli import AgentJoined, AgentLost
from flyte_nb.errors import ClusterMismatchError

#: Where Dask tells of workers that a nanny ends for using too much memory.
_MEMORY_TOPIC = "worker-restart-memory"
#: How often it is looked whether the scheduler is still there.
WATCH_SECONDS = 1.0
#: So many things that people should know of a cluster are kept.
MOST_REMARKS = 20


class DaskBackend:
    """A Dask cluster: the embedded one, or one that the user has.

    Args:
        make_plugin: makes what is put into every worker of the embedded cluster (see `worker_main`).
        size: of the embedded cluster.
        cluster: a scheduler's address, a `Client`, or a Dask cluster object; None is the embedded one.
        security: TLS credentials for an existing cluster that asks for them.
        kill_workers: whether workers that we did not start may be ended when an action does not stop.
        ship_package: whether this package is sent to workers that do not have it.
        kernel_host: where the workers of an existing cluster find this machine, if not at the address that its scheduler sees.
        passing: where large values are put on their way from workers of this machine; None is among temporary files.
    """

    def __init__(
        self,
        make_plugin: Callable[[LinkAddress], WorkerPlugin],
        size: ClusterSize | None = None,
        *,
        cluster: str | Client | Cluster | None = None,
        security: Security | None = None,
        kill_workers: bool = False,
        ship_package: bool = True,
        kernel_host: str | None = None,
        passing: str | None = None,
    ) -> None:
        self._passing = passing
        self._make_plugin = make_plugin
        self._size = size or ClusterSize()
        self._given = cluster
        self._security = security
        self._kill_workers, self._ship_package, self._kernel_host = kill_workers, ship_package, kernel_host
        self._embedded: EmbeddedCluster | None = None
        self._client: Client | None = None
        self._listener: Listener | None = None
        self._link: LinkServer | None = None
        self._reaper: Reaper | None = None
        self._leases: Leases | None = None
        self._deaths: Deaths | None = None
        self._watching: asyncio.Task[None] | None = None
        self._hellos: dict[str, Hello] = {}
        self._welcoming: set[asyncio.Task[None]] = set()
        self._remarks: tuple[str, ...] = ()
        self._has_dashboard = False
        self._address = self._folder = ""
        self._plugin_name = f"flyte_nb-{secrets.token_hex(4)}"

    # ------------------------------------------------------------------ start and stop
    async def start(self, listener: Listener) -> None:
        """See `Backend`. May be called again after `close`."""
        hush_thread()
        self._listener = listener
        self._folder = make_folder(self._passing)
        link_tls = Security.temporary()
        self._link = LinkServer(secrets.token_bytes(TOKEN_BYTES), self._hello, self._messages, self._closed)
        try:
            client = self._client = await self._connect(link_tls)
            self._address = address_of(client)
            hosts = ["127.0.0.1"] if self._given is None else own_hosts(client, self._kernel_host)
            port = await self._link.listen("0.0.0.0" if self._kernel_host else hosts[0], _server_tls(link_tls))  # noqa: S104 - asked for
            address = LinkAddress(tuple(hosts), port, self._link.token, _client_tls(link_tls), host_id(), os.getpid(), self._folder)
            if self._given is not None:
                address = replace(address, topic=self._plugin_name)
            self._subscribe(client)
            await self._send_agents(client, address)
        except BaseException:
            await self.close()
            raise
        self._watching = asyncio.get_running_loop().create_task(self._watch(client, address))

    async def _connect(self, tls: Security) -> Client:
        if self._given is None:
            self._reaper = Reaper(self._folder)
            self._embedded = EmbeddedCluster(self._size, self._folder, tls)
            embedded = self._embedded
            self._deaths = Deaths(embedded.exit_code, sees_codes=True, tell=self._dead, forget=embedded.forget)
            client = await embedded.start()
            if socket_folder := nursery.folder():
                self._reaper.add_path(socket_folder)
            self._has_dashboard = has_dashboard(embedded.scheduler)
            return client
        self._deaths = Deaths(lambda _pid: None, sees_codes=False, tell=self._dead)
        client = await connect(self._given, self._security)
        self._leases = Leases(client, self._plugin_name)
        return client

    async def _send_agents(self, client: Client, address: LinkAddress) -> None:
        """Put an agent into every worker, those that come later included."""
        if self._given is None:
            plugin = self._make_plugin(replace(address, ours=True, workers=most_workers(self._size)))
        else:
            found = await existing.inspect(client, ship=self._ship_package)
            self._remarks, self._has_dashboard = found.remarks, found.dashboard
            plugin = existing.make_bootstrap(address, ship=self._ship_package)
        try:
            await client.register_plugin(plugin, name=self._plugin_name)
        except OSError as error:
            if isinstance(error, CommClosedError) and client.status == "running" and (self._embedded is None or self._embedded.is_up):
                return  # a worker died while it was given it; the others have it, and so will those that come
            raise ClusterMismatchError(
                f"{error}. The workers must be able to open a connection to this machine: run the kernel where they can, or name an "
                'address under which they see it: flyte.init(cluster=..., kernel_host="...").'
            ) from None

    def _subscribe(self, client: Client) -> None:
        """Hear what its scheduler tells."""
        client.subscribe_topic(_MEMORY_TOPIC, self._memory_event)
        if self._given is not None:
            client.subscribe_topic(self._plugin_name, self._cannot_be_used)

    async def close(self) -> None:
        """See `Backend`."""
        self._listener = None
        self._hellos.clear()
        ending = [*self._welcoming, *([self._watching] if self._watching is not None else [])]
        for task in ending:
            task.cancel()
        await asyncio.gather(*ending, return_exceptions=True)
        if self._leases is not None:
            await self._leases.close()
        if self._client is not None:
            await self._leave(self._client)
        if self._embedded is not None:
            await self._embedded.close()
        if self._link is not None:
            await self._link.close()
        if self._deaths is not None:
            await self._deaths.close()
        remove_folder(self._folder)
        if self._reaper is not None:
            self._reaper.close()
        self._client = self._embedded = self._link = self._deaths = self._reaper = self._watching = self._leases = None

    async def _leave(self, client: Client) -> None:
        """Take what is ours off an existing cluster."""
        if client.status == "running":
            with suppress(OSError, ValueError, KeyError):  # it goes down right now; it, or a worker that has just come, never had it
                client.unsubscribe_topic(_MEMORY_TOPIC)
                if self._given is not None:
                    client.unsubscribe_topic(self._plugin_name)
                    await client.unregister_worker_plugin(self._plugin_name)
        await _done(client.close())

    async def _watch(self, client: Client, address: LinkAddress) -> None:
        """See whether the scheduler is there, and no worker held; a scheduler that comes back knows nothing of us."""
        away, frozen = False, Frozen()
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            for agent in frozen.look({hello.agent: hello.pid for hello in self._hellos.values() if hello.host_id == host_id()}):
                self._give_up(agent)
            gave_up = client.status == "closed" and not self._hellos  # as long as workers are there, runs go on
            if gave_up or (self._embedded is not None and not self._embedded.is_up):
                if self._listener is not None:
                    self._listener.cluster_lost("its scheduler is gone" + ("" if self._given is None else " and did not come back"))
                return
            if client.status != "running":
                if not away and self._listener is not None:
                    self._listener.noted(f"the scheduler at {self._address} does not answer; runs go on with the workers that are there")
                away = True
            elif away:
                with suppress(OSError, ClusterMismatchError):  # it is away again: looked at in a second
                    self._subscribe(client)
                    await self._send_agents(client, address)
                    away = False
                    if self._listener is not None:
                        self._listener.noted(f"the scheduler at {self._address} is back")

    async def scale(self, workers: int, leaving: Collection[str] = ()) -> None:
        """See `Backend`."""
        names = {self._hellos[agent].name for agent in leaving if agent in self._hellos}
        if self._embedded is not None:
            await self._embedded.scale(workers, names)
            return
        cluster = self._given.cluster if isinstance(self._given, Client) else self._given
        if not isinstance(cluster, Cluster):
            raise TypeError("This cluster is known by its address only: change its size where it was started.")
        if isinstance(cluster, SpecCluster):
            let_go(cluster, workers, names)
        scale: Callable[[int], Awaitable[None] | None] = cluster.scale
        await _done(scale(workers))

    # ------------------------------------------------------------------ workers
    def _hello(self, hello: Hello) -> None:
        if self._listener is None:  # it comes as we go
            return
        self._hellos[hello.agent] = hello
        ours = self._given is None or self._kill_workers
        if hello.group and self._reaper is not None:
            self._reaper.add(hello.pid)
        joined = AgentJoined(
            hello.agent,
            hello.name,
            hello.pid,
            hello.slots,
            ours,
            memory_limit=hello.memory_limit,
            gpus=hello.gpus,
            leased=self._given is not None,
        )
        welcome = asyncio.get_running_loop().create_task(self._welcome(joined))
        self._welcoming.add(welcome)
        welcome.add_done_callback(self._welcoming.discard)

    async def _welcome(self, joined: AgentJoined) -> None:
        """Let a worker have work as soon as it can die without harm."""
        if self._embedded is not None:
            await self._embedded.started(joined.pid, lambda: joined.agent in self._hellos)
            self._embedded.note_processes()
        if self._listener is not None and joined.agent in self._hellos:
            self._listener.joined(joined)

    def _messages(self, _agent: str, messages: Sequence[Any]) -> None:
        if self._listener is not None:
            self._listener.received(messages)

    def _closed(self, agent: str, reason: str) -> None:
        hello = self._hellos.pop(agent, None)
        if hello is None or self._listener is None or self._deaths is None:
            return
        if self._leases is not None:
            self._leases.drop(agent)
        self._listener.leaving(agent)  # nothing new goes there while it is found out why
        if hello.group:  # what a task started there has lost its parent
            with suppress(OSError):
                os.killpg(hello.pid, signal.SIGKILL)
            if self._reaper is not None:
                self._reaper.drop(hello.pid)
        self._deaths.closed(hello, reason)

    def _give_up(self, agent: str) -> None:
        """A worker is held by a stop signal: what it had runs elsewhere, and should it go on, nobody listens to what it then says."""
        if self._deaths is not None:
            self._deaths.explain(self._hellos[agent].pid, f"its process was held by a stop signal for {FROZEN_SECONDS:g} s")
        if not self.kill(agent) and self._link is not None:
            self._link.drop(agent)

    def _dead(self, lost: AgentLost) -> None:
        if self._listener is not None:
            self._listener.lost(lost)

    async def _memory_event(self, event: tuple[float, Mapping[str, Any]]) -> None:
        _at, told = event
        if self._deaths is not None:
            self._deaths.used_too_much(int(told["pid"]), int(told["rss"]))

    async def _cannot_be_used(self, event: tuple[float, Mapping[str, str]]) -> None:
        _at, told = event
        remark = f"worker {told['name']} ({told['worker']}) is not used: {told['problem']}"
        if remark not in self._remarks:
            self._remarks = (*self._remarks[-MOST_REMARKS:], remark)
            if self._listener is not None:
                self._listener.noted(remark)

    def send(self, agent: str, command: Command) -> None:
        """See `Backend`."""
        if self._leases is not None and isinstance(command, WantSlots | SendChunk):
            if isinstance(command, WantSlots):
                self._leases.want(agent, command.count)
                return
            self._leases.stay(agent)
        if self._link is not None:
            self._link.send(agent, command)

    def kill(self, agent: str) -> bool:
        """See `Backend`. The nanny starts another worker in its place."""
        hello = self._hellos.get(agent)
        if hello is None or (self._given is not None and not self._kill_workers):
            return False
        if hello.host_id == host_id():
            kill_tree(hello.pid)
        else:
            self.send(agent, EndProcess(agent))
        return True

    # ------------------------------------------------------------------ for people
    def facts(self) -> ClusterFacts:
        """See `Backend`."""
        client = self._client
        limits = () if self._given is None or self._kill_workers else ("workers that do not stop are not ended",)
        return ClusterFacts(
            kind="embedded" if self._given is None else "existing",
            address=self._address,
            dashboard=dashboard_link(client, self._given) if client is not None and self._has_dashboard else "",
            workers=len(self._hellos),
            slots=sum(hello.slots for hello in self._hellos.values()),
            memory_bytes=sum(hello.memory_limit for hello in self._hellos.values()),
            limits="; ".join((*self._remarks, *limits)),
            starting=self._starting(),
            members=tuple(_facts_of(hello) for hello in sorted(self._hellos.values(), key=lambda each: (len(each.name), each.name))),
        )

    def _starting(self) -> Starting | None:
        if self._watching is not None or self._listener is None:  # it has been started, or nobody has asked for it
            return None
        if self._embedded is not None:
            return self._embedded.starting()
        return Starting(scheduler=self._client is not None, workers=0, expected=workers_of(self._size) if self._given is None else 0)


def _facts_of(hello: Hello) -> WorkerFacts:
    rss = 0
    if hello.host_id == host_id():
        with suppress(psutil.Error):  # it has just ended
            rss = psutil.Process(hello.pid).memory_info().rss
    return WorkerFacts(hello.agent, hello.name, hello.pid, hello.slots, hello.memory_limit, rss, hello.gpus)


def kill_tree(pid: int) -> None:
    """End a process and all that it has started."""
    try:
        process = psutil.Process(pid)
        children = process.children(recursive=True)
    except psutil.NoSuchProcess:  # it has just ended by itself
        return
    for each in (process, *children):
        with suppress(psutil.NoSuchProcess):
            each.kill()


async def _done(work: Awaitable[None] | None) -> None:
    """What Dask begins, awaited where it can be."""
    if work is not None:
        await work


def _server_tls(security: Security) -> ssl.SSLContext:
    context: ssl.SSLContext = security.get_listen_args("scheduler")["ssl_context"]
    return context


def _client_tls(security: Security) -> LinkTls:
    """A worker's certificate and key (contexts cannot be pickled)."""
    ca, cert, key = (str(getattr(security, name)) for name in ("tls_ca_file", "tls_worker_cert", "tls_worker_key"))  # mypy knows none
    return LinkTls(ca, cert, key)
