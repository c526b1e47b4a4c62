"""The tree of errors: codes and kinds, what survives a pickle, and which class a parent sees."""

import inspect
import pickle
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flyte_nb import errors
from flyte_nb.authoring import codes

WORDS = st.text(max_size=30)
CLASSES = [
    cls
    for _, cls in inspect.getmembers(errors, inspect.isclass)
    if issubclass(cls, errors.BaseRuntimeError) and not cls.__name__.startswith("_")
]
# Constructors that take something else than words.
OTHER_ARGUMENTS: dict[str, st.SearchStrategy[errors.BaseRuntimeError]] = {
    "BaseRuntimeError": st.builds(errors.BaseRuntimeError, WORDS, st.just("user"), WORDS, st.none() | WORDS),
    "InitializationError": st.builds(errors.InitializationError, WORDS, st.just("system"), WORDS),
    "NotSerializableError": st.builds(errors.NotSerializableError, WORDS, WORDS, WORDS, reason=WORDS, is_output=st.booleans()),
    "OutputTooLargeError": st.builds(errors.OutputTooLargeError, WORDS, st.integers(0, 2**40), st.integers(0, 2**40)),
    "BatchSizeError": st.builds(errors.BatchSizeError, WORDS, st.integers(0), st.none() | st.integers(0), type_name=WORDS, which=WORDS),
    "ActionLimitError": st.builds(errors.ActionLimitError, WORDS, st.integers()),
    "WorkerImportError": st.builds(errors.WorkerImportError, WORDS, WORDS, worker=st.none() | WORDS, reason=WORDS),
    "WorkerLostError": st.builds(errors.WorkerLostError, WORDS, WORDS, attempts=st.integers(1, 9), worker=WORDS, reason=WORDS),
}


def instances(cls: type[errors.BaseRuntimeError]) -> st.SearchStrategy[errors.BaseRuntimeError]:
    """Return a strategy for instances of one class of the tree."""
    if cls.__name__ in OTHER_ARGUMENTS:
        return OTHER_ARGUMENTS[cls.__name__]
    required = [each for each in inspect.signature(cls).parameters.values() if each.default is each.empty]
    return st.builds(cls, *[WORDS for _ in required])


def everything_of(error: errors.BaseRuntimeError) -> tuple[object, ...]:
    """Return what must survive a journey."""
    return type(error), error.args, str(error), vars(error)


class OwnError(errors.NonRecoverableError):
    """A user's own class with a constructor of its own."""

    def __init__(self, station: str, *, depth: int) -> None:
        super().__init__(f"{station} is too deep")
        self.depth = depth


@pytest.mark.parametrize("cls", CLASSES)
@settings(max_examples=20)
@given(data=st.data(), notes=st.lists(WORDS, max_size=3))
def test_every_error_survives_a_pickle(cls: type[errors.BaseRuntimeError], data: st.DataObject, notes: list[str]) -> None:
    """Class, message, code, kind, worker, own attributes and notes arrive as they left."""
    error = data.draw(instances(cls))
    for note in notes:
        error.add_note(note)

    arrived = pickle.loads(pickle.dumps(error))

    assert everything_of(arrived) == everything_of(error)


def test_a_class_of_the_users_own_survives_a_pickle() -> None:
    """A subclass with another constructor needs no code for it."""
    error = OwnError("Nairobi", depth=3)

    arrived = pickle.loads(pickle.dumps(error))

    assert everything_of(arrived) == everything_of(error)


@pytest.mark.parametrize(
    "error,code,kind,message",
    [
        (errors.RuntimeUserError("C", "m"), "C", "user", "m"),
        (errors.RuntimeSystemError("S", "m"), "S", "system", "m"),
        (errors.RuntimeUnknownError("U", "m", "w"), "U", "unknown", "m"),
        (errors.CustomError.from_exception(KeyError("k")), "KeyError", "user", "'k'"),
        (errors.NonRecoverableError("nr"), "NonRecoverableError", "user", "nr"),
        (errors.NonRecoverableError("nr", code="X"), "X", "user", "nr"),
        (errors.TaskTimeoutError("t"), "TaskTimeoutError", "user", "t"),
        (errors.MaxRuntimeExceededError("t"), "MaxRuntimeExceededError", "user", "t"),
        (errors.MaxQueuedTimeExceededError("t"), "MaxQueuedTimeExceededError", "user", "t"),
        (errors.DeadlineExceededError("t"), "DeadlineExceededError", "user", "t"),
        (errors.ActionAbortedError("a"), "ActionAbortedError", "user", "a"),
        (errors.RestrictedTypeError("t"), "RestrictedTypeUsage", "user", "t"),
        (errors.SlowDownError("s"), "SlowDownError", "user", "s"),
        (errors.ResourceExhaustedError("s"), "SlowDownError", "user", "s"),
        (errors.LogsNotYetAvailableError("l"), "LogsNotYetAvailable", "system", "l"),
        (
            errors.RuntimeDataValidationError("x", "why", "task"),
            "DataValidationError",
            "user",
            "In task task variable x, failed to serialize/deserialize because of why",
        ),
    ],
)
def test_codes_and_kinds_are_flytes(error: errors.BaseRuntimeError, code: str, kind: str, message: str) -> None:
    """The constructors fill code, kind and message as Flyte's do."""
    assert (error.code, error.kind, str(error)) == (code, kind, message)


def test_an_error_made_from_an_exception_keeps_it_as_its_cause() -> None:
    """`CustomError.from_exception` chains."""
    cause = KeyError("k")

    assert errors.CustomError.from_exception(cause).__cause__ is cause


