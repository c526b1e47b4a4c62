"""Checkers for what has named fields: NamedTuple, TypedDict, dataclass, pydantic model.

Decides: when such a value fits, and that a plain dict becomes the dataclass or model that is asked for, as in Flyte.
Must not know: how annotations become checkers (that is handed in); pydantic is known by its methods alone.

An instance of the right class is taken as it is: its fields are its class's business. Fields are looked at where the
value itself says nothing about its type: in TypedDicts, NamedTuples, and dicts that are to become a dataclass.
"""

import dataclasses
import typing
from collections.abc import Callable, Mapping
from typing import Any, cast

from flyte_nb.authoring.checkers import Checker, InstanceChecker, Mismatch, is_twin, shortened, unexpected
from flyte_nb.authoring.containers import accept_at

Compile = Callable[[object], Checker]


class _FieldsChecker(Checker):
    """The fields of a class, compiled when first needed: a class may mention itself."""

    __slots__ = ("_compile", "_fields", "cls")

    def __init__(self, cls: type, compile_checker: Compile, exact: frozenset[type] = frozenset()) -> None:
        super().__init__(cls, exact)
        self.cls = cls
        self._compile = compile_checker
        self._fields: dict[str, Checker] | None = None

    @property
    def fields(self) -> Mapping[str, Checker]:
        if self._fields is None:
            try:
                hints = typing.get_type_hints(self.cls, include_extras=True)
            except Exception:  # noqa: BLE001 - a name that does not resolve here: these fields are then not looked at
                hints = {}
            self._fields = {name: self._compile(hint) for name, hint in hints.items()}
        return self._fields

    def _accept_field(self, name: str, value: object, step: str) -> object:
        checker = self.fields.get(name)
        return value if checker is None else accept_at(step, checker, value)


class NamedTupleChecker(_FieldsChecker):
    """A NamedTuple, its fields included; a plain tuple of the same length becomes one."""

    __slots__ = ()

    def accept(self, value: object) -> object:
        """The NamedTuple, or a new one if a field was converted."""
        names: tuple[str, ...] = self.cls._fields  # type: ignore[attr-defined]  # every NamedTuple has them
        is_one = isinstance(value, self.cls) or is_twin(type(value), self.cls)
        if not isinstance(value, tuple) or not (is_one or type(value) is tuple):
            raise unexpected(self.cls, value)
        if len(value) != len(names):
            raise Mismatch(f"Expected {len(names)} items for {self.cls} but got {len(value)}: {shortened(value)}")
        items = [self._accept_field(name, item, f".{name}") for name, item in zip(names, value, strict=True)]
        if is_one and all(new is old for new, old in zip(items, value, strict=True)):
            return value
        return self.cls._make(items)  # type: ignore[attr-defined]  # every NamedTuple has it


class TypedDictChecker(_FieldsChecker):
    """A dict with the keys of a TypedDict, and values that fit them."""

    __slots__ = ()

    def accept(self, value: object) -> object:
        """The dict, or a new one if a value was converted."""
        if not isinstance(value, dict):
            raise unexpected(self.cls, value)
        required: frozenset[str] = self.cls.__required_keys__  # type: ignore[attr-defined]  # every TypedDict has them
        missing = sorted(required - value.keys())
        unknown = [key for key in value if key not in self.fields] if self.fields else []
        if missing or unknown:
            raise Mismatch(_wrong_keys(self.cls, missing, unknown))
        taken = {key: self._accept_field(key, item, f"[{key!r}]") for key, item in value.items()}
        return value if all(taken[key] is value[key] for key in value) else taken


class DataclassChecker(_FieldsChecker):
    """An instance of a dataclass, or a dict of its fields."""

    __slots__ = ()

    def __init__(self, cls: type, compile_checker: Compile) -> None:
        super().__init__(cls, compile_checker, frozenset({cls}))

    def accept(self, value: object) -> object:
        """The instance."""
        if isinstance(value, self.cls) or is_twin(type(value), self.cls):
            return value
        if not isinstance(value, dict):
            raise unexpected(self.cls, value)
        fields = [field for field in dataclasses.fields(cast(Any, self.cls)) if field.init]
        needed = {field.name for field in fields if _is_required(field)}
        missing = sorted(needed - value.keys())
        unknown = [key for key in value if key not in {field.name for field in fields}]
        if missing or unknown:
            raise Mismatch(_wrong_keys(self.cls, missing, unknown))
        taken = {name: self._accept_field(name, item, f"[{name!r}]") for name, item in value.items()}
        return _made(self.cls, lambda: self.cls(**taken), value)


class ModelChecker(InstanceChecker):
    """An instance of a pydantic model, or a dict that the model validates."""

    __slots__ = ()

    def accept(self, value: object) -> object:
        """The instance."""
        if not isinstance(value, dict) or isinstance(value, self.cls):
            return super().accept(value)
        validate = cast(Any, self.cls).model_validate
        return _made(self.cls, lambda: validate(value), value)


def _made(cls: type, make: Callable[[], object], value: object) -> object:
    try:
        return make()
    except Exception as error:
        raise Mismatch(f"{shortened(value)} cannot become {cls}: {type(error).__name__}: {error}") from error


def _is_required(field: dataclasses.Field[object]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _wrong_keys(cls: type, missing: list[str], unknown: list[object]) -> str:
    problems = [f"{what} {', '.join(map(shortened, keys))}" for what, keys in (("missing", missing), ("unknown", unknown)) if keys]
    return f"The keys do not fit {cls}: {'; '.join(problems)}"
