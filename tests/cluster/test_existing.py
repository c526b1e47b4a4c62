"""A cluster that somebody else started, from the command line: what is checked, sent and shared there, and what is left alone."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from distributed import Client, LocalCluster
from distributed.security import Security

import flyte_nb as flyte
from flyte_nb import errors
from flyte_nb.engine import frozen
from flyte_nb.settings import Settings
from flyte_nb.workspace import Workspace
from tests.cluster.command_line import ROOT, CommandLine, family
from tests.cluster.conftest import wait_until
from tests.fakes.spaces import current, finished, output, phases
from tests.leaks import LeakCheck

#: Clients, and workers that come and go, leave connections to be closed by and by.
pytestmark = pytest.mark.leaves(descriptors=60)
env = flyte.TaskEnvironment("theirs")


def is_dasks(process: psutil.Process) -> bool:
    """A rule for leak checks: what `CommandLine` starts, it ends."""
    line = " ".join(process.cmdline())
    return "dask" in line or "multiprocessing" in line


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory, leak_check: LeakCheck) -> Iterator[CommandLine]:
    """A scheduler and two workers with one thread each, one with a nanny and one without."""
    started = CommandLine(tmp_path_factory.mktemp("theirs"))
    with leak_check.allow_child(is_dasks), contextlib.closing(started):
        started.start_scheduler()
        started.start_worker("nannied")
        started.start_worker("bare", "--no-nanny", "--resources", "GPU=2")
        wait_for_workers(started, 2)
        yield started


@pytest.fixture
def own(tmp_path: Path, leak_check: LeakCheck) -> Iterator[CommandLine]:
    """A scheduler for one test alone, which starts its workers."""
    started = CommandLine(tmp_path)
    with leak_check.allow_child(is_dasks), contextlib.closing(started):
        started.start_scheduler()
        yield started


def wait_for_workers(cluster: CommandLine, count: int, security: Security | None = None) -> None:
    """Until so many workers are known to the scheduler, and up."""
    with Client(cluster.address, security=security) as client:
        client.wait_for_workers(count, timeout=30)


@contextlib.contextmanager
def kernel(cluster: object, **settings: Any) -> Iterator[Workspace]:
    """A kernel that uses a cluster; as several may."""
    space = Workspace(Settings(**{"cluster": cluster, "block": False, "store": ":memory:", **settings}))
    try:
        with current(space):
            space.start_cluster()
            yield space
    finally:
        space.close()


def workers(space: Workspace) -> int:
    """How many workers take work."""
    return space.load()[0]


@env.task
def square(x: int) -> int:
    """Compute."""
    return x * x


@env.task
def block(seconds: float) -> float:
    """Block in C code, where no exception reaches."""
    time.sleep(seconds)
    return seconds


@env.task
async def nap(seconds: float) -> int:
    """Wait on a loop; tells which process it was."""
    await asyncio.sleep(seconds)
    return os.getpid()


@env.task
async def squares(n: int) -> int:
    """A driver."""
    return sum(await asyncio.gather(*(square.aio(x) for x in range(n))))


@env.task
async def blocks(n: int, seconds: float) -> list[float]:
    """Another one."""
    return list(await asyncio.gather(*(block.aio(seconds) for _ in range(n))))


@env.task
def place() -> tuple[int, str]:
    """Where it runs: the process, and where the package is from."""
    return os.getpid(), str(flyte.__file__)


# ------------------------------------------------------------------ reaching it
def test_a_cluster_is_named_by_address_client_or_object(theirs: CommandLine) -> None:
    """All the same; the Client of the user is not ours to close."""
    with Client(theirs.address) as client:
        for named in (theirs.address, theirs.address.removeprefix("tcp://"), client):
            with kernel(named) as space:
                assert output(flyte.run(squares, 20)) == sum(x * x for x in range(20))
                facts = space.cluster_facts()
                assert facts is not None
                assert (facts.kind, facts.workers, facts.slots, facts.dashboard) == ("existing", 2, 2, "")
        assert client.submit(lambda: 7).result() == 7


def test_init_connects_at_once_and_says_what_is_wrong(theirs: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong address is an error of the cell that names it, and changes nothing; the same one again costs nothing."""
    monkeypatch.setattr("flyte_nb.engine.connecting.CONNECT_SECONDS", 0.5)
    space = Workspace(Settings(block=False, store=":memory:"))
    try:
        with current(space):
            with pytest.raises(errors.ClusterUnreachableError, match="nothing answered there within"):
                flyte.init(cluster="tcp://127.0.0.1:1")
            assert (space.settings.cluster, space.cluster_facts()) == (None, None)
            flyte.init(cluster=theirs.address)
            first = space.runner
            flyte.init(cluster=theirs.address, max_actions=50)
            assert (space.runner is first, output(flyte.run(squares, 3)), space.settings.max_actions) == (True, 5, 50)
            flyte.init(cluster=theirs.address, kill_workers=True)
            assert (space.runner is first, output(flyte.run(squares, 3))) == (False, 5)
    finally:
        space.close()