def test_a_missing_action_is_no_flyte_error() -> None:
    """`ActionNotFoundError` stands outside of the tree, as in Flyte."""
    assert not issubclass(errors.ActionNotFoundError, errors.BaseRuntimeError)


def test_an_error_among_values_raises_itself_in_a_sum() -> None:
    """`sum(results)` shows the task's error, not a TypeError about operands."""
    error = errors.RuntimeUserError("ValueError", "boom")

    results: list[Any] = [1, 2, error]

    with pytest.raises(errors.RuntimeUserError, match="boom") as caught:
        sum(results)

    assert caught.value is error


@pytest.mark.parametrize("operator", ["add", "sub", "mul", "truediv", "floordiv"])
@pytest.mark.parametrize("prefix", ["", "r"])
def test_an_error_raises_itself_in_arithmetic(operator: str, prefix: str) -> None:
    """Both sides of + - * / // do so."""
    error = errors.RuntimeSystemError("S", "m")

    with pytest.raises(errors.RuntimeSystemError) as caught:
        getattr(error, f"__{prefix}{operator}__")(2)

    assert caught.value is error


@pytest.mark.parametrize(
    "kind,code,expected",
    [
        ("user", "ValueError", ("RuntimeUserError", "ValueError", "user")),
        ("user", "OOMKilled", ("OOMError", "OOMKilled", "user")),
        ("user", "oom", ("OOMError", "oom", "user")),
        ("user", "TaskInterrupted", ("TaskInterruptedError", "TaskInterrupted", "user")),
        ("user", "RetriesExhausted|ValueError", ("RetriesExhaustedError", "ValueError", "user")),
        ("user", "UnknownThing", ("RuntimeUnknownError", "UnknownThing", "unknown")),
        ("user", "MaxRuntimeExceededError", ("MaxRuntimeExceededError", "MaxRuntimeExceededError", "user")),
        ("user", "NonRecoverableError", ("RuntimeUserError", "NonRecoverableError", "user")),
        ("user", "ActionAbortedError", ("RuntimeUserError", "ActionAbortedError", "user")),
        ("user", "DataValidationError", ("RuntimeUserError", "DataValidationError", "user")),
        ("timeout", "DeadlineExceededError", ("DeadlineExceededError", "DeadlineExceededError", "user")),
        ("timeout", "Late", ("TaskTimeoutError", "Late", "user")),
        ("system", "OOM", ("RuntimeSystemError", "OOM", "system")),
        ("unknown", "X", ("RuntimeUnknownError", "X", "unknown")),
    ],
)
def test_a_parent_sees_a_class_found_by_the_code(kind: str, code: str, expected: tuple[str, str, str]) -> None:
    """A body's error travels as its code only."""
    error = codes.from_code(kind, code, "message", "worker-1")

    assert (type(error).__name__, error.code, error.kind) == expected
    assert (str(error), error.worker) == ("message", "worker-1")


@pytest.mark.parametrize(
    "kind,code,expected",
    [
        ("user", "ActionAbortedError", errors.ActionAbortedError),
        ("user", "DataValidationError", errors.RuntimeDataValidationError),
        ("user", "NotSerializableError", errors.NotSerializableError),
        ("system", "WorkerLostError", errors.WorkerLostError),
        ("user", "ValueError", errors.RuntimeUserError),
    ],
)
def test_what_the_engine_raises_keeps_its_class(kind: str, code: str, expected: type[errors.BaseRuntimeError]) -> None:
    """Errors that no task body raised come back as themselves."""
    error = codes.from_code(kind, code, "message", from_engine=True)

    assert (type(error), error.code, str(error), error.worker) == (expected, code, "message", None)
    assert everything_of(pickle.loads(pickle.dumps(error))) == everything_of(error)


@pytest.mark.parametrize(
    "error,words",
    [
        (
            errors.NotSerializableError("handle", "_thread.lock", "e.use", reason="cannot pickle"),
            ["'handle'", "_thread.lock", "e.use", "pickle"],
        ),
        (errors.NotSerializableError("o0", "generator", "e.use", is_output=True), ["Output 'o0'", "Return"]),
        (errors.ActionLimitError("r1", 1_000_000), ["r1", "1,000,000", "max_actions"]),
        (errors.WorkerImportError("torch", "e.t", worker="w3"), ["torch", "e.t", "w3", "Install"]),
        (
            errors.WorkerLostError("a1", "r1", attempts=4, worker="w3", reason="signal 9."),
            ["a1", "r1", "4 times", "w3", "signal 9)", "memory"],
        ),
        (errors.WorkerLostError("a1", "r1", reason="its process ended with exit code 3"), ["once", "os._exit", "Raise an error"]),
        (errors.WorkerLostError("a1", "r1", reason="killed by signal 11 (SIGSEGV)"), ["once", "Compiled code", "faulthandler"]),
        (errors.ClusterLostError("r1", "tls://host:1"), ["r1", "tls://host:1", "recover=True"]),
        (errors.RunNotFoundError("r1"), ["r1", "flyte.runs()"]),
        (errors.TaskNotDefinedError("etl.main", "r1"), ["etl.main", "r1", "Run the cell that defines `main`"]),
    ],
)
def test_our_messages_say_what_where_and_what_to_do(error: errors.BaseRuntimeError, words: list[str]) -> None:
    """Each names what happened, to what, and the remedy."""
    assert [word for word in words if word not in str(error)] == []
