"""Decides which version of a task's code results are kept for: what the code does, with all that it uses.

Counted are the instructions and constants of the function, those of the functions, classes and tasks of the user's own
that it names, and the values of the globals and closed-over variables that it reads. Not counted are comments,
docstrings, layout, where a cell stands, and installed packages. So editing a helper makes a new version, and running
an unchanged cell again does not, in this kernel or the next one.

The cache keeps results by this version, and recovery tells edited tasks by it from the others.

Must not know: where results are kept.
"""

from __future__ import annotations

import dis
import functools
import hashlib
import inspect
import io
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

from flyte_nb.core.caching import VersionParameters
from flyte_nb.core.hashing import digest, digest_code
from flyte_nb.core.payloads import SCALARS, Blob, dump_into, is_installed

_FUNCTIONS = (FunctionType, staticmethod, classmethod, property)
_CONTAINERS = frozenset({list, tuple, dict})
#: An object with a method of this name says itself what it uses: pairs of code and the names that the code sees.
USED_CODE = "_flyte_nb_used_code"
#: Containers of more than so many things, or deeper in each other, are taken as values, whatever they hold.
_MOST_MEMBERS, _DEEPEST = 1_000, 3


class CodePolicy:
    """The default cache policy: see this module's text."""

    def get_version(self, salt: str, params: VersionParameters) -> str:
        """A digest of the task's code and of all that it uses."""
        found = "" if params.func is None else code_version(params.func)
        return hashlib.sha256(f"{salt}:{found}".encode()).hexdigest()

    def __repr__(self) -> str:
        return "CodePolicy()"


@dataclass(frozen=True, slots=True)
class Part:
    """One thing that a version depends on.

    Attributes:
        path: what it is to the task, such as `fetch > clean > RATE`.
        digest: changes when it does.
        value: the thing itself.
    """

    path: str
    digest: str
    value: object


class TooLargeError(ValueError):
    """Something that the code uses is larger than the caller wanted to look at."""


def code_parts(func: Callable[..., object], most_bytes: int | None = None) -> list[Part]:
    """What the version of a function depends on.

    Args:
        func: the function.
        most_bytes: values that take more than this when pickled are not looked at.

    Raises:
        TooLargeError: there is such a value.
    """
    code = getattr(func, "__code__", None)
    name = type(func).__name__ if code is None else code.co_name  # and not the function's name: cells are numbered
    return list(_Walk(most_bytes).parts(name, func))


def code_version(func: Callable[..., object], most_bytes: int | None = None) -> str:
    """A digest of a function's code and of everything of the user's own that it uses; arguments as of `code_parts`."""
    return version_of(code_parts(func, most_bytes))


def version_of(parts: list[Part]) -> str:
    """The digest of all parts."""
    text = "\n".join(f"{part.path}: {part.digest}" for part in parts)
    return hashlib.sha256(text.encode("utf8", "surrogatepass")).hexdigest()


