"""Decides what the values of a frame's column become for a parameter: what the annotation asks for, where nothing is lost.

A frame has types of its own: numpy's numbers, instants with nanoseconds, a missing value in every column, whole numbers
that became floats because one is missing. Here they become what a task declares, or are refused one by one:

| in the column | becomes |
|---|---|
| numbers, truth values, texts of numpy | Python's |
| a float without fraction, for `int` | the int |
| an int, for `float` | the float, if it is the same number |
| an instant or a duration of pandas or numpy, for `datetime`, `date`, `timedelta` | that; nanoseconds and lost hours are refused |
| a value or a name of an enum | the member |
| an array, for `list[...]` | the list |
| missing (NaN, NA, NaT, None) | None for `T | None`, NaN for `float`; refused for all else |

Must not know: frames as a whole, and tasks.
"""

from __future__ import annotations

import enum
import typing
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from types import NoneType
from typing import Any, Final

import numpy as np
import pandas as pd

from flyte_nb.authoring.checkers import EVERYTHING, Checker
from flyte_nb.authoring.checking import compile_checker
from flyte_nb.authoring.misfits import Mismatch, shortened

#: Floats above this no longer tell all whole numbers apart.
_EXACT_FLOATS: Final = 2**53


@dataclass(frozen=True, slots=True)
class Misfit:
    """A value that does not fit.

    Attributes:
        position: of its row, from 0.
        value: the value.
        reason: why it does not.
    """

    position: int
    value: object
    reason: str


class Converter:
    """Turns the values of columns into what an annotation asks for.

    Args:
        annotation: as `typing.get_type_hints` gives it.
    """

    def __init__(self, annotation: object) -> None:
        self.checker: Checker = compile_checker(annotation)
        self.targets = frozenset(_members(annotation))
        self._enums = [target for target in self.targets if isinstance(target, type) and issubclass(target, enum.Enum)]
        self._is_free = self.checker.exact is EVERYTHING and NoneType not in self.targets
        self._origins = {typing.get_origin(target) or target for target in self.targets}

    def column(self, column: pd.Series[Any]) -> tuple[list[object], list[Misfit]]:
        """The values of a column, and those that do not fit (None stands in their place)."""
        values: list[object] = column.tolist()
        missing: Iterable[int] = np.flatnonzero(column.isna().to_numpy(bool)).tolist()
        return self.values(values, missing)

    def values(self, values: list[object], missing: Iterable[int] = ()) -> tuple[list[object], list[Misfit]]:
        """The same of values of which some, by position, are missing."""
        gaps = set(missing)
        present = [value for position, value in enumerate(values) if position not in gaps] if gaps else values
        if not gaps and self._fit(present):
            return values, []
        made: list[object] = []
        misfits: list[Misfit] = []
        for position, value in enumerate(values):
            try:
                made.append(self._missing(value) if position in gaps else self._one(value))
            except Mismatch as misfit:
                made.append(None)
                misfits.append(Misfit(position, value, misfit.text("the value")))
        return made, misfits

    def _fit(self, values: Sequence[object]) -> bool:
        """Whether these can stay as they are."""
        kinds = set(map(type, values))
        if any(
            issubclass(kind, np.generic | np.ndarray) or (issubclass(kind, pd.Timestamp) and kind not in self.targets) for kind in kinds
        ):
            return False
        return self.checker.fit(values)

    def _missing(self, value: object) -> object:
        if NoneType in self.targets:
            return None
        if float in self.targets:
            return float("nan")
        if self._is_free:
            return value if type(value) is float else None
        raise Mismatch(f"it is missing ({value!r}): declare the parameter `... | None`, or fill or drop the row")

    def _one(self, value: object) -> object:
        if type(value) in self.targets:
            return self.checker.accept(value)
        for made in self._candidates(_natural(value)):
            try:
                return self.checker.accept(made)
            except Mismatch:
                continue
        return self.checker.accept(_natural(value))

    def _candidates(self, value: object) -> Iterable[object]:
        """What a value may become, the likeliest first."""
        targets = self.targets
        if isinstance(value, pd.Timestamp) and pd.Timestamp not in targets:
            yield from _instants(value, targets)
        elif isinstance(value, datetime) and date in targets and datetime not in targets:
            yield _day(value)
        elif isinstance(value, pd.Timedelta) and timedelta in targets:
            yield _duration(value)
        elif type(value) is float and int in targets and float not in targets and value.is_integer() and abs(value) <= _EXACT_FLOATS:
            yield int(value)
        elif float in targets and self._is_number_for_float(value):
            yield float(value)  # type: ignore[arg-type]  # the line above is the narrowing
        elif isinstance(value, np.ndarray) and list in self._origins:
            yield value.tolist()
        elif isinstance(value, np.ndarray | list) and tuple in self._origins:
            yield tuple(value.tolist() if isinstance(value, np.ndarray) else value)
        else:
            yield value
            yield from self._members(value)

    def _is_number_for_float(self, value: object) -> bool:
        if type(value) is int:
            return int not in self.targets and abs(value) <= _EXACT_FLOATS
        return isinstance(value, Decimal) and Decimal not in self.targets

    def _members(self, value: object) -> Iterable[object]:
        """Members of the enums that have this value."""
        for cls in self._enums:
            try:
                yield typing.cast(Any, cls)(value)
            except (ValueError, TypeError):
                continue


def _members(annotation: object) -> Iterable[object]:
    """The types of an annotation: of a union, all; what is wrapped in Annotated, a NewType or an alias, itself."""
    if annotation is None:
        yield NoneType
    elif hasattr(annotation, "__supertype__"):
        yield from _members(annotation.__supertype__)
    elif type(annotation).__name__ == "TypeAliasType":
        yield from _members(typing.cast(Any, annotation).__value__)
    elif typing.get_origin(annotation) is typing.Annotated:
        yield from _members(typing.get_args(annotation)[0])
    elif typing.get_origin(annotation) in {typing.Union, _UNION}:
        for member in typing.get_args(annotation):
            yield from _members(member)
    elif typing.get_origin(annotation) is typing.Literal:
        yield annotation
        if None in typing.get_args(annotation):
            yield NoneType
    else:
        yield annotation


_UNION: Final = type(int | None)


def _natural(value: object) -> object:
    """A scalar of numpy as Python's; anything else as it is."""
    if isinstance(value, np.datetime64):
        return pd.Timestamp(value)
    if isinstance(value, np.timedelta64):
        return pd.Timedelta(value)
    if isinstance(value, np.generic):
        return value.item()
    return value


def _instants(value: pd.Timestamp, targets: frozenset[object]) -> Iterable[object]:
    if datetime in targets:
        if value.nanosecond:
            raise Mismatch(f"{value} has nanoseconds, which a datetime cannot hold: round the column with .dt.floor('us')")
        yield value.to_pydatetime()
    elif date in targets:
        yield _day(value)
    else:
        yield value


def _day(value: datetime) -> date:
    if value.hour or value.minute or value.second or value.microsecond or (isinstance(value, pd.Timestamp) and value.nanosecond):
        raise Mismatch(f"{value} has a time of day, which a date cannot hold: use .dt.normalize()")
    return date(value.year, value.month, value.day)


def _duration(value: pd.Timedelta) -> timedelta:
    if value.nanoseconds:
        raise Mismatch(f"{value} has nanoseconds, which a timedelta cannot hold: round the column with .dt.floor('us')")
    return value.to_pytimedelta()


def value_words(value: object) -> str:
    """A value and its type, for a message."""
    return f"{shortened(value)} ({type(value).__name__})"