def test_tls_credentials_are_asked_for_and_used(tmp_path: Path, leak_check: LeakCheck) -> None:
    """With them runs work; without them, or with those of another authority, it is said so at once."""
    mine = Security.temporary()
    (tmp_path / "ca.pem").write_text(mine.tls_ca_file)
    (tmp_path / "both.pem").write_text(mine.tls_worker_key + mine.tls_worker_cert)
    files = ["--tls-ca-file", str(tmp_path / "ca.pem"), "--tls-cert", str(tmp_path / "both.pem")]
    started = CommandLine(tmp_path, files)
    with leak_check.allow_child(is_dasks), contextlib.closing(started):
        started.start_scheduler()
        started.start_worker("a", "--no-nanny")
        wait_for_workers(started, 1, mine)
        named = Security(
            tls_ca_file=str(tmp_path / "ca.pem"),
            tls_client_cert=str(tmp_path / "both.pem"),
            tls_client_key=str(tmp_path / "both.pem"),
            require_encryption=True,
        )
        with kernel(started.address, security=named):
            assert output(flyte.run(squares, 5)) == 30
        wrong = [(started.address, None), (started.address, Security.temporary()), (started.address.replace("tls", "tcp"), None)]
        for address, security in wrong:
            with pytest.raises(errors.ClusterUnreachableError, match=r"TLS|tls"), kernel(address, security=security):
                pass


# ------------------------------------------------------------------ what its workers have
def test_a_worker_without_the_package_gets_it(theirs: CommandLine, own: CommandLine) -> None:
    """It is sent, and said; where that is not wanted the worker is named."""
    own.start_worker("lacking", package=False)
    wait_for_workers(own, 1)
    unwanted = pytest.raises(errors.ClusterMismatchError, match=r"do not have flyte_nb.*ship_package=True")
    with unwanted, kernel(own.address, ship_package=False):
        pass
    with kernel(own.address) as space:
        pid, origin = finished(flyte.run(place)).outputs()
        facts = space.cluster_facts()

    assert ".zip" in origin
    assert pid != os.getpid()
    assert facts is not None
    assert "flyte_nb was sent to tcp://127.0.0.1:" in facts.limits


@pytest.mark.filterwarnings("ignore::distributed.versions.VersionMismatchWarning")  # Dask's own words for it
def test_versions_that_differ_are_named(own: CommandLine) -> None:
    """A library's difference is told, and runs go on."""
    own.start_worker("older", pretend={"cloudpickle": "2.0.0", "distributed": "2020.1"})
    wait_for_workers(own, 1)
    with kernel(own.address) as space:
        facts = space.cluster_facts()
        assert facts is not None
        assert "workers have distributed 2020.1, this kernel" in facts.limits
        assert "workers have cloudpickle 2.0.0, this kernel" in facts.limits
        assert output(flyte.run(squares, 3)) == 5


