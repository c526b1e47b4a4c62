"""Random trees of tasks, aborted at a random moment: a recovery gives what plain Python gives, and repeats nothing that was done."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

import flyte_nb as flyte
from flyte_nb.core.phases import ActionPhase
from flyte_nb.core.state import RunState
from flyte_nb.remote import Run
from tests.fakes.spaces import finished
from tests.properties.test_trees import TREES, Tree, grow, plain, space

__all__ = ["space"]


def done(state: RunState) -> set[str]:
    """Names of the actions that succeeded, with all that they called: nothing of these may run again."""
    failed: set[int] = set()
    for row in state.failures:
        while row not in failed:
            failed.add(row)
            row = state.parent_of(row)  # noqa: PLW2901 - up the tree
    succeeded = (row for row in range(state.count) if state.phase_of(row) in {ActionPhase.SUCCEEDED, ActionPhase.RECOVERED})
    return {state.action_name(row) for row in succeeded if row not in failed}


def ran(state: RunState) -> set[str]:
    """Names of the actions of which an attempt was made."""
    return {state.action_name(row) for row in range(state.count) if state.attempts[row]}


def aborted_after(run: Run, count: int) -> Run:
    """The run, stopped when so many of its actions have ended; perhaps it was faster."""
    while not run.done() and run.state.count - run.state.open_count < count:  # without a pause: these runs last milliseconds
        pass
    run.abort()
    return finished(run)


@pytest.mark.leaves(descriptors=30)  # loops of workers, made when they are first needed, three each
@pytest.mark.usefixtures("space")
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(TREES, min_size=1, max_size=4), st.integers(0, 12), st.integers(0, 12))
def test_a_recovery_finishes_what_was_begun_and_repeats_nothing(trees: list[Tree], first: int, second: int) -> None:
    """Twice: a recovery that was aborted is recovered too."""
    tree = Tree("gather", 1, trees)
    runs = [aborted_after(flyte.run(grow, tree), first)]
    event(f"aborted: {runs[0].phase is ActionPhase.ABORTED}, something was done: {bool(done(runs[0].state))}")
    runs.append(aborted_after(runs[0].rerun(recover=True), second))
    runs.append(finished(runs[1].rerun(recover=True)))

    assert runs[2].outputs()[0] == plain(tree)
    kept: set[str] = set()
    for earlier, later in itertools.pairwise(runs):
        kept |= done(earlier.state)
        assert kept & ran(later.state) == set()
