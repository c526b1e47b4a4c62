"""Decides when two values are the same value: a digest that does not depend on how a value was made.

Pickled bytes differ for equal values: dictionaries keep their order of insertion, sets their order of hashing, objects
that occur twice are written once, and a class from a notebook carries a random id. So a pickled value is read back
with stand-ins in the place of all classes and functions (no code of the user runs), and what comes out is digested:
dictionaries and sets without their order, classes by their names, functions by their code without file and line.

The plain values that make up most of what travels are digested in C loops.

Must not know: what the digests are for (names of actions, keys of cached results).
"""

from __future__ import annotations

import io
import pickle
import sys
from collections.abc import Callable, Iterable, Sequence
from hashlib import blake2b
from types import CodeType, NoneType
from typing import Any

from flyte_nb.core.payloads import Blob, Item, StoredBlob

#: A state under this key says by itself what the object is; the rest of it does not count.
IDENTITY = "_flyte_nb_identity"

#: Kinds of atoms that `digest_all` writes like `_atom` does.
_WRITTEN = frozenset({int, float, str})
_ATOMS = frozenset({NoneType, bool, int, float, complex, str, bytes})
#: Positions in the arguments of a code object that say where it was written: file, first line, line table.
_PLACES_IN_CODE = frozenset({10, 13, 14})
#: Globals of a pickled function that say where it was written.
_PLACE_GLOBALS = frozenset({"__name__", "__package__", "__path__", "__file__", "__module__", "_cloudpickle_submodules"})


def digest(item: Item) -> str:
    """A short digest of an item: the same for equal values."""
    if not isinstance(item, Blob):
        return _short(_atom(item))
    if isinstance(item, StoredBlob) and item.raw:
        return _short(_atom(item.data))
    try:
        return _short(_of(_Reader(io.BytesIO(item.data)).load(), {}))
    except Exception:  # noqa: BLE001 - a pickle that only its own classes can read: then its bytes must do
        return _short(item.data)


def digest_all(items: Sequence[Item]) -> list[str]:
    """The digest of each of many items; of numbers and texts it costs a third of asking one by one."""
    kinds = set(map(type, items))
    kind = kinds.pop() if len(kinds) == 1 else None
    if kind not in _WRITTEN or (kind is int and any(item.bit_length() > _MOST_BITS for item in items)):  # type: ignore[union-attr]  # ints
        return list(map(digest, items))
    name = f"{kind.__name__}:"
    return [blake2b(f"{name}{item!r}".encode("utf8", "surrogatepass"), digest_size=12).hexdigest() for item in items]


def digest_value(value: object) -> str:
    """A short digest of a value made of plain data; other objects count by their type only."""
    return _short(_of(value, {}))


def digest_code(code: CodeType) -> str:
    """A digest of what a code object does: not of where it was written, how it was laid out, or its docstring."""
    return _short(_code(code))


def _short(data: bytes) -> str:
    return blake2b(data, digest_size=12).hexdigest()


def _full(*parts: bytes) -> bytes:
    hashed = blake2b(digest_size=24)
    for part in parts:
        hashed.update(len(part).to_bytes(8, "little"))
        hashed.update(part)
    return hashed.digest()


# ------------------------------------------------------------------ walking a value
#: Python refuses to write a whole number of more than 4,300 digits in tens.
_MOST_BITS = 14_000


def _atom(value: object) -> bytes:
    if type(value) is int and value.bit_length() > _MOST_BITS:
        return f"int:{value:x}".encode()
    return f"{type(value).__name__}:{value!r}".encode("utf8", "surrogatepass")


def _of(value: Any, seen: dict[int, bytes]) -> bytes:  # noqa: ANN401 - any value
    """The digest of a value; `seen` holds those of the containers met so far, by identity."""
    kind = type(value)
    if kind in _ATOMS:
        return _atom(value)
    known = seen.get(id(value))
    if known is not None:
        return known
    seen[id(value)] = b"itself"  # a value that holds itself ends here
    made = seen[id(value)] = _WALKERS.get(kind, _other)(value, seen)
    return made


def _items(value: list[Any] | tuple[Any, ...], seen: dict[int, bytes]) -> bytes:
    if set(map(type, value)) <= _ATOMS:
        return _full(_atom(type(value).__name__), repr(tuple(value)).encode("utf8", "surrogatepass"))
    return _full(_atom(type(value).__name__), *[_of(each, seen) for each in value])


def _unordered(value: Iterable[Any], seen: dict[int, bytes]) -> bytes:
    return _full(b"set", *sorted(_of(each, seen) for each in value))


def _mapping(value: dict[Any, Any], seen: dict[int, bytes]) -> bytes:
    return _full(b"dict", *sorted(_full(_of(key, seen), _of(each, seen)) for key, each in value.items()))


def _code(value: CodeType, seen: dict[int, bytes] | None = None) -> bytes:
    seen = {} if seen is None else seen
    constants = [None, *value.co_consts[1:]] if _has_docstring(value) else list(value.co_consts)
    counts = (value.co_argcount, value.co_posonlyargcount, value.co_kwonlyargcount, value.co_flags & _KINDS_OF_FUNCTION)
    names = (value.co_names, value.co_varnames, value.co_freevars, value.co_cellvars)
    return _full(b"code", repr(counts).encode(), value.co_code, repr(names).encode(), _items(constants, seen))


#: Flags: *args, **kwargs, generator, coroutine, async generator.
_KINDS_OF_FUNCTION = 0x04 | 0x08 | 0x20 | 0x80 | 0x200
#: A flag since Python 3.14; before, the first constant of a named function is its docstring or None.
_DOCSTRING_FLAG = 0x4000000


