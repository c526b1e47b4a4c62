"""Decides what `map` does: one action an item, results in the order of the items, errors as values unless told otherwise.

Inside a run the actions belong to the running action; outside, `map` makes a run of its own (`enter_run`, given by the
workspace) and is parallel there too.

Must not know: how actions are executed.
"""

from __future__ import annotations

import functools
import inspect
import itertools
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterable, Iterator
from contextlib import AbstractContextManager, aclosing
from typing import Any, NoReturn

from flyte_nb.authoring.batches import Batch, BatchFan, BatchTask, checked_batch_size, checked_on_batch_error
from flyte_nb.authoring.gathering import gather_for
from flyte_nb.authoring.outcomes import error_of
from flyte_nb.authoring.task import Task
from flyte_nb.core.batching import OnBatchError, Span
from flyte_nb.core.current import CURRENT, Frame, ResultStream
from flyte_nb.core.events import Inputs
from flyte_nb.core.failure import Failure
from flyte_nb.core.payloads import SCALARS, unpack

#: Calls are bound and submitted this many at a time, so that work starts while a long iterable is still read.
SUBMIT_ROWS = 2_000

EnterRun = Callable[[str], AbstractContextManager[Frame]]
_enter_run: EnterRun | None = None


def set_enter_run(enter: EnterRun) -> None:
    """Say how a `map` outside of runs gets a run of its own."""
    global _enter_run  # noqa: PLW0603 - one workspace a process
    _enter_run = enter


class _Fan:
    """The calls of one map: how far they are bound, and which of them could not be."""

    def __init__(self, target: Any, iterables: tuple[Iterable[Any], ...], concurrency: int) -> None:
        self.task, self._prefix, self._keywords = unwrap(target)
        _check_partial(target, self.task, self._prefix, self._keywords)
        self._rows: Iterator[tuple[Any, ...]] = zip(*iterables)  # noqa: B905 - the shortest wins, as in Flyte
        self._concurrency = concurrency
        self._stream: ResultStream | None = None
        self._unbound: dict[int, Exception] = {}
        self._read = 0

    def open(self, frame: Frame, group: str) -> None:
        """Begin inside the run of a frame."""
        self._stream = frame.submitter.stream(self.task, frame.with_group(group), self._concurrency)

    def submit_some(self) -> bool:
        """Bind and submit the next calls; false when there are none left."""
        bound: list[Inputs] = []
        read = 0
        for row in itertools.islice(self._rows, SUBMIT_ROWS):
            try:
                bound.append(self.task.pack_inputs(self._prefix + row, self._keywords))
            except Exception as error:  # noqa: BLE001 - told in the place of the item's result
                self._unbound[self._read + read] = error
            read += 1
        self._read += read
        if bound:
            self.stream.submit(bound)
        return read == SUBMIT_ROWS

    @property
    def stream(self) -> ResultStream:
        """The calls' stream."""
        if self._stream is None:
            raise RuntimeError("the map was not opened")
        return self._stream

    def positions(self) -> Iterator[tuple[Exception | None, int]]:
        """For each item that was read: why it could not be bound, or its position in the stream."""
        index = position = 0
        while index < self._read:
            error = self._unbound.pop(index, None)
            yield error, position
            position += error is None
            index += 1

    def value(self, position: int) -> tuple[bool, Any]:
        """(whether it succeeded, value or exception) of a call that has ended."""
        _ok, item, where = self.stream.result(position)
        if isinstance(item, Failure):
            return False, error_of(item, where)
        return True, item if type(item) in SCALARS else unpack(item)


