"""Runs of other kernels are read again while somebody watches them."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from flyte_nb.store.following import Follower

#: Time passes as fast as the thread can let it.
NO_SECONDS = 0.0


class Elsewhere:
    """Runs of another kernel: how often each may be read until it has ended."""

    def __init__(self, **left: int) -> None:
        self.left, self.told, self.watched = left, list[str](), set(left)
        self.over: dict[str, threading.Event] = {name: threading.Event() for name in left}

    def refresh(self, name: str) -> bool:
        """Read it once more."""
        self.left[name] -= 1
        return self.left[name] > 0

    def changed(self, name: str) -> None:
        """Hear that it was read."""
        self.told.append(name)
        if self.left[name] <= 0:
            self.over[name].set()

    def follower(self, refresh: Callable[[str], bool] | None = None) -> Follower:
        """Follow these runs."""
        return Follower(refresh or self.refresh, self.watched.__contains__, self.changed, NO_SECONDS)


def threads() -> list[str]:
    """The followers that are there."""
    return [thread.name for thread in threading.enumerate() if thread.name == "flyte_nb-follower"]


def test_a_run_is_read_until_it_has_ended() -> None:
    """Whoever watches it hears of each time, the last one included; then the thread goes, and comes again when it must."""
    runs = Elsewhere(a=3, b=1, later=2)
    follower = runs.follower()
    follower.follow("a")
    follower.follow("b")
    assert runs.over["a"].wait(10)
    assert runs.over["b"].wait(10)
    follower.follow("later")
    assert runs.over["later"].wait(10)
    follower.close()

    assert (sorted(runs.told), threads()) == (["a", "a", "a", "b", "later", "later"], [])


def test_what_nobody_watches_is_not_read() -> None:
    """A view that was closed costs nothing more."""
    runs = Elsewhere(a=10**9, b=2)
    runs.watched.discard("a")
    follower = runs.follower()
    follower.follow("a")
    follower.follow("b")
    assert runs.over["b"].wait(10)
    follower.close()

    assert set(runs.told) == {"b"}


def test_a_run_that_cannot_be_read_is_told_of_and_left(caplog: pytest.LogCaptureFixture) -> None:
    """The others go on."""
    runs = Elsewhere(bad=1, good=3)

    def refresh(name: str) -> bool:
        if name == "bad":
            raise OSError("no such disk")
        return runs.refresh(name)

    follower = runs.follower(refresh)
    follower.follow("bad")
    follower.follow("good")
    assert runs.over["good"].wait(10)
    follower.close()

    assert "run bad of another kernel cannot be followed" in caplog.text
    assert caplog.text.count("cannot be followed") == 1
