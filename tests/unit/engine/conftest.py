"""A controller on a bench whose books are checked after each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.fakes.bench import Bench


@pytest.fixture
def bench() -> Iterator[Bench]:
    """A controller without runs and workers; at the end its runs and its counts must be in order."""
    made = Bench()
    yield made
    made.check()


@pytest.fixture
def run(bench: Bench) -> Bench:
    """A bench with a worker and a run named "r" whose root's body has begun in the kernel."""
    bench.join()
    bench.start()
    bench.begin(bench.driver)
    return bench
