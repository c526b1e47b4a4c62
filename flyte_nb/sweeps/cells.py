"""Decides what the values of one column of a parameter table are.

Must not know: how columns are combined or drawn.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # pandas takes half a second to load, and `import flyte_nb` must not pay for it
    import pandas as pd


def values_of(given: object) -> list[Any]:
    """The values of an argument: an iterable's items, or the one value that it is."""
    if isinstance(given, str | bytes | bytearray | Mapping) or not isinstance(given, Iterable):
        return [given]
    if isinstance(given, type):  # iterable classes are enums
        return list(given) if issubclass(given, enum.Enum) else [given]
    if getattr(given, "ndim", None) == 0:  # an array without dimensions
        return [given.item()]  # type: ignore[attr-defined]  # numpy's
    return list(given)


def column_of(values: Sequence[Any]) -> pd.Series[Any]:
    """A column with the type of its values; values that are lists or arrays stay what they are."""
    import numpy as np  # noqa: PLC0415 - it comes with pandas

    from flyte_nb.views.joining import typed  # noqa: PLC0415 - it needs pandas

    cells = np.empty(len(values), object)
    for position, value in enumerate(values):
        cells[position] = value
    return typed(cells)
