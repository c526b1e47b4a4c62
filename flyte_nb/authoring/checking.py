"""From an annotation to a checker; and which values need no cloudpickle.

Decides: what every kind of annotation asks of a value.
Must not know: parameters and tasks (`signature`). What is not known to it is not checked: any value passes.

numpy, pandas, pydantic and the like are never imported here: an annotation names their classes already.
"""

import enum
import inspect
import typing
from collections import abc
from collections.abc import Callable, Collection
from dataclasses import is_dataclass
from datetime import date, datetime, timedelta
from functools import partial
from itertools import chain
from types import NoneType, UnionType
from typing import Any, Final, Literal, NamedTuple, NewType, TypeVar, cast

from flyte_nb.authoring.checkers import (
    AnyChecker,
    CallableChecker,
    Checker,
    ClassChecker,
    EnumChecker,
    InstanceChecker,
    InstantChecker,
    LiteralChecker,
    PickledChecker,
    PlainChecker,
    TableChecker,
    UnionChecker,
    WrappedTableChecker,
)
from flyte_nb.authoring.containers import DictChecker, ItemsChecker, TupleChecker
from flyte_nb.authoring.converting import CONVERTERS, ConvertingChecker, JsonChecker, Mode
from flyte_nb.authoring.records import DataclassChecker, ModelChecker, NamedTupleChecker, TypedDictChecker
from flyte_nb.authoring.tables import DataFrame

_PLAIN_TYPES: Final = frozenset({NoneType, bool, int, float, str, date, timedelta})
_UNCHECKED: Final = frozenset({Any, object, inspect.Parameter.empty, typing.IO, typing.TextIO, typing.BinaryIO})
# Special forms that say something about a place, not about the value in it.
_WRAPPERS: Final = frozenset({"Annotated", "ClassVar", "Final", "Required", "NotRequired", "ReadOnly"})
# What Flyte has a way of its own for, beside what is built in; it pickles every other class.
_TABLES: Final = frozenset({("pandas", "DataFrame"), ("pyarrow", "Table"), ("polars", "DataFrame"), ("polars", "LazyFrame")})
_OWN: Final = __name__.partition(".")[0]


def compile_checker(annotation: object, mode: Mode = "strict") -> Checker:
    """The checker of an annotation.

    Args:
        annotation: What `typing.get_type_hints(..., include_extras=True)` gives; anything else is not checked.
        mode: "strict" for an input or output and what its lists and dicts hold; "item" inside a tuple, NamedTuple or
            TypedDict and "field" inside a dataclass, where Flyte converts numbers.

    Example:
        >>> compile_checker(list[int]).fit([[1], [2, 3]])
        True
    """
    origin = typing.get_origin(annotation)
    if origin is not None:
        return _by_rule(_GENERIC_RULES, _Generic(annotation, origin, typing.get_args(annotation)), mode)
    return _by_rule(_CLASS_RULES if isinstance(annotation, type) else _FORM_RULES, annotation, mode)


class _Generic(NamedTuple):
    """`origin[args]`, as the user wrote it."""

    annotation: object
    origin: Any
    args: tuple[Any, ...]

    def compiled(self, mode: Mode) -> tuple[Checker, ...]:
        """The checkers of the arguments."""
        return tuple(compile_checker(each, mode) for each in self.args)


_Rules = tuple[tuple[Callable[[Any], bool], Callable[[Any, Mode], Checker]], ...]


def _by_rule(rules: _Rules, subject: object, mode: Mode) -> Checker:
    """The checker of the first rule that applies; the last one of each table always does."""
    return next(make(subject, mode) for applies, make in rules if applies(subject))


def _always(_subject: object) -> bool:
    return True


class _AliasChecker(Checker):
    """What `type Name = ...` stands for, compiled when first needed: it may mention itself."""

    __slots__ = ("_mode", "_target")

    def __init__(self, annotation: object, mode: Mode) -> None:
        super().__init__(annotation)
        self._mode = mode
        self._target: Checker | None = None

    @property
    def target(self) -> Checker:
        if self._target is None:
            self._target = compile_checker(cast(Any, self.annotation).__value__, self._mode)
        return self._target

    def accept(self, value: object) -> object:
        """What the alias's checker makes of it."""
        return self.target.accept(value)

    def fit(self, values: Collection[object]) -> bool:
        """What the alias's checker says of them."""
        return self.target.fit(values)


def _type_variable(variable: TypeVar, mode: Mode) -> Checker:
    if variable.__constraints__:
        return UnionChecker(variable, tuple(compile_checker(each, mode) for each in variable.__constraints__))
    bound: object = variable.__bound__
    return AnyChecker(variable) if bound is None else compile_checker(bound, mode)


def _root(argument: object) -> type | None:
    return argument if isinstance(argument, type) and argument not in _UNCHECKED else None


def _form_name(form: object) -> object:
    return getattr(form, "_name", None) or getattr(form, "__name__", None)


def _is_any_length(generic: _Generic) -> bool:
    if generic.origin is tuple:
        return len(generic.args) == 2 and generic.args[1] is Ellipsis  # noqa: PLR2004 - T, ...
    return generic.origin is list and len(generic.args) == 1


def _items(generic: _Generic, mode: Mode) -> Checker:
    inside: Mode = "item" if generic.origin is tuple and mode == "strict" else mode
    return ItemsChecker(generic.annotation, generic.origin, compile_checker(generic.args[0], inside), is_strict=mode == "strict")


def _tuple(generic: _Generic, mode: Mode) -> Checker:
    return TupleChecker(generic.annotation, generic.compiled("item" if mode == "strict" else mode))


def _bare_list(cls: type, mode: Mode) -> Checker:
    return PickledChecker(cls) if mode == "strict" else ItemsChecker(cls, cls, AnyChecker(Any), is_strict=False)


