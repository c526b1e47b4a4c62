"""What every store of runs must do, in memory or on disk: one suite for both."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from flyte_nb.core.index import RunFilter
from flyte_nb.core.phases import ActionPhase
from flyte_nb.store.memory import MemoryStore
from flyte_nb.store.port import RunStore
from tests.fakes.stored_runs import BEGAN, StoredRun, open_at, settle, whole_run

ALL = RunFilter()


@pytest.fixture(params=["memory", "disk"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RunStore]:
    """Return a store without runs."""
    made: RunStore = MemoryStore("nb.ipynb") if request.param == "memory" else open_at(tmp_path / "store", notebook="nb.ipynb")
    yield made
    made.close()


def test_a_run_is_given_back_as_it_is(store: RunStore) -> None:
    """A run of this process is its live state, while it goes on and afterwards."""
    run = StoredRun(store)
    assert store.get("r1") is run.state
    run.end()
    settle(store)

    assert store.get("r1") is run.state
    assert store.get("other") is None
    assert store.states() == [run.state]


def test_runs_are_listed_with_their_counts(store: RunStore) -> None:
    """One entry a run, the latest last."""
    whole_run(store, "r1", labels=(("team", "a"),))
    StoredRun(store, "r2", at=BEGAN + 60)
    settle(store)
    first, second = store.entries(ALL)

    assert (first.name, first.task, first.phase, first.actions) == ("r1", "etl.main", ActionPhase.SUCCEEDED, 3)
    assert first.counts == {ActionPhase.SUCCEEDED: 2, ActionPhase.FAILED: 1}
    assert (first.labels, first.notebook, first.owner) == ((("team", "a"),), "nb.ipynb", "here")
    assert (second.name, second.phase, second.ended_at) == ("r2", ActionPhase.RUNNING, None)


@pytest.mark.parametrize(
    "wanted, names",
    [
        (ALL, ["r1", "r2", "r3"]),
        (RunFilter(phases=frozenset({ActionPhase.RUNNING})), ["r3"]),
        (RunFilter(task="main"), ["r1", "r2", "r3"]),
        (RunFilter(task="etl.score"), []),
        (RunFilter(since=BEGAN + 50), ["r2", "r3"]),
        (RunFilter(before=BEGAN + 50), ["r1"]),
        (RunFilter(labels=(("team", "a"),)), ["r2"]),
        (RunFilter(notebook="nb.ipynb"), ["r1", "r2", "r3"]),
        (RunFilter(limit=2), ["r2", "r3"]),
        (RunFilter(limit=0), []),
        (RunFilter(limit=1, phases=frozenset({ActionPhase.SUCCEEDED})), ["r2"]),
    ],
)
def test_lists_are_filtered(store: RunStore, wanted: RunFilter, names: list[str]) -> None:
    """Every condition must hold; a limit keeps the latest."""
    whole_run(store, "r1")
    whole_run(store, "r2", at=BEGAN + 60, labels=(("team", "a"), ("k", "v")))
    StoredRun(store, "r3", at=BEGAN + 120)
    settle(store)

    assert [entry.name for entry in store.entries(wanted)] == names


def test_a_name_that_is_used_again_stands_for_the_later_run(store: RunStore) -> None:
    """The earlier one had ended."""
    whole_run(store, "r1")
    later = whole_run(store, "r1", at=BEGAN + 60)
    settle(store)

    assert store.get("r1") is later.state
    assert [entry.started_at for entry in store.entries(ALL)] == [BEGAN + 60]


def test_who_waits_for_safety_is_called_or_told_at_once(store: RunStore) -> None:
    """In the order of asking, and never twice."""
    run = StoredRun(store)
    order: list[int] = []
    over = threading.Event()
    for number in range(5):
        run.call([(number,)])
        if store.when_durable(lambda number=number: order.append(number)):  # type: ignore[misc]  # bound now
            order.append(number)
    if not store.when_durable(over.set):
        assert over.wait(20)

    assert order == [0, 1, 2, 3, 4]
    assert store.when_durable(order.clear)
    assert order == [0, 1, 2, 3, 4]


def test_nothing_here_goes_on_elsewhere(store: RunStore) -> None:
    """A run of this process is neither taken nor to be followed."""
    run = StoredRun(store)
    settle(store)

    assert not store.is_taken("r1")
    assert not store.refresh(run.state)
