"""What a checker is, how a misfit reads, and the checkers that look at one value as a whole.

Decides: when a value fits a plain type, and the words for a value that does not.
Must not know: how an annotation becomes a checker (`checking`), what holds values (`containers`, `records`), tasks.

The rules are Flyte's: no number is turned into another kind, a bool is no int, None fits only where it is declared.
A checker may hand back another value than it got where Flyte delivers another one: a plain float for a numpy float64,
the member for an enum's name.

Speed: a checker lists the types whose instances fit with no further look (`exact`), and answers for many values at
once (`fit`) with C loops; only values that need it are looked at one by one (`accept`).
"""

import enum
import reprlib
from abc import ABC, abstractmethod
from collections.abc import Collection
from datetime import date, datetime
from types import NoneType
from typing import Final

LONGEST_TEXT: Final = 200


class _Everything(frozenset[type]):
    """The set of all types."""

    __slots__ = ()

    def __contains__(self, _item: object) -> bool:
        return True

    def __reduce__(self) -> str:
        return "EVERYTHING"  # one object, on workers too


EVERYTHING: Final = _Everything()


class Mismatch(Exception):  # noqa: N818 - never leaves this package
    """A value does not fit its annotation.

    Args:
        reason: Why not.
        path: Where in the value: "[1]['name']"; empty for the value itself.
    """

    def __init__(self, reason: str, path: str = "") -> None:
        super().__init__(reason, path)
        self.reason = reason
        self.path = path

    def under(self, step: str) -> "Mismatch":
        """The same misfit, seen from the value around it."""
        return Mismatch(self.reason, step + self.path)

    def text(self, name: str) -> str:
        """The reason, with the place in the value called `name`."""
        return f"{self.reason} (at {name}{self.path})" if self.path else self.reason


_words = reprlib.Repr()
_words.maxlevel = 4
_words.maxlist = _words.maxtuple = _words.maxset = _words.maxfrozenset = _words.maxdeque = _words.maxdict = 20
_words.maxstring = _words.maxother = _words.maxlong = LONGEST_TEXT


def shortened(value: object) -> str:
    """A value's repr in at most `LONGEST_TEXT` characters, whatever the value does."""
    try:
        # The repr of large bytes is four times as large before it is cut.
        text = repr(value[:LONGEST_TEXT]) if isinstance(value, bytes | bytearray) else _words.repr(value)
    except Exception as error:  # noqa: BLE001 - a user's __repr__ may raise anything; the message must still come
        text = f"<{type(value).__name__}, whose repr raises {type(error).__name__}>"
    return text if len(text) <= LONGEST_TEXT else text[: LONGEST_TEXT - 1] + "…"


def _quoted(value: object) -> str:
    """A value in Flyte's quotes: strings as they are, not as their repr."""
    text = value[: LONGEST_TEXT + 1] if type(value) is str else shortened(value)
    return f"'{text}'" if len(text) <= LONGEST_TEXT else f"'{text[:LONGEST_TEXT]}…'"


def unexpected(expected: object, value: object, advice: str = "") -> Mismatch:
    """The misfit of a value of the wrong type, in Flyte's words."""
    reason = f"Expected value of type {expected} but got {_quoted(value)} of type {type(value)}"
    return Mismatch(f"{reason}: {advice}" if advice else reason)


def is_twin(one: type, other: type) -> bool:
    """Whether a class descends from another or from an earlier definition of it.

    A cell that is run again makes a new class; values made before are instances of the old one.
    """
    name = (other.__module__, other.__qualname__)
    return any((cls.__module__, cls.__qualname__) == name for cls in one.__mro__)


class Checker(ABC):
    """Decides whether values fit one annotation.

    Attributes:
        annotation: What the user wrote.
        exact: The types whose instances fit as they are.
    """

    __slots__ = ("annotation", "exact")

    def __init__(self, annotation: object, exact: frozenset[type] = frozenset()) -> None:
        self.annotation = annotation
        self.exact = exact

    @abstractmethod
    def accept(self, value: object) -> object:
        """The value as the task gets it; raises `Mismatch`."""

    def fit(self, values: Collection[object]) -> bool:
        """Whether all of these fit as they are. False may also mean: look at each."""
        return self.exact.issuperset(map(type, values))


class AnyChecker(Checker):
    """Everything fits."""

    __slots__ = ()

    def __init__(self, annotation: object) -> None:
        super().__init__(annotation, EVERYTHING)

    def accept(self, value: object) -> object:
        """The value."""
        return value

    def fit(self, values: Collection[object]) -> bool:  # noqa: ARG002 - nothing to look at
        """Yes."""
        return True

    def __reduce__(self) -> tuple[type["AnyChecker"], tuple[object]]:
        return AnyChecker, (self.annotation,)


def _day(value: object) -> object:
    return value.date() if isinstance(value, datetime) else value


# What Flyte delivers for an instance of a subclass: these types travel as themselves only.
_PLAIN = {int: int.__int__, float: float.__float__, str: str.__str__, bytes: bytes.__bytes__, date: _day}