def _mapping(generic: _Generic, mode: Mode) -> Checker:
    # Flyte writes a dict whose keys are no strings as JSON, as it does with the fields of a dataclass.
    inside: Mode = "field" if mode == "strict" and generic.args[0] is not str else mode
    key, item = generic.compiled(inside)
    return DictChecker(generic.annotation, key, item, is_strict=mode == "strict")


def _plain(cls: type, mode: Mode) -> Checker:
    return PlainChecker(cls) if mode == "strict" or cls not in CONVERTERS[mode] else ConvertingChecker(cls, mode)


def _is_model(cls: type) -> bool:
    return hasattr(cls, "model_validate") and hasattr(cls, "model_fields")


def _library(cls: type) -> str:
    return cls.__module__.partition(".")[0]


def _is_typed_dict(cls: type) -> bool:
    return typing.is_typeddict(cls) or hasattr(cls, "__required_keys__")  # the second: those of typing_extensions


_as_item, _as_field = partial(compile_checker, mode="item"), partial(compile_checker, mode="field")
# First match wins.
_FORM_RULES: Final[_Rules] = (
    (lambda form: form is None, lambda _, __: PlainChecker(NoneType)),
    (lambda form: form is typing.Callable, lambda form, _: CallableChecker(form)),
    (lambda form: isinstance(form, TypeVar), _type_variable),
    (lambda form: isinstance(form, NewType), lambda form, mode: compile_checker(form.__supertype__, mode)),
    (lambda form: type(form).__name__ == "TypeAliasType", _AliasChecker),
    (_always, lambda form, _: AnyChecker(form)),
)
_GENERIC_RULES: Final[_Rules] = (
    (lambda it: it.origin in {typing.Union, UnionType}, lambda it, mode: UnionChecker(it.annotation, it.compiled(mode))),
    (lambda it: it.origin is Literal, lambda it, _: LiteralChecker(it.annotation, it.args)),
    (lambda it: _form_name(it.origin) in _WRAPPERS, lambda it, mode: compile_checker(it.args[0], mode)),
    (lambda it: it.origin is abc.Callable, lambda it, _: CallableChecker(it.annotation)),
    (lambda it: it.origin is type, lambda it, _: ClassChecker(it.annotation, _root(it.args[0]))),
    (_is_any_length, _items),
    (lambda it: it.origin is tuple, _tuple),
    (lambda it: it.origin is dict and it.args, _mapping),
    (lambda it: isinstance(it.origin, type), lambda it, mode: compile_checker(it.origin, mode)),
    (_always, lambda it, _: AnyChecker(it.annotation)),
)
_CLASS_RULES: Final[_Rules] = (
    (lambda cls: cls in _UNCHECKED, lambda cls, _: AnyChecker(cls)),
    (lambda cls: cls in _PLAIN_TYPES, _plain),
    (lambda cls: cls is datetime, lambda cls, mode: InstantChecker(cls) if mode == "strict" else InstanceChecker(cls, cls)),
    (lambda cls: cls is list, _bare_list),
    (lambda cls: cls is dict, lambda cls, mode: JsonChecker(cls, is_strict=mode == "strict")),
    (lambda cls: cls is abc.Callable, lambda cls, _: CallableChecker(cls)),
    (lambda cls: cls is type, lambda cls, _: ClassChecker(cls, None)),
    (_is_typed_dict, lambda cls, _: TypedDictChecker(cls, _as_item)),
    (lambda cls: issubclass(cls, enum.Enum), lambda cls, _: EnumChecker(cls)),
    (lambda cls: issubclass(cls, tuple) and hasattr(cls, "_fields"), lambda cls, _: NamedTupleChecker(cls, _as_item)),
    (is_dataclass, lambda cls, _: DataclassChecker(cls, _as_field)),
    (_is_model, lambda cls, _: ModelChecker(cls, cls)),
    (lambda cls: (_library(cls), cls.__name__) in _TABLES, lambda cls, _: TableChecker(cls, cls)),
    (lambda cls: issubclass(cls, DataFrame), lambda cls, _: WrappedTableChecker(cls, cls)),
    (lambda cls: _library(cls) == _OWN, lambda cls, _: InstanceChecker(cls, cls)),
    (_always, lambda cls, _: PickledChecker(cls)),
)


# ------------------------------------------------------------------------------------------------------- plainness

_ATOMS: Final = frozenset({NoneType, bool, int, float, complex, str, bytes})
_CONTAINERS: Final = frozenset({list, tuple, set, frozenset, dict})
_PLAIN_KINDS: Final = _ATOMS | _CONTAINERS
# Above this much, making a cloudpickler (some 10 µs) no longer matters.
_MOST_ITEMS: Final = 100_000
_MOST_LEVELS: Final = 32


def plainness(value: object) -> bool:
    """Whether a value is made of exact built-in scalars and containers only, so that the standard pickle will do.

    One level of nesting at a time, in C loops. False also for what is too large or too deep to be worth the look, as
    endless values are.

    Example:
        >>> plainness({"a": [1, (2.0, None)]}), plainness([object()])
        (True, False)
    """
    if type(value) in _ATOMS:
        return True
    level: list[Any] = [value]
    budget = _MOST_ITEMS
    for _ in range(_MOST_LEVELS):
        kinds = set(map(type, level))
        if kinds <= _ATOMS:
            return True
        if not kinds <= _PLAIN_KINDS:
            return False
        containers = level if kinds.isdisjoint(_ATOMS) else [each for each in level if type(each) in _CONTAINERS]
        budget -= sum(map(len, containers))
        if budget < 0:
            return False
        values = [each.values() for each in containers if type(each) is dict] if dict in kinds else []
        level = list(chain.from_iterable(chain(containers, values)))
    return False