class _Walk:
    """One pass through what a function uses; things that are met again are named only."""

    def __init__(self, most_bytes: int | None) -> None:
        self._most_bytes = most_bytes
        self._met: dict[int, int] = {}
        self._kept: list[object] = []  # ids stay theirs as long as the objects live

    def parts(self, path: str, value: Any) -> Iterator[Part]:
        """What changes when the value does."""
        if not _holds_code(value):
            yield Part(path, self._constant(value), value)
            return
        number = self._met.get(id(value))
        if number is not None:
            yield Part(path, f"as {number}", value)
            return
        self._met[id(value)] = len(self._met)
        self._kept.append(value)
        yield from self._of_code(path, value)

    def _of_code(self, path: str, value: Any) -> Iterator[Part]:
        wrapped = _own(value, "__wrapped__")
        if isinstance(value, functools.partial):
            yield from self.parts(f"{path} > partial", value.func)
            yield from self._values(path, {"args": value.args, "keywords": value.keywords})
        elif isinstance(value, FunctionType):
            yield from self._function(path, value)
        elif isinstance(value, type):
            yield from self._class(path, value)
        elif isinstance(value, MethodType):
            yield from self.parts(path, value.__func__)
            yield from self.parts(f"{path} > self", value.__self__)
        elif type(value) in _CONTAINERS:
            yield from self._members(path, value)
        elif hasattr(type(value), USED_CODE):  # a cell
            for code, names in getattr(value, USED_CODE)():
                yield Part(path, digest_code(code), code)
                yield from self._globals(path, code, names)
        else:  # a task, or what a decorator made
            yield from self.parts(path, _own(value, "func") or wrapped)

    def _function(self, path: str, func: FunctionType) -> Iterator[Part]:
        if _is_installed(func.__module__):
            yield Part(path, f"{func.__module__}.{func.__qualname__}", func)
            return
        yield Part(path, digest_code(func.__code__), func)
        yield from self._values(path, {"default": func.__defaults__, "keyword default": func.__kwdefaults__})
        wrapped = getattr(func, "__wrapped__", None)  # of a decorator: it also stands in the closure
        if wrapped is not None:
            yield from self.parts(f"{path} > wrapped", wrapped)
        _names, attributes = used_names(func.__code__)
        for name, cell in zip(func.__code__.co_freevars, func.__closure__ or (), strict=False):
            try:
                yield from self._used(f"{path} > {name}", cell.cell_contents, attributes)
            except ValueError:  # not assigned yet
                continue
        yield from self._globals(path, func.__code__, func.__globals__)

    def _globals(self, path: str, code: CodeType, values: dict[str, Any]) -> Iterator[Part]:
        names, attributes = used_names(code)
        for name in sorted(names & values.keys()):
            yield from self._used(f"{path} > {name}", values[name], attributes)

    def _used(self, path: str, value: Any, attributes: set[str]) -> Iterator[Part]:
        if not isinstance(value, ModuleType):
            yield from self.parts(path, value)
        elif _is_installed(value.__name__):
            yield Part(path, f"module {value.__name__}", value)
        else:
            for attribute in sorted(attributes & vars(value).keys()):
                yield from self._used(f"{path}.{attribute}", vars(value)[attribute], attributes)

    def _class(self, path: str, cls: type) -> Iterator[Part]:
        name = f"{cls.__module__}.{cls.__qualname__}"
        if _is_installed(cls.__module__):
            yield Part(path, name, cls)
            return
        yield Part(path, f"{name} {vars(cls).get('__pydantic_fields__')!r}", cls)
        for base in cls.__bases__:
            yield from self.parts(f"{path} > {base.__name__}", base)
        for name, value in sorted(vars(cls).items()):
            # Other names with underscores are Python's: where a class was written, tables of enums and dataclasses.
            if isinstance(value, _FUNCTIONS) or not (name.startswith("__") or name == "_abc_impl"):
                yield from self.parts(f"{path}.{name}", _unwrapped(value))

    def _values(self, path: str, values: dict[str, Any]) -> Iterator[Part]:
        for key, several in values.items():
            for each in several.values() if isinstance(several, dict) else several or ():
                yield from self.parts(f"{path} > {key}", each)

    def _members(self, path: str, value: Any) -> Iterator[Part]:
        yield Part(path, f"{type(value).__name__} of {len(value)}", value)
        for number, each in enumerate(value.items() if isinstance(value, dict) else value):
            name, member = each if isinstance(value, dict) else (number, each)
            yield from self.parts(f"{path}[{name!r}]", member)

    def _constant(self, value: object) -> str:
        """A value that is no code; what cannot be pickled counts by its type."""
        kind = f"{type(value).__module__}.{type(value).__qualname__}"
        if isinstance(value, BuiltinFunctionType):
            return f"{value.__module__}.{value.__qualname__}"
        if type(value) in SCALARS and not (self._most_bytes is not None and isinstance(value, str | bytes)):
            return f"{kind} {digest(value)}"  # type: ignore[arg-type]  # a scalar is an item
        try:
            target = Limited(self._most_bytes)
            dump_into(value, target)
            return f"{kind} {digest(Blob(target.getvalue()))}"
        except TooLargeError:
            raise
        except Exception:  # noqa: BLE001 - a connection, a lock: pickling them raises anything
            return kind


class Limited(io.BytesIO):
    """A file that takes so many bytes and no more."""

    def __init__(self, most_bytes: int | None) -> None:
        super().__init__()
        self._left = sys.maxsize if most_bytes is None else most_bytes

    def write(self, data: Any) -> int:
        """Take bytes.

        Raises:
            TooLargeError: it would be more than it takes.
        """
        self._left -= memoryview(data).nbytes
        if self._left < 0:
            raise TooLargeError
        return super().write(data)


def _own(value: object, name: str) -> Any:
    """An attribute that is a function and is really there: no property is run for it, and no `__getattr__`."""
    found = inspect.getattr_static(value, name, None)
    return found if isinstance(found, FunctionType) else None


def _holds_code(value: Any, depth: int = 0) -> bool:
    kind = type(value)
    if kind in SCALARS:
        return False
    if kind in _CONTAINERS:
        members = value.values() if kind is dict else value
        return len(value) <= _MOST_MEMBERS and depth < _DEEPEST and any(_holds_code(each, depth + 1) for each in members)
    if isinstance(value, FunctionType | type | functools.partial | MethodType):
        return True
    if isinstance(value, ModuleType | BuiltinFunctionType):
        return False
    return _own(value, "func") is not None or _own(value, "__wrapped__") is not None or hasattr(kind, USED_CODE)


def _unwrapped(member: Any) -> Any:
    """The function in a static method, class method or property."""
    if isinstance(member, staticmethod | classmethod):
        return member.__func__
    return member.fget if isinstance(member, property) else member


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


__all__ = ["CodePolicy", "Limited", "Part", "TooLargeError", "code_parts", "code_version", "used_names", "version_of"]
