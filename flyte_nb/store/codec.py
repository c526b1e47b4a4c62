"""Decides how events are written down: as plain tuples, lists and scalars, pickled without any class, and compressed.

What was written can be read back without running anybody's code: the reader refuses every class and function. Objects are
written by the name of their class and those fields that differ from their defaults, so that a later version that has more
fields reads what an earlier one wrote. Columns (inputs, outputs, times, rows) are written whole: one event about 100,000
actions costs a few milliseconds.

Values stay what they are: pickled bytes, inside of what is written if they are small, elsewhere if not (`keep`).

Must not know: files, or what events mean.
"""

from __future__ import annotations

import io
import pickle
import re
import zlib
from array import array
from collections.abc import Callable, Iterable, Sequence
from dataclasses import MISSING, fields, is_dataclass
from datetime import timedelta
from itertools import chain
from typing import Any, get_args

from flyte_nb.core import events as facts
from flyte_nb.core.events import FORMAT_VERSION, Event, RunSettings
from flyte_nb.core.failure import Failure
from flyte_nb.core.payloads import PROTOCOL, Blob, Item
from flyte_nb.core.phases import ActionPhase
from flyte_nb.core.policy import Backoff, Resources, RetryStrategy, Timeout
from flyte_nb.core.resources import Device
from flyte_nb.store.refusals import StoredValueError

#: A value as it is written: (its bytes,), or (digest, size, raw) of one that is kept elsewhere.
Written = tuple[bytes] | tuple[bytes, int, bool]
Keep = Callable[[Blob | bytes], Written]
Restore = Callable[[Written], Item]

#: Texts and bytes from this length on are kept like pickled values.
LONG = 64 * 1024
#: What is shorter is not worth compressing; of what is longer a part tells whether it is.
_COMPRESS_FROM, _SAMPLE_BYTES, _WORTH = 256, 16 * 1024, 0.6

_CLASSES: dict[str, type] = {
    each.__name__: each
    for each in (
        *get_args(Event),
        facts.TaskFacts,
        facts.CacheFacts,
        RunSettings,
        Failure,
        RetryStrategy,
        Backoff,
        Timeout,
        Resources,
        Device,
    )
}
_PLAIN = frozenset({type(None), bool, int, float, str, bytes})
_LONG_KINDS = frozenset({str, bytes})
#: Names of environment variables whose values are not written down.
_SECRET = re.compile(r"key|token|secret|passw|credential|auth|private", re.IGNORECASE)
NOT_KEPT = "(not kept)"


def encode(recorded: Iterable[Event], keep: Keep) -> bytes:
    """Write events down.

    Args:
        recorded: in their order.
        keep: says how a value is written, and keeps it elsewhere if that is so.
    """
    buffer = io.BytesIO()
    pickler = pickle.Pickler(buffer, PROTOCOL)
    pickler.fast = True  # no memory of what was written before: nothing here refers to itself, and it is five times faster
    pickler.dump([_event(event, keep) for event in recorded])
    return _compress(buffer.getvalue())


