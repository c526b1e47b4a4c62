"""What a caller gets for an action that failed."""

from __future__ import annotations

import pytest

from flyte_nb import errors
from flyte_nb.authoring.outcomes import error_of
from flyte_nb.core.failure import CLUSTER_LOST, Failure, aborted, of_ours

OURS = [
    errors.OOMError("OOMError", "all of it", "w1", rss_bytes=900, limit_bytes=1_000),
    errors.WorkerLostError("a1", "r1", attempts=11, worker="w1", reason="signal 9"),
    errors.WorkerImportError("torch", "env.train", worker="w1"),
    errors.NotSerializableError("o0", "lock", "env.train", is_output=True),
    errors.OutputTooLargeError("env.train", 2_000, 1_000),
    errors.ActionLimitError("r1", 5),
    errors.MaxRuntimeExceededError("too long"),
    errors.DeadlineExceededError("too long"),
    errors.ActionAbortedError("enough"),
    errors.ClusterLostError("r1", reason="its scheduler is gone"),
]


@pytest.mark.parametrize("error", OURS, ids=lambda error: type(error).__name__)
def test_an_error_of_ours_comes_back_as_it_was_with_all_that_it_knows(error: errors.BaseRuntimeError) -> None:
    """Class, message, code and facts (a module's name, say) reach the caller; it is its own cause no more than anybody's."""
    found = error_of(of_ours(error), None)

    assert (type(found), str(found), vars(found)) == (type(error), str(error), vars(error))
    assert found.__cause__ is None


@pytest.mark.parametrize(
    "error,kind",
    [(OURS[0], "user"), (OURS[1], "system"), (OURS[2], "user"), (OURS[6], "timeout"), (OURS[9], "system")],
    ids=lambda each: getattr(each, "code", each),
)
def test_a_failure_of_ours_says_whose_it_is(error: errors.BaseRuntimeError, kind: str) -> None:
    """What only a lost machine explains is the system's; the task's memory and modules are not."""
    assert of_ours(error).kind == kind


def test_a_body_that_raises_one_of_our_errors_gets_no_facts_from_it() -> None:
    """What a body raises is the user's: Flyte's rule gives the caller its code and message, and the error itself as the cause."""
    error = errors.OOMError("OOMError", "raised by hand", rss_bytes=1, limit_bytes=2)
    failure = Failure("user", error.code, str(error), type_name="flyte_nb.errors.OOMError", pickled=of_ours(error).pickled)

    found = error_of(failure, None)

    assert isinstance(found, errors.OOMError)
    assert (found.limit_bytes, type(found.__cause__)) == (0, errors.OOMError)


def test_an_abort_by_the_end_of_the_cluster_names_the_run_and_the_way_back() -> None:
    """It is no abort by a person, and can be recovered."""
    found = error_of(aborted(f"{CLUSTER_LOST}: its scheduler is gone", "r1"), None)

    assert isinstance(found, errors.ClusterLostError)
    assert found.run == "r1"
    assert 'flyte.rerun("r1", recover=True)' in str(found)
    assert "its scheduler is gone" in str(found)
