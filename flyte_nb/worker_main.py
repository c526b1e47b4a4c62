"""Decides how a worker is wired: the only place that puts an agent, its loop and its link into a Dask worker.

The link to the kernel may break while both live on: then everything that ran for it is stopped, and another agent
connects, as long as there is somebody to connect to.

Must not know: actions; the agent does.
"""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import os
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil
from distributed import Worker, WorkerPlugin
from distributed.security import Security

from flyte_nb.engine import capture
from flyte_nb.engine.commands import Command
from flyte_nb.engine.files import PayloadFiles, remove_folder
from flyte_nb.engine.hello import Hello, LinkAddress, host_id
from flyte_nb.engine.hush import hush_process
from flyte_nb.engine.link import LinkClient
from flyte_nb.engine.stimuli import AgentLeaving
from flyte_nb.engine.worker import Agent

logger = logging.getLogger("flyte_nb")
#: How long a worker that is told to go waits for what still runs. (Its nanny ends it after about four seconds.)
LEAVE_SECONDS = 3.0
#: Pauses between attempts to find the kernel again, and how many of these are made.
RETRY_SECONDS, RETRIES = 2.0, 60
START_SECONDS = 0.3
CONNECT_SECONDS = 30.0
#: Files that a worker may have open at most, where the system lets it.
MOST_FILES = 65_536


class AgentPlugin(WorkerPlugin):
    """Puts an agent into every worker of a cluster, those that come later included."""

    def __init__(self, address: LinkAddress) -> None:
        self.address = address

    async def setup(self, worker: Worker) -> None:
        """Start the agent's thread; returns when the kernel knows the worker."""
        if self.address.ours:
            stand_alone()
            allow_many_files()
            hush_process()
        self._end = _WorkerEnd(self.address, worker)
        if self.address.ours or has_started(worker):
            await asyncio.to_thread(self._end.start)
        else:
            self._starting = asyncio.create_task(self._start_later(worker))

    async def _start_later(self, worker: Worker) -> None:
        """Let a worker come up first: its nanny gives up on one that dies while it starts."""
        while not has_started(worker):  # noqa: ASYNC110 - Dask has no event for it
            await asyncio.sleep(START_SECONDS)
        await asyncio.sleep(START_SECONDS)
        try:
            await asyncio.to_thread(self._end.start)
        except OSError as error:  # a kernel that is gone must not keep others from using the worker
            logger.warning("flyte_nb: %s", error)
            if self.address.topic:
                worker.log_event(self.address.topic, {"name": str(worker.name), "problem": str(error)})

    def hold(self, agent: str, kind: str, others_wait: Callable[[], bool]) -> bool:
        """See `Agent.hold`; returns at once if there is no such agent here any more. Called in one of Dask's threads."""
        return self._end.hold(agent, kind, others_wait)

    async def teardown(self, worker: Worker) -> None:
        """Give back what has not started, and hang up."""
        del worker
        await asyncio.to_thread(self._end.leave)


def has_started(worker: Worker) -> bool:
    """Whether a worker is up, and not in the middle of its start."""
    return bool(worker.periodic_callbacks["heartbeat"].is_running())


def stand_alone() -> None:
    """Make this process the head of a group with all that it will start, and let tasks start processes."""
    with suppress(OSError, AttributeError):  # it is one already; or there are none on this system
        os.setsid()
    multiprocessing.process.current_process()._config["daemon"] = False  # type: ignore[attr-defined]  # noqa: SLF001 - no other way


def allow_many_files() -> None:
    """Let this process open as many files and connections as the system lets it: thousands of waiting actions may each have one."""
    with suppress(ImportError, OSError, ValueError):  # not on this system, or it says no
        import resource  # noqa: PLC0415 - there is none on Windows

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        most = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
        if soft != resource.RLIM_INFINITY and soft < most:
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def leads_a_group() -> bool:
    """Whether this process is the head of its process group."""
    return hasattr(os, "getpgid") and os.getpgid(0) == os.getpid()


def gpus_of(worker: Worker, address: LinkAddress) -> int:
    """How many accelerators a worker has: what it declares to Dask, or else its part of what the machine shows."""
    declared = worker.state.total_resources.get("GPU")
    if declared is not None:
        return int(declared)
    visible = visible_gpus()
    if not address.ours or not visible:
        return len(visible)
    name = str(worker.name)
    mine = share(visible, int(name) if name.isdecimal() else 0, address.workers)
    os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(mine)
    return len(mine)


