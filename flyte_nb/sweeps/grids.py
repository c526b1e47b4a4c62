"""Decides the rows of parameter tables: `grid` takes all combinations, `sample` draws.

Must not know: tasks.
"""

from __future__ import annotations

import enum
import itertools
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # pandas takes half a second to load, and `import flyte_nb` must not pay for it
    import pandas as pd

#: A grid that is larger is a mistake: no run has so many actions.
MOST_ROWS = 10_000_000


def grid(**values: Any) -> pd.DataFrame:  # noqa: ANN401 - values of any type
    """A table of all combinations, in the order of `itertools.product`: the last argument changes fastest.

    Args:
        values: for each column its values: any iterable (a list, a range, an array, a Series, an Enum class, a generator).
            What is no iterable, a text, bytes or a dict is one value.

    Returns:
        A row for each combination, columns in the order of the arguments. One argument without values makes no rows; no
        arguments make one row without columns.

    Raises:
        ValueError: it would have more than ten million rows.

    Example:
        >>> from flyte_nb import grid
        >>> grid(lr=[0.1, 0.01], depth=range(3, 5), model="gbm")
             lr  depth model
        0  0.10      3   gbm
        1  0.10      4   gbm
        2  0.01      3   gbm
        3  0.01      4   gbm
    """
    import pandas as pd  # noqa: PLC0415 - see above

    lists = {name: values_of(given) for name, given in values.items()}
    count = 1
    for each in lists.values():
        count *= len(each)
    if count > MOST_ROWS:
        sizes = " * ".join(f"{len(each):,} ({name})" for name, each in lists.items())
        raise ValueError(f"grid() would have {sizes} = {count:,} rows, more than {MOST_ROWS:,}: flyte.sample draws some of them.")
    rows = list(itertools.product(*lists.values()))
    columns = zip(*rows, strict=True) if rows else [()] * len(lists)
    made = {name: _column(list(column)) for name, column in zip(lists, columns, strict=True)}
    return pd.DataFrame(made, index=pd.RangeIndex(len(rows)))


def values_of(given: object) -> list[Any]:
    """The values of an argument: an iterable's items, or the one value that it is."""
    if isinstance(given, str | bytes | bytearray | Mapping) or not isinstance(given, Iterable):
        return [given]
    if isinstance(given, type):  # iterable classes are enums
        return list(given) if issubclass(given, enum.Enum) else [given]
    if getattr(given, "ndim", None) == 0:  # an array without dimensions
        return [given.item()]  # type: ignore[attr-defined]  # numpy's
    return list(given)


def _column(values: list[Any]) -> pd.Series[Any]:
    """A column with the type of its values; values that are lists or arrays stay what they are."""
    import numpy as np  # noqa: PLC0415 - it comes with pandas
    import pandas as pd  # noqa: PLC0415 - see above

    cells = np.empty(len(values), object)
    for position, value in enumerate(values):
        cells[position] = value
    return pd.Series(cells).infer_objects()
