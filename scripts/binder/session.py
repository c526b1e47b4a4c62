"""One person's session on Binder: the server as the image starts it, below a hub's prefix, on two CPUs; and what it takes of memory.

Decides what counts: every process that inherits the session's mark, each with its proportional share of the memory that it has in common
with others (PSS), so that nothing is counted twice. Must not know which notebooks there are.
"""

import contextlib
import os
import socket
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

from scripts.binder.image import Image, Plan
from tests.browser.labkit import Server

PREFIX = "/user/guest/"
CPUS = 2
MARK = "FLYTE_NB_BINDER_SESSION"
EVERY_SECONDS = 0.2


class Session(Server):
    """The image's server, started as BinderHub starts it, with a home of its own."""

    def __init__(self, planned: Plan, image: Image, home: Path) -> None:
        super().__init__()
        self._planned, self._image, self._home = planned, image, home
        self.root = image.folder
        self.mark = uuid.uuid4().hex

    def __enter__(self) -> Self:
        """Start it on its CPUs, which all that it starts inherits."""
        self._home.mkdir(parents=True, exist_ok=True)
        with _on_cpus(CPUS):
            return super().__enter__()

    def _command(self) -> list[str]:
        return [
            *(str(self._image.python), str(self._planned.entrypoint)),
            *("jupyter-lab", "--no-browser", "--ip=127.0.0.1", f"--ServerApp.port={_free_port()}", f"--ServerApp.base_url={PREFIX}"),
            f"--ServerApp.root_dir={self._image.folder}",
            *("--IdentityProvider.token=", "--ServerApp.disable_check_xsrf=True", "--LabApp.expose_app_in_browser=True"),
            *(["--allow-root"] if os.getuid() == 0 else []),  # the image's user is not root
        ]

    def _environment(self) -> dict[str, str]:
        return {
            "PATH": f"{self._image.python.parent}:/usr/local/bin:/usr/bin:/bin",
            "HOME": str(self._home),
            "LANG": "C.UTF-8",
            "REPO_DIR": str(self._image.folder),
            "R2D_ENTRYPOINT": self._planned.start.replace("${REPO_DIR}", str(self._image.folder)),
            "JUPYTERHUB_SERVICE_PREFIX": PREFIX,
            "JUPYTER_RUNTIME_DIR": str(self._folder / "runtime"),
            "PYTHONUNBUFFERED": "1",
            MARK: self.mark,
        }


def _free_port() -> int:
    """Return a port that nobody listens on; the image's server does not tell which one it took, if it is left to choose."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


@contextlib.contextmanager
def _on_cpus(count: int) -> Iterator[None]:
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(before)[:count])
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


class Footprint:
    """Watches how much memory a session's processes take together."""

    def __init__(self, mark: str) -> None:
        self._mark = mark
        self._known: dict[psutil.Process, bool] = {}
        self._stopped = threading.Event()
        self._reading = threading.Lock()
        self._thread = threading.Thread(target=self._watch, name="footprint")
        self._peak = 0

    def __enter__(self) -> Self:
        """Watch from now on."""
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        """Stop watching."""
        self._stopped.set()
        self._thread.join()

    def take_peak(self) -> int:
        """Return the most bytes since the last call."""
        with self._reading:
            peak, self._peak = max(self._peak, self._now()), 0
        return peak

    def _watch(self) -> None:
        while not self._stopped.wait(EVERY_SECONDS):
            with self._reading:
                self._peak = max(self._peak, self._now())

    def _now(self) -> int:
        self._known = {process: self._belongs(process) for process in psutil.process_iter()}
        return sum(_pss(process) for process, own in self._known.items() if own)

    def _belongs(self, process: psutil.Process) -> bool:
        known = self._known.get(process, False)
        if not known:  # a process that was just started still has its parent's environment, or none
            with contextlib.suppress(psutil.Error, OSError):
                known = process.environ().get(MARK) == self._mark
        return known


def _pss(process: psutil.Process) -> int:
    with contextlib.suppress(psutil.Error, OSError):
        return int(process.memory_full_info().pss)
    return 0