def test_another_python_is_refused_with_the_names_of_the_workers(own: CommandLine) -> None:
    """Before anything runs there."""
    own.start_worker("older", pretend={"python": "3.9.1"})
    wait_for_workers(own, 1)
    with (
        pytest.raises(errors.ClusterMismatchError, match=r"Workers tcp://127.* run Python 3\.9\.1, this kernel runs 3"),
        kernel(own.address),
    ):
        pass


def test_another_version_of_the_package_is_refused_and_a_late_one_left_out(own: CommandLine) -> None:
    """Each is named; what is there and fits goes on."""
    other = own.folder / "other"
    shutil.copytree(Path(flyte.__file__).parent, other / "flyte_nb", ignore=shutil.ignore_patterns("__pycache__"))
    with (other / "flyte_nb" / "syncify.py").open("a") as file:
        file.write("\n# changed\n")
    own.start_worker("good", "--no-nanny")
    wait_for_workers(own, 1)
    with kernel(own.address) as space:
        own.start_worker("stranger", path=other)
        wait_for_workers(own, 2)
        wait_until(lambda: "worker stranger (tcp:" in str(space.cluster_facts()), "it is told")
        assert workers(space) == 1
        assert output(flyte.run(squares, 4)) == 14
    with pytest.raises(errors.ClusterMismatchError, match="another version of flyte_nb"), kernel(own.address):
        pass


def test_a_module_that_a_worker_lacks_is_named(own: CommandLine) -> None:
    """The action fails before its body begins; the worker is named, and so is the module."""
    own.start_worker("lacking", hide=["matplotlib"])
    wait_for_workers(own, 1)
    import matplotlib as mpl  # noqa: PLC0415 - only this test's kernel has it

    @env.task
    def draw() -> str:
        return str(mpl.__version__)

    with kernel(own.address):
        run = finished(flyte.run(draw))

    assert run.state.failures[0].code == "WorkerImportError"
    assert "'matplotlib'" in run.state.failures[0].message
    assert "tcp://127.0.0.1:" in run.state.failures[0].message


# ------------------------------------------------------------------ others use it too
def test_several_kernels_do_not_disturb_each_other(theirs: CommandLine) -> None:
    """Each has its own actions on the same workers; one that leaves takes nothing of the others along."""
    with kernel(theirs.address) as first:
        run = flyte.run(blocks, 10, 0.2)
        with kernel(theirs.address):
            assert output(flyte.run(squares, 50)) == sum(x * x for x in range(50))
        with current(first):
            assert output(run) == [0.2] * 10
            assert output(flyte.run(squares, 5)) == 30


def test_a_slot_is_a_task_of_the_scheduler_while_it_is_used(theirs: CommandLine) -> None:
    """So its books are true: no slot is given away twice, and what has no work is given back."""
    with kernel(theirs.address) as space, Client(theirs.address) as client:
        run = flyte.run(blocks, 2, 1.0)
        wait_until(lambda: phases(run).get("running") == 2, "both run")
        busy = held(client)
        output(run)
        wait_until(lambda: held(client) == [], "all is given back")
        output(flyte.run(nap, 0.5, driver="cluster") if False else flyte.with_runcontext(driver="cluster").run(nap, 0.5))
        waiting = held(client)
        del space

    assert busy == ["flyte_nb_slot", "flyte_nb_slot", "flyte_nb_stay", "flyte_nb_stay"]
    assert waiting == ["flyte_nb_stay"]


def held(client: Client) -> list[str]:
    """Tasks that the scheduler has, by their kinds."""

    def look(dask_scheduler: Any) -> list[str]:
        return sorted(task.key.partition("-")[0] for task in dask_scheduler.tasks.values())

    return list(client.run_on_scheduler(look))


