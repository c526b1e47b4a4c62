"""Decides which version of a task's code the cache holds results of: what the code does, with all that it uses.

Counted are the instructions and constants of the function, those of the functions, classes and tasks of the user's own
that it names, and the values of the globals and closed-over variables that it reads. Not counted are comments,
docstrings, layout, where a cell stands, and installed packages. So editing a helper makes a new version, and running
an unchanged cell again does not, in this kernel or the next one.

Must not know: where results are kept.
"""

from __future__ import annotations

import dis
import functools
import hashlib
import sys
from collections.abc import Callable, Iterator
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

from flyte_nb.core.caching import VersionParameters
from flyte_nb.core.hashing import digest, digest_code
from flyte_nb.core.payloads import is_installed, pack

_FUNCTIONS = (FunctionType, staticmethod, classmethod, property)


class CodePolicy:
    """The default cache policy: see this module's text."""

    def get_version(self, salt: str, params: VersionParameters) -> str:
        """A digest of the task's code and of all that it uses."""
        found = "" if params.func is None else code_version(params.func)
        return hashlib.sha256(f"{salt}:{found}".encode()).hexdigest()

    def __repr__(self) -> str:
        return "CodePolicy()"


def code_version(func: Callable[..., object]) -> str:
    """A digest of a function's code and of everything of the user's own that it uses."""
    walk = _Walk()
    return hashlib.sha256("\n".join(walk.describe("", func)).encode("utf8", "surrogatepass")).hexdigest()


class _Walk:
    """One pass through what a function uses; things that are met again are named only."""

    def __init__(self) -> None:
        self._met: dict[int, int] = {}
        self._kept: list[object] = []  # ids stay theirs as long as the objects live

    def describe(self, name: str, value: Any) -> Iterator[str]:
        """Lines that change when the value does."""
        if isinstance(value, FunctionType | type | functools.partial) or hasattr(value, "func") or hasattr(value, "__wrapped__"):
            number = self._met.get(id(value))
            if number is not None:
                yield f"{name}: as {number}"
                return
            self._met[id(value)] = len(self._met)
            self._kept.append(value)
        yield from (f"{name}: {line}" for line in self._lines(value))

    def _lines(self, value: Any) -> Iterator[str]:
        inner = getattr(value, "func", None) if not isinstance(value, type | ModuleType) else None
        if isinstance(value, functools.partial):
            yield from self.describe("partial", value.func)
            yield from self._values("given", {"args": value.args, "keywords": value.keywords})
        elif isinstance(inner, FunctionType):  # a task
            yield from self.describe("task", inner)
        elif isinstance(value, FunctionType):
            yield from self._function(value)
        elif isinstance(value, MethodType):
            yield from self.describe("method", value.__func__)
            yield from self.describe("of", value.__self__)
        elif not isinstance(value, type) and isinstance(getattr(value, "__wrapped__", None), FunctionType):
            yield from self.describe("wrapped", value.__wrapped__)
        elif isinstance(value, type):
            yield from self._class(value)
        else:
            yield _constant(value)

    def _function(self, func: FunctionType) -> Iterator[str]:
        if _is_installed(func.__module__):
            yield f"{func.__module__}.{func.__qualname__}"
            return
        yield digest_code(func.__code__)
        yield from self._values("default", {"args": func.__defaults__, "keywords": func.__kwdefaults__})
        wrapped = getattr(func, "__wrapped__", None)  # of a decorator: it also stands in the closure
        if wrapped is not None:
            yield from self.describe("wrapped", wrapped)
        names, attributes = used_names(func.__code__)
        for name, cell in zip(func.__code__.co_freevars, func.__closure__ or (), strict=False):
            try:
                yield from self._used(name, cell.cell_contents, attributes)
            except ValueError:  # not assigned yet
                continue
        for name in sorted(names & func.__globals__.keys()):
            yield from self._used(name, func.__globals__[name], attributes)

    def _used(self, name: str, value: Any, attributes: set[str]) -> Iterator[str]:
        if not isinstance(value, ModuleType):
            yield from self.describe(name, value)
        elif _is_installed(value.__name__):
            yield f"{name}: module {value.__name__}"
        else:
            for attribute in sorted(attributes & vars(value).keys()):
                yield from self._used(f"{name}.{attribute}", vars(value)[attribute], attributes)

    def _class(self, cls: type) -> Iterator[str]:
        yield f"{cls.__module__}.{cls.__qualname__}"
        if _is_installed(cls.__module__):
            return
        for base in cls.__bases__:
            yield from self.describe("base", base)
        yield repr(vars(cls).get("__pydantic_fields__"))
        for name, value in sorted(vars(cls).items()):
            # Other names with underscores are Python's: where a class was written, tables of enums and dataclasses.
            if isinstance(value, _FUNCTIONS) or not (name.startswith("__") or name == "_abc_impl"):
                yield from self.describe(name, _unwrapped(value))

    def _values(self, name: str, values: dict[str, Any]) -> Iterator[str]:
        for key, value in values.items():
            for each in value.values() if isinstance(value, dict) else value or ():
                yield from self.describe(f"{name} {key}", each)


def _unwrapped(member: Any) -> Any:
    """The function in a static method, class method or property."""
    if isinstance(member, staticmethod | classmethod):
        return member.__func__
    return member.fget if isinstance(member, property) else member


def _constant(value: object) -> str:
    """A value that is no code; what cannot be pickled counts by its type."""
    kind = f"{type(value).__module__}.{type(value).__qualname__}"
    if isinstance(value, BuiltinFunctionType):
        return f"{value.__module__}.{value.__qualname__}"
    try:
        return f"{kind} {digest(pack(value))}"
    except Exception:  # noqa: BLE001 - a connection, a lock: pickling them raises anything
        return kind


def _is_installed(module_name: str | None) -> bool:
    module = sys.modules.get(module_name or "")
    return module is not None and module_name != "__main__" and is_installed(module)


def used_names(code: CodeType) -> tuple[set[str], set[str]]:
    """(Globals that code reads and never assigns, attributes that it reads), functions inside it included."""
    read: set[str] = set()
    assigned: set[str] = set()
    attributes: set[str] = set()
    waiting = [code]
    while waiting:
        each = waiting.pop()
        for step in dis.get_instructions(each):
            if step.opname in {"LOAD_GLOBAL", "LOAD_NAME"}:
                read.add(step.argval)
            elif step.opname in {"STORE_GLOBAL", "DELETE_GLOBAL"}:
                assigned.add(step.argval)
            elif step.opname in {"LOAD_ATTR", "LOAD_METHOD", "IMPORT_FROM"}:
                attributes.add(step.argval)
        waiting.extend(constant for constant in each.co_consts if isinstance(constant, CodeType))
    return read - assigned, attributes


__all__ = ["CodePolicy", "code_version", "used_names"]
