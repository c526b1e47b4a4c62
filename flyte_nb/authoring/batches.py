"""Decides what happens where a task takes many items in one call: batches out, results of items back.

`BatchTask` is the task as it is called with batches: it refuses on the worker what is not one result an item. `BatchFan`
makes the calls of one map, tries the halves of failed batches if that is asked for, and has the outcomes by item.

Must not know: where items come from, or how actions run.
"""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, cast

from flyte_nb import errors
from flyte_nb.authoring.outcomes import cause_of, error_of
from flyte_nb.authoring.task import Task
from flyte_nb.core.batching import SPLIT_SUFFIX, OnBatchError, Span, results_of_batch
from flyte_nb.core.current import Frame, ResultStream, Whereabouts
from flyte_nb.core.events import Inputs
from flyte_nb.core.failure import Failure
from flyte_nb.core.payloads import unpack

#: Batches that are sent at a time, so that work starts while others are made.
SUBMIT_BATCHES: Final = 100
#: Codes of what ended by somebody's wish, or with the cluster: trying the halves would not help.
_STOPPED: Final = frozenset({"ActionAbortedError", "ClusterLostError"})


@dataclass(frozen=True, slots=True)
class _Counted:
    """What a body returned, and for how many items."""

    value: object
    items: int


class BatchTask(Task[..., Any]):
    """A task as it is called with batches: its results are counted before they are accepted."""

    _counted = 0

    @classmethod
    def of(cls, task: Task[..., Any], counted: str) -> BatchTask:
        """The same task.

        Args:
            task: what is called.
            counted: the parameter whose length is the number of items.
        """
        made = object.__new__(cls)
        made.__dict__.update(task.__dict__)
        made.facts = replace(task.facts, key=secrets.token_hex(8))  # it does another thing with what is returned
        made._counted = task.facts.parameters.index(counted)
        return made

    def invoke(self, items: Inputs) -> object:
        """Call the body; what it returns is counted by `pack_output`."""
        values = tuple(map(unpack, items))
        count = len(cast(Any, values[self._counted]))
        made = self._invoke_in_surroundings(values)
        return self._later(cast(Awaitable[object], made), count) if self.facts.is_async else _Counted(made, count)

    async def _later(self, made: Awaitable[object], count: int) -> object:
        return _Counted(await made, count)

    def pack_output(self, value: object) -> Any:
        """As of a task.

        Raises:
            BatchSizeError: there is not one result for each item.
        """
        counted = cast(_Counted, value)
        check_count(counted.value, counted.items, self.name)
        return super().pack_output(counted.value)


def check_count(value: object, items: int, task: str, which: str = "") -> list[Any]:
    """The results of a batch, by item.

    Raises:
        BatchSizeError: there is not one for each item.
    """
    results = results_of_batch(value)
    if results is None or len(results) != items:
        raise errors.BatchSizeError(task, items, None if results is None else len(results), type_name=type(value).__name__, which=which)
    return results


@dataclass(frozen=True, slots=True)
class Batch:
    """Items that travel in one call.

    Attributes:
        span: which items.
        values: what the call gets of them, by parameter: lists or frames, each as long as the span.
    """

    span: Span
    values: tuple[Any, ...]

    def halves(self) -> Iterator[Batch]:
        """The same items in two batches."""
        for half in self.span.halves():
            lo = half.start - self.span.start
            yield Batch(half, tuple(part_of(value, lo, lo + half.count) for value in self.values))


def part_of(value: Any, lo: int, hi: int) -> Any:
    """Some adjacent items of a list, or rows of a frame."""
    if hasattr(value, "iloc"):  # pandas
        return value.iloc[lo:hi]
    if hasattr(value, "slice"):  # polars and pyarrow
        return value.slice(lo, hi - lo)
    return value[lo:hi]


