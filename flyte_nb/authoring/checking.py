"""From an annotation to a checker; and which values need no cloudpickle.

Decides: what every kind of annotation asks of a value.
Must not know: parameters and tasks (`signature`). What is not known to it is not checked: any value passes.

numpy, pandas, pydantic and the like are never imported here: an annotation names their classes already.
"""

import collections
import enum
import inspect
import typing
from collections import abc
from collections.abc import Callable, Collection
from dataclasses import is_dataclass
from datetime import date
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
    LiteralChecker,
    PlainChecker,
    UnionChecker,
)
from flyte_nb.authoring.containers import DictChecker, ItemsChecker, TupleChecker
from flyte_nb.authoring.records import DataclassChecker, ModelChecker, NamedTupleChecker, TypedDictChecker

_PLAIN_TYPES: Final = frozenset({NoneType, bool, int, float, str, bytes, date})
_UNCHECKED: Final = frozenset({Any, object, inspect.Parameter.empty, typing.IO, typing.TextIO, typing.BinaryIO})
# Special forms that say something about a place, not about the value in it.
_WRAPPERS: Final = frozenset({"Annotated", "ClassVar", "Final", "Required", "NotRequired", "ReadOnly"})
# Only of these is it known what their arguments mean; a class of the user's may mean anything by them.
_CONTAINER_MODULES: Final = frozenset({"builtins", "collections", "collections.abc"})


def compile_checker(annotation: object) -> Checker:
    """The checker of an annotation.

    Args:
        annotation: What `typing.get_type_hints(..., include_extras=True)` gives; anything else is not checked.

    Example:
        >>> compile_checker(list[int]).fit([[1], [2, 3]])
        True
    """
    origin = typing.get_origin(annotation)
    if origin is not None:
        return _by_rule(_GENERIC_RULES, _Generic(annotation, origin, typing.get_args(annotation)))
    return _by_rule(_CLASS_RULES if isinstance(annotation, type) else _FORM_RULES, annotation)


class _Generic(NamedTuple):
    """`origin[args]`, as the user wrote it."""

    annotation: object
    origin: Any
    args: tuple[Any, ...]

    def is_container(self, kind: type) -> bool:
        """Whether this is one of Python's own containers of a kind."""
        origin = self.origin
        return isinstance(origin, type) and issubclass(origin, kind) and origin.__module__ in _CONTAINER_MODULES


_Rules = tuple[tuple[Callable[[Any], bool], Callable[[Any], Checker]], ...]


def _by_rule(rules: _Rules, subject: object) -> Checker:
    """The checker of the first rule that applies; the last one of each table always does."""
    return next(make(subject) for applies, make in rules if applies(subject))


def _always(_subject: object) -> bool:
    return True


class _AliasChecker(Checker):
    """What `type Name = ...` stands for, compiled when first needed: it may mention itself."""

    __slots__ = ("_target",)

    def __init__(self, annotation: object) -> None:
        super().__init__(annotation)
        self._target: Checker | None = None

    @property
    def target(self) -> Checker:
        if self._target is None:
            self._target = compile_checker(cast(Any, self.annotation).__value__)
        return self._target

    def accept(self, value: object) -> object:
        """What the alias's checker makes of it."""
        return self.target.accept(value)

    def fit(self, values: Collection[object]) -> bool:
        """What the alias's checker says of them."""
        return self.target.fit(values)


def _type_variable(variable: TypeVar) -> Checker:
    if variable.__constraints__:
        return UnionChecker(variable, tuple(map(compile_checker, variable.__constraints__)))
    bound: object = variable.__bound__
    return AnyChecker(variable) if bound is None else compile_checker(bound)


def _root(argument: object) -> type | None:
    return argument if isinstance(argument, type) and argument not in _UNCHECKED else None


def _form_name(form: object) -> object:
    return getattr(form, "_name", None) or getattr(form, "__name__", None)


def _is_any_length(generic: _Generic) -> bool:
    is_tuple = generic.origin is tuple and len(generic.args) == 2 and generic.args[1] is Ellipsis  # noqa: PLR2004 - T, ...
    is_collection = generic.is_container(abc.Collection) and not generic.is_container(abc.Mapping) and generic.origin is not tuple
    return is_tuple or (len(generic.args) == 1 and (is_collection or generic.origin is abc.Iterable))


def _mapping(generic: _Generic) -> Checker:
    item = int if generic.origin is collections.Counter else generic.args[-1]
    return DictChecker(generic.annotation, generic.origin, compile_checker(generic.args[0]), compile_checker(item))


def _instance(cls: type) -> Checker:
    try:
        isinstance(None, cls)
    except TypeError:  # a protocol that cannot be checked at run time
        return AnyChecker(cls)
    return InstanceChecker(cls, cls)


def _is_typed_dict(cls: type) -> bool:
    return typing.is_typeddict(cls) or hasattr(cls, "__required_keys__")  # the second: those of typing_extensions


# First match wins.
_FORM_RULES: Final[_Rules] = (
    (lambda form: form is None, lambda _: PlainChecker(NoneType)),
    (lambda form: form is typing.Callable, CallableChecker),
    (lambda form: isinstance(form, TypeVar), _type_variable),
    (lambda form: isinstance(form, NewType), lambda form: compile_checker(form.__supertype__)),
    (lambda form: type(form).__name__ == "TypeAliasType", _AliasChecker),
    (_always, AnyChecker),
)
_GENERIC_RULES: Final[_Rules] = (
    (lambda it: it.origin in {typing.Union, UnionType}, lambda it: UnionChecker(it.annotation, tuple(map(compile_checker, it.args)))),
    (lambda it: it.origin is Literal, lambda it: LiteralChecker(it.annotation, it.args)),
    (lambda it: _form_name(it.origin) in _WRAPPERS, lambda it: compile_checker(it.args[0])),
    (lambda it: it.origin is abc.Callable, lambda it: CallableChecker(it.annotation)),
    (lambda it: it.origin is type, lambda it: ClassChecker(it.annotation, _root(it.args[0]))),
    (_is_any_length, lambda it: ItemsChecker(it.annotation, it.origin, compile_checker(it.args[0]))),
    (lambda it: it.origin is tuple, lambda it: TupleChecker(it.annotation, tuple(map(compile_checker, it.args)))),
    (lambda it: it.is_container(abc.Mapping) and it.args, _mapping),
    (lambda it: isinstance(it.origin, type), lambda it: compile_checker(it.origin)),
    (_always, lambda it: AnyChecker(it.annotation)),
)
_CLASS_RULES: Final[_Rules] = (
    (lambda cls: cls in _UNCHECKED, AnyChecker),
    (lambda cls: cls in _PLAIN_TYPES, PlainChecker),
    (lambda cls: cls is abc.Callable, CallableChecker),
    (lambda cls: cls is type, lambda cls: ClassChecker(cls, None)),
    (_is_typed_dict, lambda cls: TypedDictChecker(cls, compile_checker)),
    (lambda cls: issubclass(cls, enum.Enum), EnumChecker),
    (lambda cls: issubclass(cls, tuple) and hasattr(cls, "_fields"), lambda cls: NamedTupleChecker(cls, compile_checker)),
    (is_dataclass, lambda cls: DataclassChecker(cls, compile_checker)),
    (lambda cls: hasattr(cls, "model_validate") and hasattr(cls, "model_fields"), lambda cls: ModelChecker(cls, cls)),
    (_always, _instance),
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
