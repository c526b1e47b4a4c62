"""The embedded cluster: what it listens on, how its size changes under a run, and that nothing of it outlives its kernel."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from distributed import Client
from distributed.comm.core import CommClosedError

import flyte_nb as flyte
from flyte_nb import errors
from flyte_nb.engine.dask_backend import DaskBackend
from flyte_nb.remote import Run
from flyte_nb.settings import Settings
from flyte_nb.views.listing import cluster_listing
from flyte_nb.workspace import Workspace
from tests.cluster.conftest import wait_until
from tests.fakes.spaces import belongs_to_a_cluster, current, finished, output, phases
from tests.leaks import LeakCheck

#: Workers come and go here.
pytestmark = pytest.mark.leaves(descriptors=60)
env = flyte.TaskEnvironment("embedded")
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def _workers(leak_check: LeakCheck) -> Iterator[None]:
    """Worker processes are no leak: each test's end gives them back."""
    with leak_check.allow_child(belongs_to_a_cluster):
        yield


@contextlib.contextmanager
def kernel(**settings: Any) -> Iterator[Workspace]:
    """A kernel with a cluster of its own."""
    space = Workspace(Settings(**{"memory_limit": 0, "block": False, "store": ":memory:", **settings}))
    try:
        with current(space):
            space.start_cluster()
            yield space
    finally:
        space.close()


def workers(space: Workspace) -> int:
    """How many workers take work."""
    return space.load()[0]


def backend(space: Workspace) -> DaskBackend:
    """The backend of a workspace."""
    found = space.runner.backend
    assert isinstance(found, DaskBackend)
    return found


@env.task
def block(seconds: float) -> int:
    """Block for a while; tells the process."""
    time.sleep(seconds)
    return os.getpid()


@env.task
async def nap(seconds: float) -> int:
    """Wait on a loop."""
    await asyncio.sleep(seconds)
    return os.getpid()


@env.task
async def blocks(n: int, seconds: float) -> int:
    """A driver: how many actions, in all."""
    return len(await asyncio.gather(*(block.aio(seconds) for _ in range(n)), *(nap(seconds) for _ in range(n))))


@env.task
def hoard(mebibytes: int, seconds: float) -> int:
    """Use memory for a while."""
    kept = [bytearray(os.urandom(1 << 10) * (1 << 10)) for _ in range(mebibytes)]
    time.sleep(seconds)
    return len(kept)


# ------------------------------------------------------------------ how it stands there
@pytest.mark.usefixtures("_workers")
def test_it_listens_on_loopback_only_and_speaks_tls() -> None:
    """Scheduler, workers, dashboard and our own link; a stranger without a certificate is not let in."""
    with kernel(workers=1, memory_limit="500MiB") as space:
        facts = space.cluster_facts()
        assert facts is not None
        mine = {os.getpid(), *(each.pid for each in psutil.Process().children(recursive=True))}
        listening = [each for each in psutil.net_connections("tcp") if each.status == psutil.CONN_LISTEN and each.pid in mine]
        port = int(facts.address.rpartition(":")[2])
        with pytest.raises((ssl.SSLError, ConnectionError)):
            knock(port)

    assert facts.address.startswith("tls://127.0.0.1:")
    assert {each.laddr.ip for each in listening} == {"127.0.0.1"}
    assert len(listening) >= 3
    assert (facts.kind, facts.workers, facts.memory_bytes) == ("embedded", 1, 500 * 2**20)


def knock(port: int) -> None:
    """Speak TLS without a certificate."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", port), timeout=5) as plain, context.wrap_socket(plain) as tls:
        tls.sendall(b"x" * 8)
        tls.recv(1)  # who needs a certificate says so only now


@pytest.mark.usefixtures("_workers")
def test_a_worker_that_dies_while_the_cluster_starts_does_not_keep_it_from_starting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its first action may end it before the other one was reached: the scheduler then says that a stream was closed."""
    really = Client.register_plugin

    async def reached_but_one(self: Client, plugin: Any, name: str) -> None:
        await really(self, plugin, name)
        raise CommClosedError("in <TLS (closed) ConnectionPool.register_worker_plugin>: Stream is closed")

    monkeypatch.setattr(Client, "register_plugin", reached_but_one)
    with kernel(workers=1):
        assert finished(flyte.run(nap, 0.0)).phase is flyte.ActionPhase.SUCCEEDED