class PlainChecker(Checker):
    """An instance of a built-in type; instances of subclasses arrive as the type itself."""

    __slots__ = ("cls",)

    def __init__(self, cls: type) -> None:
        super().__init__(cls, frozenset({cls}))
        self.cls = cls

    def accept(self, value: object) -> object:
        """The value, as the plain type."""
        if type(value) is self.cls:
            return value
        if self.cls is int and isinstance(value, bool):
            raise Mismatch(f"Expected an int, got a boolean ({value})")
        if not isinstance(value, self.cls):
            raise unexpected(self.cls, value, self._advice(value))
        plain = _PLAIN.get(self.cls)
        return plain(value) if plain else value  # type: ignore[operator]  # the table pairs each type with its method

    def _advice(self, value: object) -> str:
        if self.cls is float and type(value) is int:
            return "an int is not taken for a float; pass float(...)"
        if type(value).__module__ == "numpy" and hasattr(value, "item") and self.cls in {int, float, bool, str}:
            return "pass .item() of a numpy value" if getattr(value, "ndim", 0) == 0 else ""
        return ""


class InstanceChecker(Checker):
    """An instance of a class, or of an earlier definition of it."""

    __slots__ = ("cls",)

    def __init__(self, annotation: object, cls: type) -> None:
        super().__init__(annotation, frozenset({cls}))
        self.cls = cls

    def accept(self, value: object) -> object:
        """The value."""
        if isinstance(value, self.cls) or is_twin(type(value), self.cls):
            return value
        raise unexpected(self.annotation, value, self._advice(value))

    def _advice(self, value: object) -> str:
        if self.cls is list and isinstance(value, Collection) and not isinstance(value, str | bytes):
            return "pass list(...)"
        return "pass pathlib.Path(...)" if self.cls.__name__ == "Path" and isinstance(value, str) else ""


class EnumChecker(Checker):
    """A member of an enum, or the name of one."""

    __slots__ = ("cls",)

    def __init__(self, cls: type[enum.Enum]) -> None:
        super().__init__(cls, frozenset({cls}))
        self.cls = cls

    def accept(self, value: object) -> object:
        """The member."""
        if isinstance(value, self.cls):
            return value
        is_older = isinstance(value, enum.Enum) and is_twin(type(value), self.cls)
        name = value.name if is_older and isinstance(value, enum.Enum) else value
        if type(name) is str and name in self.cls.__members__:
            return self.cls[name]
        names = ", ".join(self.cls.__members__)
        raise Mismatch(f"Value {shortened(value)} of type {type(value)} is not in Enum {self.cls}: its members are {names}")


class LiteralChecker(Checker):
    """One of some values."""

    __slots__ = ("values",)

    def __init__(self, annotation: object, values: tuple[object, ...]) -> None:
        super().__init__(annotation)
        self.values = values

    def accept(self, value: object) -> object:
        """The value of the annotation."""
        for allowed in self.values:
            same_type = type(value) is type(allowed) or (type(allowed) is str and isinstance(value, str))
            if same_type and allowed == value:
                return allowed
        wanted = ", ".join(map(repr, self.values))
        raise Mismatch(f"Expected one of {wanted} but got {_quoted(value)} of type {type(value)}")

    def fit(self, values: Collection[object]) -> bool:
        """Whether all are among the values, which are few: look at each different one."""
        kinds = {type(value) for value in self.values}
        if len(kinds) != 1 or not kinds.issuperset(map(type, values)):
            return False
        return set(self.values).issuperset(values)


class CallableChecker(Checker):
    """Something that can be called: a function, a class, a task."""

    __slots__ = ()

    def accept(self, value: object) -> object:
        """The value."""
        if callable(value):
            return value
        raise unexpected(self.annotation, value)


class ClassChecker(Checker):
    """A class, for `type[T]`: T or one derived from it."""

    __slots__ = ("root",)

    def __init__(self, annotation: object, root: type | None) -> None:
        super().__init__(annotation)
        self.root = root

    def accept(self, value: object) -> object:
        """The class."""
        if isinstance(value, type) and (self.root is None or issubclass(value, self.root) or is_twin(value, self.root)):
            return value
        raise unexpected(self.annotation, value)


class UnionChecker(Checker):
    """What fits one of several."""

    __slots__ = ("members",)

    def __init__(self, annotation: object, members: tuple[Checker, ...]) -> None:
        anything = any(member.exact is EVERYTHING for member in members)
        super().__init__(annotation, EVERYTHING if anything else frozenset().union(*(member.exact for member in members)))
        self.members = members

    def accept(self, value: object) -> object:
        """The value as it is if it fits a member so; else as the first member that takes it makes it."""
        if type(value) in self.exact:
            return value
        accepted: list[object] = []
        misfits: list[Mismatch] = []
        for member in self.members:
            try:
                taken = member.accept(value)
            except Mismatch as misfit:
                misfits += [] if member.annotation is NoneType else [misfit]
            else:
                if taken is value:
                    return value
                accepted.append(taken)
        if accepted:
            return accepted[0]
        deep = [misfit for misfit in misfits if misfit.path]
        if len(deep) == 1 or (len(misfits) == 1 and value is not None):
            raise (deep or misfits)[0]
        raise unexpected(self.annotation, value)

    def fit(self, values: Collection[object]) -> bool:
        """Whether all are of exact types, or the rest fits the only member that looks deeper."""
        if self.exact is EVERYTHING:
            return True
        rest = [value for value in values if type(value) not in self.exact]
        deeper = [member for member in self.members if not member.exact]
        return not rest or (len(deeper) == 1 and deeper[0].fit(rest))
