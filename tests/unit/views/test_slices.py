"""Work in slices: some of it at once, the rest in a thread that is started again for what comes later."""

from __future__ import annotations

import threading
import time

import pytest

from flyte_nb.views import slices
from flyte_nb.views.slices import TURN, WAIT_SECONDS, Slices


class Pile:
    """Work that is done one piece per slice; a slice of the thread waits at the gate."""

    def __init__(self, pieces: int) -> None:
        self.left, self.told, self.workers = pieces, 0, set[str]()
        self.gate = threading.Event()
        self.gate.set()

    def step(self) -> bool:
        """Do a piece; more is left or not."""
        if threading.current_thread().name == "pile":
            assert self.gate.wait(10)
        self.workers.add(threading.current_thread().name)
        self.left = max(0, self.left - 1)
        return self.left > 0

    def notify(self) -> None:
        """Count that the reader was told."""
        self.told += 1


def test_small_work_is_done_at_once_without_a_thread() -> None:
    """What takes a moment is done when advance returns, and nobody has to be told."""
    pile = Pile(20)
    Slices("pile", pile.step, pile.notify).advance()
    assert (pile.left, pile.told, pile.workers) == (0, 0, {threading.current_thread().name})


def test_the_rest_is_done_in_a_thread_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Past its moment advance returns with work left; the thread does it and tells."""
    monkeypatch.setattr(slices, "AT_ONCE_SECONDS", 0.0)
    pile = Pile(20)
    pile.gate.clear()
    work = Slices("pile", pile.step, pile.notify)
    work.advance()
    assert pile.left == 19
    pile.gate.set()
    work.join(10)
    assert (pile.left, pile.workers >= {"pile"}) == (0, True)
    assert pile.told >= 1


def test_work_that_comes_while_the_thread_ends_is_done_too() -> None:
    """A start between a thread's last look and its end is not lost."""
    pile = Pile(0)

    def step() -> bool:
        more = pile.step()
        if not late:  # the thread has found nothing to do; now there is something, and it is told so
            late.append(True)
            pile.left = 5
            work.start()
        return more

    late: list[bool] = []
    work = Slices("pile", step, pile.notify)
    work.start()
    work.join(10)
    assert pile.left == 0


def test_what_is_done_beside_waits_for_an_answer() -> None:
    """But not for ever: the answer may wait for it."""
    with TURN:
        began = time.perf_counter()
        TURN.give_way()
        waited = time.perf_counter() - began
        with TURN:
            pass
        assert not TURN._none.is_set()

    assert waited >= 0.9 * WAIT_SECONDS
    assert TURN._none.is_set()
