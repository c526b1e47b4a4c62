"""Decides what `flyte.map_frame` does with what it is given: check all of it, then start a run.

Must not know: how rows are bound, or how a run is executed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import fields, replace
from typing import Any

from flyte_nb import workspace
from flyte_nb.authoring.batches import checked_batch_size
from flyte_nb.authoring.fanout import checked_concurrency, unwrap
from flyte_nb.authoring.task import Task
from flyte_nb.core.batching import OnBatchError
from flyte_nb.core.current import CURRENT
from flyte_nb.core.payloads import dumps
from flyte_nb.errors import NotSerializableError
from flyte_nb.remote import Run
from flyte_nb.sweeps.plan import Options, Plan
from flyte_nb.sweeps.root import SweepTask, TaskReference


class MapFrame:
    """`flyte.map_frame`: call a task for each row of a table; `await flyte.map_frame.aio(...)` is the async form.

    Args (when called):
        task: a task, or a `functools.partial` of one.
        frame: a DataFrame, a row a call. Columns go to the parameters of their names, as do named levels of the index;
            columns that are no parameter are kept aside. Of polars and arrow too, and dicts of lists or lists of dicts. Lazy ones
            (dask, polars.LazyFrame, readers of arrow, iterators of frames) are read as their rows are called.
        rename: `{column: parameter}`, where the names differ.
        concurrency: most actions in flight at once; 0 (default) is no limit.
        group_name: the actions' group is `<task name>_<group_name>`, by default `<task name>_frame`.
        batch_size: so many rows in one call: parameters are lists, or one of them a frame of the rows; the task returns a list with
            one result for each row, or a frame with a row for each.
        on_batch_error: "fail": each row of a batch that failed gets its error. "split": its halves are called again, and so on,
            until the rows that fail are found.
        keep: of the columns that are no parameter, those to keep in the results. By default all of a frame in memory, none of one
            that is read little by little.
        recover: the name of an earlier run: rows that succeeded there do not run again.

    Returns:
        A run, at once. Its `results` is the frame with the outputs joined, index and order kept, and the columns
        `phase` and `error`; rows that fail do not fail the run. Inside of a task the calls are those of the running action: it
        waits for them, and what it returns has the same `results`.

    Raises (when called; nothing is started then):
        ValueError: a parameter has no column, a column is there twice, or `rename` names what is not there.
        TypeError: values do not fit their parameters; the message has row, column and value. Or it is no task, or no frame.
        NotSerializableError: a value cannot be pickled.

    Example:
        >>> import flyte_nb as flyte
        >>> env = flyte.TaskEnvironment("docs")
        >>> @env.task
        ... def area(width: float, height: float = 1.0) -> float:
        ...     return width * height
        >>> run = flyte.map_frame(area, flyte.grid(width=[1, 2], height=[10.0, 20.0]))
        >>> run.wait()
        >>> run.results["output"].tolist()
        [10.0, 20.0, 20.0, 40.0]
    """

    def __init__(self, options: Mapping[str, Any] | None = None) -> None:
        self._options = dict(options or {})

    def __call__(  # noqa: PLR0913 - keyword-only after the first two
        self,
        task: Any,
        frame: Any,
        *,
        rename: Mapping[Hashable, str] | None = None,
        concurrency: int = 0,
        group_name: str | None = None,
        batch_size: int | None = None,
        on_batch_error: OnBatchError = "fail",
        keep: Iterable[Hashable] | None = None,
        recover: str | None = None,
    ) -> Run:
        """Start the run; inside of a task, make the calls and wait for them."""
        options = _options(rename, concurrency, group_name, batch_size, on_batch_error, keep)
        target, plan, kept, inputs = _planned(task, frame, options)
        here = CURRENT.get()
        if here is None:
            try:
                return workspace.current().run_task(SweepTask.around(plan), inputs, recover=recover, **self._options)
            except NotSerializableError as error:
                raise _named(error, target, kept) from error
        from flyte_nb.sweeps.within import swept  # noqa: PLC0415 - it needs pandas

        _check_within(target, recover)
        return swept(plan, kept, here)  # type: ignore[return-value]  # it stands for the run, where there is one already

    async def aio(
        self,
        task: Any,
        frame: Any,
        *,
        recover: str | None = None,
        **options: Any,
    ) -> Run:
        """The same without blocking the loop; inside of a task, it is awaited until all rows have ended."""
        here = CURRENT.get()
        if here is None:
            return await asyncio.to_thread(self, task, frame, recover=recover, **options)
        target, plan, kept, _ = await asyncio.to_thread(_planned, task, frame, _options(**options))
        from flyte_nb.sweeps.within import swept_async  # noqa: PLC0415 - it needs pandas

        _check_within(target, recover)
        return await swept_async(plan, kept, here)  # type: ignore[return-value]  # as above

    def __repr__(self) -> str:
        return "<flyte_nb.map_frame>"


def _options(
    rename: Mapping[Hashable, str] | None = None,
    concurrency: int = 0,
    group_name: str | None = None,
    batch_size: int | None = None,
    on_batch_error: OnBatchError = "fail",
    keep: Iterable[Hashable] | None = None,
) -> Options:
    kept = None if keep is None else tuple([keep] if isinstance(keep, str) else keep)
    concurrency = checked_concurrency(concurrency)
    batch_size = None if batch_size is None else checked_batch_size(batch_size)
    return Options(rename, None, concurrency, group_name, batch_size, on_batch_error, kept)


def _planned(task: Any, frame: Any, options: Options) -> tuple[Task[..., Any], Plan, Any, tuple[Any, ...]]:
    """The task, what is called, what stands for the frame, and what the root of a run gets."""
    from flyte_nb.sweeps.planning import planned  # noqa: PLC0415 - pandas takes half a second to load

    target, prefix, keywords = unwrap(task, "flyte.map_frame")
    bound = {**dict(zip(target.facts.parameters, prefix, strict=False)), **keywords}
    options = replace(options, bound=bound)
    plan, kept = planned(target, frame, options)
    inputs = (TaskReference.to(target), kept, *(getattr(options, field.name) for field in fields(options)))
    return target, plan, kept, inputs


def _check_within(task: Task[..., Any], recover: str | None) -> None:
    if recover is not None:
        raise ValueError(f"map_frame({task.name}, recover=...) starts a run; inside of a task there is one: recover that.")


def _named(error: NotSerializableError, task: Task[..., Any], frame: Any) -> Exception:
    """What cannot be kept with the run, by its column."""
    for label in getattr(frame, "columns", ()) if error.argument == "frame" else ():
        try:
            dumps(frame.loc[:, frame.columns == label])
        except Exception:  # noqa: BLE001 - whatever pickling raises: that is the column
            kind = next((type(value).__name__ for value in frame.loc[:, frame.columns == label].iloc[:, 0]), "object")
            return NotSerializableError(f"column {label}", kind, task.name, reason="it is kept with the run; keep=[...] leaves it out")
    return error
