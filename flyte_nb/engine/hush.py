"""Decides what of the log of Dask's libraries is kept from the user: what the embedded cluster, and our client of any other, say.

Its starts, restarts and ends are ours to tell. Dask silences a cluster while that lives; what it says a moment later, or
beside another cluster, still reached the user's terminal, tracebacks of closed connections among it. The log of a Dask that
the user runs stays as it is.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

#: The logger whose handler is that of all of Dask's libraries.
_DASK = "distributed"


class _FromOthers(logging.Filter):
    """Lets through what other threads say, and what is critical."""

    def __init__(self, thread: str) -> None:
        super().__init__()
        self.thread = thread

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a record is told."""
        return record.threadName != self.thread or record.levelno >= logging.CRITICAL


def hush_thread() -> None:
    """From here on keep what Dask says on threads with this one's name: the engine's, where the embedded cluster and our client live."""
    name = threading.current_thread().name
    for handler in logging.getLogger(_DASK).handlers:
        if not any(isinstance(each, _FromOthers) and each.thread == name for each in handler.filters):
            handler.addFilter(_FromOthers(name))


@contextmanager
def own_level() -> Iterator[int]:
    """While the embedded cluster, or a nanny of it, is made: yields the level of its silence.

    Both change the level of the log that all clusters of a process share, and give back at their end what they found. A
    cluster that the user makes while the embedded one lives, and that outlives it, would become loud. So ours find their
    level set, and have nothing to give back.
    """
    handlers = logging.getLogger(_DASK).handlers
    before = [(handler, handler.level) for handler in handlers]
    try:
        for handler in handlers:
            handler.setLevel(logging.CRITICAL)
        yield logging.CRITICAL
    finally:
        for handler, level in before:
            handler.setLevel(level)


def hush_process() -> None:
    """The same in a process that runs nothing but a worker of the embedded cluster."""
    logging.getLogger(_DASK).setLevel(logging.CRITICAL)