def test_others_are_not_starved_and_do_not_starve_us(theirs: CommandLine) -> None:
    """Both have turns on the same threads, however long the queue of the other one is; never two bodies on one thread."""
    with kernel(theirs.address), Client(theirs.address) as client:
        run = flyte.run(blocks, 200, 0.1)
        wait_until(lambda: phases(run).get("succeeded", 0) > 1, "ours run")
        tasks = client.map(_busy, range(40), pure=False)
        wait_until(lambda: any(task.done() for task in tasks), "one of theirs had its turn, though ours go on")
        ours = phases(run).get("succeeded", 0)
        assert ours < 200
        wait_until(lambda: phases(run).get("succeeded", 0) > ours or all(task.done() for task in tasks), "ours go on")
        assert any(not task.done() for task in tasks)
        run.abort()
        assert client.gather(tasks) == list(range(40))


def _busy(number: int) -> int:
    time.sleep(0.2)
    return number


# ------------------------------------------------------------------ workers that are not ours
def test_a_worker_that_is_not_ours_is_not_killed(theirs: CommandLine) -> None:
    """What does not stop is shown so, and keeps its slot, until it ends by itself."""
    with kernel(theirs.address, grace_seconds=0.2) as space:
        run = flyte.run(blocks, 1, 2.5)
        wait_until(lambda: phases(run).get("running") == 1, "it runs")
        before = pids(space)
        run.abort()
        wait_until(lambda: "still running: 1 action" in run.summary().message, "it is said")
        assert space.load()[2] == 1
        finished(run)
        assert (phases(run), pids(space)) == ({"aborted": 1}, before)


@env.task
def stands_still(path: str) -> int:
    """Stop the process at the first try, and return the number of the try when it goes on."""
    with Path(path).open("a") as file:
        file.write("x")
    tried = Path(path).stat().st_size
    if tried == 1:
        os.kill(os.getpid(), signal.SIGSTOP)
    return tried


