"""Decides how outputs are joined to a frame of inputs: which labels they get, and that rows stay where they are.

Must not know: where inputs and outputs come from.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from flyte_nb.views.frames import OUTPUTS, RESERVED, Objects
from flyte_nb.views.spread import Column, spread_outputs
from flyte_nb.views.textcolumns import sparse_text
from flyte_nb.views.wording import encodable


def join(frame: pd.DataFrame, outputs: Mapping[str, Column], phases: Objects, errors: dict[int, str]) -> pd.DataFrame:
    """The frame with more columns.

    Args:
        frame: the inputs; it is not changed.
        outputs: columns by name, each as positions of rows and the values there.
        phases: of each row.
        errors: reasons by the position of their rows.
    """
    joined = frame.copy(deep=False)
    if joined.columns.nlevels == 1 and any(label in RESERVED for label in joined.columns):
        joined.columns = pd.Index([f"input_{label}" if label in RESERVED else label for label in joined.columns])
    labels = _Labels(joined.columns)
    made: dict[Hashable, Any] = {}
    for name, (positions, values) in outputs.items():
        column = np.full(len(joined), np.nan, object)
        column[positions] = np.fromiter(values, object, len(values))
        made[labels.free(encodable(name))] = typed(column).array
    outputs_made = list(made)
    made[labels.exact("phase")] = phases
    made[labels.exact("error")] = sparse_text(errors, len(joined))
    for label, column in made.items():
        joined[label] = column
    joined.attrs[OUTPUTS] = outputs_made
    return joined


def spread(values: Objects, present: np.ndarray[Any, np.dtype[np.intp]], declared: tuple[str, ...]) -> dict[str, Column]:
    """Columns of outputs, by the positions of all rows.

    Args:
        values: an output for each row.
        present: positions of the rows that have one.
        declared: names of the outputs that the task declares.
    """
    parts = spread_outputs([values[position] for position in present], [declared] * len(present))
    return {name: (present[positions].tolist(), column) for name, (positions, column) in parts.items()}


def typed(values: Objects) -> pd.Series[Any]:
    """A column with the type of its values, where they have one in common and nothing is lost: not whole numbers and None, as floats."""
    kinds = set(map(type, values))
    if int in kinds and type(None) in kinds:
        return pd.Series(values, dtype=object)
    try:
        return pd.Series(values).infer_objects()
    except UnicodeEncodeError:  # text that is no Unicode stays as it is
        return pd.Series(values, dtype=object)


class _Labels:
    """Labels for columns that are joined to a frame's own."""

    def __init__(self, taken: pd.Index[Any]) -> None:
        self._taken = set(taken)
        self._levels = taken.nlevels

    def free(self, name: str) -> Hashable:
        """A label that no input has."""
        while self.exact(name) in self._taken or name in RESERVED:
            name = f"output_{name}"
        self._taken.add(self.exact(name))
        return self.exact(name)

    def exact(self, name: str) -> Hashable:
        """A name as a label; with several levels the others are empty."""
        return name if self._levels == 1 else (name, *[""] * (self._levels - 1))
