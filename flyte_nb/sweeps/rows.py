"""Decides what the rows of a DataFrame are as inputs of a task: matched, converted, bound; or why they cannot be.

All of a frame is looked at before anything is started. Must not know: how the calls are made.
"""

from __future__ import annotations

import inspect
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import pandas as pd

from flyte_nb.authoring.task import Task
from flyte_nb.core.events import Inputs
from flyte_nb.core.payloads import SCALARS
from flyte_nb.sweeps.converting import Converter, Misfit, value_words
from flyte_nb.sweeps.matching import Match, Offered, match_columns

#: Values that do not fit and are named one by one; of the rest only the number is told.
_NAMED = 5


class Rows:
    """How rows of frames with the same columns become calls of a task.

    Args:
        task: what is called.
        columns: labels of the frame's columns.
        levels: names of its index's levels.
        rename: parameters by column.
        bound: values of parameters that are the same for all rows.

    Raises:
        ValueError: see `match_columns`.
    """

    def __init__(
        self,
        task: Task[..., Any],
        columns: Sequence[Hashable],
        levels: Sequence[Hashable] = (),
        rename: Mapping[Hashable, str] | None = None,
        bound: Mapping[str, object] | None = None,
    ) -> None:
        self.task = task
        self.bound = dict(bound or {})
        self.matches = match_columns(task.signature, Offered(columns, levels), rename, tuple(self.bound))
        self._annotations = {parameter.name: parameter.annotation for parameter in task.signature.parameters}
        self._converters = {match.parameter: Converter(self._annotations[match.parameter]) for match in self.matches}

    def values(self, frame: pd.DataFrame, start: int = 0) -> dict[str, list[object]]:
        """The values of each parameter that takes a column, row by row.

        Args:
            frame: rows.
            start: position of the first of them in all that is mapped, for messages.

        Raises:
            TypeError: values do not fit; it names their rows, columns and reasons.
        """
        values: dict[str, list[object]] = {}
        refused: list[tuple[Match, Misfit]] = []
        for match in self.matches:
            column = column_of(frame, match)
            values[match.parameter], misfits = self._converters[match.parameter].column(column)
            refused += [(match, misfit) for misfit in misfits]
        if refused:
            raise TypeError(self._refusal(frame, refused, start))
        return values

    def inputs(self, frame: pd.DataFrame, start: int = 0) -> list[Inputs]:
        """The inputs of a call for each row.

        Raises:
            TypeError: as of `values`.
            NotSerializableError: a value cannot be pickled.
        """
        columns = {**{name: [value] * len(frame) for name, value in self.bound.items()}, **self.values(frame, start)}
        by_position = self._leading(columns, len(frame))
        by_name = {name: values for name, values in columns.items() if name not in by_position}
        rows = zip(*by_position.values(), strict=True) if by_position else [()] * len(frame)
        pack = self.task.pack_inputs
        if not by_name:
            return [pack(row, {}) for row in rows]
        names = list(by_name)
        named = zip(*by_name.values(), strict=True)
        return [pack(row, dict(zip(names, each, strict=True))) for row, each in zip(rows, named, strict=True)]

    def _leading(self, columns: Mapping[str, list[object]], count: int) -> dict[str, list[object]]:
        """Columns that can be given by position, which is faster: the first ones, defaults that are scalars filled in."""
        leading: dict[str, list[object]] = {}
        left = len(columns)
        for parameter in self.task.signature.parameters:
            if not left:
                break
            if parameter.name in columns:
                leading[parameter.name] = columns[parameter.name]
                left -= 1
            elif type(parameter.default) in SCALARS:
                leading[parameter.name] = [parameter.default] * count
            else:
                break
        return leading

    def _refusal(self, frame: pd.DataFrame, refused: Sequence[tuple[Match, Misfit]], start: int) -> str:
        lines = []
        for match, misfit in refused[:_NAMED]:
            wanted = inspect.formatannotation(self._annotations[match.parameter])
            where = f"row {frame.index[misfit.position]!r} (the {ordinal(start + misfit.position)}), column {match.label!r}"
            lines.append(f"  {where}, parameter {match.parameter}: {wanted}, got {value_words(misfit.value)}: {misfit.reason}")
        more = len(refused) - len(lines)
        lines += [f"  and {more:,} more"] if more else []
        what = "a value that does not fit its parameter" if len(refused) == 1 else f"{len(refused):,} values that do not fit"
        head = (
            f"map_frame({self.task.name}): the frame has {what}; {'nothing was started' if not start else 'the rows before were started'}."
        )
        return "\n".join([head, *lines])


def column_of(frame: pd.DataFrame, match: Match) -> pd.Series[Any]:
    """The column, or the index level, that a parameter takes."""
    if match.is_level:
        return frame.index.get_level_values(match.label).to_series(index=frame.index)  # type: ignore[arg-type]  # any label
    column: pd.Series[Any] = frame[match.label]
    return column


def ordinal(position: int) -> str:
    """A position, counted from 1, in a message: "1st", "22nd"."""
    number = position + 1
    ending = "th" if number % 100 in {11, 12, 13} else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number:,}{ending}"