def test_the_answer_of_a_worker_that_was_given_up_is_not_taken(
    theirs: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that somebody holds is hung up on; when it goes on it joins again, and what it did meanwhile counts for nothing."""
    monkeypatch.setattr(frozen, "FROZEN_SECONDS", 0.5)
    with kernel(theirs.address) as space:
        before = pids(space)
        run = finished(flyte.run(stands_still, str(tmp_path / "count")))
        held = next(pid for pid in before if psutil.Process(pid).status() == psutil.STATUS_STOPPED)
        assert (run.outputs()[0], workers(space)) == (2, len(before) - 1)

        os.kill(held, signal.SIGCONT)
        wait_until(lambda: pids(space) == before, "it has joined again")
        assert (run.outputs()[0], run.state.attempts[0]) == (2, 2)
        assert flyte.run(square, 3).outputs()[0] == 9


def pids(space: Workspace) -> list[int]:
    """The processes of the workers."""
    facts = space.cluster_facts()
    assert facts is not None
    return sorted(each.pid for each in facts.members)


def test_a_worker_may_be_killed_if_that_was_said(theirs: CommandLine) -> None:
    """The one with the nanny comes back."""
    with kernel(theirs.address, grace_seconds=0.2, kill_workers=True) as space:
        run = flyte.run(blocks, 2, 30.0)
        wait_until(lambda: phases(run).get("running") == 2, "both run")
        run.abort()
        finished(run)
        assert phases(run) == {"aborted": 2}
        wait_until(lambda: workers(space) == 1, "the nanny has started another one")
    theirs.start_worker("bare again", "--no-nanny", "--resources", "GPU=2")
    wait_for_workers(theirs, 2)


def test_resources_that_workers_declare_decide_who_takes_an_action(theirs: CommandLine) -> None:
    """GPUs as `--resources` says; what nobody has is said within two seconds."""
    with kernel(theirs.address) as space:
        facts = space.cluster_facts()
        assert facts is not None
        (fitting,) = [each.pid for each in facts.members if each.gpus == 2]
        run = flyte.run(place.override(resources=flyte.Resources(gpu=1)))
        assert finished(run).outputs()[0] == fitting
        began = time.monotonic()
        refused = finished(flyte.run(place.override(resources=flyte.Resources(gpu=3))))
        took = time.monotonic() - began

    assert refused.state.failures[0].code == "ResourcesUnavailableError"
    assert "the largest of 2" in refused.state.failures[0].message
    assert took < 2


# ------------------------------------------------------------------ it changes
def test_workers_join_and_leave_in_the_middle_of_a_run(own: CommandLine) -> None:
    """A run waits for the first one; one that is taken away costs nobody a result; a nanny replaces one that died."""
    with kernel(own.address) as space:
        run = flyte.run(blocks, 80, 0.2)  # long enough for a worker to start on a busy machine
        own.start_worker("first", "--no-nanny")
        wait_until(lambda: phases(run).get("succeeded", 0) > 1, "the first one works")
        nannied = own.start_worker("second")
        wait_until(lambda: workers(space) == 2, "the second one joined")
        wait_until(lambda: phases(run).get("running", 0) == 2, "both work")
        victim = next(each for each in family(nannied.pid)[1:] if "multiprocessing.spawn" in " ".join(each.cmdline()))
        victim.kill()
        assert output(run) == [0.2] * 80
        wait_until(lambda: workers(space) == 2, "the nanny has started another one")
        run = flyte.run(blocks, 20, 0.2)
        wait_until(lambda: phases(run).get("running", 0) == 2, "both work")
        own.stop(nannied)
        assert output(run) == [0.2] * 20
        assert workers(space) == 1


def test_a_scheduler_that_goes_away_and_comes_back(own: CommandLine, capsys: pytest.CaptureFixture[str]) -> None:
    """The run waits, says so, and goes on with the workers that come."""
    own.start_worker("first", "--no-nanny")
    wait_for_workers(own, 1)
    with kernel(own.address) as space:
        run = flyte.run(blocks, 15, 0.2)
        wait_until(lambda: phases(run).get("succeeded", 0) > 1, "it runs")
        assert own.scheduler is not None
        own.kill(own.scheduler)
        wait_until(lambda: workers(space) == 0, "the worker has left, too")
        own.start_scheduler()
        own.start_worker("next", "--no-nanny")
        assert output(run) == [0.2] * 15
        assert max(run.state.attempts) <= 2


def test_a_cluster_that_does_not_come_back_ends_its_runs(own: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    """As aborted by the system, with the cause; the next run may find it again."""
    monkeypatch.setattr("flyte_nb.engine.connecting.RETURN_SECONDS", 1.0)
    own.start_worker("first", "--no-nanny")
    wait_for_workers(own, 1)
    with kernel(own.address) as space:
        run = flyte.run(blocks, 100, 0.2)
        wait_until(lambda: phases(run).get("running", 0) == 1, "it runs")
        assert own.scheduler is not None
        own.kill(own.scheduler)
        finished(run)
        with pytest.raises(errors.ClusterLostError, match="did not come back"):
            run.outputs()
        assert run.phase is flyte.ActionPhase.ABORTED
        own.start_scheduler()
        own.start_worker("next", "--no-nanny")
        assert output(flyte.run(squares, 3)) == 5
        assert workers(space) == 1


def test_a_cluster_object_follows_the_load(leak_check: LeakCheck, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its size can be changed from here: it grows for a run and shrinks after it, and no action is lost."""
    monkeypatch.setattr("flyte_nb.engine.scaling.ADAPT_SECONDS", 0.1)
    with (
        leak_check.allow_child(is_dasks),
        LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address="127.0.0.1:0", host="127.0.0.1") as cluster,
        kernel(cluster, adaptive=(1, 2)) as space,
    ):
        run = flyte.run(blocks, 40, 0.15)
        wait_until(lambda: workers(space) == 2, "it has grown")
        assert output(run) == [0.15] * 40
        assert max(run.state.attempts) == 1
        wait_until(lambda: len(cluster.worker_spec) == 1, "it has shrunk")