@dataclass(slots=True)
class Outcome:
    """What became of some adjacent items: their results, or the error that all of them share."""

    span: Span
    results: list[Any] | None = None
    failure: Failure | None = None
    where: Whereabouts | None = None
    error: Exception | None = None
    is_batch: bool = True

    def exception(self, task: str) -> Exception:
        """The error, made anew for each item that gets it; it tells the batch."""
        error = self.error
        if self.failure is not None:
            cause = cause_of(self.failure)
            if isinstance(cause, errors.BatchSizeError) and not self.failure.type_name:
                error = errors.BatchSizeError(cause.task, cause.items, cause.results, type_name=_returned(cause), which=self.span.words())
            else:
                error = error_of(self.failure, self.where)
        if error is None:
            raise RuntimeError("items without results and without an error")
        if self.is_batch:
            error.add_note(f"It is the error of a batch of task {task}: {self.span.words()}.")
        return error


def _returned(error: errors.BatchSizeError) -> str:
    """The type that was returned instead of results, as the worker's message names it."""
    return "value without results" if error.results is None else ""


class BatchFan:
    """The calls of one map in batches.

    Args:
        task: what is called.
        batches: in the order of their items; read little by little.
        pack: makes the inputs of a call of a batch's values.
        concurrency: most calls in flight; 0 is no limit.
        on_error: what becomes of a batch that failed.
        ahead: most batches that are called and have not ended, where there is no `concurrency`; 0 is no limit.
        at_once: batches that are sent at a time.
        keeps_results: results are wanted here, by `outcomes`.
        is_open: more batches come after these, by `feed`, until `finish`.
    """

    def __init__(  # noqa: PLR0913 - what a map may be told
        self,
        task: Task[..., Any],
        batches: Iterator[Batch],
        pack: Callable[[tuple[Any, ...]], Inputs],
        *,
        concurrency: int = 0,
        on_error: OnBatchError = "fail",
        ahead: int = 0,
        at_once: int = SUBMIT_BATCHES,
        keeps_results: bool = True,
        is_open: bool = False,
    ) -> None:
        self.task = task
        self._batches, self._pack = batches, pack
        self._most, self._at_once = concurrency or ahead, at_once
        # Calls made a few at a time cost several times as much: where only memory sets the limit, a quarter of it is waited for.
        self._least = 1 if concurrency else max(1, ahead // 4)
        self._is_open = is_open
        self._splits = on_error == "split"
        self.keeps_results = keeps_results
        self._stream: ResultStream | None = None
        self._frame: Frame | None = None
        self._group = ""
        self._read_all = self._is_empty = False
        self._submitted = 0
        #: Batches that were called, whole ones and parts, each with its position in the stream; looked at in this order.
        self._whole: deque[tuple[int, Batch]] = deque()
        self._parts: deque[tuple[int, Batch]] = deque()
        #: Parts that wait for room.
        self._waiting: deque[Batch] = deque()
        self._ready: dict[int, Outcome] = {}
        self._next = 0

    def open(self, frame: Frame, group: str) -> None:
        """Begin inside the run of a frame."""
        self._frame, self._group = frame, group
        self._stream = frame.submitter.stream(self.task, frame.with_group(group))

    @property
    def stream(self) -> ResultStream:
        """The calls' stream."""
        if self._stream is None:
            raise RuntimeError("the map was not opened")
        return self._stream

    @property
    def is_batched(self) -> bool:
        """Whether a call takes many items; else each takes one, and what it returns is its result."""
        return isinstance(self.task, BatchTask)

    @property
    def done(self) -> bool:
        """Whether all has been read, called, and looked at."""
        return self._read_all and not (self._whole or self._parts or self._waiting)

    @property
    def is_hungry(self) -> bool:
        """Whether there is room for more batches than have been fed."""
        return self._is_open and self._is_empty

    def feed(self, batches: Iterator[Batch]) -> None:
        """More batches; those before have all been called."""
        self._batches, self._is_empty = batches, False

    def finish(self) -> None:
        """There are no more."""
        self._is_open = False
        self._read_all = self._is_empty

    # ------------------------------------------------------------------ calling
    def pump(self) -> int:
        """Call what there is room for, look at what has ended; returns how many had ended before."""
        ended = self.stream.ended_count()
        while True:
            seen = len(self._whole) + len(self._parts) + len(self._waiting), self._read_all
            self._look()
            self._call_parts()
            self._call_next()
            if seen == (len(self._whole) + len(self._parts) + len(self._waiting), self._read_all):
                return ended

    def _room(self, most: int) -> int:
        if not self._most:
            return most
        flying = self._submitted - self.stream.ended_count()
        room = self._most - flying
        return min(most, room) if room >= self._least or not flying else 0

    def _call_parts(self) -> None:
        room = self._room(len(self._waiting))
        self._call([self._waiting.popleft() for _ in range(room)], self._parts, SPLIT_SUFFIX)

    def _call_next(self) -> None:
        if self._read_all or self.is_hungry:
            return
        batches: list[Batch] = []
        for _ in range(self._room(self._at_once)):
            batch = next(self._batches, None)
            if batch is None:
                self._is_empty = True
                self._read_all = not self._is_open
                break
            batches.append(batch)
        self._call(batches, self._whole, "")

    def _call(self, batches: Sequence[Batch], called: deque[tuple[int, Batch]], suffix: str) -> None:
        packed: list[Inputs] = []
        for batch in batches:
            try:
                packed.append(self._pack(batch.values))
            except Exception as error:  # noqa: BLE001 - told in the place of the items' results
                self._refused(batch, error)
            else:
                called.append((self._submitted + len(packed) - 1, batch))
        if packed:
            frame = self._frame if suffix else None
            self.stream.submit(packed, frame.with_group(self._group + suffix) if frame is not None else None)
            self._submitted += len(packed)

    def _refused(self, batch: Batch, error: Exception) -> None:
        """A batch that cannot be called, as one of its items is of the wrong type, say."""
        if self._splits and batch.span.count > 1:
            self._waiting.extend(batch.halves())
        else:
            self._settle(Outcome(batch.span, error=error, is_batch=batch.span.count > 1))

    # ------------------------------------------------------------------ looking
    def _look(self) -> None:
        """Look at calls that have ended, in their order: parts only after all whole batches, so that their order can be told."""
        self._look_at(self._whole)
        if self._read_all and not self._whole:
            self._look_at(self._parts)

    def _look_at(self, called: deque[tuple[int, Batch]]) -> None:
        stream = self.stream
        while called and stream.has_ended(called[0][0]):
            position, batch = called.popleft()
            succeeded, item, where = stream.result(position)
            if not isinstance(item, Failure):
                if self.keeps_results and succeeded:
                    self._settle(self._results(batch.span, unpack(item)))
            elif self._splits and batch.span.count > 1 and not is_stopped(item):
                self._waiting.extend(batch.halves())
            else:
                self._settle(Outcome(batch.span, failure=item, where=where, is_batch=self.is_batched))

    def _results(self, span: Span, value: object) -> Outcome:
        if not self.is_batched:
            return Outcome(span, results=[value])
        try:
            return Outcome(span, results=check_count(value, span.count, self.task.name, span.words()))
        except errors.BatchSizeError as error:  # a result of the cache that another kind of call left there
            return Outcome(span, error=error)

    def _settle(self, outcome: Outcome) -> None:
        if self.keeps_results:
            self._ready[outcome.span.start] = outcome

    # ------------------------------------------------------------------ outcomes by item
    def outcomes(self) -> Iterator[tuple[bool, Any]]:
        """What is ready, in the order of the items: (whether it succeeded, its result or error)."""
        while (outcome := self._ready.pop(self._next, None)) is not None:
            self._next += outcome.span.count
            if outcome.results is not None:
                for value in outcome.results:
                    yield True, value
            else:
                for _ in range(outcome.span.count):
                    yield False, outcome.exception(self.task.name)


def is_stopped(failure: Failure) -> bool:
    """Whether an action was stopped, and did not fail by itself."""
    return not failure.type_name and failure.code in _STOPPED


def checked_batch_size(size: object) -> int:
    """What was given as `batch_size=`.

    Raises:
        ValueError: it is no whole number from 1 on.
    """
    if isinstance(size, bool) or not hasattr(size, "__index__") or size.__index__() < 1:
        raise ValueError(f"batch_size= takes a whole number from 1 on, got {size!r}")
    return int(size.__index__())


def checked_on_batch_error(choice: Any) -> OnBatchError:
    """What was given as `on_batch_error=`.

    Raises:
        ValueError: it is neither of the two.
    """
    if choice not in {"fail", "split"}:
        raise ValueError(
            f'on_batch_error= takes "fail" (each item of the batch gets its error) or "split" (its halves are tried), got {choice!r}'
        )
    return cast(OnBatchError, choice)
