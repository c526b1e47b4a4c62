"""Decides how a system's own process is started, asked, paused and ended. Only one of them works at a time.

A paused process and everything below it gets no processor time, so that an idle cluster does not slow the one that is measured.
Must not know: what is measured.
"""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import Pipe
from pathlib import Path
from typing import Literal

import psutil

from scripts.bench.child import Reply, Request
from scripts.bench.model import Contender, Figures, Slots

ROOT = Path(__file__).parents[2]
START_SECONDS, MEASURE_SECONDS, CLOSE_SECONDS = 120.0, 300.0, 30.0
#: After a pause heartbeats are caught up on; nothing is measured until then.
SETTLE_SECONDS = 0.3


class BrokenSystemError(Exception):
    """A system did not do what it was asked for."""


class Child:
    """One system in a process of its own.

    Args:
        system: its name in `child.SYSTEMS`.
        slots: what it may use.
        log: where what it prints goes.
    """

    def __init__(self, system: str, slots: Slots, log: Path) -> None:
        self.system = system
        self._log = log
        self._pipe, end = Pipe()
        command = [sys.executable, "-m", "scripts.bench.child", str(end.fileno()), system, str(slots.workers), str(slots.threads)]
        # Without compiled files every cold start would compile flyte_nb anew, but no peer: those were compiled when they were installed.
        ours = {name: value for name, value in os.environ.items() if not name.startswith("FLYTE_NB_") and name != "PYTHONDONTWRITEBYTECODE"}
        with log.open("ab") as output, end:
            self._process = subprocess.Popen(
                command,
                cwd=ROOT,
                env={
                    **ours,
                    "FLYTE_NB_STORE": ":memory:",
                    "PYTHONPATH": str(ROOT),
                    "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
                },
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                pass_fds=(end.fileno(),),
                start_new_session=True,  # an interrupt from the keyboard is for this process, which ends the others
            )
        self._tree: list[psutil.Process] = []

    def start(self) -> None:
        """Start the system."""
        self._ask("start", within=START_SECONDS)

    def warm_up(self) -> None:
        """Have the system do what later work profits from."""
        self._ask("warm_up", within=START_SECONDS)

    def measure(self, contender: Contender) -> Figures:
        """Have the system do its work."""
        return self._ask("measure", contender, within=MEASURE_SECONDS)

    def _ask(self, do: Literal["start", "warm_up", "measure", "close"], contender: Contender | None = None, *, within: float) -> Figures:
        try:
            self._pipe.send(Request(do=do, contender=contender))
            if not self._pipe.poll(within):
                raise BrokenSystemError(f"{self.system} did not answer within {within:g} s ({do})")
            reply: Reply = self._pipe.recv()
        except (EOFError, OSError) as error:
            last = "\n".join(self._log.read_text(errors="replace").splitlines()[-20:])
            raise BrokenSystemError(f"{self.system} ended ({do}); the last that it said:\n{last}") from error
        if reply["error"]:
            raise BrokenSystemError(reply["error"])
        return reply["figures"]

    def pause(self) -> None:
        """Take the processor away from the system."""
        self._tree = self._family()
        for process in self._tree:
            with contextlib.suppress(psutil.Error):
                process.suspend()

    def resume(self) -> None:
        """Give it back."""
        for process in reversed(self._tree):
            with contextlib.suppress(psutil.Error):
                process.resume()
        if self._tree:
            time.sleep(SETTLE_SECONDS)
        self._tree = []

    @contextmanager
    def awake(self) -> Iterator[None]:
        """Resume for a block, then pause again."""
        self.resume()
        try:
            yield
        finally:
            self.pause()

    def close(self) -> None:
        """End the system, and by force what is left of it."""
        self.resume()
        family = self._family()
        with contextlib.suppress(BrokenSystemError):
            self._ask("close", within=CLOSE_SECONDS)
        self._pipe.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(CLOSE_SECONDS)
        for process in family:
            with contextlib.suppress(psutil.Error):
                process.kill()
        self._process.wait()

    def _family(self) -> list[psutil.Process]:
        """The system's process and all below it, parents first."""
        try:
            own = psutil.Process(self._process.pid)
            return [own, *own.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []
