"""Decides how columns of text are made for tables: by whole arrays, where pandas keeps text as Arrow does.

Older versions of pandas, and those without pyarrow, get columns of objects: the same values, a little slower.

Must not know: which columns a table has.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from flyte_nb.views.columns import Numbers
from flyte_nb.views.wording import encodable

#: From this version of pandas on `str` is a dtype with missing values; before, it would write "None".
_PANDAS_WITH_TEXT = 3


def text_of(words: Sequence[str], ids: Numbers) -> Any:
    """A column of words, given their positions among some."""
    known = [encodable(word) for word in words]
    arrow = _arrow()
    if arrow is None:
        return np.array(known, object)[ids]
    return _as_column(arrow.array(known, arrow.large_string()).take(arrow.array(ids.astype(np.int64))))


def ascii_text(names: np.ndarray[Any, np.dtype[np.bytes_]], *, missing: int = 0) -> Any:
    """A column of ASCII; the first `missing` rows have none."""
    arrow = _arrow()
    if arrow is None:
        column = names.astype(str).astype(object)
        column[:missing] = None
        return _with_missing(column)
    mask = np.zeros(len(names), bool)
    mask[:missing] = True
    return _as_column(arrow.array(names, mask=mask).cast(arrow.large_string()))


def sparse_text(texts: dict[int, str], count: int) -> Any:
    """A column of text that is missing in most rows; it is text also where all of it is missing."""
    column = np.full(count, None, object)
    for position, text in texts.items():
        column[position] = text
    return _with_missing(column)


def _with_missing(column: np.ndarray[Any, np.dtype[np.object_]]) -> Any:
    import pandas as pd  # noqa: PLC0415 - it takes half a second to load

    return pd.array(column, dtype="str" if _has_text() else object)  # type: ignore[arg-type]  # two versions of pandas


def _has_text() -> bool:
    import pandas as pd  # noqa: PLC0415 - see above

    return int(pd.__version__.partition(".")[0]) >= _PANDAS_WITH_TEXT


def _arrow() -> Any:
    """pyarrow, if pandas keeps text with it."""
    if not _has_text():
        return None
    try:
        import pyarrow as pa  # noqa: PLC0415 - there may be none
    except ImportError:
        return None
    return pa


def _as_column(made: Any) -> Any:
    import pandas as pd  # noqa: PLC0415 - see above

    kind: Any = pd.arrays.ArrowStringArray  # pandas' stubs are of the version before
    return kind(made, dtype=pd.StringDtype("pyarrow", na_value=np.nan))
