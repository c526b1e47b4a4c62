"""Decides how a worker is wired: the only place that puts an agent, its loop and its link into a Dask worker.

Must not know: actions; the agent does.
"""

from __future__ import annotations

import asyncio
import os
import threading

import psutil
from distributed import Worker, WorkerPlugin
from distributed.security import Security

from flyte_nb.engine import capture
from flyte_nb.engine.files import PayloadFiles, remove_folder
from flyte_nb.engine.hello import Hello, LinkAddress, host_id
from flyte_nb.engine.link import LinkClient
from flyte_nb.engine.worker import Agent


class AgentPlugin(WorkerPlugin):
    """Puts an agent into every worker of a cluster, those that come later included."""

    def __init__(self, address: LinkAddress) -> None:
        self.address = address

    def setup(self, worker: Worker) -> None:
        """Start the agent's thread; returns when the kernel knows the worker."""
        self._end = _WorkerEnd(self.address, worker)
        self._end.start()

    def teardown(self, worker: Worker) -> None:
        """Hang up."""
        del worker
        self._end.stop()


class _WorkerEnd:
    """An agent, its loop's thread and its link."""

    def __init__(self, address: LinkAddress, worker: Worker) -> None:
        self._address = address
        self._hello = Hello(
            agent=f"{worker.address}#{os.getpid()}",
            name=str(worker.name),
            pid=os.getpid(),
            slots=worker.state.nthreads,
            host_id=host_id(),
            memory_limit=int(worker.memory_manager.memory_limit or 0),
        )
        self._loop = asyncio.new_event_loop()
        self._link = LinkClient(lambda message: self._agent.receive(message), self._hung_up)
        near = address.folder and address.host_id == self._hello.host_id
        store = PayloadFiles(address.folder).put if near else None
        self._agent = Agent(self._hello.agent, slots=self._hello.slots, send=self._link.send, store=store)
        self._connected = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._serve, name="flyte_nb-agent", daemon=True)

    def start(self) -> None:
        capture.install()
        self._thread.start()
        self._connected.wait(30)
        if self._error is not None:
            raise self._error

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._connect())
        except BaseException as error:  # noqa: BLE001 - raised where the plugin is set up
            self._error = error
            self._connected.set()
            return
        self._connected.set()
        self._loop.run_forever()
        self._loop.run_until_complete(self._agent.close())
        self._loop.close()

    async def _connect(self) -> None:
        address, problems = self._address, []
        tls = Security(
            tls_ca_file=address.tls.ca,
            tls_worker_cert=address.tls.cert,
            tls_worker_key=address.tls.key,
            require_encryption=True,
        ).get_connection_args("worker")["ssl_context"]
        self._agent.start()
        for host in address.hosts:
            try:
                await self._link.connect(host, address.port, tls, address.token, self._hello)
            except OSError as error:
                problems.append(f"{host}:{address.port}: {error}")
            else:
                return
        raise ConnectionError(f"This worker cannot reach the notebook's kernel ({'; '.join(problems)}).")

    def _hung_up(self, _reason: str) -> None:
        """The kernel is gone: what runs for it is of no use, and its folder has no owner."""
        address = self._address
        if address.host_id == self._hello.host_id and not psutil.pid_exists(address.pid):
            remove_folder(address.folder)
        self._loop.stop()

    def stop(self) -> None:
        capture.remove()
        self._loop.call_soon_threadsafe(self._loop.stop)