def test_too_much_memory_on_a_worker_with_a_nanny_is_said_so(own: CommandLine) -> None:
    """Its nanny ends it and tells why; what ran beside it succeeds."""
    own.start_worker("small", "--memory-limit", "300MiB", threads=2)
    wait_for_workers(own, 1)
    with kernel(own.address):
        run = finished(flyte.run(one_hoards))
        assert run.outputs()[0] == ["OOMError", 1.0]


@env.task
def hoard(mebibytes: int) -> int:
    """Use memory."""
    kept = [os.urandom(1 << 20) for _ in range(mebibytes)]
    time.sleep(30)
    return len(kept)


@env.task
async def one_hoards() -> list[object]:
    """One that takes too much, beside one that does not."""
    results = await asyncio.gather(hoard.aio(2000), block.aio(1.0), return_exceptions=True)
    return [getattr(each, "code", each) for each in results]


KERNEL = """
import sys, time
import flyte_nb as flyte

env = flyte.TaskEnvironment("killed")

@env.task
def spin(path: str) -> None:
    with open(path, "w") as file:
        while True:
            file.write("x")
            file.flush()
            time.sleep(0.01)

flyte.init(cluster=sys.argv[1], store=":memory:", block=False)
flyte.run(spin, sys.argv[2])
time.sleep(600)
"""


def test_a_kernel_that_is_killed_leaves_the_cluster_as_it_was(theirs: CommandLine, tmp_path: Path) -> None:
    """What ran for it is stopped, its slots are free, its plugin is taken away; others go on."""
    beat = tmp_path / "beat"
    with kernel(theirs.address), Client(theirs.address) as client:
        plugins = plugins_of(client)
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        with subprocess.Popen([sys.executable, "-c", KERNEL, theirs.address, str(beat)], env=environment) as victim:
            try:
                wait_until(lambda: beat.exists() and beat.stat().st_size > 0, "its action runs")
                assert plugins_of(client) > plugins
                assert set(held(client)) == {"flyte_nb_slot", "flyte_nb_stay"}
            finally:
                victim.kill()
        wait_until(lambda: held(client) == [], "its slot is free")
        wait_until(lambda: plugins_of(client) == plugins, "its plugin is gone")
        wait_until(lambda: spinning(client) == 0, "its action is stopped")
        assert output(flyte.run(squares, 5)) == 30


def plugins_of(client: Client) -> set[str]:
    """What kernels have put into the workers."""

    def look(dask_worker: Any) -> list[str]:
        return [name for name in dask_worker.plugins if name.startswith("flyte_nb-")]

    return {name for names in client.run(look).values() for name in names}


def spinning(client: Client) -> int:
    """How many threads of workers are in the body of `KERNEL`."""

    def look() -> int:
        import sys  # noqa: PLC0415 - it runs elsewhere

        frames = list(sys._current_frames().values())
        count = 0
        for frame in frames:
            each: Any = frame
            while each is not None:
                count += each.f_code.co_name == "spin"
                each = each.f_back
        return count

    return sum(client.run(look).values())


def test_a_scheduler_is_not_idle_while_a_run_goes_on(theirs: CommandLine) -> None:
    """Else `--idle-timeout` would end it under the run; coroutines take no slot, and count all the same."""
    with kernel(theirs.address), Client(theirs.address) as client:
        run = flyte.with_runcontext(driver="cluster").run(nap, 1.5)
        wait_until(lambda: run.phase is flyte.ActionPhase.RUNNING, "it runs")
        busy = [client.run_on_scheduler(is_idle) for _ in range(2)]
        finished(run)
        wait_until(lambda: held(client) == [], "the worker is given back")
        wait_until(lambda: client.run_on_scheduler(is_idle), "it is idle")

    assert busy == [False, False]


def is_idle(dask_scheduler: Any) -> bool:
    """Whether a scheduler holds itself for idle."""
    return dask_scheduler.check_idle() is not None
