"""Decides where the processes of the embedded cluster's workers come from: they are forked from one that is ready.

A worker that starts from nothing imports Dask and this package for half a second. The standard library's fork server does it
once, while this process imports Dask itself; a worker is then there in a tenth of that, the first one and each that takes
the place of one that died, and they share the memory of what was imported. Where there is no fork server (Windows), Dask
starts processes as it always does.

Must not know: Dask, which this runs ahead of.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import sys
import threading
import time
from collections.abc import Iterator
from multiprocessing import forkserver
from pathlib import Path
from typing import Any

#: What the server imports: all that a worker needs before it gets its first action.
_PRELOAD = ["distributed", "distributed.nanny", "flyte_nb.worker_main", "flyte_nb"]
#: What must be in the environment before a process begins, as Dask's nannies have it: one that is forked begins with its server.
_BEFORE_START = {"MALLOC_TRIM_THRESHOLD_": "65536", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
#: How long a server that is told to end may take: its workers have ended before.
_STOP_SECONDS, _LOOK_SECONDS = 2.0, 0.005

_lock = threading.Lock()
_users: set[object] = set()
_is_ours = False


def available() -> bool:
    """Whether processes can be forked from a server here."""
    return "forkserver" in multiprocessing.get_all_start_methods() and sys.platform != "darwin"


def enter(user: object) -> None:
    """Have the server run, for one more user; returns before it is ready. A server that somebody else started is used as it is."""
    global _is_ours  # noqa: PLW0603 - there is one server in a process
    with _lock:
        _users.add(user)
        server = _server()
        if not available() or server._forkserver_pid is not None:  # noqa: SLF001 - no public way to ask
            return
        others = server._preload_modules  # noqa: SLF001 - given back below
        forkserver.set_forkserver_preload(_PRELOAD)
        try:
            with _environment():
                forkserver.ensure_running()
        finally:
            forkserver.set_forkserver_preload(others)
        _is_ours = True


def leave(user: object) -> None:
    """Have one user less. Without any, a server that was started here ends, as soon as no process is left that came from it."""
    global _is_ours  # noqa: PLW0603 - as above
    with _lock:
        _users.discard(user)
        if not _users and _is_ours:
            _is_ours = False
            _stop()


def pid() -> int | None:
    """The server's process; None while there is none."""
    found: int | None = _server()._forkserver_pid  # noqa: SLF001 - as below
    return found


def folder() -> str:
    """Where the server's socket is, which it does not remove if it is killed; "" if there is none, or it is no file."""
    address = _server()._forkserver_address  # noqa: SLF001 - as below
    return str(Path(address).parent) if isinstance(address, str) and address.startswith("/") else ""


def _server() -> Any:  # noqa: ANN401 - the standard library has no public way to ask for what is read here
    return forkserver._forkserver  # noqa: SLF001 - the one of this process


def _stop() -> None:
    server = _server()  # it has a `_stop`, which waits without end
    with server._lock:  # noqa: SLF001
        pid, alive, address = server._forkserver_pid, server._forkserver_alive_fd, server._forkserver_address  # noqa: SLF001
        if pid is None:
            return
        server._forkserver_pid = server._forkserver_alive_fd = server._forkserver_address = None  # noqa: SLF001
    os.close(alive)  # the server ends when nobody holds this
    with contextlib.suppress(OSError, ValueError):  # an abstract address is no file
        Path(address).unlink()
    until = time.monotonic() + _STOP_SECONDS
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(pid, os.WNOHANG)[0] == 0:
            if time.monotonic() > until:  # it still imports: it ends when it has
                threading.Thread(target=_reap, args=(pid,), name="flyte_nb-nursery", daemon=True).start()
                return
            time.sleep(_LOOK_SECONDS)


def _reap(pid: int) -> None:
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, 0)


@contextlib.contextmanager
def _environment() -> Iterator[None]:
    """Set what is missing, as long as it takes to start a process."""
    missing = [name for name in _BEFORE_START if name not in os.environ]
    os.environ.update({name: _BEFORE_START[name] for name in missing})
    try:
        yield
    finally:
        for name in missing:
            os.environ.pop(name, None)
