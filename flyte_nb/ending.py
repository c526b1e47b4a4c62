"""Decides when the interpreter's end is, for those who have something to give back.

Must not know: what they give back.
"""

from __future__ import annotations

import atexit
import contextlib
import sys
import threading
from collections.abc import Callable


def at_exit(action: Callable[[], None]) -> None:
    """Call `action` when the interpreter ends, while threads and executors still work.

    `atexit` comes too late for that: by then `concurrent.futures` refuses work, and Dask cannot close a cluster.
    """
    register = getattr(threading, "_register_atexit", None)
    if register is None:
        atexit.register(action)
    else:
        import concurrent.futures.thread  # noqa: F401, PLC0415 - its own exit handler must be registered before ours

        with contextlib.suppress(RuntimeError):
            register(action)


def in_ipython_kernel() -> bool:
    """Whether this process is a notebook's kernel."""
    kernel = sys.modules.get("ipykernel.kernelapp")
    return kernel is not None and bool(kernel.IPKernelApp.initialized())