def visible_gpus() -> list[str]:
    """Names of the accelerators that this process may use."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return [each for each in named.split(",") if each.strip() and not each.strip().startswith("-")]
    folder = Path("/proc/driver/nvidia/gpus")
    return [str(number) for number, _gpu in enumerate(folder.iterdir())] if folder.is_dir() else []


def share(devices: list[str], worker: int, workers: int) -> list[str]:
    """The devices of one of several workers on a machine: dealt out in turn."""
    return [device for number, device in enumerate(devices) if number % max(1, workers) == worker % max(1, workers)]


class _Session:
    """An agent and its link, for as long as the link holds."""

    def __init__(self, address: LinkAddress, hello: Hello) -> None:
        near = address.folder and address.host_id == hello.host_id
        store = PayloadFiles(address.folder).put if near else None
        self.hung_up = asyncio.Event()
        self.link = LinkClient(self._received, lambda _reason: self.hung_up.set())
        self.agent = Agent(hello.agent, slots=hello.slots, send=self.link.send, store=store, memory_limit=hello.memory_limit)

    def _received(self, command: Command) -> None:
        self.agent.receive(command)

    async def connect(self, address: LinkAddress, tls: ssl.SSLContext, hello: Hello) -> None:
        """Find the kernel.

        Raises:
            ConnectionError: it cannot be reached; the message says where it was looked for.
        """
        problems = []
        for host in address.hosts:
            try:
                await asyncio.wait_for(self.link.connect(host, address.port, tls, address.token, hello), CONNECT_SECONDS / 3)
            except (OSError, TimeoutError) as error:
                problems.append(f"{host}:{address.port}: {str(error) or type(error).__name__}")
            else:
                self.agent.start()
                return
        raise ConnectionError(f"worker {hello.name} cannot reach the kernel ({'; '.join(problems)})")


class _WorkerEnd:
    """The agent's thread in a worker."""

    def __init__(self, address: LinkAddress, worker: Worker) -> None:
        self._address, self._name = address, str(worker.name)
        self._worker = str(worker.address)
        self._dask = worker
        self._slots: int = worker.state.nthreads
        self._memory_limit = int(worker.memory_manager.memory_limit or 0)
        self._gpus = gpus_of(worker, address)
        self._sessions = 0
        self._loop = asyncio.new_event_loop()
        self._session: _Session | None = None
        self._stopping = asyncio.Event()
        self._connected = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._serve, name="flyte_nb-agent", daemon=True)

    def _hello(self) -> Hello:
        self._sessions += 1
        return Hello(
            agent=f"{self._worker}#{os.getpid()}.{self._sessions}",
            name=self._name,
            pid=os.getpid(),
            slots=self._slots,
            host_id=host_id(),
            memory_limit=self._memory_limit,
            gpus=self._gpus,
            group=self._address.ours and leads_a_group(),
        )

    def start(self) -> None:
        """Start the thread, and wait until the kernel knows it."""
        capture.install()
        self._thread.start()
        if not self._connected.wait(CONNECT_SECONDS) and self._error is None:
            self._error = ConnectionError(f"worker {self._name} did not reach the kernel within {CONNECT_SECONDS:g} s")
        if self._error is not None:
            capture.remove()
            raise self._error

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._live())
        except BaseException as error:  # noqa: BLE001 - raised where the plugin is set up
            self._error = error
            self._connected.set()
        finally:
            self._loop.close()

    async def _live(self) -> None:
        tls = Security(
            tls_ca_file=self._address.tls.ca,
            tls_worker_cert=self._address.tls.cert,
            tls_worker_key=self._address.tls.key,
            require_encryption=True,
        ).get_connection_args("worker")["ssl_context"]
        session: _Session | None = await self._join(tls)
        self._connected.set()
        while session is not None:
            ends = [asyncio.ensure_future(event.wait()) for event in (session.hung_up, self._stopping)]
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            for end in ends:
                end.cancel()
            await session.agent.close()
            session.link.close()
            session = None if self._stopping.is_set() else await self._find_again(tls)
        if self._address.topic and not self._stopping.is_set() and self._kernel_is_gone():
            self._dask.loop.add_callback(self._clear_away)

    async def _clear_away(self) -> None:
        """On Dask's loop: a kernel that was killed cannot take its plugin off a cluster that others use; the first to see it does."""
        with suppress(OSError, ValueError):  # another worker was first; or the scheduler is away, and knows nothing when it is back
            await self._dask.scheduler.unregister_worker_plugin(name=self._address.topic)

    async def _join(self, tls: ssl.SSLContext) -> _Session:
        hello = self._hello()
        self._session = session = _Session(self._address, hello)
        await session.connect(self._address, tls, hello)
        return session

    async def _find_again(self, tls: ssl.SSLContext) -> _Session | None:
        """The link broke: connect again, unless the kernel is known to be gone."""
        for _attempt in range(RETRIES):
            if self._stopping.is_set() or self._kernel_is_gone():
                return None
            try:
                return await self._join(tls)
            except OSError:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), RETRY_SECONDS)
        return None

    def _kernel_is_gone(self) -> bool:
        """Whether the kernel was on this machine and is not any more; its folder has no owner then."""
        address = self._address
        if address.host_id != host_id():
            return False
        try:
            gone = bool(psutil.Process(address.pid).status() == psutil.STATUS_ZOMBIE)
        except psutil.NoSuchProcess:
            gone = True
        if gone:
            remove_folder(address.folder)
        return gone

    def hold(self, agent: str, kind: str, others_wait: Callable[[], bool]) -> bool:
        """See `Agent.hold`."""
        session = self._session
        return session is not None and session.agent.agent == agent and session.agent.hold(kind, others_wait)

    def leave(self) -> None:
        """Tell the kernel, give back what has not started, wait a little for the rest, and hang up."""
        capture.remove()
        session = self._session
        if session is not None and self._thread.is_alive() and not session.hung_up.is_set():
            with suppress(RuntimeError, TimeoutError):  # the loop has ended meanwhile
                asyncio.run_coroutine_threadsafe(self._drain(session), self._loop).result(LEAVE_SECONDS + 1)
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(1)

    async def _drain(self, session: _Session) -> None:
        session.link.send(AgentLeaving(session.agent.agent))
        session.agent.hand_back()
        deadline = self._loop.time() + LEAVE_SECONDS
        while not (session.agent.idle or session.hung_up.is_set() or self._loop.time() > deadline):  # noqa: ASYNC110 - other threads' work
            await asyncio.sleep(0.02)
        await asyncio.sleep(0)  # what was reported last is on its way
