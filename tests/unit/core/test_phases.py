"""The table of phases: which there are, and which may follow which."""

from __future__ import annotations

import pytest

from flyte_nb.core.phases import ALLOWED, CODE, PHASE_TRANSITIONS, PHASES, TERMINAL, TERMINAL_CODES, ActionPhase

ENDS = {ActionPhase.SUCCEEDED, ActionPhase.FAILED, ActionPhase.ABORTED, ActionPhase.TIMED_OUT, ActionPhase.RECOVERED}


def test_the_phases_are_those_of_flyte_2() -> None:
    """The words, in their order: users compare with them, and columns hold their positions."""
    words = "queued waiting_for_resources initializing running paused succeeded failed aborted timed_out recovered"

    assert [phase.value for phase in PHASES] == words.split()


def test_a_phase_is_its_word() -> None:
    """It compares with, prints as, and is a text."""
    words = {"timed_out"}

    assert ActionPhase.TIMED_OUT in words
    assert str(ActionPhase.TIMED_OUT) == f"{ActionPhase.TIMED_OUT}" == "timed_out"


def test_terminal_phases_have_no_way_out() -> None:
    """A phase is terminal exactly when the table has no phase after it."""
    assert {phase for phase in ActionPhase if phase.is_terminal} == TERMINAL == ENDS
    assert {CODE[phase] for phase in ENDS} == TERMINAL_CODES


@pytest.mark.parametrize("phase", PHASES)
def test_a_phase_that_can_be_left_can_end(phase: ActionPhase) -> None:
    """From every open phase each end but `recovered` can be reached at once."""
    after = PHASE_TRANSITIONS[phase]

    assert after >= ENDS - {ActionPhase.RECOVERED} or not after


@pytest.mark.parametrize("phase", PHASES)
def test_no_phase_follows_itself(phase: ActionPhase) -> None:
    """A move changes something."""
    assert phase not in PHASE_TRANSITIONS[phase]


def test_only_a_queued_action_can_be_recovered() -> None:
    """What has run has not been recovered."""
    assert [phase for phase in PHASES if ActionPhase.RECOVERED in PHASE_TRANSITIONS[phase]] == [ActionPhase.QUEUED]


def test_the_matrix_of_codes_is_the_table() -> None:
    """The form that is fast to ask says the same."""
    table = {(a, b) for a in PHASES for b in PHASE_TRANSITIONS[a]}

    assert {(a, b) for a in PHASES for b in PHASES if ALLOWED[CODE[a]][CODE[b]]} == table
