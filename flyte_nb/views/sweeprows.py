"""Decides which action of a sweep holds which rows of its frame, and what became of each row.

Without batches the calls of the root are the rows in their order. With batches each call holds adjacent rows; where the
halves of failed batches are called again, `core.batching.split_spans` says what they hold, from what failed.

Must not know: frames, or how a table is made of this.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from flyte_nb.core.batching import SPLIT_SUFFIX, Span, results_of_batch, spans_of, split_spans
from flyte_nb.core.phases import CODE, PHASES, ActionPhase
from flyte_nb.core.state import RunState
from flyte_nb.core.sweep import KEPT_ROWS
from flyte_nb.views.columns import Columns, Numbers, ReadRun, lookup
from flyte_nb.views.frames import HAS_OUTPUT, Objects, Results, results_of
from flyte_nb.views.joining import spread
from flyte_nb.views.spread import Column, Unpacker

_FAILED = lookup(tuple(CODE[phase] for phase in (ActionPhase.FAILED, ActionPhase.TIMED_OUT)))
#: Rows whose inputs are copied while the run stands still.
_ROWS_AT_A_TIME = 10_000
_WORDS = np.array([phase.value for phase in PHASES], object)


@dataclass(slots=True)
class Called:
    """Actions of a sweep, and the rows that each holds.

    Attributes:
        rows: the actions.
        results: their outputs, phases and errors.
        spans: what they hold; None if each holds one row, in order.
    """

    rows: Numbers
    results: Results
    spans: list[Span] | None = None


@dataclass(slots=True)
class SweepRows:
    """What became of the rows of a sweep's frame.

    Attributes:
        run: the sweep.
        whole: calls of rows, or of batches.
        parts: calls of parts of batches that failed.
        steps: steps of the root that keep what is no input.
        is_over: no more is to come.
        splits: the halves of failed batches are called again.
        reason: why rows that were not called never will be, once it is over.
    """

    run: ReadRun
    whole: Called
    parts: Called
    steps: Numbers
    is_over: bool
    splits: bool = False
    reason: str = ""
    _unpack: Unpacker = field(default_factory=Unpacker)

    @property
    def count(self) -> int:
        """Rows that were called."""
        spans = self.whole.spans
        return len(self.whole.rows) if spans is None else sum(span.count for span in spans)

    def outputs(self, count: int) -> dict[str, Column]:
        """Columns of outputs, each as positions of rows and the values there."""
        values = np.empty(count, object)
        has_value = np.zeros(count, bool)
        columns: dict[str, Column] = {}
        for called in (self.whole, self.parts):
            ended = np.flatnonzero(np.isin(called.results.phases, HAS_OUTPUT))
            unpacked = self._unpack.all([called.results.outputs[position] for position in ended.tolist()])
            if called.spans is None:
                ended = ended[ended < count]
                values[ended], has_value[ended] = np.fromiter(unpacked[: len(ended)], object, len(ended)), True
                continue
            for position, value in zip(ended.tolist(), unpacked, strict=True):
                span = called.spans[position]
                stop = min(span.start + span.count, count)
                if _columns_of(value, span, stop, columns):
                    continue
                results = results_of_batch(value) or []
                if len(results) == span.count:
                    values[span.start : stop] = np.fromiter(results[: stop - span.start], object, stop - span.start)
                    has_value[span.start : stop] = True
        tasks = self.whole.results.tasks
        declared = tasks[self.whole.results.task_ids[0]].outputs if len(self.whole.rows) and self.whole.spans is None else ()
        for name, (positions, parts) in spread(values, np.flatnonzero(has_value), declared).items():
            known = columns.setdefault(name, ([], []))
            known[0].extend(positions)
            known[1].extend(parts)
        return columns

    def phases(self, count: int) -> Objects:
        """The phase of each row, as a word: that of the call which held it last."""
        phases = np.full(count, (ActionPhase.ABORTED if self.is_over else ActionPhase.QUEUED).value, object)
        for called in (self.whole, self.parts):
            words = _WORDS[called.results.phases]
            if called.spans is None:
                phases[: len(words)] = words[:count]
                continue
            for position, span in enumerate(called.spans):
                phases[span.start : span.start + span.count] = self._phase(called, position, span, words[position])
        return phases

    def _phase(self, called: Called, position: int, span: Span, word: str) -> str:
        return ActionPhase.QUEUED.value if self._is_tried_again(called, position, span) else word

    def _is_tried_again(self, called: Called, position: int, span: Span) -> bool:
        """Whether the rows of a call that failed are called once more."""
        return self.splits and not self.is_over and span.count > 1 and bool(_FAILED[called.results.phases[position]])

    def errors(self, count: int) -> dict[int, str]:
        """The reasons of rows that failed, by position."""
        errors: dict[int, str] = dict.fromkeys(range(self.count, count), self.reason) if self.is_over else {}
        for called in (self.whole, self.parts):
            if called.spans is None:
                errors |= {position: text for position, text in called.results.errors.items() if position < count}
                continue
            for position, span in enumerate(called.spans):
                text = called.results.errors.get(position)
                for row in range(span.start, min(span.start + span.count, count)):
                    errors.pop(row, None)
                    if text is not None and not self._is_tried_again(called, position, span):
                        errors[row] = text
                errors |= self._miscounted(called, position, span, count)
        return errors

    def _miscounted(self, called: Called, position: int, span: Span, count: int) -> dict[int, str]:
        """The rows of a call that gave another number of results: an earlier result from the cache can."""
        if called.results.phases[position] not in HAS_OUTPUT:
            return {}
        results = results_of_batch(self._unpack(called.results.outputs[position]))
        if results is not None and len(results) == span.count:
            return {}
        text = f"BatchSizeError: {0 if results is None else len(results)} results for a batch of {span.count} rows"
        return dict.fromkeys(range(span.start, min(span.start + span.count, count)), text)

    def inputs(self, name: str, *, by_item: bool = True) -> Iterator[Any]:
        """The values of a parameter: by row, or by call."""
        for value in _values(self.run, self.whole, name, self._unpack):
            if self.whole.spans is None or not by_item:
                yield value
            else:
                yield from value

    def kept(self) -> Iterator[tuple[int, Any]]:
        """What was kept beside inputs: the position of the first row, and a frame; in order."""
        steps = self.run.read(lambda state: [(state.inputs(row)[0], state.output(row)) for row in self.steps.tolist()])
        for first, item in sorted(steps, key=lambda step: int(step[0])):  # type: ignore[arg-type]  # a number
            yield int(first), self._unpack(item)  # type: ignore[arg-type]  # as above


def _columns_of(value: Any, span: Span, stop: int, columns: dict[str, Column]) -> bool:
    """The rows of a frame of pandas, by whole columns: its rows as dicts would take ten times as long."""
    if not hasattr(value, "iloc") or not hasattr(value, "columns") or len(value) != span.count:
        return False
    if not all(isinstance(name, str) for name in value.columns) or not value.columns.is_unique:
        return False
    for name in value.columns:
        positions, parts = columns.setdefault(name, ([], []))
        positions.extend(range(span.start, stop))
        parts.extend(value[name].tolist()[: stop - span.start])
    return True


def called_rows(
    run: ReadRun, count: int | None, batch_size: int | None, *, splits: bool, counted: str = "", limit: int | None = None
) -> SweepRows:
    """What the root of a sweep called.

    Args:
        run: the sweep.
        count: rows of its frame; None if it is a stream.
        batch_size: most rows of a call; None if there is a call for each.
        splits: whether the halves of failed batches are called again.
        counted: of a stream in batches, the parameter whose length is the number of rows of a call.
        limit: only so many rows are wanted, from the first on.
    """
    columns = Columns(run)
    few = limit is not None and batch_size is None
    children = run.read(lambda state: _first_children(state, limit if few else None))
    columns.refresh(int(children[-1]) + 1 if few and len(children) else None)
    if len(children) and children[-1] >= columns.count:
        children = children[children < columns.count]
    tasks = columns.node_tasks[columns.node_ids[children]]
    is_step = np.array([task.name == KEPT_ROWS.name and task.kind == "trace" for task in columns.tasks], bool)[tasks]
    is_call = np.array([task.kind == "task" for task in columns.tasks], bool)[tasks]
    is_part = np.array([group.endswith(SPLIT_SUFFIX) for group in columns.groups], bool)[columns.node_groups[columns.node_ids[children]]]
    whole = Called(*_with_results(run, columns, children[is_call & ~is_part] if batch_size is not None else children[is_call]))
    parts = Called(*_with_results(run, columns, children[is_call & is_part] if batch_size is not None else children[:0]), spans=[])
    if batch_size is not None:
        whole.spans = spans_of(count, batch_size)[: len(whole.rows)] if count is not None else _measured(run, whole, counted)
        failed = _FAILED[whole.results.phases].tolist()
        parts.spans = split_spans(list(zip(whole.spans, failed, strict=True)), _FAILED[parts.results.phases].tolist()) if splits else []
    reason = run.read(lambda state: state.abort_reason(0)) or "the run ended before this row was called"
    return SweepRows(run, whole, parts, children[is_step], is_over=columns.ended_at is not None, splits=splits, reason=reason)


def _with_results(run: ReadRun, columns: Columns, rows: Numbers) -> tuple[Numbers, Results]:
    return rows, results_of(run, columns, rows)


def _first_children(state: RunState, limit: int | None) -> Numbers:
    """What the root called: all, or the calls of the first so many rows, and the steps among them."""
    ranges = state.children.get(0, ())
    if limit is None:
        return np.concatenate([np.arange(rows.start, rows.stop) for rows in ranges]) if ranges else np.empty(0, np.int64)
    found: list[int] = []
    calls = (row for rows in ranges for row in rows)
    wanted = limit
    for row in calls:
        if not wanted:
            break
        found.append(row)
        wanted -= state.task_of(row).kind == "task"
    return np.array(found, np.int64)


def _measured(run: ReadRun, called: Called, counted: str) -> list[Span]:
    """What the batches of a stream hold, from their inputs."""
    spans: list[Span] = []
    start = 0
    for value in _values(run, called, counted, Unpacker()):
        spans.append(Span(start, len(value)))
        start += len(value)
    return spans


def _values(run: ReadRun, called: Called, name: str, unpack: Unpacker) -> Iterator[Any]:
    """The values of a parameter, by call."""
    for lo in range(0, len(called.rows), _ROWS_AT_A_TIME):
        rows = called.rows[lo : lo + _ROWS_AT_A_TIME].tolist()
        items = run.read(lambda state, rows=rows: [state.inputs(row) for row in rows])  # type: ignore[misc]  # rows is bound
        place = called.results.tasks[called.results.task_ids[0]].parameters.index(name)
        for each in items:
            yield unpack(each[place])
