"""Decides which columns an action's output becomes.

Must not know: where the values come from, or what table they go into.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from flyte_nb.core.payloads import Blob, Item, unpack

#: A mapping is spread over columns while all of a run's have so many keys at most: `{"loss": ..., "auc": ...}` is a
#: row of a table, a count of words is a value.
MAX_SPREAD = 100

#: Types of items and values that are themselves, and have no parts.
_ATOMS = frozenset({type(None), bool, int, float, str, bytes})

Column = tuple[list[int], list[Any]]


class Unreadable:
    """Stands for a value that this kernel cannot unpack, such as one of a class that is no longer there."""

    __slots__ = ("reason",)

    def __init__(self, error: Exception) -> None:
        self.reason = f"{type(error).__name__}: {error}"

    def __repr__(self) -> str:
        return f"<cannot be read here: {self.reason}>"


class Unpacker:
    """Turns items into values; a blob that many actions share becomes one value, unpacked once."""

    def __init__(self) -> None:
        self._known: dict[int, Any] = {}
        self._kept: list[Blob] = []

    def __call__(self, item: Item) -> Any:
        """The value of an item."""
        if not isinstance(item, Blob):
            return item
        key = id(item)
        if key not in self._known:
            self._kept.append(item)  # an id is only unique while the object lives
            self._known[key] = _try_unpack(item)
        return self._known[key]

    def all(self, items: Sequence[Item]) -> Sequence[Any]:
        """The values of many items."""
        return items if _ATOMS.issuperset(map(type, items)) else [self(item) for item in items]


def _try_unpack(item: Item) -> Any:
    try:
        return unpack(item)
    except Exception as error:  # noqa: BLE001 - one unreadable value must not take the table away
        return Unreadable(error)


def fields_of(value: object) -> Mapping[str, Any] | None:
    """The named parts of a dict with names as keys, a dataclass, a pydantic model or a named tuple; None for anything else."""
    if isinstance(value, dict):
        return value if value and all(type(key) is str for key in value) else None
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name, None) for field in dataclasses.fields(value)}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return dict(zip(value._fields, value, strict=False))
    if (names := getattr(type(value), "model_fields", None)) and hasattr(value, "model_dump"):  # pydantic's, which is not imported for it
        return {name: getattr(value, name, None) for name in names}
    return None


def spread_outputs(values: Sequence[Any], declared: Sequence[tuple[str, ...]]) -> dict[str, Column]:
    """Columns of outputs, each as positions and the values there.

    Args:
        values: outputs.
        declared: the names of the outputs that each one's task declares.
    """
    if values and _ATOMS.issuperset(map(type, values)):
        return {"output": (list(range(len(values))), list(values))}
    rows = [_named(value, names) for value, names in zip(values, declared, strict=True)]
    if len({name for row in rows if row is not None for name in row}) > MAX_SPREAD:
        rows = [None] * len(rows)
    columns: dict[str, Column] = {}
    for position, (value, row) in enumerate(zip(values, rows, strict=True)):
        for name, part in row.items() if row is not None else (("output", value),):
            positions, parts = columns.setdefault(name, ([], []))
            positions.append(position)
            parts.append(part)
    return columns


def _named(value: Any, declared: tuple[str, ...]) -> Mapping[str, Any] | None:
    fields = fields_of(value)
    if fields is None and len(declared) > 1 and isinstance(value, tuple) and len(value) == len(declared):
        return dict(zip(declared, value, strict=True))
    return fields
