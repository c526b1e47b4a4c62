"""Decides how runs of other kernels are followed: while somebody watches one, what its kernel stored is read every second.

Must not know: who watches, or what they do with it.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

#: How often a followed run is read again. Its kernel writes what happened within some tens of milliseconds.
FOLLOW_SECONDS = 1.0
logger = logging.getLogger("flyte_nb")


class Follower:
    """Reads runs of other kernels again, in a thread that lives while there are any.

    Args:
        refresh: reads what is new of a run, by name; false when it has ended.
        watched: whether somebody still watches a run.
        changed: told after each time.
        seconds: how often.
    """

    def __init__(
        self,
        refresh: Callable[[str], bool],
        watched: Callable[[str], bool],
        changed: Callable[[str], None],
        seconds: float = FOLLOW_SECONDS,
    ) -> None:
        self._refresh, self._watched, self._changed, self._seconds = refresh, watched, changed, seconds
        self._closed = threading.Event()
        self._names: set[str] = set()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def follow(self, name: str) -> None:
        """Follow a run until it has ended or nobody watches it."""
        with self._lock:
            self._names.add(name)
            if self._thread is None:
                self._closed = threading.Event()
                self._thread = threading.Thread(target=self._work, args=(self._closed,), name="flyte_nb-follower", daemon=True)
                self._thread.start()

    def close(self) -> None:
        """Follow none of them any more."""
        self._closed.set()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(10)

    def _work(self, closed: threading.Event) -> None:
        while True:
            closed.wait(self._seconds)
            with self._lock:
                names = sorted(self._names)
            over = names if closed.is_set() else [name for name in names if not self._look(name)]
            with self._lock:
                self._names.difference_update(over)
                if closed.is_set() or not self._names:
                    self._thread = None
                    return

    def _look(self, name: str) -> bool:
        if not self._watched(name):
            return False
        try:
            goes_on = self._refresh(name)
            self._changed(name)
        except Exception:
            logger.exception("flyte_nb: run %s of another kernel cannot be followed any more; open it again", name)
            return False
        return goes_on
