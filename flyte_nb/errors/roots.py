"""The roots of the tree of errors: what every error knows, and whose error it is.

Decides: the attributes of an error, and how it survives a pickle.
Must not know: which errors there are. Standard library only.
"""

from typing import Literal, NoReturn, TypeVar

#: Whose error it is.
ErrorKind = Literal["system", "unknown", "user"]

_E = TypeVar("_E", bound="BaseRuntimeError")


class BaseRuntimeError(RuntimeError):
    """The base of the errors that Flyte raises.

    Args:
        code: What went wrong, in one word; for a user's error the name of its class.
        kind: Whose error it is.
        root_cause_message: The message; `str(error)` is exactly this.
        worker: Where it happened, when known.
    """

    def __init__(self, code: str, kind: ErrorKind, root_cause_message: str, worker: str | None = None) -> None:
        super().__init__(root_cause_message)
        self.code = code
        self.kind = kind
        self.worker = worker

    def __reduce__(self) -> tuple[object, ...]:
        # The default calls type(self)(*self.args), which fits no constructor of the tree. The attributes, notes
        # included, travel in __dict__.
        return rebuild_error, (type(self), self.args), dict(self.__dict__)

    def _reraise(self, _other: object) -> NoReturn:
        # `flyte.map` yields errors as values: sum(results) shall show the task's error, not a TypeError.
        raise self

    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = _reraise
    __truediv__ = __rtruediv__ = __floordiv__ = __rfloordiv__ = _reraise


def rebuild_error(cls: type[_E], args: tuple[object, ...]) -> _E:
    """Make an error without its constructor; its attributes follow as state."""
    return cls.__new__(cls, *args)


class InitializationError(BaseRuntimeError):
    """Something was used before it was set up.

    Run `import flyte_nb as flyte` in this kernel first; a handle that came out of a pickle of another process has
    nothing behind it.
    """


class RuntimeSystemError(BaseRuntimeError):
    """The system failed, not your code.

    Read the message: it says what was lost. Running it again is often enough: `flyte.rerun(name, recover=True)`.

    Args:
        code: What went wrong, in one word.
        message: What happened, and what to do.
        worker: Where it happened, when known.
    """

    def __init__(self, code: str, message: str, worker: str | None = None) -> None:
        super().__init__(code, "system", message, worker)


class UnionRpcError(RuntimeSystemError):
    """Communication with a Flyte server failed.

    Raised by Flyte only; nothing here talks to a Flyte server.
    """


class LogsNotYetAvailableError(BaseRuntimeError):
    """The logs of an action are not there yet.

    Raised by Flyte only; here `run.action(name).logs` is what has been printed so far.

    Args:
        message: What happened.
    """

    def __init__(self, message: str) -> None:
        super().__init__("LogsNotYetAvailable", "system", message)


class RuntimeUnknownError(BaseRuntimeError):
    """Nobody knows whose error it was.

    Read its traceback in the view, or `run.action(name).traceback`.

    Args:
        code: What went wrong, in one word.
        message: What happened, and what to do.
        worker: Where it happened, when known.
    """

    def __init__(self, code: str, message: str, worker: str | None = None) -> None:
        super().__init__(code, "unknown", message, worker)


class RuntimeUserError(BaseRuntimeError):
    """Your code failed; `code` is the name of the class that it raised.

    Match on `code`: `except flyte.errors.RuntimeUserError as error: if error.code == "ValueError"`. The task's own
    lines are in `run.action(name).traceback`.

    Args:
        code: What went wrong, in one word.
        message: What happened, and what to do.
        worker: Where it happened, when known.
    """

    def __init__(self, code: str, message: str, worker: str | None = None) -> None:
        super().__init__(code, "user", message, worker)


class CodedUserError(RuntimeUserError):
    """A user error with one code, which is the name of the class unless the class says otherwise."""

    CODE = ""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "CODE" not in cls.__dict__ and not cls.CODE:
            cls.CODE = cls.__name__

    def __init__(self, message: str) -> None:
        super().__init__(self.CODE, message)