def map_sync(
    func: Any,
    *iterables: Iterable[Any],
    group_name: str | None = None,
    concurrency: int = 0,
    return_exceptions: bool = True,
    batch_size: int | None = None,
    on_batch_error: OnBatchError = "fail",
) -> Generator[Any]:
    """Call a task for each item (of several iterables: for each tuple, the shortest wins), in parallel.

    Lazy: nothing happens before the first result is asked for. Leaving the loop early aborts what is in flight.

    Args:
        func: a task, or a `functools.partial` of one that leaves exactly one parameter open.
        iterables: values for its parameters, by position.
        group_name: the group is called `<task name>_<group_name>`, by default `<task name>_map`.
        concurrency: most actions in flight at once; 0 (default) is no limit.
        return_exceptions: yield errors in the place of results (default); otherwise the first one, in the order of the
            items, is raised and the rest is aborted.
        batch_size: so many items in one call: the task gets a list (or a frame, where its parameter is annotated so), and
            returns a list with one result for each, or a frame with a row for each. Results are those of items all the same.
        on_batch_error: "fail": each item of a batch that failed gets its error. "split": its halves are called again, and
            so on, until the items that fail are found.

    Yields:
        Results in the order of the items.

    Raises:
        TypeError: not a task, or a partial that leaves another number of parameters open; with `batch_size`, a parameter that
            holds one item (all on the first iteration).
        ValueError: concurrency is negative, or `batch_size` not above 0.

    Example:
        >>> env = flyte.TaskEnvironment("docs")
        >>> @env.task
        ... async def half(x: int) -> float:
        ...     return 6 / x
        >>> list(flyte.map(half, [1, 2, 3]))
        [6.0, 3.0, 2.0]
        >>> [str(each) for each in flyte.map(half, [1, 0])]
        ['6.0', 'division by zero']
    """
    if not iterables:
        return
    if batch_size is not None:
        yield from _batches_sync(_batch_fan(func, iterables, concurrency, batch_size, on_batch_error), group_name, return_exceptions)
        return
    fan = _Fan(func, iterables, checked_concurrency(concurrency))
    with _frame(fan.task) as frame:
        fan.open(frame, group_of(fan.task, group_name))
        try:
            while fan.submit_some():
                pass
            for unbound, position in fan.positions():
                if unbound is None:
                    fan.stream.wait_result(position)
                    succeeded, value = fan.value(position)
                else:
                    succeeded, value = False, unbound
                if not succeeded and not return_exceptions:
                    raise value
                yield value
        finally:
            fan.stream.close()


async def map_async(
    func: Any,
    *iterables: Iterable[Any],
    group_name: str | None = None,
    concurrency: int = 0,
    return_exceptions: bool = True,
    batch_size: int | None = None,
    on_batch_error: OnBatchError = "fail",
) -> AsyncIterator[Any]:
    """The same as `map`, as an async generator that does not block the loop."""
    if not iterables:
        return
    if batch_size is not None:
        batches = _batch_fan(func, iterables, concurrency, batch_size, on_batch_error)
        async with aclosing(_batches_async(batches, group_name, return_exceptions)) as values:
            async for value in values:
                yield value
        return
    fan = _Fan(func, iterables, checked_concurrency(concurrency))
    with _frame(fan.task) as frame:
        fan.open(frame, group_of(fan.task, group_name))
        try:
            while fan.submit_some():
                pass
            for unbound, position in fan.positions():
                if unbound is None:
                    await fan.stream.wait_result_async(position)
                    succeeded, value = fan.value(position)
                else:
                    succeeded, value = False, unbound
                if not succeeded and not return_exceptions:
                    raise value
                yield value
        finally:
            fan.stream.close()


def _batch_fan(func: Any, iterables: tuple[Iterable[Any], ...], concurrency: int, batch_size: object, on_batch_error: object) -> BatchFan:
    """The calls of a map in batches."""
    task, prefix, keywords = unwrap(func)
    _check_partial(func, task, prefix, keywords)
    size = checked_batch_size(batch_size)
    taking = task.signature.parameters[len(prefix) : len(prefix) + len(iterables)]
    gathers = [gather_for(parameter, task.name) for parameter in taking]
    gathers += [list] * (len(iterables) - len(gathers))  # too many: each call says so

    def batches() -> Iterator[Batch]:
        rows, start = zip(*iterables), 0  # noqa: B905 - the shortest wins, as in Flyte
        while some := list(itertools.islice(rows, size)):
            columns = zip(*some, strict=True)
            yield Batch(Span(start, len(some)), tuple(gather(column) for gather, column in zip(gathers, columns, strict=True)))
            start += len(some)

    return BatchFan(
        BatchTask.of(task, taking[0].name) if taking else task,
        batches(),
        lambda values: task.pack_inputs(prefix + values, keywords),
        concurrency=checked_concurrency(concurrency),
        on_error=checked_on_batch_error(on_batch_error),
    )


def _batches_sync(fan: BatchFan, group_name: str | None, return_exceptions: bool) -> Iterator[Any]:  # noqa: FBT001 - as of `map`
    with _frame(fan.task) as frame:
        fan.open(frame, group_of(fan.task, group_name))
        try:
            while True:
                ended = fan.pump()
                for succeeded, value in fan.outcomes():
                    if not succeeded and not return_exceptions:
                        raise value
                    yield value
                if fan.done:
                    return
                fan.stream.wait_ended(ended)
        finally:
            fan.stream.close()