def _has_docstring(code: CodeType) -> bool:
    if not code.co_consts or not isinstance(code.co_consts[0], str) or code.co_name.startswith("<"):
        return False
    return sys.version_info < (3, 14) or bool(code.co_flags & _DOCSTRING_FLAG)


def _other(value: object, seen: dict[int, bytes]) -> bytes:
    if isinstance(value, _StandIn):
        return value.digest(seen)
    if isinstance(value, type):
        return _full(b"class", f"{getattr(value, '_module', value.__module__)}.{value.__qualname__}".encode())
    return _full(b"type", f"{type(value).__module__}.{type(value).__qualname__}".encode())


_WALKERS: dict[type, Callable[[Any, dict[int, bytes]], bytes]] = {
    list: _items,
    tuple: _items,
    set: _unordered,
    frozenset: _unordered,
    dict: _mapping,
    bytearray: lambda value, _seen: _full(b"bytearray", bytes(value)),
    CodeType: _code,
}


# ------------------------------------------------------------------ reading a pickle without its classes
class _StandIn:
    """An object of a class that was not looked up: its class's name, and what the pickle says of it."""

    _module = ""
    _name = ""

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - of a subclass
        made = object.__new__(cls)
        made.args = (*args, kwargs) if kwargs else args
        made.state = None
        made.items = []
        return made

    def __init__(self, *_args: Any, **_kwargs: Any) -> None: ...  # noqa: ANN401 - taken by __new__

    args: Any
    state: Any
    items: list[Any]

    def __setstate__(self, state: Any) -> None:  # noqa: ANN401 - any state
        self.state = state

    def __call__(self, *args: Any) -> Any:  # noqa: ANN401 - what was called is itself the result of a call
        return _class_named("", "call")(self, *args)

    def append(self, item: Any) -> None:  # noqa: ANN401 - any item
        self.items.append(item)

    def extend(self, items: Iterable[Any]) -> None:
        self.items.extend(items)

    def add(self, item: Any) -> None:  # noqa: ANN401 - any item
        self.items.append(item)

    def __setitem__(self, key: Any, value: Any) -> None:  # noqa: ANN401 - any item
        self.items.append((key, value))

    def digest(self, seen: dict[int, bytes]) -> bytes:
        name = f"{self._module}.{self._name}".encode()
        if isinstance(self.state, dict) and IDENTITY in self.state:
            return _full(b"object", name, _of(self.state[IDENTITY], seen))
        args = self.args
        if self._name == "CodeType":
            args = tuple(each for place, each in enumerate(args) if place not in _PLACES_IN_CODE)
        # Not through `_of` for `args`, which may be a passing object: `seen` goes by identity.
        return _full(b"object", name, _items(args, seen), _of(self.state, seen), _of(self.items, seen))


def _made_class(*args: Any) -> type:  # noqa: ANN401 - what cloudpickle gives
    """A class that was pickled with its code: its name stands for it, as for one that was pickled by name."""
    texts = [each for each in args if isinstance(each, str)]
    settings = [each for each in args if isinstance(each, dict)]
    module = next((each["__module__"] for each in settings if "__module__" in each), "__main__")
    return _class_named(module, texts[0] if texts else "")


def _function_state(function: Any, state: Any) -> None:  # noqa: ANN401 - what cloudpickle gives
    """What a pickled function uses: its closure, and the globals that it names."""
    slots, values = state if isinstance(state, tuple) and len(state) == 2 else ({}, {})  # noqa: PLR2004 - a pair
    used = {**(slots or {}), **(values or {})}
    globals_ = {key: each for key, each in (used.get("__globals__") or {}).items() if key not in _PLACE_GLOBALS}
    function.state = (globals_, used.get("__closure__"), used.get("__defaults__"), used.get("__kwdefaults__"))


def _function(code: Any, _globals: Any = None, name: Any = None, argdefs: Any = None, closure: Any = None) -> Any:  # noqa: ANN401
    return _class_named("builtins", "function")(code, name, argdefs, closure)


def _cell_content(cell: Any, value: Any) -> None:  # noqa: ANN401 - what cloudpickle gives
    cell.state = value


_known: dict[tuple[str, str], type] = {}


def _class_named(module: str, name: str) -> type:
    made = _known.get((module, name))
    if made is None:
        made = _known[module, name] = type(name, (_StandIn,), {"_module": module, "_name": name, "__qualname__": name})
    return made


_CLOUDPICKLE: dict[str, Callable[..., Any]] = {
    "_builtin_type": lambda name: _class_named("types", name),
    "_make_skeleton_class": _made_class,
    "_make_skeleton_enum": _made_class,
    "_make_function": _function,
    "_function_setstate": _function_state,
    "_class_setstate": lambda *_args: None,
    "_cell_set": _cell_content,
}


class _Reader(pickle.Unpickler):
    """Reads a pickle with stand-ins for everything that it names."""

    def find_class(self, module: str, name: str) -> Any:  # noqa: ANN401 - a stand-in
        if module.startswith("cloudpickle") and name in _CLOUDPICKLE:
            return _CLOUDPICKLE[name]
        if module in {"builtins", "__builtin__"} and name in {"set", "frozenset", "bytearray"}:
            return {"set": set, "frozenset": frozenset, "bytearray": bytearray}[name]
        return _class_named(module, name)

    def persistent_load(self, pid: Any) -> Any:  # noqa: ANN401 - any id
        return ("persistent", pid)


__all__ = ["IDENTITY", "digest", "digest_code", "digest_value"]
