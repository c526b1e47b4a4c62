"""Decides what a sweep calls: the frame that was given, as bound inputs, or as parts that are bound as they are read.

Must not know: runs.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from itertools import chain
from typing import Any

import pandas as pd

from flyte_nb.authoring.batches import Batch, BatchFan, BatchTask, checked_batch_size, checked_on_batch_error
from flyte_nb.authoring.fanout import SUBMIT_ROWS, checked_concurrency, group_of
from flyte_nb.authoring.task import Task
from flyte_nb.core.batching import Span
from flyte_nb.core.events import Inputs
from flyte_nb.core.sweep import Streamed
from flyte_nb.sweeps.plan import Options, Part, Plan
from flyte_nb.sweeps.rows import Rows
from flyte_nb.sweeps.sources import Stream, opened

#: The group of a sweep's actions is `<task>_frame`.
GROUP = "frame"
#: Of a stream, so many rows are read and have not ended, where no `concurrency` says how many; enough for many workers.
AHEAD_ROWS = 10_000
#: Batches of a stream that are read and have not ended, if they are large.
AHEAD_BATCHES = 32
#: A part of a stream that is larger is bound in slices.
SLICE_ROWS = 10_000


def planned(task: Task[..., Any], given: Any, options: Options) -> tuple[Plan, pd.DataFrame | Streamed]:
    """What is called, and what stands for the frame in the records.

    Raises:
        ValueError, TypeError, NotSerializableError: see `flyte.map_frame`.
        ImportError: a library is missing.
    """
    checked_concurrency(options.concurrency)
    checked_on_batch_error(options.on_batch_error)
    if options.batch_size is not None:
        checked_batch_size(options.batch_size)
    if isinstance(given, Streamed):
        if given.source is None:
            raise ValueError(
                f"This sweep mapped a stream ({given.kind}), which cannot be read again: pass it anew, as "
                "flyte.map_frame(task, stream, recover=run.name); what succeeded is taken over."
            )
        given = given.source
    frame = opened(given)
    return _of_stream(task, frame, options) if isinstance(frame, Stream) else _of_frame(task, frame, options)


def _rows(task: Task[..., Any], frame: pd.DataFrame, options: Options) -> Rows:
    return Rows(
        task,
        list(frame.columns),
        list(frame.index.names),
        rename=options.rename,
        bound=options.bound,
        batched=options.batch_size is not None,
    )


def _of_frame(task: Task[..., Any], frame: pd.DataFrame, options: Options) -> tuple[Plan, pd.DataFrame]:
    rows = _rows(task, frame, options)
    plan = Plan(task, group_of(task, options.group_name or GROUP), options.concurrency)
    if options.batch_size is None:
        plan.inputs = rows.inputs(frame)
    else:
        batches = rows.batches(frame, options.batch_size)
        for batch in batches[:1]:
            rows.pack(batch.values)  # what cannot travel is told here, where it was given
        plan.fan = _fan(task, rows, options, iter(batches))
    if options.keep is None:
        return plan, frame
    used = {match.label for match in rows.matches if not match.is_level}
    _check_kept(task, options.keep, list(frame.columns))
    return plan, frame.loc[:, [label in used or label in options.keep for label in frame.columns]]


def _fan(task: Task[..., Any], rows: Rows, options: Options, batches: Iterator[Batch], ahead: int = 0) -> BatchFan:
    return BatchFan(
        BatchTask.of(task, rows.batch_parameters[0]),
        batches,
        rows.pack,
        concurrency=options.concurrency,
        on_error=options.on_batch_error,
        ahead=ahead,
        keeps_results=False,
        is_open=bool(ahead),
    )


# ------------------------------------------------------------------ streams
def _of_stream(task: Task[..., Any], stream: Stream, options: Options) -> tuple[Plan, Streamed]:
    first = next(stream.chunks, None)
    chunks = stream.chunks if first is None else chain([first], stream.chunks)
    rows = _rows(task, first if first is not None else pd.DataFrame(columns=list(task.facts.parameters)), options)
    _check_kept(task, options.keep or (), [] if first is None else list(first.columns))
    if options.batch_size is None:
        fan = BatchFan(
            task,
            iter(()),
            lambda values: values,
            concurrency=options.concurrency,
            ahead=AHEAD_ROWS,
            at_once=SUBMIT_ROWS,
            keeps_results=False,
            is_open=True,
        )
    else:
        fan = _fan(task, rows, options, iter(()), ahead=max(AHEAD_BATCHES, AHEAD_ROWS // options.batch_size))
    parts = _parts(rows, chunks, options)
    head = next(parts, None)  # what does not fit in the first part is told here, where it was given
    plan = Plan(task, group_of(task, options.group_name or GROUP), options.concurrency)
    plan.fan, plan.parts = fan, parts if head is None else chain([head], parts)
    labels = {match.parameter: match.label for match in rows.matches}
    return plan, Streamed(stream.kind, labels, rows.frame_parameter, stream.source)


def _parts(rows: Rows, chunks: Iterator[pd.DataFrame], options: Options) -> Iterator[Part]:
    first = 0
    for chunk in chunks:
        for lo in range(0, len(chunk), SLICE_ROWS):
            some = chunk.iloc[lo : lo + SLICE_ROWS]
            yield Part(first, _bound(rows, some, options, first), _kept(some, options.keep, first), _shown(rows, some, options.keep))
            first += len(some)


def _bound(rows: Rows, some: pd.DataFrame, options: Options, first: int) -> list[Batch]:
    if options.batch_size is not None:
        return rows.batches(some, options.batch_size, first)
    inputs: list[Inputs] = rows.inputs(some, first)
    return [Batch(Span(first + place, 1), each) for place, each in enumerate(inputs)]


def _kept(some: pd.DataFrame, keep: tuple[Hashable, ...] | None, first: int) -> pd.DataFrame | None:
    """What the table of results needs beside the inputs: labels of the index that do not just count, and columns to keep."""
    counts = some.index.nlevels == 1 and some.index.name is None and some.index.equals(pd.RangeIndex(first, first + len(some)))
    is_default = isinstance(some.index, pd.RangeIndex) and some.index.name is None
    kept = some.loc[:, [label in (keep or ()) for label in some.columns]]
    if is_default or counts:
        return None if not len(kept.columns) else kept.set_axis(pd.RangeIndex(first, first + len(some)))
    return kept


def _shown(rows: Rows, some: pd.DataFrame, keep: tuple[Hashable, ...] | None) -> pd.DataFrame:
    """The columns that became inputs, and those to keep."""
    if rows.frame_parameter:
        return some
    used = {match.label for match in rows.matches}
    return some.loc[:, [label in used or label in (keep or ()) for label in some.columns]]


def _check_kept(task: Task[..., Any], keep: tuple[Hashable, ...] | None, columns: list[Hashable]) -> None:
    for label in keep or ():
        if columns and label not in columns:
            raise ValueError(f"map_frame({task.name}, keep=...): the frame has no column {label!r}; its columns are {columns}.")