@pytest.mark.usefixtures("_workers")
def test_its_dashboard_is_named_only_where_there_is_one() -> None:
    """Without bokeh, Dask's page says how to install bokeh; that is no dashboard."""
    try:
        import bokeh  # type: ignore[import-not-found]  # noqa: F401, PLC0415 - it may be there or not

        wanted = "http://127.0.0.1:"
    except ImportError:
        wanted = ""
    with kernel(workers=1) as space:
        facts = space.cluster_facts()

    assert facts is not None
    assert facts.dashboard.startswith(wanted)
    assert bool(facts.dashboard) == bool(wanted)
    assert ("dashboard" in facts.sentence()) == bool(wanted)


@pytest.mark.usefixtures("_workers")
def test_there_is_one_however_often_a_cell_is_run() -> None:
    """The same settings change nothing; others start another one, and never under a live run."""
    with kernel(workers=1) as space:
        first = space.runner
        space.configure(workers=1, max_actions=100)
        assert space.runner is first
        run = flyte.run(block, 30.0)
        with pytest.raises(RuntimeError, match=r"workers cannot change while runs are live"):
            space.configure(workers=2)
        run.abort()
        finished(run)
        space.configure(workers=2)
        assert output(flyte.run(blocks, 2, 0.0)) == 4
        assert space.runner is not first
        wait_until(lambda: workers(space) == 2, "both workers are there")


# ------------------------------------------------------------------ its size
@pytest.mark.usefixtures("_workers")
def test_it_is_scaled_under_a_run_and_shown(recwarn: pytest.WarningsRecorder) -> None:
    """No action is lost; workers that go finish what they have."""
    with kernel(workers=1) as space:
        run = flyte.run(blocks, 30, 0.1)
        wait_until(lambda: phases(run).get("succeeded", 0) > 3, "it runs")
        space.scale(3)
        wait_until(lambda: workers(space) == 3, "two workers more")
        shown = cluster_listing(space.cluster_facts())
        space.scale(1)
        wait_until(lambda: workers(space) == 1, "two workers less")
        assert output(run) == 60
        assert max(run.state.attempts) == 1

    assert "slots at work" in repr(shown)
    assert "worker 0" in shown._repr_html_()
    assert [str(each.message) for each in recwarn if "flyte_nb" in str(each.message)] == []


@pytest.mark.usefixtures("_workers")
def test_an_adaptive_cluster_follows_its_load_and_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """It grows while there is much to do, shrinks when it is calm, in the middle of a run as well; each action runs once."""
    monkeypatch.setattr("flyte_nb.engine.scaling.ADAPT_SECONDS", 0.1)
    with kernel(adaptive=(1, 3)) as space:
        assert workers(space) == 1
        run = flyte.run(waves, 3)
        wait_until(lambda: workers(space) >= 2, "it has grown")
        wait_until(lambda: phases(run).get("succeeded", 0) >= 40, "the first wave is over")
        wait_until(lambda: workers(space) == 1, "it has shrunk while the run goes on")
        assert not run.done()
        assert output(run) == 120
        assert max(run.state.attempts) == 1
        assert (space.cluster_facts() or pytest.fail("no facts")).adaptive == "1 to 3 workers"
        space.configure(adaptive=None)
        assert (space.cluster_facts() or pytest.fail("no facts")).adaptive == ""


@env.task
async def waves(n: int) -> int:
    """Much to do, then little for a while, again and again."""
    done = 0
    for wave in range(n):
        done += len(await asyncio.gather(*(block.aio(0.15) for _ in range(40))))
        await nap(2.0 if not wave else 0.0)
    return done


