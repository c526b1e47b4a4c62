"""A run that is read back from disk is the very same as the live one, whatever happened in it and however it was cut into batches."""

from __future__ import annotations

import tempfile
from array import array
from contextlib import closing
from itertools import pairwise
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from flyte_nb.core.events import AttemptsStarted, Event, RunStarted
from flyte_nb.core.index import RunFilter
from tests.fakes.histories import History, Step, histories
from tests.fakes.stored_runs import facts_of, open_at, settle


class _Told(History):
    """A history whose events are remembered."""

    def __init__(self) -> None:
        super().__init__()
        state = self.run.state
        self.events: list[Event] = [RunStarted(state.name, state.root, state.inputs(0), state.started_at)]
        fold = state.apply

        def apply(event: Event) -> None:
            fold(event)
            self.events.append(event)

        state.apply = apply  # type: ignore[method-assign]  # to listen
        self.events.append(AttemptsStarted(state.name, [0], "kernel", array("d", [state.started_at])))


@settings(max_examples=60)
@given(histories(60), st.booleans(), st.lists(st.integers(0, 200), max_size=6))
def test_a_reopened_run_is_the_live_one(steps: list[Step], ends: bool, cuts: list[int]) -> None:  # noqa: FBT001 - drawn
    """All columns, counts, failures, logs and names; also of a run that goes on."""
    history = _Told()
    for step in steps:
        history.happen(step)
    if ends:
        history.finish()
    state = history.run.state
    with tempfile.TemporaryDirectory() as folder, closing(open_at(Path(folder) / "store")) as store:
        borders = sorted({0, *(cut for cut in cuts if cut < len(history.events)), len(history.events)})
        for lo, hi in pairwise(borders):
            store.recorded(history.events[lo:hi])
            settle(store)
        if ends:
            store.ended(state)
        settle(store)
        with closing(open_at(Path(folder) / "store")) as later:
            reopened = later.get(state.name)
            assert reopened is not None
            reopened.check()
            assert facts_of(reopened) == facts_of(state)
            assert [reopened.action_name(row) for row in range(state.count)] == [state.action_name(row) for row in range(state.count)]
            assert [(entry.ended_at, entry.actions) for entry in later.entries(RunFilter())] == [
                (state.ended_at, state.count - 1 if ends else 0)
            ]
