"""Checkers for what has named fields: NamedTuple, TypedDict, dataclass, pydantic model.

Decides: when such a value fits, and that it arrives as the class that was declared, as in Flyte, which writes the
declared fields and reads them back: a plain dict becomes the dataclass or model, an instance of a subclass loses what
the subclass adds, numbers become what their fields say.
Must not know: how annotations become checkers (that is handed in); pydantic is known by its methods alone.

A value that is as declared is not copied here; it is copied on its way.
"""

import copy
import dataclasses
import operator
import typing
from collections.abc import Callable, Collection, Mapping
from typing import Any, cast

from flyte_nb.authoring.checkers import Checker, InstanceChecker, is_twin
from flyte_nb.authoring.containers import accept_at
from flyte_nb.authoring.misfits import Mismatch, shortened, unexpected

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
        if not isinstance(value, tuple | list) or not (is_one or type(value) in {tuple, list}):
            raise unexpected(self.cls, value)
        if len(value) != len(names):
            raise Mismatch(f"Tuple length {len(value)} doesn't match expected length {len(names)}")
        items = [self._accept_field(name, item, f".{name}") for name, item in zip(names, value, strict=True)]
        if is_one and all(new is old for new, old in zip(items, value, strict=True)):
            return value
        return self.cls._make(items)  # type: ignore[attr-defined]  # every NamedTuple has it


class TypedDictChecker(_FieldsChecker):
    """A dict with the keys of a TypedDict, and values that fit them; other keys do not arrive."""

    __slots__ = ()

    def accept(self, value: object) -> object:
        """The dict, or a new one if a value was converted."""
        if not isinstance(value, dict):
            raise Mismatch(f"Expected a dict but got {type(value)}")
        required: frozenset[str] = self.cls.__required_keys__  # type: ignore[attr-defined]  # every TypedDict has them
        missing = sorted(required - value.keys())
        if missing:
            raise Mismatch(f"The keys do not fit {self.cls}: missing {', '.join(map(repr, missing))}")
        known = self.fields or value
        taken = {key: self._accept_field(key, item, f"[{key!r}]") for key, item in value.items() if key in known}
        return value if len(taken) == len(value) and all(taken[key] is value[key] for key in value) else taken


class DataclassChecker(_FieldsChecker):
    """An instance of a dataclass, or a dict of its fields."""

    __slots__ = ()

    def accept(self, value: object) -> object:
        """The instance."""
        if type(value) is self.cls:
            return self._as_declared(value)
        fields = [field for field in dataclasses.fields(cast(Any, self.cls)) if field.init]
        if isinstance(value, dict):
            self._check_keys(value, fields)
            taken = {name: self._accept_field(name, item, f"[{name!r}]") for name, item in value.items()}
        elif isinstance(value, self.cls) or is_twin(type(value), self.cls):
            found = {field.name: getattr(value, field.name) for field in fields if hasattr(value, field.name)}
            taken = {name: self._accept_set_field(name, item) for name, item in found.items()}
        else:
            raise unexpected(self.cls, value)
        return _made(self.cls, lambda: self.cls(**taken), value)

    def fit(self, values: Collection[object]) -> bool:
        """Whether all are instances whose fields are as declared."""
        if not values:  # a class may mention itself
            return True
        if not {self.cls}.issuperset(map(type, values)):
            return False
        for field in dataclasses.fields(cast(Any, self.cls)):
            checker = self.fields.get(field.name)
            try:
                column = list(map(operator.attrgetter(field.name), values))
            except AttributeError:  # not set
                return False
            if checker is not None and not checker.fit(column) and not checker.fit([item for item in column if item is not None]):
                return False
        return True

    def _as_declared(self, value: object) -> object:
        """The instance, or a copy of it whose fields have the declared types."""
        changed = {}
        for field in dataclasses.fields(cast(Any, self.cls)):
            item = getattr(value, field.name, None)
            taken = self._accept_set_field(field.name, item)
            if taken is not item:
                changed[field.name] = taken
        if not changed:
            return value
        other = copy.copy(value)
        for name, taken in changed.items():
            object.__setattr__(other, name, taken)  # a frozen one, too
        return other

    def _accept_set_field(self, name: str, value: object) -> object:
        # `x: int = None` is common, and None says that nothing was set.
        return None if value is None else self._accept_field(name, value, f".{name}")

    def _check_keys(self, value: Mapping[object, object], fields: list[dataclasses.Field[Any]]) -> None:
        names = {field.name for field in fields}
        missing = sorted({field.name for field in fields if _is_required(field)} - value.keys())
        unknown = [key for key in value if key not in names]
        if missing:
            raise Mismatch(f"The original fields are missing the following keys from the dataclass fields: {missing} of {self.cls}")
        if unknown:
            words = "The original fields have the following extra keys that are not in dataclass fields"
            raise Mismatch(f"{words}: {shortened(unknown)} of {self.cls}")


class ModelChecker(InstanceChecker):
    """An instance of a pydantic model, or what the model validates: a dict, or an instance of another model."""

    __slots__ = ()

    def accept(self, value: object) -> object:
        """The instance."""
        if type(value) is self.cls:
            return value
        given: Any = value
        if not isinstance(value, dict):
            if not hasattr(value, "model_dump"):
                return super().accept(value)
            given = given.model_dump()
        validate = cast(Any, self.cls).model_validate
        return _made(self.cls, lambda: validate(given), value)


def _made(cls: type, make: Callable[[], object], value: object) -> object:
    try:
        return make()
    except Exception as error:
        raise Mismatch(f"{shortened(value)} cannot become {cls}: {type(error).__name__}: {error}") from error


def _is_required(field: dataclasses.Field[object]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
