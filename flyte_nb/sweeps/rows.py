"""Decides what the rows of a DataFrame are as inputs of a task: matched, converted, bound; or why they cannot be.

All of a frame is looked at before anything is started. Must not know: how the calls are made.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import pandas as pd

from flyte_nb.authoring.batches import Batch
from flyte_nb.authoring.gathering import gather_for, is_batch, is_frame, item_annotation, kind_of
from flyte_nb.authoring.signature import Parameter
from flyte_nb.authoring.task import Task
from flyte_nb.core.batching import Span, spans_of
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
        batched: rows travel in batches: a parameter that takes a frame gets the rows as they are, the others lists.

    Raises:
        ValueError: see `match_columns`; with `batched`, no parameter takes anything of the frame.
        TypeError: with `batched`, a parameter with a column holds one value, or several take frames.
    """

    def __init__(
        self,
        task: Task[..., Any],
        columns: Sequence[Hashable],
        levels: Sequence[Hashable] = (),
        *,
        rename: Mapping[Hashable, str] | None = None,
        bound: Mapping[str, object] | None = None,
        batched: bool = False,
    ) -> None:
        self.task = task
        self.bound = dict(bound or {})
        self.rename = dict(rename or {})
        self._annotations = {parameter.name: parameter.annotation for parameter in task.signature.parameters}
        self.frame_parameter = self._frame_parameter() if batched else ""
        aside = [self.frame_parameter, *self._single()] if self.frame_parameter else []
        known = (*self.bound, self.frame_parameter) if self.frame_parameter and self.frame_parameter not in columns else (*self.bound,)
        self.matches = match_columns(
            task.signature, Offered(columns, levels), rename, known, aside=aside, renames_frame=bool(self.frame_parameter)
        )
        if batched:
            self._gathers = {match.parameter: gather_for(self._parameter(match.parameter), task.name) for match in self.matches}
            self._check_batched()
            self._annotations |= {name: item_annotation(self._annotations[name]) for name in self._gathers}
        self._converters = {match.parameter: Converter(self._annotations[match.parameter]) for match in self.matches}

    @property
    def batch_parameters(self) -> tuple[str, ...]:
        """The parameters that take a part of a batch; the first one tells how many items there are."""
        return (*([self.frame_parameter] if self.frame_parameter else []), *(match.parameter for match in self.matches))

    def _parameter(self, name: str) -> Parameter:
        return next(parameter for parameter in self.task.signature.parameters if parameter.name == name)

    def _frame_parameter(self) -> str:
        frames = [name for name, annotation in self._annotations.items() if name not in self.bound and is_frame(annotation)]
        if len(frames) > 1:
            raise TypeError(f"map_frame({self.task.name}, batch_size=...): {' and '.join(frames)} take frames; only one parameter can.")
        return frames[0] if frames else ""

    def _single(self) -> list[str]:
        """Parameters that hold one value: beside one that takes the frame, their columns are the frame's."""
        return [name for name, annotation in self._annotations.items() if not is_batch(annotation)]

    def _check_batched(self) -> None:
        if not self.batch_parameters:
            raise ValueError(
                f"map_frame({self.task.name}, batch_size=...): no parameter takes a column of the frame: name one list[...] after its "
                "column, or declare one as a DataFrame."
            )

    def batches(self, frame: pd.DataFrame, size: int, start: int = 0) -> list[Batch]:
        """Rows as batches, in their order.

        Raises:
            TypeError: as of `values`.
        """
        columns = self.values(frame, start)
        made = []
        for span in spans_of(len(frame), size):
            rows = slice(span.start, span.start + span.count)
            lists = [self._gathers[match.parameter](columns[match.parameter][rows]) for match in self.matches]
            frames = [self._part(frame.iloc[rows])] if self.frame_parameter else []
            made.append(Batch(Span(start + span.start, span.count), (*frames, *lists)))
        return made

    def _part(self, rows: pd.DataFrame) -> Any:
        """Rows as the frame that the task declares."""
        renamed = rows.rename(columns=self.rename) if self.rename else rows
        library = kind_of(self._annotations[self.frame_parameter])[0]
        if library == "polars":
            return importlib.import_module("polars").DataFrame(renamed.to_dict("list"))
        if library == "pyarrow":
            return importlib.import_module("pyarrow").Table.from_pandas(renamed, preserve_index=False)
        return renamed

    def pack(self, values: tuple[Any, ...]) -> Inputs:
        """The inputs of a call of a batch's values."""
        return self.task.pack_inputs((), {**self.bound, **dict(zip(self.batch_parameters, values, strict=True))})

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
