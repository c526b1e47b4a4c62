"""What a checker is, and the checkers that look at one value as a whole.

Decides: when a value fits a plain type.
Must not know: how an annotation becomes a checker (`checking`), what holds values (`containers`, `records`), tasks.

The rules are Flyte's: no number is turned into another kind, a bool is no int, None fits only where it is declared.
What Flyte only pickles - sets, bytes, arrays, classes that it does not know - may be anything but None.
A checker may hand back another value than it got where Flyte delivers another one: a plain float for a numpy float64,
the member for an enum's name, an instant in UTC for a local one.

Speed: a checker lists the types whose instances fit with no further look (`exact`), and answers for many values at
once (`fit`) with C loops; only values that need it are looked at one by one (`accept`).
"""

import enum
from abc import ABC, abstractmethod
from collections.abc import Collection
from datetime import UTC, date, datetime, timedelta
from types import NoneType
from typing import Final

from flyte_nb.authoring.misfits import Mismatch, shown, unexpected
from flyte_nb.authoring.tables import DataFrame


class _Everything(frozenset[type]):
    """The set of all types."""

    __slots__ = ()

    def __contains__(self, _item: object) -> bool:
        return True

    def __reduce__(self) -> str:
        return "EVERYTHING"  # one object, on workers too


class _Something(frozenset[type]):
    """The set of all types but None's."""

    __slots__ = ()

    def __contains__(self, item: object) -> bool:
        return item is not NoneType

    def __reduce__(self) -> str:
        return "SOMETHING"


EVERYTHING: Final = _Everything()
SOMETHING: Final = _Something()


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


def _day(value: date) -> date:
    return date(value.year, value.month, value.day)


def _duration(value: timedelta) -> timedelta:
    return timedelta(value.days, value.seconds, value.microseconds)


# What Flyte delivers for an instance of a subclass: these types travel as themselves only.
_PLAIN = {int: int.__int__, float: float.__float__, str: str.__str__, date: _day, timedelta: _duration}


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


class InstantChecker(Checker):
    """A datetime. It arrives in UTC, and one without a zone is taken to be in UTC: Flyte carries instants."""

    __slots__ = ()

    def __init__(self, annotation: object) -> None:
        super().__init__(annotation)

    def accept(self, value: object) -> object:
        """The same instant, in UTC."""
        if not isinstance(value, datetime):
            raise unexpected(self.annotation, value)
        if type(value) is datetime and value.tzinfo is UTC:
            return value
        zoned = value if value.tzinfo is not None else value.replace(tzinfo=UTC)
        there = zoned.astimezone(UTC)
        return datetime.combine(_day(there), there.timetz())

    def fit(self, values: Collection[object]) -> bool:
        """Whether all are in UTC already."""
        return all(type(value) is datetime and value.tzinfo is UTC for value in values)


class PickledChecker(Checker):
    """Whatever Flyte hands over as a pickle: anything but None."""

    __slots__ = ()

    def __init__(self, annotation: object) -> None:
        super().__init__(annotation, SOMETHING)

    def accept(self, value: object) -> object:
        """The value."""
        if value is None:
            raise unexpected(self.annotation, value)
        return value

    def fit(self, values: Collection[object]) -> bool:
        """Whether none of them is None."""
        return NoneType not in set(map(type, values))


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
        raise unexpected(self.annotation, value)


class TableChecker(InstanceChecker):
    """A table of pandas, pyarrow or polars. A `flyte.io.DataFrame` is opened as one."""

    __slots__ = ()

    def accept(self, value: object) -> object:
        """The table."""
        if isinstance(value, self.cls) or not isinstance(value, DataFrame):
            return super().accept(value)
        try:
            return value.table_as(self.cls)
        except Exception as error:
            raise Mismatch(f"{shown(value)} does not open as {self.cls}: {type(error).__name__}: {error}") from error


class WrappedTableChecker(InstanceChecker):
    """A `flyte.io.DataFrame`; what it wraps does not pass for one."""

    __slots__ = ()

    def accept(self, value: object) -> object:
        """The frame."""
        if isinstance(value, self.cls):
            return value
        raise Mismatch(
            f"Expected a DataFrame instance, but got {type(value)} instead. Did you forget to wrap your dataframe in a DataFrame instance?"
        )


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
        raise Mismatch(f"Value {shown(value)} is not in Enum {self.cls}: its members are {names}")


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
        raise Mismatch(f"Expected one of {wanted} but got '{shown(value)}' of type {type(value)}")

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
        super().__init__(annotation, _union_of([member.exact for member in members]))
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
        if len(deep) == 1:
            raise deep[0]
        raise Mismatch(f"Value {shown(value)} is not of type {self.annotation}; its own type is {type(value)}")

    def fit(self, values: Collection[object]) -> bool:
        """Whether all are of exact types, or the rest fits the only member that looks deeper."""
        if self.exact is EVERYTHING:
            return True
        if self.exact is SOMETHING:
            return NoneType not in set(map(type, values))
        rest = [value for value in values if type(value) not in self.exact]
        deeper = [member for member in self.members if not member.exact]
        return not rest or (len(deeper) == 1 and deeper[0].fit(rest))


def _union_of(sets: list[frozenset[type]]) -> frozenset[type]:
    if any(each is EVERYTHING for each in sets):
        return EVERYTHING
    if any(each is SOMETHING for each in sets):
        return EVERYTHING if any(each is not SOMETHING and NoneType in each for each in sets) else SOMETHING
    return frozenset[type]().union(*sets)
