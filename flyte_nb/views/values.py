"""Decides how one input or output reads in a cell, in a detail and for the search: its kind and a short text.

Values are unpacked only while they are small: to read a large one, and to run its `repr`, would take longer than a
reader waits; what is known of it without (its class and its size) is said instead. A text is made once for a value and
kept for as long as it is likely to be shown again.

Must not know: rows, or where a text is shown.
"""

from __future__ import annotations

import pickletools
import pprint
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from flyte_nb.core.payloads import Blob, Item, StoredBlob, unpack
from flyte_nb.views.wording import clean, count, one_line

#: Largest pickled value that is unpacked for a cell, and for a detail.
CELL_BYTES, DETAIL_BYTES = 64 * 1024, 4 * 1024 * 1024
#: Values whose texts are kept.
MAX_KEPT = 2_000
#: Parts of a container that are written out.
_MAX_PARTS = 12
#: A whole number of more bits is not written out: it has over 4,300 digits.
_MOST_BITS = 14_000
_PEEK_BYTES = 2_048
#: Characters of a line in a detail, and of a container that is laid out.
_MAX_LINE, _MAX_PRETTY = 100, 40_000
_NUMBERS = (int, float)
_UNITS = ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"))


class Texts:
    """Short texts of items; those of blobs are kept, since a page is drawn again and again."""

    def __init__(self) -> None:
        self._kept: OrderedDict[int, tuple[Blob, str]] = OrderedDict()

    def cell(self, item: Item, limit: int) -> str:
        """An item on one line of at most so many characters."""
        if not isinstance(item, Blob):
            return scalar_text(item, limit)
        known = self._kept.get(id(item))
        if known is None:
            known = self._kept[id(item)] = (item, blob_text(item, limit))
            if len(self._kept) > MAX_KEPT:
                self._kept.popitem(last=False)
        return known[1]


def is_number(item: Item) -> bool:
    """Whether a column that holds this is set flush right."""
    return isinstance(item, _NUMBERS) and not isinstance(item, bool)


def scalar_text(item: Item, limit: int) -> str:
    """A scalar in a cell: text without quotes, numbers with six digits at most."""
    if isinstance(item, str):
        return one_line(item, limit)
    if type(item) is float:
        return f"{item:.6g}"
    if type(item) is int and item.bit_length() > _MOST_BITS:  # Python refuses to write it out
        return f"int of {count(item.bit_length())} bits"
    return one_line(repr(item), limit)


def item_text(item: Item) -> tuple[str, str]:
    """(type in words, whole text) for a detail."""
    if not isinstance(item, Blob):
        return type(item).__name__, clean(item) if isinstance(item, str) else clean(scalar_text(item, DETAIL_BYTES))
    known = known_value(item)
    if isinstance(known, Unreadable):
        return known.kind, known.words
    return clean(kind_of(known)), whole_text(known)


class Unreadable:
    """A value that is not unpacked here: too large, or not readable. `words` says why, `kind` is its class if known."""

    def __init__(self, kind: str, words: str) -> None:
        self.kind, self.words = kind, words


def known_value(item: Blob, most_bytes: int = DETAIL_BYTES) -> Any:
    """The value of a blob, or why there is none."""
    size = item.size_bytes
    if size > most_bytes:
        kind = peek_class(item)
        return Unreadable(kind, f"{kind}, {amount(size)}" if kind else amount(size))
    try:
        return unpack(item)
    except Exception as error:  # noqa: BLE001 - a class that is not there any more, or a user's own code
        return Unreadable("", clean(f"<cannot be read here: {type(error).__name__}: {error}>"))


def kind_of(value: Any) -> str:
    """The type of a value in words: `list of 84`, `DataFrame, 182,411 × 91`."""
    name = type(value).__name__
    sizes = _sizes(value)
    if sizes:
        return f"{name}, {sizes}"
    return f"{name} of {count(len(value))}" if type(value) in (list, tuple, set, frozenset, dict, bytes) else name


def whole_text(value: Any) -> str:
    """A value as text, a large container over several lines; never an exception of its own."""
    try:
        text = value if isinstance(value, str) else repr(value)
        if type(value) in (dict, list, tuple, set) and _MAX_LINE < len(text) < _MAX_PRETTY:
            text = pprint.pformat(value, width=_MAX_LINE, sort_dicts=False)
        return clean(text)
    except Exception as error:  # noqa: BLE001 - a user's repr
        return clean(f"<{type(value).__name__}, whose repr raised {type(error).__name__}>")


def blob_text(item: Blob, limit: int) -> str:
    """A pickled value on one line; of a large one its class and size only."""
    value = known_value(item, CELL_BYTES)
    return one_line(value.words if isinstance(value, Unreadable) else value_text(value), limit)


def value_text(value: Any) -> str:
    """A value as text: its `repr`, but short for containers, tables and arrays; never an exception of its own."""
    try:
        return clean(_text(value))
    except Exception as error:  # noqa: BLE001 - a user's repr
        return clean(f"<{type(value).__name__}, whose repr raised {type(error).__name__}>")


def _text(value: Any) -> str:
    sizes = _sizes(value)
    if sizes and not (isinstance(value, np.ndarray) and value.size <= _MAX_PARTS):
        return f"{type(value).__name__}, {sizes}"
    kind = type(value)
    if kind in (list, tuple, set, frozenset) and len(value) > _MAX_PARTS:
        return f"{kind.__name__} of {count(len(value))}: {_parts(list(value)[:_MAX_PARTS] if kind in (set, frozenset) else value)}, …"
    if kind is dict and len(value) > _MAX_PARTS:
        first = dict(list(value.items())[:_MAX_PARTS])
        return f"dict of {count(len(value))}: {repr(first)[1:-1]}, …"
    return repr(value)


def _sizes(value: Any) -> str:
    """`182,411 × 91` for tables and arrays of any library."""
    shape = getattr(value, "shape", None)
    if shape and isinstance(shape, tuple) and all(isinstance(size, int) for size in shape):
        return " × ".join(count(size) for size in shape)
    return ""


def _parts(values: Sequence[Any] | Mapping[Any, Any]) -> str:
    return ", ".join(repr(value) for value in list(values)[:_MAX_PARTS])


def peek_class(item: Blob) -> str:
    """The class of a pickled object, read from its first bytes without unpacking it; empty if they do not tell."""
    words: list[str] = []
    try:
        for opcode, argument, _ in pickletools.genops(_head(item)):
            if opcode.name == "GLOBAL":
                return clean(str(argument).rpartition(" ")[2].rpartition(".")[2])
            if opcode.name == "STACK_GLOBAL" and words:
                return clean(words[-1].rpartition(".")[2])
            if isinstance(argument, str):
                words.append(argument)
    except Exception:  # noqa: BLE001, S110 - cut bytes end somewhere in an opcode; then nothing is known
        pass
    return ""


def _head(item: Blob) -> bytes:
    if isinstance(item, StoredBlob):
        with open(item.path, "rb") as file:  # noqa: PTH123 - the first bytes only
            return b"" if item.raw else file.read(_PEEK_BYTES)
    return item.data[:_PEEK_BYTES]


def amount(bytes_count: int) -> str:
    """A size: `812 B`, `3.4 KiB`, `24.0 MiB`."""
    for unit, name in _UNITS:
        if bytes_count >= unit:
            return f"{bytes_count / unit:,.1f} {name}"
    return f"{bytes_count} B"
