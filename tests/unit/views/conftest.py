"""What view tests share: recording comms, a display that keeps bundles, a painter that paints when told."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from flyte_nb.views.painter import Painted
from tests.fakes import fake_comm


class FakePublisher:
    """Keeps what a cell's output would hold, by display id, and every message."""

    def __init__(self) -> None:
        self.outputs: dict[str, dict[str, Any]] = {}
        self.messages: list[tuple[str, str]] = []

    def show(self, bundle: dict[str, Any], display_id: str) -> None:
        """A new output."""
        self.outputs[display_id] = bundle
        self.messages.append(("show", display_id))

    def update(self, bundle: dict[str, Any], display_id: str) -> None:
        """An update of an output that must be there."""
        assert display_id in self.outputs
        self.outputs[display_id] = bundle
        self.messages.append(("update", display_id))


class FakePainter:
    """Paints when the test says so, in the test's thread."""

    def __init__(self) -> None:
        self.views: list[Painted] = []
        self.resting: list[Painted] = []
        self.notified = 0

    def add(self, view: Painted) -> None:
        """Keep a view up to date."""
        for each in (view, *self.resting):
            if each not in self.views:
                self.views.append(each)

    def rest(self, view: Painted) -> None:
        """Keep it up to date whenever another view is."""
        self.resting = [view]

    def notify(self) -> None:
        """Count."""
        self.notified += 1

    def paint(self) -> None:
        """One tick."""
        self.views = [view for view in self.views if not view.paint()]


@pytest.fixture
def publisher() -> FakePublisher:
    """Return a display that keeps bundles."""
    return FakePublisher()


@pytest.fixture
def painter() -> FakePainter:
    """Return a painter without a thread."""
    return FakePainter()


@pytest.fixture
def comms(monkeypatch: pytest.MonkeyPatch) -> type[fake_comm.RecordingComm]:
    """Return the comms that widgets of this test opened."""
    return fake_comm.use(monkeypatch)


@pytest.fixture
def benchmark_seconds() -> Callable[[Callable[[], object]], float]:
    """Return a stop watch: the better of two runs, since other tests share the machine."""

    def measure(work: Callable[[], object]) -> float:
        taken = []
        for _ in range(2):
            began = time.perf_counter()
            work()
            taken.append(time.perf_counter() - began)
        return min(taken)

    return measure
