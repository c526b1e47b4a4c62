"""Checkers for where Flyte writes values as JSON or MessagePack: they arrive as what was declared, if they can.

Decides: which numbers and texts become which, inside tuples and records; what a `dict` without type arguments may hold.
Must not know: how annotations become checkers (`checking`), fields and keys (`records`).

An input or output of its own is never converted (`checkers`): only what stands inside one of these.
"""

import operator
from collections.abc import Callable, Collection, Mapping
from itertools import chain
from numbers import Real
from types import NoneType
from typing import Any, Final, Literal, cast

from flyte_nb.authoring.checkers import Checker
from flyte_nb.authoring.misfits import Mismatch, not_container, shortened, unexpected

Mode = Literal["strict", "item", "field"]


def _whole(value: object) -> int:
    if isinstance(value, float):
        if not value.is_integer():
            raise ValueError(f"{value} is no whole number")
        return int(value)
    return int(value) if isinstance(value, str) else operator.index(cast(Any, value))


def _real(value: object) -> float:
    if not isinstance(value, Real | str):
        raise TypeError
    return float(value)


def _text(value: object) -> str:
    if not isinstance(value, Real):
        raise TypeError
    return str(value)


def _truth(value: object) -> bool:
    if value not in {0, 1}:
        raise ValueError(f"{value} is neither 0 nor 1")
    return bool(value)


#: What makes a value of each type, by mode. Flyte's dataclasses also cut floats and call any text true; here that is refused.
CONVERTERS: Final[Mapping[Mode, Mapping[type, Callable[[object], object]]]] = {
    "item": {int: _whole, float: _real, bool: _truth},
    "field": {int: _whole, float: _real, bool: _truth, str: _text},
}


class ConvertingChecker(Checker):
    """A number, text or truth value, made of another one where nothing is lost."""

    __slots__ = ("_convert", "cls")

    def __init__(self, cls: type, mode: Mode) -> None:
        super().__init__(cls, frozenset({cls}))
        self.cls = cls
        self._convert = CONVERTERS[mode][cls]

    def accept(self, value: object) -> object:
        """The value as the type."""
        if type(value) is self.cls:
            return value
        if self.cls is str and isinstance(value, str):
            return str.__str__(value)
        try:
            return self._convert(value)
        except (TypeError, ValueError, OverflowError):
            raise unexpected(self.cls, value) from None


_JSON_ATOMS: Final = frozenset({NoneType, bool, int, float, str, bytes})
_JSON_KINDS: Final = _JSON_ATOMS | {list, dict}
_BASES: Final = (bool, int, float, str, bytes)


class JsonChecker(Checker):
    """A dict of anything that JSON (and bytes, and keys that are numbers) can say. Tuples in it become lists.

    Args:
        annotation: What the user wrote.
        is_strict: Whether subclasses of dict are refused, as Flyte does for inputs and outputs.
    """

    __slots__ = ("_is_strict",)

    def __init__(self, annotation: object, *, is_strict: bool) -> None:
        super().__init__(annotation)
        self._is_strict = is_strict

    def accept(self, value: object) -> object:
        """The dict, or a new one if it held tuples or the like."""
        check_dict(self.annotation, value, is_strict=self._is_strict)
        return value if self._is_json([value]) else _as_json(value, value, [])

    def fit(self, values: Collection[object]) -> bool:
        """Whether these are all dicts of such things."""
        return {dict}.issuperset(map(type, values)) and self._is_json(list(values))

    @staticmethod
    def _is_json(level: list[Any]) -> bool:
        """One level of nesting at a time, in C loops; an endless value is found by its depth."""
        for _ in range(100):
            kinds = set(map(type, level))
            if not kinds <= _JSON_KINDS:
                return False
            dicts = [each for each in level if type(each) is dict]
            if not _JSON_ATOMS.issuperset(map(type, chain.from_iterable(dicts))):
                return False
            lists = [each for each in level if type(each) is list]
            level = list(chain.from_iterable([*lists, *(each.values() for each in dicts)]))
            if not level:
                return True
        return False


def check_dict(annotation: object, value: object, *, is_strict: bool) -> None:
    """Raise `Mismatch` for what is no dict.

    Args:
        annotation: What was declared.
        value: What came.
        is_strict: Whether a subclass, such as `defaultdict`, is none either.
    """
    if type(value) is dict or (isinstance(value, dict) and not is_strict):
        return
    raise not_container(None if isinstance(value, dict) else annotation, dict, value)


def _as_json(value: object, whole: object, above: list[object]) -> object:
    if type(value) in _JSON_ATOMS:
        return value
    for base in _BASES:
        if isinstance(value, base):
            return base(cast(Any, value))
    if isinstance(value, dict | list | tuple) and not any(value is each for each in above):
        inside = [*above, value]
        if isinstance(value, dict):
            return {_as_key(key, whole): _as_json(item, whole, inside) for key, item in value.items()}
        return [_as_json(item, whole, inside) for item in value]
    what = "a value that holds itself" if isinstance(value, dict | list | tuple) else f"'{type(value).__name__}' object"
    raise Mismatch(
        f"Cannot convert `{shortened(whole)}` to Flyte Literal.\nError Message: can not serialize {what}. "
        "A dict without type arguments holds what JSON can say; declare dict[str, Any] for other values"
    )


def _as_key(key: object, whole: object) -> object:
    if isinstance(key, _BASES) or key is None:
        return _as_json(key, whole, [])
    raise Mismatch(f"keys must be str, int, float, bool or None, not {type(key).__name__}")
