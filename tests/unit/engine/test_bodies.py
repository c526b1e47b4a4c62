"""What is kept of an exception: the task's own lines, each error told once."""

from __future__ import annotations

import pickle
from collections.abc import Callable

import pytest

from flyte_nb import errors
from flyte_nb.authoring.outcomes import error_of
from flyte_nb.core.failure import Failure
from flyte_nb.engine import bodies

WHERE = ("r1", "child1", "etl.fetch", "main > fetch", "user=3")


def raised(body: Callable[[], object]) -> BaseException:
    """Return what a body raises."""
    with pytest.raises(BaseException) as caught:  # noqa: PT011 - each test looks at what it is
        body()
    return caught.value


def broken() -> int:
    """Raise for a reason."""
    users: dict[int, int] = {}
    try:
        return users[3]
    except KeyError as error:
        raise ValueError("no user 3") from error


def test_a_failure_shows_the_bodys_own_lines_and_what_they_came_from() -> None:
    """The chain of causes is the user's, and is all there."""
    failure = bodies.failure_of(raised(broken), "worker-1")

    assert (failure.kind, failure.code, failure.message, failure.worker) == ("user", "ValueError", "no user 3", "worker-1")
    assert "return users[3]" in failure.traceback
    assert 'raise ValueError("no user 3") from error' in failure.traceback
    assert failure.traceback.endswith("ValueError: no user 3\n")


def test_the_error_of_a_called_action_is_named_and_not_told_again() -> None:
    """A driver's traceback has the driver's lines and says which action failed; that one has a traceback of its own."""
    child = bodies.failure_of(raised(broken), "worker-1")

    def driver() -> None:
        raise error_of(child, WHERE)

    told = bodies.failure_of(raised(driver), "kernel").traceback

    assert "raise error_of(child, WHERE)" in told
    assert "RuntimeUserError: no user 3\nIn action child1 of task etl.fetch on worker worker-1, run r1 (main > fetch)." in told
    assert "Its inputs: user=3" in told
    assert "raise ValueError" not in told
    assert "direct cause" not in told


def test_an_own_error_about_a_called_action_keeps_both() -> None:
    """The user's `raise ... from error` is shown, the action's error as the cause, still without the action's lines."""
    child = bodies.failure_of(raised(broken), "worker-1")

    def driver() -> None:
        try:
            raise error_of(child, WHERE)
        except errors.RuntimeUserError as error:
            raise LookupError("gave up") from error

    told = bodies.failure_of(raised(driver), "kernel").traceback

    assert told.endswith("LookupError: gave up\n")
    assert "direct cause" in told
    assert "In action child1" in told
    assert "raise ValueError" not in told


def test_a_kept_exception_carries_no_frames() -> None:
    """They would be those of another process; the text has them."""
    failure = bodies.failure_of(raised(broken), "worker-1")
    assert failure.pickled is not None

    error = pickle.loads(failure.pickled)

    assert (type(error), str(error), error.__traceback__) == (ValueError, "no user 3", None)


def test_an_exception_that_cannot_be_pickled_is_kept_as_text() -> None:
    """And an error that refers to itself does not hang."""

    class Unfit(Exception):  # noqa: N818 - its name is not its point
        def __reduce__(self) -> tuple[object, ...]:
            raise TypeError("cannot be pickled")

    def body() -> None:
        error = Unfit("stuck")
        error.__context__ = error
        raise error

    failure = bodies.failure_of(raised(body), "worker-1")

    assert (failure.code, failure.message, failure.pickled) == ("Unfit", "stuck", None)


def test_failures_are_read_back_as_flyte_has_them() -> None:
    """The class says whose fault it was, the code which error, the text is the user's."""
    error = error_of(Failure("user", "ValueError", "no user 3", type_name="builtins.ValueError"), WHERE)

    assert isinstance(error, errors.RuntimeUserError)
    assert (error.code, str(error)) == ("ValueError", "no user 3")