def decode(body: bytes, format_version: int, restore: Restore) -> list[Event]:
    """Read events.

    Args:
        body: what `encode` made.
        format_version: the version that it was made with.
        restore: makes a value of what is written of it.

    Raises:
        StoredValueError: a later version wrote it, or it is damaged.
    """
    if format_version > FORMAT_VERSION:
        raise StoredValueError(
            "A run", f"a later version of flyte_nb wrote it (format {format_version}, and this one knows {FORMAT_VERSION})"
        )
    try:
        return [_read_event(written, restore) for written in _Reader(io.BytesIO(_expand(body))).load()]
    except (pickle.UnpicklingError, zlib.error, EOFError, ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
        raise StoredValueError("A run", f"what is written of it is damaged ({type(error).__name__}: {error})") from error


class _Reader(pickle.Unpickler):
    """Reads plain values, and refuses everything else."""

    def find_class(self, module: str, name: str) -> object:
        raise pickle.UnpicklingError(f"{module}.{name} has no place in a log")


def _compress(data: bytes) -> bytes:
    if len(data) >= _COMPRESS_FROM:
        middle = max(0, (len(data) - _SAMPLE_BYTES) // 2)
        sample = data[middle : middle + _SAMPLE_BYTES]
        small = zlib.compress(sample, 1)
        if len(small) < len(sample) * _WORTH:
            return b"z" + (small if len(sample) == len(data) else zlib.compress(data, 1))
    return b"-" + data


def _expand(body: bytes) -> bytes:
    return zlib.decompress(body[1:]) if body[:1] == b"z" else body[1:]


# ------------------------------------------------------------------ events
def _event(event: Event, keep: Keep) -> tuple[str, dict[str, Any]]:
    written: dict[str, Any] = {}
    for name, default in _FIELDS[type(event)]:
        value = getattr(event, name)
        if name == "inputs":
            written[name] = _one_inputs(value, keep) if type(event) is facts.RunStarted else _inputs(value, keep)
        elif name == "outputs":
            written[name] = _items(value, keep)
        elif name == "blob":
            written |= {} if value is None else {name: _item(value, keep)}
        elif value is not default and value != default:
            written[name] = _plain(value)
    return type(event).__name__, written


def _read_event(written: tuple[str, dict[str, Any]], restore: Restore) -> Event:
    name, values = written
    cls = _CLASSES[name]
    read: dict[str, Any] = {}
    for field, value in values.items():
        if field == "inputs":
            read[field] = tuple(_read_items(value, restore)) if cls is facts.RunStarted else _read_inputs(value, restore)
        elif field == "outputs":
            read[field] = _read_items(value, restore)
        elif field == "blob":
            read[field] = restore(value)
        else:
            read[field] = _read(value)
    return cls(**read)  # type: ignore[no-any-return]  # one of the events


def _defaults(cls: Any) -> tuple[tuple[str, Any], ...]:  # noqa: ANN401 - a dataclass
    return tuple((field.name, field.default if field.default is not MISSING else _NOTHING) for field in fields(cls))


_NOTHING = object()
_FIELDS: dict[type, tuple[tuple[str, Any], ...]] = {cls: _defaults(cls) for cls in _CLASSES.values()}


# ------------------------------------------------------------------ columns of values
def _items(items: Sequence[Item], keep: Keep) -> list[Any]:
    kinds = set(map(type, items))
    if kinds <= _PLAIN and not (kinds & _LONG_KINDS and _has_long(items)):
        return items if isinstance(items, list) else list(items)
    return [_item(item, keep) for item in items]


def _item(item: Item, keep: Keep) -> Any:  # noqa: ANN401 - a scalar as itself, else how it is kept
    if isinstance(item, Blob):
        return keep(item)
    if isinstance(item, bytes) and len(item) >= LONG:
        return keep(item)
    if isinstance(item, str) and len(item) >= LONG:
        return keep(Blob(pickle.dumps(item, PROTOCOL)))
    return item


def _has_long(items: Iterable[Item]) -> bool:
    return any(len(item) >= LONG for item in items if isinstance(item, str | bytes))


def _one_inputs(inputs: facts.Inputs, keep: Keep) -> list[Any]:
    return [_item(item, keep) for item in inputs]


def _inputs(inputs: Sequence[facts.Inputs], keep: Keep) -> list[Any]:
    """Inputs of many calls: as they are if all of them are short scalars."""
    kinds = set(map(type, chain.from_iterable(inputs)))
    if kinds <= _PLAIN and not (kinds & _LONG_KINDS and _has_long(chain.from_iterable(inputs))):
        return inputs if isinstance(inputs, list) else list(inputs)
    return [tuple(_item(item, keep) for item in each) for each in inputs]


def _read_items(written: list[Any], restore: Restore) -> list[Item]:
    if tuple not in set(map(type, written)):
        return written
    return [restore(each) if type(each) is tuple else each for each in written]


def _read_inputs(written: list[Any], restore: Restore) -> list[facts.Inputs]:
    if tuple not in set(map(type, chain.from_iterable(written))):
        return written
    return [tuple(_read_items(list(each), restore)) for each in written]


# ------------------------------------------------------------------ everything else
def _plain(value: Any) -> Any:  # noqa: ANN401 - any field of an event
    """A value by its kind: scalars as themselves, the rest as a tuple that begins with a letter."""
    kind = type(value)
    if kind in _PLAIN:
        return value
    writer = _WRITERS.get(kind)
    if writer is not None:
        return writer(value)
    if is_dataclass(value):
        return _object(value, {})
    if isinstance(value, Sequence):
        return ("t", *map(_plain, value)) if isinstance(value, tuple) else _numbers(value)
    raise TypeError(f"{kind.__name__} cannot be written into a log")


def _settings(value: RunSettings) -> tuple[Any, ...]:
    variables = tuple((name, NOT_KEPT if _SECRET.search(name) else text) for name, text in value.env_vars)
    return _object(value, {"env_vars": variables})


_WRITERS: dict[type, Callable[[Any], Any]] = {
    range: lambda value: ("r", value.start, value.stop) if value.step == 1 else _numbers(value),
    array: lambda value: ("a", value.typecode, value.tobytes()),
    timedelta: lambda value: ("d", value.days, value.seconds, value.microseconds),
    ActionPhase: lambda value: ("p", value.value),
    RunSettings: _settings,
}


def _numbers(value: Sequence[Any]) -> tuple[Any, ...]:
    if set(map(type, value)) <= {int} and all(0 <= each < 1 << 32 for each in value):
        return ("l", array("I", value).tobytes())
    return ("s", *map(_plain, value))


def _object(value: Any, instead: dict[str, Any]) -> tuple[str, str, dict[str, Any]]:  # noqa: ANN401 - any dataclass of ours
    written = {}
    for name, default in _FIELDS[type(value)]:
        field = instead.get(name, getattr(value, name))
        if field != default:
            written[name] = _plain(field)
    return ("o", type(value).__name__, written)


def _read(written: Any) -> Any:  # noqa: ANN401 - any field of an event
    return written if type(written) is not tuple else _READERS[written[0]](written)


def _read_array(written: tuple[str, str, bytes]) -> array[Any]:
    column: array[Any] = array(written[1])
    column.frombytes(written[2])
    return column


def _read_object(written: tuple[str, str, dict[str, Any]]) -> object:
    made: object = _CLASSES[written[1]](**{name: _read(value) for name, value in written[2].items()})
    return made


_READERS: dict[str, Callable[[Any], Any]] = {
    "r": lambda written: range(written[1], written[2]),
    "a": _read_array,
    "p": lambda written: ActionPhase(written[1]),
    "d": lambda written: timedelta(*written[1:]),
    "t": lambda written: tuple(map(_read, written[1:])),
    "l": lambda written: _read_array(("", "I", written[1])).tolist(),
    "s": lambda written: list(map(_read, written[1:])),
    "o": _read_object,
}