async def _batches_async(fan: BatchFan, group_name: str | None, return_exceptions: bool) -> AsyncGenerator[Any, None]:  # noqa: FBT001 - as of `map`
    with _frame(fan.task) as frame:
        fan.open(frame, group_of(fan.task, group_name))
        try:
            while True:
                ended = fan.pump()
                for succeeded, value in fan.outcomes():
                    if not succeeded and not return_exceptions:
                        raise value
                    yield value
                if fan.done:
                    return
                await fan.stream.wait_ended_async(ended)
        finally:
            fan.stream.close()


_SIGNATURE = inspect.signature(map_sync)


class Results(Iterator[Any]):
    """The results of a map, one after the other; says so where somebody takes it for a list."""

    def __init__(self, task: str, results: Generator[Any]) -> None:
        self._task, self._results = task, results

    def __iter__(self) -> Iterator[Any]:  # noqa: PYI034 - loops run on the generator itself, at no cost
        return self._results

    def __next__(self) -> Any:
        return next(self._results)

    def close(self) -> None:
        """Abort what is in flight."""
        self._results.close()

    def __getitem__(self, _place: object) -> NoReturn:
        raise TypeError(f"{self!r} gives one result after the other: make a list first, `results = list(flyte.map(...))`.")

    def __await__(self) -> NoReturn:
        raise TypeError(f"{self!r} is not awaited: write `list(flyte.map(...))`, or `[x async for x in flyte.map.aio(...)]`.")

    def __repr__(self) -> str:
        return f"<results of flyte.map({self._task}, ...), which starts when the first one is asked for: list(...)>"


@functools.wraps(map_sync)
def _map(func: Any, *iterables: Iterable[Any], **options: Any) -> Results:
    _SIGNATURE.bind(func, *iterables, **options)  # a wrong keyword is told here, not by the first result
    return Results(getattr(func, "short_name", getattr(func, "__name__", repr(func))), map_sync(func, *iterables, **options))


class Map:
    """`flyte.map`: call a task for each item, in parallel; `flyte.map.aio` is the async form."""

    __call__ = staticmethod(_map)
    __signature__ = _SIGNATURE
    aio = staticmethod(map_async)

    def __repr__(self) -> str:
        return "<flyte_nb.map>"


def group_of(task: Task[..., Any], group_name: str | None) -> str:
    """The group of a map's actions."""
    return f"{task.name}_{group_name or 'map'}"


def _frame(task: Task[..., Any]) -> AbstractContextManager[Frame]:
    frame = CURRENT.get()
    if frame is not None:
        return _Here(frame)
    if _enter_run is None:
        raise RuntimeError("flyte.map was called before the workspace was set up: use `import flyte_nb`.")
    return _enter_run(f"map-{task.short_name}")


class _Here(AbstractContextManager[Frame]):
    """The frame that is there already."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame

    def __enter__(self) -> Frame:
        return self._frame

    def __exit__(self, *error: object) -> None:
        return None


def checked_concurrency(concurrency: int) -> int:
    """What was given as `concurrency=`.

    Raises:
        ValueError: it is no whole number from 0 on.
    """
    if isinstance(concurrency, bool) or not hasattr(concurrency, "__index__") or concurrency.__index__() < 0:
        raise ValueError(f"map(concurrency=) takes a whole number from 0 (no limit), got {concurrency!r}")
    return int(concurrency.__index__())


def unwrap(target: Any, caller: str = "flyte.map") -> tuple[Task[..., Any], tuple[Any, ...], dict[str, Any]]:
    """The task, and what a partial has bound of it.

    Raises:
        TypeError: it is neither a task nor a partial of one.
    """
    prefix: tuple[Any, ...] = ()
    keywords: dict[str, Any] = {}
    while isinstance(target, functools.partial):
        prefix, keywords = target.args + prefix, {**target.keywords, **keywords}
        target = target.func
    if not isinstance(target, Task):
        name = getattr(target, "__name__", repr(target))
        raise TypeError(f"{caller} takes a task or a partial of one, got {name}: declare it with @env.task first.")
    return target, prefix, keywords


def _check_partial(target: Any, task: Task[..., Any], prefix: tuple[Any, ...], keywords: dict[str, Any]) -> None:
    """Flyte's rules: the number of what is bound is counted, defaults count as open, and the item comes after `prefix`."""
    if not isinstance(target, functools.partial):
        return
    names = [parameter.name for parameter in task.signature.parameters]
    left = len(names) - len(prefix) - len(keywords)
    if left != 1:
        raise TypeError(
            f"Partial function must leave exactly one parameter unspecified for mapping. Found {left} unspecified "
            f"parameters in {task.name}, params: {dict.fromkeys(names).keys()}"
        )
    for name in names[: len(prefix) + 1]:
        if name in keywords:
            raise TypeError(
                f"Parameter '{name}' is provided both as positional argument and keyword argument in partial function {task.name}."
            )
