"""Decides how work that may be long is done beside a run: a slice at a time, for a moment at once, and the rest in a thread.

The thread rests as long as it has worked: the run itself needs the interpreter too. While somebody waits for an answer it
waits too.

Must not know: what the work is.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

#: Work is done for so long before an answer, so that what is small is always done whole.
AT_ONCE_SECONDS = 0.08
#: How long the thread rests, as a multiple of how long it has worked.
REST_FACTOR = 1.0
#: The thread waits at most so long for an answer.
WAIT_SECONDS = 0.25
#: The reader hears that more was done once in so many seconds, and at the end.
TELL_SECONDS = 0.5


class Turn:
    """Answers that are being made: what is done beside waits for them."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._answering = 0
        self._none = threading.Event()
        self._none.set()

    def __enter__(self) -> None:
        with self._guard:
            self._answering += 1
            self._none.clear()

    def __exit__(self, *_error: object) -> None:
        with self._guard:
            self._answering -= 1
            if not self._answering:
                self._none.set()

    def give_way(self) -> None:
        """Wait until no answer is being made, but not for ever: an answer may wait for this very thread."""
        self._none.wait(WAIT_SECONDS)


#: Held while an answer is made.
TURN = Turn()


class Slices:
    """Work that is done in slices.

    Args:
        name: of the thread, while there is one.
        step: does a slice, from any thread, and returns whether there may be more to do.
        notify: called (from the thread) when more was done.
    """

    def __init__(self, name: str, step: Callable[[], bool], notify: Callable[[], None]) -> None:
        self._name, self._step, self._notify = name, step, notify
        self._guard = threading.Lock()
        self._thread: threading.Thread | None = None
        self._again = False

    def advance(self) -> None:
        """Work for a moment; what is left then is done in the thread."""
        until = time.perf_counter() + AT_ONCE_SECONDS
        while more := self._step():
            if time.perf_counter() >= until:
                break
        if more:
            self.start()

    def start(self) -> None:
        """See to it that the thread does what there is."""
        with self._guard:
            self._again = True  # for a thread that is just about to end
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name=self._name, daemon=True)
                self._thread.start()

    @property
    def is_working(self) -> bool:
        """Whether the thread works; it tells the reader when it no longer does."""
        return self._thread is not None

    def join(self, timeout: float | None = None) -> None:
        """Wait until the thread has done what there is."""
        thread = self._thread
        if thread is not None:
            thread.join(timeout)

    def _work(self) -> None:
        told = began = time.perf_counter()
        while self._step() or self._goes_on():
            time.sleep(REST_FACTOR * (time.perf_counter() - began))
            TURN.give_way()
            began = time.perf_counter()
            if began - told > TELL_SECONDS:
                told = began
                self._notify()
        self._notify()

    def _goes_on(self) -> bool:
        with self._guard:
            again, self._again = self._again, False
            if not again:
                self._thread = None
            return again
