"""Decides how input and output values travel and are kept: as *items*.

An item is either an exact immutable scalar, as itself, or a `Blob` of pickled bytes. Scalars make up most of what
fans out, and leaving them alone lets a whole chunk be pickled in one go; everything else is pickled at the call, so
that a value changed later by the caller is not changed for the callee (inputs and outputs are copies).

Functions and classes from the notebook, and from modules that are not installed packages, are pickled by value:
a worker then runs the code as it is now, not as it was when the worker started.

Must not know: where items go.
"""

from __future__ import annotations

import contextlib
import functools
import io
import pickle
import sys
import sysconfig
import weakref
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, NoneType
from typing import Any, BinaryIO, NewType

import cloudpickle

SCALARS: frozenset[type] = frozenset({NoneType, bool, int, float, str, bytes})
PROTOCOL = 5


class Blob:
    """Pickled bytes of one value."""

    __slots__ = ("data",)

    def __init__(self, data: bytes) -> None:
        self.data = data

    def value(self) -> object:
        """A fresh copy of the value."""
        return pickle.loads(self.data)  # noqa: S301 - bytes that our own pack() made

    @property
    def size_bytes(self) -> int:
        """How many bytes it takes."""
        return len(self.data)

    def __reduce__(self) -> tuple[Any, ...]:
        return Blob, (self.data,)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Blob) and self.data == other.data

    def __hash__(self) -> int:
        return hash(self.data)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.size_bytes:,} bytes)"


class StoredBlob(Blob):
    """A value whose bytes lie in a file: the one that reads it does the I/O.

    Args:
        path: the file.
        size: how many bytes it holds.
        raw: the value is these bytes (and not what they unpickle to).
        digest: BLAKE2b (32 bytes) of the file's content, if whoever wrote it worked it out; else empty.
    """

    __slots__ = ("__weakref__", "_owner", "digest", "path", "raw", "size")

    def __init__(self, path: str, size: int, *, raw: bool, digest: bytes = b"") -> None:
        self.path, self.size, self.raw, self.digest = path, size, raw, digest

    @property
    def data(self) -> bytes:  # type: ignore[override]  # read each time
        """The bytes."""
        return Path(self.path).read_bytes()

    def value(self) -> object:
        """A fresh copy of the value."""
        return self.data if self.raw else pickle.loads(self.data)  # noqa: S301 - as above

    @property
    def size_bytes(self) -> int:
        """How many bytes it takes."""
        return self.size

    def adopt(self) -> None:
        """The file lives as long as this object."""
        self._owner = weakref.finalize(self, Path(self.path).unlink, missing_ok=True)

    def __reduce__(self) -> tuple[Any, ...]:
        return _stored, (self.path, self.size, self.raw, self.digest)


def _stored(path: str, size: int, raw: bool, digest: bytes = b"") -> StoredBlob:  # noqa: FBT001 - called by pickle
    return StoredBlob(path, size, raw=raw, digest=digest)


Item = None | bool | int | float | str | bytes | Blob


def pack(value: object, *, plain: bool = False) -> Item:
    """Turn a value into an item.

    Args:
        value: anything that cloudpickle takes.
        plain: the value is made of exact built-in scalars and containers only, so the faster standard pickle will do.

    Raises:
        Exception: whatever pickling raised; the caller knows the argument's name and says it.
    """
    if type(value) in SCALARS:
        return value  # type: ignore[return-value]  # the test above is the narrowing
    if plain:
        return Blob(pickle.dumps(value, PROTOCOL))
    return Blob(dumps(value))


def unpack(item: Item) -> object:
    """The value of an item: a fresh copy each time for blobs."""
    return item.value() if isinstance(item, Blob) else item


def dumps(value: object) -> bytes:
    """Cloudpickle a value, code outside installed packages by value."""
    target = io.BytesIO()
    dump_into(value, target)
    return target.getvalue()


def dump_into(value: object, target: BinaryIO) -> None:
    """The same into a file, which may refuse to take more."""
    _register_by_value()
    _Pickler(target, PROTOCOL).dump(value)


def _reduce_cached(function: Any) -> Any:  # noqa: ANN401 - a type without a public name
    """How a function under `functools.cache` travels: as the function that it is, with an empty cache.

    cloudpickle would name it, for the worker to import; there is no such name where it was defined in a notebook.
    """
    module = sys.modules.get(function.__module__)
    if module is not None and module.__name__ != "__main__" and is_installed(module) and "<locals>" not in function.__qualname__:
        return function.__reduce__()
    settings = function.cache_parameters()
    return _cached, (function.__wrapped__, settings["maxsize"], settings["typed"])


def _cached(function: Callable[..., Any], maxsize: int | None, typed: bool) -> Callable[..., Any]:  # noqa: FBT001 - called by pickle
    return functools.lru_cache(maxsize, typed)(function)


def _reduce_new_type(made: Any) -> str | tuple[Any, ...]:  # noqa: ANN401 - a NewType is no type to mypy
    """A `NewType` of the notebook's by value; by itself it says to look it up in a module, which workers do not have."""
    name, module = str(made.__qualname__), sys.modules.get(made.__module__)
    if module is not None and made.__module__ != "__main__" and is_installed(module):
        return name
    return _new_type, (name, made.__module__, made.__supertype__)


def _new_type(name: str, module: str, supertype: object) -> object:
    make: Any = NewType
    made = make(name, supertype)
    made.__module__ = module
    return made


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc]  # it ships no types
    """cloudpickle's, which knows functions under `functools.cache` and new types too."""

    dispatch_table = cloudpickle.Pickler.dispatch_table.new_child(
        {functools._lru_cache_wrapper: _reduce_cached, NewType: _reduce_new_type}  # noqa: SLF001 - its type
    )


def size_bytes(item: Item) -> int:
    """Roughly how many bytes an item takes."""
    return item.size_bytes if isinstance(item, Blob) else sys.getsizeof(item)


# ------------------------------------------------------------------ code by value
_INSTALLED = tuple(
    {str(Path(path).resolve()) for key in ("stdlib", "platstdlib", "purelib", "platlib") if (path := sysconfig.get_paths().get(key))}
)
_OWN = str(Path(__file__).resolve().parents[1])
_seen_modules: set[str] = set()


def is_installed(module: ModuleType) -> bool:
    """Whether a module belongs to the Python installation (or to this package), so that workers can import it."""
    file = getattr(module, "__file__", None)
    if file is None:  # built-in, namespace package, or made at run time
        return True
    path = str(Path(file).resolve())
    return path.startswith((*_INSTALLED, _OWN)) or "site-packages" in path or "dist-packages" in path


def _register_by_value() -> None:
    """Tell cloudpickle about the user's own modules; each module is looked at once.

    The registration stays: taking it back after each pickling would race with other threads, and looking at all
    modules each time costs more than the pickling.
    """
    if len(sys.modules) == len(_seen_modules):
        return
    for name in [name for name in list(sys.modules) if name not in _seen_modules]:
        _seen_modules.add(name)
        module = sys.modules.get(name)
        if not isinstance(module, ModuleType) or name == "__main__" or name != getattr(module, "__name__", None):
            continue
        if not is_installed(module):
            with contextlib.suppress(ValueError):
                cloudpickle.register_pickle_by_value(module)
