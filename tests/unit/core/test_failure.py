"""What is kept of a failed attempt."""

from __future__ import annotations

import pickle

import pytest

from flyte_nb.core.failure import Failure


@pytest.mark.parametrize(
    "message,headline",
    [
        ("no such file", "OSError: no such file"),
        ("  first line  \nsecond line", "OSError: first line  "),
        ("", "OSError"),
        ("\n \n", "OSError"),
    ],
)
def test_the_headline_is_the_code_and_the_first_line(message: str, headline: str) -> None:
    """Tables and digests of failures have room for one line."""
    assert Failure("user", "OSError", message).headline() == headline


def test_a_failure_travels() -> None:
    """It holds text and bytes only, so it survives the way to the kernel."""
    failure = Failure("user", "E", "m", "mod.E", "Traceback", b"pickled", "w1", retryable=False)

    assert pickle.loads(pickle.dumps(failure)) == failure
