"""Decides what `flyte.map_frame` is inside of a task: calls of the running action, and a handle that reads like a run's.

It has ended when the caller gets it: what follows in a task's body is the next step, as after `flyte.map`.

Must not know: how rows are bound, or runs.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Generator, Iterator
from contextlib import aclosing
from typing import Any

import numpy as np
import pandas as pd

from flyte_nb import errors
from flyte_nb.authoring.batches import BatchFan
from flyte_nb.authoring.fanout import SUBMIT_ROWS
from flyte_nb.authoring.outcomes import error_of
from flyte_nb.core.current import Frame
from flyte_nb.core.failure import Failure
from flyte_nb.core.payloads import unpack
from flyte_nb.core.phases import ActionPhase
from flyte_nb.core.sweep import Streamed
from flyte_nb.sweeps.plan import Part, Plan
from flyte_nb.syncify import with_aio
from flyte_nb.views.exploding import ResultsFrame
from flyte_nb.views.joining import join, spread

Outcome = tuple[bool, Any]


class SweepWithin:
    """A sweep that a task made: its results, and of a run's handle what makes sense of it.

    Attributes:
        results: the frame with the outputs joined, as `run.results` has it; a DataFrame that does not change any more.
        errors: what failed: exceptions by the position of their row.
    """

    def __init__(self, results: ResultsFrame, failures: dict[int, Exception]) -> None:
        self.results = results
        self.errors = failures

    def done(self) -> bool:
        """Yes."""
        return True

    @with_aio
    def wait(self, /, *_: object, **__: object) -> None:
        """Nothing to wait for: so code reads the same inside of a task and outside."""

    @with_aio
    def raise_for_status(self, /) -> None:
        """Nothing: rows that fail do not fail the sweep."""

    def __await__(self) -> Generator[None, None, SweepWithin]:
        """Itself."""
        yield from ()
        return self

    def __repr__(self) -> str:
        return f"<sweep of {len(self.results)} rows, {len(self.errors)} failed>"


def swept(plan: Plan, frame: pd.DataFrame | Streamed, here: Frame) -> SweepWithin:
    """Make the calls, and wait for them in this thread."""
    seen: list[pd.DataFrame] = []
    outcomes = list(_rows(plan, here) if plan.fan is None else _batches(plan.fan, plan.parts, seen, plan.group, here))
    return _handle(plan, frame, seen, outcomes)


async def swept_async(plan: Plan, frame: pd.DataFrame | Streamed, here: Frame) -> SweepWithin:
    """Make the calls, and wait for them on the running loop."""
    seen: list[pd.DataFrame] = []
    made = _rows_async(plan, here) if plan.fan is None else _batches_async(plan.fan, plan.parts, seen, plan.group, here)
    async with aclosing(made) as outcomes:  # type: ignore[type-var]  # both are generators
        found = [outcome async for outcome in outcomes]
    return _handle(plan, frame, seen, found)


def _handle(plan: Plan, frame: pd.DataFrame | Streamed, seen: list[pd.DataFrame], outcomes: list[Outcome]) -> SweepWithin:
    inputs = frame if isinstance(frame, pd.DataFrame) else pd.concat(seen) if seen else pd.DataFrame()
    if isinstance(frame, Streamed) and all(isinstance(each.index, pd.RangeIndex) for each in seen):
        inputs = inputs.set_axis(pd.RangeIndex(len(inputs)))
    values = np.empty(len(outcomes), object)
    for position, (_succeeded, value) in enumerate(outcomes):
        values[position] = value
    good = np.array([succeeded for succeeded, _ in outcomes], bool)
    failures = {position: value for position, (succeeded, value) in enumerate(outcomes) if not succeeded}
    phases = np.full(len(outcomes), ActionPhase.SUCCEEDED.value, object)
    for position, error in failures.items():
        phases[position] = _phase(error).value
    declared = plan.task.facts.outputs if plan.fan is None or not plan.fan.is_batched else ()
    columns = spread(values, np.flatnonzero(good), declared)
    return SweepWithin(
        ResultsFrame(join(inputs, columns, phases, {place: _headline(error) for place, error in failures.items()})), failures
    )


def _phase(error: Exception) -> ActionPhase:
    if isinstance(error, errors.ActionAbortedError):
        return ActionPhase.ABORTED
    return ActionPhase.TIMED_OUT if isinstance(error, errors.TaskTimeoutError) else ActionPhase.FAILED


def _headline(error: Exception) -> str:
    code = str(getattr(error, "code", "") or type(error).__name__)
    lines = str(error).strip().splitlines()
    return f"{code}: {lines[0]}" if lines else code


# ------------------------------------------------------------------ rows that are all at hand
class _RowCalls:
    """A call for each row."""

    def __init__(self, plan: Plan, here: Frame) -> None:
        self.stream = here.submitter.stream(plan.task, here.with_group(plan.group), plan.concurrency)
        inputs = plan.inputs or []
        self.count = len(inputs)
        for start in range(0, self.count, SUBMIT_ROWS):
            self.stream.submit(inputs[start : start + SUBMIT_ROWS])

    def outcome(self, position: int) -> Outcome:
        """What became of a row that has ended."""
        _ok, item, where = self.stream.result(position)
        return (False, error_of(item, where)) if isinstance(item, Failure) else (True, unpack(item))


def _rows(plan: Plan, here: Frame) -> Iterator[Outcome]:
    calls = _RowCalls(plan, here)
    try:
        for position in range(calls.count):
            calls.stream.wait_result(position)
            yield calls.outcome(position)
    finally:
        calls.stream.close()


async def _rows_async(plan: Plan, here: Frame) -> AsyncIterator[Outcome]:
    calls = _RowCalls(plan, here)
    try:
        for position in range(calls.count):
            await calls.stream.wait_result_async(position)
            yield calls.outcome(position)
    finally:
        calls.stream.close()


# ------------------------------------------------------------------ batches, and what is read little by little
def _batches(fan: BatchFan, parts: Iterator[Part] | None, seen: list[pd.DataFrame], group: str, here: Frame) -> Iterator[Outcome]:
    fan.keeps_results = True
    fan.open(here, group)
    try:
        while not fan.done:
            ended = fan.pump()
            if fan.is_hungry:
                _take(fan, next(parts or iter(()), None), seen)
            elif not fan.done:
                fan.stream.wait_ended(ended)
            yield from fan.outcomes()
        yield from fan.outcomes()
    finally:
        fan.stream.close()


async def _batches_async(
    fan: BatchFan, parts: Iterator[Part] | None, seen: list[pd.DataFrame], group: str, here: Frame
) -> AsyncIterator[Outcome]:
    fan.keeps_results = True
    fan.open(here, group)
    try:
        while not fan.done:
            ended = fan.pump()
            if fan.is_hungry:
                _take(fan, await asyncio.to_thread(next, parts or iter(()), None), seen)
            elif not fan.done:
                await fan.stream.wait_ended_async(ended)
            for outcome in fan.outcomes():
                yield outcome
        for outcome in fan.outcomes():
            yield outcome
    finally:
        fan.stream.close()


def _take(fan: BatchFan, part: Part | None, seen: list[pd.DataFrame]) -> None:
    if part is None:
        fan.finish()
        return
    seen.append(part.rows)
    fan.feed(iter(part.batches))
