"""Prints go to the action that printed them; everything else passes through."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from flyte_nb.core.current import CURRENT, ActionFacts, Frame
from flyte_nb.engine import capture
from tests.fakes.no_submitter import NoSubmitter


@contextmanager
def streams() -> Iterator[io.StringIO]:
    """Streams of the test's own, while nobody else routes prints; no fixture, since pytest changes streams between phases."""
    before, users = (sys.stdout, sys.stderr), capture._users
    capture._users = 0
    sys.stdout, sys.stderr = io.StringIO(), io.StringIO()
    try:
        yield sys.stdout
        assert capture._users == 0
    finally:
        capture._users = users
        sys.stdout, sys.stderr = before


@pytest.fixture
def printed() -> Iterator[list[str]]:
    """What the action prints, while the test is inside of one."""
    texts: list[str] = []
    token = CURRENT.set(Frame(ActionFacts("r", 1, 1, "t", 0, 1.0), NoSubmitter(), write=texts.append))
    yield texts
    CURRENT.reset(token)


def test_prints_inside_of_an_action_are_its_own(printed: list[str]) -> None:
    """Both streams, `print` and `writelines`."""
    with streams() as out:
        capture.install()
        print("hello")  # noqa: T201 - what is tested
        print("error", file=sys.stderr)  # noqa: T201 - what is tested
        sys.stdout.writelines(["a", "b"])
        capture.remove()

    assert ("".join(printed), out.getvalue()) == ("hello\nerror\nab", "")


def test_prints_outside_of_actions_pass_through() -> None:
    """The stream that was there gets them; it still is what it was."""
    with streams() as out:
        capture.install()
        print("hello")  # noqa: T201 - what is tested
        seen = sys.stdout.getvalue()  # type: ignore[union-attr]  # the wrapped stream's own method
        capture.remove()
        assert sys.stdout is out

    assert seen == "hello\n"


def test_routing_is_counted() -> None:
    """The streams are given back by the last one that needs them."""
    with streams() as out:
        capture.install()
        capture.install()
        capture.remove()
        routed = sys.stdout
        capture.remove()

        assert (isinstance(routed, capture.RoutedStream), sys.stdout is out) == (True, True)


def test_a_stream_that_took_our_place_is_routed_too() -> None:
    """A program may replace its streams while work goes on; ours is then not there to be taken away."""
    other = io.StringIO()
    with streams() as out:
        capture.install()
        sys.stdout = other
        capture.wrap()
        wrapped = sys.stdout
        sys.stdout = other
        capture.remove()
        capture.wrap()

        assert isinstance(wrapped, capture.RoutedStream)
        assert wrapped.wrapped is other
        assert (sys.stdout is other, out.getvalue()) == (True, "")


def test_an_action_without_capture_prints_to_the_stream() -> None:
    """A frame that keeps no prints lets them pass."""
    token = CURRENT.set(Frame(ActionFacts("r", 1, 1, "t", 0, 1.0), NoSubmitter()))
    with streams() as out:
        capture.install()
        print("hello")  # noqa: T201 - what is tested
        capture.remove()
    CURRENT.reset(token)

    assert out.getvalue() == "hello\n"
