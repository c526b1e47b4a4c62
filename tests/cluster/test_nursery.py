"""Workers are forked from a server that is ready, and it goes when they do."""

from __future__ import annotations

import os
import subprocess
import sys

import psutil
import pytest

import flyte_nb as flyte
from flyte_nb.engine import nursery
from tests.cluster.conftest import cluster, wait_until, worker_pids

pytestmark = pytest.mark.skipif(not nursery.available(), reason="there is no fork server on this system")
env = flyte.TaskEnvironment("nursery")


@env.task
def environment(name: str) -> str:
    """Tell what the worker's environment says."""
    return os.environ.get(name, "")


def ask(name: str) -> str:
    """Run the task."""
    value: str = flyte.run(environment, name).outputs()[0]
    return value


def test_workers_come_from_a_server() -> None:
    """Each worker's parent is the server, and one that dies is replaced from there."""
    with cluster():
        server = nursery.pid()
        first = worker_pids()

        assert server is not None
        assert {psutil.Process(pid).ppid() for pid in first} == {server}

        psutil.Process(first[0]).kill()
        wait_until(lambda: len(set(worker_pids()) - set(first)) == 1, "another worker")

        assert {psutil.Process(pid).ppid() for pid in worker_pids()} == {server}


def test_the_server_ends_with_its_last_user() -> None:
    """In a process of its own: other tests' clusters may share the server of this one."""
    code = """
import time
import psutil
from flyte_nb.engine import nursery

nursery.enter("a")
server = nursery.pid()
nursery.enter("b")
nursery.leave("a")
assert nursery.pid() == server and psutil.pid_exists(server)
nursery.leave("b")
assert nursery.pid() is None
until = time.monotonic() + 30
while psutil.pid_exists(server) and time.monotonic() < until:
    time.sleep(0.02)
assert not psutil.pid_exists(server)
nursery.enter("a")
assert nursery.pid() not in (None, server)
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_workers_have_the_environment_of_the_moment_when_they_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server is older than its workers, but they see what was set meanwhile; libraries use one thread by default."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    with cluster(workers=1):
        assert ask("OMP_NUM_THREADS") == "1"
        assert ask("SET_LATER") == ""

        monkeypatch.setenv("SET_LATER", "yes")
        old = worker_pids()
        psutil.Process(old[0]).kill()
        wait_until(lambda: worker_pids() and worker_pids() != old, "another worker")

        assert ask("SET_LATER") == "yes"
