"""Names of runs and actions: deterministic, short, and fit for files and links."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flyte_nb.core.ids import action_name, base36, run_name


@pytest.mark.parametrize("number,text", [(0, "0"), (35, "z"), (36, "10"), (36**3 + 1, "1001")])
def test_numbers_are_written_in_base_36(number: int, text: str) -> None:
    """Digits and lower-case letters, no leading zero."""
    assert base36(number) == text


@given(st.integers(min_value=0, max_value=2**200))
def test_base_36_can_be_read_back(number: int) -> None:
    """Python's own reader agrees."""
    assert int(base36(number), 36) == number


@given(st.binary(min_size=1, max_size=32))
def test_a_runs_name_starts_with_a_letter_and_has_one_length(entropy: bytes) -> None:
    """It is an `r` and twelve digits, whatever the bytes."""
    name = run_name(entropy)

    assert (name[0], len(name), name.isalnum(), name.lower()) == ("r", 13, True, name)


def test_different_bytes_make_different_runs() -> None:
    """All of the last twelve digits count."""
    assert len({run_name(number.to_bytes(10, "big")) for number in range(1_000)}) == 1_000


CALL = ("a0", "hash", "env.task", 1, "group")


def test_the_same_call_has_the_same_name() -> None:
    """A later run finds the action again."""
    assert action_name(*CALL) == action_name(*CALL)
    assert (action_name(*CALL).isalnum(), len(action_name(*CALL)) <= 25) == (True, True)


@pytest.mark.parametrize("place", range(5))
def test_everything_that_makes_a_call_goes_into_its_name(place: int) -> None:
    """Another parent, input, task, sequence or group makes another action."""
    other = list(CALL)
    other[place] = 2 if place == 3 else "other"

    assert action_name(*other) != action_name(*CALL)  # type: ignore[arg-type]  # in the order of the parameters


def test_a_call_outside_of_groups_is_named_too() -> None:
    """No group is not a group with an empty name."""
    assert action_name("a0", "hash", "env.task", 1, "") != action_name(*CALL)


def test_texts_that_are_no_unicode_can_be_named() -> None:
    """A group named with a lone surrogate (a file name from another system) does not break naming."""
    assert action_name("a0", "hash", "env.task", 1, "\udcff").isalnum()
