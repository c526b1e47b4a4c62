"""A cluster as others start it: `dask scheduler` and `dask worker` from the command line, processes of their own."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

from tests.cluster.conftest import wait_until

ROOT = Path(__file__).parents[2]
#: Runs Dask's command line in a process that cannot import this package unless somebody sends it.
_WITHOUT_PACKAGE = """
import os, sys
sys.meta_path[:] = [finder for finder in sys.meta_path if "editable" not in str(finder).lower()]
sys.path[:] = [path for path in sys.path if path and not os.path.isdir(os.path.join(path, "flyte_nb"))]
sys.path_importer_cache.clear()
from dask.__main__ import main
sys.argv[0] = "dask"
main()
"""
#: Runs it as another version of a library would.
_PRETENDING = """
import sys
from importlib import metadata
true_version, pretended = metadata.version, dict(pair.split("=") for pair in sys.argv.pop(1).split(","))
metadata.version = lambda name: pretended.get(name) or true_version(name)
import platform
platform.python_version = (lambda version: lambda: version)(pretended.get("python") or platform.python_version())
from dask.__main__ import main
sys.argv[0] = "dask"
main()
"""
#: Runs it where some modules are not installed.
_HIDING = """
import sys
sys.modules.update(dict.fromkeys(sys.argv.pop(1).split(",")))
from dask.__main__ import main
sys.argv[0] = "dask"
main()
"""


def free_port() -> int:
    """A port that nobody listens on at the moment."""
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))
        port: int = made.getsockname()[1]
        return port


class CommandLine:
    """Starts Dask's processes; all of them end with `close`.

    Args:
        folder: where they work and write what they say.
        tls: options that name their TLS files; empty for plain TCP.
    """

    def __init__(self, folder: Path, tls: Sequence[str] = ()) -> None:
        self.folder, self._tls = folder, list(tls)
        self.port = free_port()
        self.address = f"{'tls' if tls else 'tcp'}://127.0.0.1:{self.port}"
        self._processes: list[subprocess.Popen[bytes]] = []
        self.scheduler: subprocess.Popen[bytes] | None = None

    def _start(self, name: str, line: Sequence[str], program: Sequence[str] = ("-m", "dask"), path: Path = ROOT) -> subprocess.Popen[bytes]:
        environment = {**os.environ, "PYTHONPATH": str(path), "DASK_DISTRIBUTED__WORKER__DAEMON": "True"}
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, *program, *line, *self._tls],
                cwd=self.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._processes.append(process)
        return process

    def start_scheduler(self, *options: str) -> subprocess.Popen[bytes]:
        """Start the scheduler, always at the same address."""
        line = ["scheduler", "--host", self.address.rpartition(":")[0], "--port", str(self.port), "--no-dashboard", *options]
        self.scheduler = self._start("scheduler", line)
        wait_until(self._listens, "the scheduler listens")
        return self.scheduler

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def start_worker(
        self,
        name: str,
        *options: str,
        threads: int = 1,
        package: bool = True,
        pretend: Mapping[str, str] | None = None,
        hide: Sequence[str] = (),
        path: Path = ROOT,
    ) -> subprocess.Popen[bytes]:
        """Start a worker.

        Args:
            name: its name.
            options: more options of `dask worker`.
            threads: its slots.
            package: whether it can import this package; if not, it has no nanny.
            pretend: versions of libraries, and of "python", that it says it has; without a nanny.
            hide: modules that it cannot import; without a nanny.
            path: where it imports this package from.
        """
        line = ["worker", self.address, "--name", name, "--nthreads", str(threads), "--no-dashboard", "--host", "127.0.0.1", *options]
        program: Sequence[str] = ("-m", "dask")
        if not package:
            program = ("-c", _WITHOUT_PACKAGE)
        elif pretend is not None:
            program = ("-c", _PRETENDING, ",".join(f"{library}={version}" for library, version in pretend.items()))
        elif hide:
            program = ("-c", _HIDING, ",".join(hide))
        if program[0] == "-c":
            line.append("--no-nanny")  # the process that it starts would not be like this one
        return self._start(name, line, program, path)

    def said(self, name: str) -> str:
        """What a process wrote."""
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def kill(self, process: subprocess.Popen[bytes]) -> None:
        """End a process and its children at once, as a machine that is switched off."""
        for each in reversed(family(process.pid)):
            each.kill()
        process.wait(20)
        self._processes.remove(process)

    def stop(self, process: subprocess.Popen[bytes]) -> None:
        """Ask a process to end, as Ctrl-C would."""
        process.send_signal(signal.SIGINT)
        process.wait(20)
        self._processes.remove(process)

    def close(self) -> None:
        """End everything."""
        for process in list(self._processes):
            self.kill(process)
        shutil.rmtree(self.folder, ignore_errors=True)


def family(pid: int) -> list[psutil.Process]:
    """A process and all that it started."""
    try:
        head = psutil.Process(pid)
        return [head, *head.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []
