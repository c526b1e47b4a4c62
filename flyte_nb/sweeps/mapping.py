"""Decides what `flyte.map_frame` does with what it is given: check all of it, then start a run.

Must not know: how rows are bound, or how a run is executed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Hashable, Mapping
from typing import Any

from flyte_nb import workspace
from flyte_nb.authoring.fanout import unwrap
from flyte_nb.remote import Run
from flyte_nb.sweeps.root import SweepTask, TaskReference


class MapFrame:
    """`flyte.map_frame`: call a task for each row of a table; `await flyte.map_frame.aio(...)` is the async form.

    Args (when called):
        task: a task, or a `functools.partial` of one.
        frame: a DataFrame, a row a call. Columns go to the parameters of their names, as do named levels of the index;
            columns that are no parameter are kept aside. A dict of lists and a list of dicts are taken too.
        rename: `{column: parameter}`, where the names differ.
        concurrency: most actions in flight at once; 0 (default) is no limit.
        group_name: the actions' group is `<task name>_<group_name>`, by default `<task name>_frame`.

    Returns:
        A run, at once. Its `results` is the frame with the outputs joined, index and order kept, and the columns
        `phase` and `error`; rows that fail do not fail the run.

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

    def __call__(
        self,
        task: Any,  # noqa: ANN401 - a task, or a partial of one
        frame: Any,  # noqa: ANN401 - a DataFrame, of a library that is not imported here
        *,
        rename: Mapping[Hashable, str] | None = None,
        concurrency: int = 0,
        group_name: str | None = None,
    ) -> Run:
        """Start the run."""
        from flyte_nb.sweeps.planning import frame_of, planned  # noqa: PLC0415 - pandas takes half a second to load

        target, prefix, keywords = unwrap(task)
        bound = {**dict(zip(target.facts.parameters, prefix, strict=False)), **keywords}
        table = frame_of(frame)
        plan = planned(target, table, rename=rename, bound=bound, concurrency=concurrency, group_name=group_name)
        inputs = (TaskReference.to(target), table, rename, bound, concurrency, group_name)
        return workspace.current().run_task(SweepTask.around(plan), inputs, **self._options)

    async def aio(self, task: Any, frame: Any, **options: Any) -> Run:  # noqa: ANN401 - as above
        """Start the run without blocking the loop."""
        return await asyncio.to_thread(self, task, frame, **options)

    def __repr__(self) -> str:
        return "<flyte_nb.map_frame>"