@pytest.mark.usefixtures("_workers")
def test_an_adaptive_cluster_may_have_no_worker_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first action brings the first worker."""
    monkeypatch.setattr("flyte_nb.engine.scaling.ADAPT_SECONDS", 0.1)
    with kernel(adaptive=(0, 1)) as space:
        assert workers(space) == 0
        assert output(flyte.run(blocks, 1, 0.0)) == 2
        wait_until(lambda: workers(space) == 0, "it has gone again")


@pytest.mark.usefixtures("_workers")
def test_an_action_that_no_worker_can_take_says_so_within_two_seconds() -> None:
    """CPUs, memory, GPUs: with what it asks for, what there is, and how to get it."""
    with kernel(workers=2, threads_per_worker=2, memory_limit="1GiB") as space:
        asked = [flyte.Resources(cpu=3), flyte.Resources(memory="4Gi"), flyte.Resources(gpu=1)]
        began = time.monotonic()
        runs: list[Run] = [flyte.run(block.override(resources=each), 0.0) for each in asked]
        said = [str(finished(run).state.failures[0].message) for run in runs]
        took = time.monotonic() - began
        fits = finished(flyte.run(block.override(resources=flyte.Resources(cpu=2, memory="900Mi")), 0.0))
        assert space.load()[2] == 0

    assert took < 2
    assert [word for word, text in zip(("3 CPUs", "4.0 GiB", "1 GPU"), said, strict=True) if word not in text] == []
    assert all("flyte.init(" in text for text in said)
    assert fits.phase is flyte.ActionPhase.SUCCEEDED


# ------------------------------------------------------------------ memory
@pytest.mark.usefixtures("_workers")
def test_too_much_memory_is_the_error_of_the_action_that_used_it() -> None:
    """Its neighbours on the same worker and on others succeed; it says how much it used, and what the limit was."""
    with kernel(workers=2, memory_limit="400MiB"):
        run = finished(flyte.run(hoards))

    assert run.outputs()[0] == ["OOMError", *[True] * 12]
    failure = run.state.failures[next(row for row in range(1, run.state.count) if run.state.failures.get(row))]
    assert (failure.kind, failure.code) == ("user", "OOMError")
    assert "of 400 MiB" in failure.message
    assert len(run.state.failures) == 1


@env.task
async def hoards() -> list[object]:
    """One that takes too much, among others that wait or compute."""
    others = [*(nap(1.0) for _ in range(8)), *(block.aio(0.4) for _ in range(4))]
    results = await asyncio.gather(hoard.aio(3000, 30.0), *others, return_exceptions=True)
    return [each.code if isinstance(each, errors.BaseRuntimeError) else bool(each) for each in results]


# ------------------------------------------------------------------ its end
KERNEL = """
import asyncio, os, subprocess, sys, time
import flyte_nb as flyte
from flyte_nb import workspace

env = flyte.TaskEnvironment("crash")

@env.task
def work(path: str) -> int:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    with open(path, "w") as file:
        file.write(str(child.pid))
    child.wait()
    return 0

if __name__ == "__main__":
    flyte.init(workers=2, memory_limit=0, block=False, store=":memory:")
    home = workspace.current()
    home.start_cluster()
    if sys.argv[1] == "work":
        run = flyte.run(work, os.path.abspath("child"))
        while not os.path.exists("child"):
            time.sleep(0.01)
    print("folder", home.runner.backend._folder, flush=True)
    print("pids", *(each.pid for each in home.cluster_facts().members), flush=True)
    print("ready", flush=True)
    if sys.argv[1] != "exit":
        time.sleep(600)
"""


def start_kernel(tmp_path: Path, what: str) -> tuple[subprocess.Popen[str], dict[str, list[str]]]:
    """A process that has a cluster, and what it tells of it."""
    file = tmp_path / "kernel.py"
    file.write_text(KERNEL)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    process = subprocess.Popen(
        [sys.executable, str(file), what],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(scratch)},
        start_new_session=True,
    )
    told: dict[str, list[str]] = {}
    assert process.stdout is not None
    for line in process.stdout:
        word, *rest = line.split()
        told[word] = rest
        if word == "ready":
            break
    return process, told


@pytest.mark.parametrize("what", ["work", "idle", "exit"])
def test_nothing_outlives_the_kernel(tmp_path: Path, what: str) -> None:
    """Killed at work or idle, or ended as usual: no process of its session or of its tasks, no folder, no certificate is left."""
    process, told = start_kernel(tmp_path, what)
    everybody = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)] if what != "exit" else []
    if what != "exit":
        assert len(everybody) >= (6 if what == "work" else 5)
        assert Path(told["folder"][0]).is_dir()
        process.send_signal(signal.SIGKILL)
    process.wait(30)
    if process.stdout is not None:
        process.stdout.close()

    wait_until(lambda: not any(_lives(each) for each in everybody), "all processes have ended", 10)
    wait_until(lambda: list((tmp_path / "scratch").rglob("*")) == [], f"no file is left of {told}", 10)


def _lives(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


@pytest.mark.usefixtures("_workers")
def test_a_run_that_waits_for_the_cluster_can_tell_how_far_it_is() -> None:
    """Its scheduler, and how many workers of how many; nothing any more once they are there."""
    space = Workspace(Settings(memory_limit=0, block=False, store=":memory:", workers=2))
    try:
        with current(space):
            run = flyte.run(block, 0.0)
            wait_until(lambda: run.summary().starting is not None or run.done(), "a start that is told")
            starting = run.summary().starting
            assert starting is not None
            assert starting.expected == 2
            finished(run)
            assert run.summary().starting is None
    finally:
        space.close()
