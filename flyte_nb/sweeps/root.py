"""Decides what the root of a sweep is: an async driver in the kernel that calls the task once for each row, or batch.

What was mapped are the root's inputs, so a sweep is reopened, repeated and recovered like any other run: the root binds
the rows anew. The first time they are bound already, by `flyte.map_frame`, which refuses them in the cell; `Plan` hands
them over in memory.

Must not know: pandas, before a frame has to be bound; how results become a table.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Self

from flyte_nb import errors
from flyte_nb.authoring.batches import BatchFan, checked_on_batch_error
from flyte_nb.authoring.definitions import definition_now
from flyte_nb.authoring.environment import TaskEnvironment
from flyte_nb.authoring.fanout import SUBMIT_ROWS
from flyte_nb.authoring.task import Task
from flyte_nb.core.current import CURRENT, Frame, Step
from flyte_nb.core.events import Inputs, TaskFacts
from flyte_nb.core.payloads import Blob, pack
from flyte_nb.core.sweep import KEPT_ROWS
from flyte_nb.sweeps.plan import Options, Part, Plan

#: A task is kept with the sweep for a kernel that does not define it, unless it takes more than this.
MOST_BYTES_OF_TASK = 4 * 1024 * 1024

_environment = TaskEnvironment("sweeps")


@dataclass(frozen=True, slots=True)
class TaskReference:
    """A task as an input of a sweep: what its name stands for when it is asked for, else the code that it had.

    Attributes:
        facts: which task.
        code: the pickled task; empty if it could not be had.
    """

    facts: TaskFacts
    code: bytes = b""

    @classmethod
    def to(cls, task: Task[..., Any]) -> Self:
        """The reference to a task."""
        facts = task.current_facts(MOST_BYTES_OF_TASK)
        return cls(facts, task.kept(facts.version, MOST_BYTES_OF_TASK))

    def task(self) -> Task[..., Any]:
        """The task.

        Raises:
            TaskNotDefinedError: it is not defined here, and its code was not kept.
        """
        found: object = definition_now(self.facts)
        if found is None and self.code:
            found = Blob(self.code).value()
        if not isinstance(found, Task):
            raise errors.TaskNotDefinedError(self.facts.name, "", self.facts.place.partition(":")[2])
        return found

    def __repr__(self) -> str:
        return f"<task {self.facts.name}>"


class SweepTask(Task[..., Any]):
    """The root of one sweep, with the plan of its first run; pickled or run again, it is the plain root without one."""

    _plan: Plan | None = None

    @classmethod
    def around(cls, plan: Plan) -> SweepTask:
        """The root that carries out a plan."""
        root = _environment.task(short_name=f"map_frame-{plan.task.short_name}")(map_frame)
        made = object.__new__(cls)
        made.__dict__.update(root.__dict__)
        made._plan = plan
        return made

    def invoke(self, items: Inputs) -> object:
        """Carry out the plan, once; without one, make it from the inputs."""
        plan, self._plan = self._plan, None
        return super().invoke(items) if plan is None else carry_out(plan)

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_plan": None}


async def map_frame(  # noqa: PLR0913, PLR0917 - what `flyte.map_frame` may be told, by its names
    task: Any,
    frame: Any,
    rename: Any,
    bound: Any,
    concurrency: int,
    group_name: str | None,
    batch_size: int | None,
    on_batch_error: str,
    keep: Any,
) -> None:
    """The root of a sweep that is run again: `flyte.rerun(name, recover=True)`, or with another frame.

    Args:
        task: what is called.
        frame: the parameters, a row a call; or what stands for a stream of them.
        rename: as of `flyte.map_frame`, as are the others.
        bound: values of parameters that are the same for all rows.
        concurrency: see there.
        group_name: see there.
        batch_size: see there.
        on_batch_error: see there.
        keep: see there.
    """
    from flyte_nb.sweeps.planning import planned  # noqa: PLC0415 - it needs pandas

    target = task.task() if isinstance(task, TaskReference) else task
    options = Options(rename, bound, concurrency, group_name, batch_size, checked_on_batch_error(on_batch_error), keep)
    plan, _ = await asyncio.to_thread(planned, target, frame, options)
    await carry_out(plan)


async def carry_out(plan: Plan) -> None:
    """Call the task for all rows, and wait for all ends. Rows that fail do not fail the sweep."""
    here = CURRENT.get()
    if here is None:
        raise RuntimeError("The root of a sweep runs in a run only: call flyte.map_frame.")
    if plan.fan is None:
        await _call_rows(plan, here)
        return
    plan.fan.open(here, plan.group)
    try:
        await _call_batches(plan.fan, plan.parts, here)
    finally:
        plan.fan.stream.close()


async def _call_rows(plan: Plan, here: Frame) -> None:
    """All rows are at hand: nothing is kept of them once they are called."""
    stream = here.submitter.stream(plan.task, here.with_group(plan.group), plan.concurrency)
    inputs, plan.inputs = plan.inputs or [], None
    count = len(inputs)
    try:
        for start in range(0, count, SUBMIT_ROWS):
            stream.submit(inputs[start : start + SUBMIT_ROWS])
        del inputs
        while (ended := stream.ended_count()) < count:
            await stream.wait_ended_async(ended)
    finally:
        stream.close()


async def _call_batches(fan: BatchFan, parts: Iterator[Part] | None, here: Frame) -> None:
    refused: Exception | None = None
    while not fan.done:
        ended = fan.pump()
        if fan.is_hungry:
            try:
                part = await asyncio.to_thread(next, parts or iter(()), None)
            except Exception as error:  # noqa: BLE001 - what was read before is finished first
                refused, part = error, None
            _take(fan, part, here)
        elif not fan.done:
            await fan.stream.wait_ended_async(ended)
    if refused is not None:
        raise refused


def _take(fan: BatchFan, part: Part | None, here: Frame) -> None:
    """What was read of a stream: its rows are called, and what else is to be kept of them is recorded."""
    if part is None:
        fan.finish()
        return
    if part.kept is not None:
        now = time.time()
        rows = (part.first, sum(batch.span.count for batch in part.batches))
        here.submitter.record_step(here, Step(KEPT_ROWS, "", rows, pack(part.kept), now, now), None)
    fan.feed(iter(part.batches))
