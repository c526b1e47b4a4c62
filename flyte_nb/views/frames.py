"""Decides how a run reads as tables: one row per action, built column by column from the state's arrays.

`actions_frame` tells what happened to each action. `results_frame` puts inputs and outputs side by side, so that a
sweep is ready for `query`, `groupby` and `plot`. The index of both is the action's row, which `run.action(row)` takes.

The state is copied while it is locked and made into columns after that, so a large table does not hold up the run.
Values are unpacked outside the lock, once each: a value shared by many actions is one object in the table.

Must not know: how a table is displayed (that is `liveframe`), or what runs the actions.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from flyte_nb.core.events import Inputs, TaskFacts
from flyte_nb.core.index import RunEntry
from flyte_nb.core.payloads import Item
from flyte_nb.core.phases import CODE, PHASES, ActionPhase
from flyte_nb.core.state import RunState
from flyte_nb.views.allnames import Names, all_names
from flyte_nb.views.columns import Columns, Numbers, ReadRun, lookup
from flyte_nb.views.spread import Unpacker, spread_outputs
from flyte_nb.views.textcolumns import ascii_text, sparse_text, text_of
from flyte_nb.views.wording import clean, encodable

if TYPE_CHECKING:  # pandas takes half a second to load, and `import flyte_nb` must not pay for it
    import pandas as pd

Result = TypeVar("Result")
Objects = np.ndarray[Any, np.dtype[np.object_]]

#: Rows whose values are copied, and rows whose reasons are read, while the run stands still.
_ROWS_AT_A_TIME, _REASONS_AT_A_TIME = 16_384, 1_024
_ENDED_BADLY = lookup(tuple(CODE[phase] for phase in (ActionPhase.FAILED, ActionPhase.TIMED_OUT, ActionPhase.ABORTED)))
_NUMBERS: dict[frozenset[type], type] = {frozenset({int}): np.int64, frozenset({float}): np.float64, frozenset({bool}): np.bool_}
HAS_OUTPUT = (CODE[ActionPhase.SUCCEEDED], CODE[ActionPhase.RECOVERED])
#: Where a table of results keeps which of its columns are outputs (`DataFrame.attrs`).
OUTPUTS = "flyte_nb_outputs"
#: Columns of ours; an input of the same name becomes `input_<name>`.
RESERVED = ("task", "phase", "error")


def actions_frame(run: ReadRun, *, limit: int | None = None) -> pd.DataFrame:
    """One row per action, the root first.

    Args:
        run: whose actions.
        limit: at most so many rows, from the first on.

    Returns:
        Columns `action`, `task`, `group`, `parent`, `phase`, `attempt`, `worker`, `started` (UTC), `seconds`, `cpu_seconds`,
        `memory_bytes`, `error`. `seconds` of an action that runs counts up to now. `cpu_seconds` is the processor time of the
        body's own code, `memory_bytes` the most that its worker's process had while it ran; both are missing where it was too
        short to be measured (under 10 ms), or did not run.
    """
    import pandas as pd  # noqa: PLC0415 - see above

    rows = _copy_rows(run, limit)
    names = rows.names
    started = np.where(rows.started > 0, rows.started, np.nan)
    until = np.where(rows.ended > 0, rows.ended, time.time())
    return pd.DataFrame(
        {
            "action": ascii_text(names),
            "task": text_of([task.short_name for task in rows.tasks], rows.task_ids),
            "group": text_of(rows.groups, rows.group_ids),
            "parent": ascii_text(names[rows.parents], missing=1),
            "phase": text_of([phase.value for phase in PHASES], rows.phases),
            "attempt": rows.attempts.astype(np.int64),
            "worker": text_of(rows.workers, rows.worker_ids),
            "started": pd.to_datetime(started, unit="s", utc=True),
            "seconds": np.maximum(until - started, 0.0),
            "cpu_seconds": rows.cpu_seconds,
            "memory_bytes": rows.memory_bytes,
            "error": sparse_text(rows.errors, len(rows.phases)),
        }
    )


def results_frame(run: ReadRun, *, include_root: bool = False, limit: int | None = None) -> pd.DataFrame:
    """Inputs and outputs side by side, one row per action.

    Args:
        run: whose results.
        include_root: also the root action, as row 0.
        limit: at most so many rows, from the first on.

    Returns:
        Inputs by parameter name (of several tasks: the union, and a column `task`), then outputs, `phase`, `error`.
        Outputs that are dicts, dataclasses or named tuples are spread over columns, declared tuples over `o0`, `o1`;
        anything else is `output`. An output named like an input gets the prefix `output_`.
    """
    import pandas as pd  # noqa: PLC0415 - see above

    first = 0 if include_root else 1
    rows = _copy_results(run, first, limit)
    unpack = Unpacker()
    columns: dict[str, Any] = {}
    several = len(np.unique(rows.task_ids)) > 1
    if several:
        columns["task"] = text_of([task.short_name for task in rows.tasks], rows.task_ids)
    for name, values in _input_columns(rows, unpack).items():
        columns[f"input_{name}" if name in RESERVED else encodable(name)] = values
    outputs: list[str] = []
    for name, values in _output_columns(rows, unpack).items():
        outputs.append(_free_name(encodable(name), columns))
        columns[outputs[-1]] = values
    columns["phase"] = text_of([phase.value for phase in PHASES], rows.phases)
    columns["error"] = sparse_text(rows.errors, len(rows.phases))
    index = pd.RangeIndex(first, first + len(rows.phases))
    made = pd.DataFrame({name: _typed(values, index) for name, values in columns.items()}, index=index)
    made.attrs[OUTPUTS] = outputs
    return made


# ------------------------------------------------------------------ copies made while the state is locked
@dataclass(slots=True)
class _Rows:
    """Columns of a run at one moment."""

    names: Names
    tasks: list[TaskFacts]
    groups: list[str]
    workers: list[str]
    task_ids: Numbers
    group_ids: Numbers
    parents: Numbers
    phases: Numbers
    attempts: Numbers
    worker_ids: Numbers
    started: Numbers
    ended: Numbers
    cpu_seconds: Numbers
    memory_bytes: Numbers
    errors: dict[int, str]


@dataclass(slots=True)
class Results:
    """Inputs and outputs of some actions at one moment."""

    tasks: list[TaskFacts]
    task_ids: Numbers
    phases: Numbers
    inputs: list[Inputs]
    outputs: list[Item]
    errors: dict[int, str]


def _copy_rows(run: ReadRun, limit: int | None) -> _Rows:
    columns = Columns(run)
    columns.refresh(limit)
    nodes = columns.node_ids
    cpu_seconds, memory_bytes = columns.costs()
    return _Rows(
        names=all_names(run, columns),
        tasks=columns.tasks,
        groups=columns.groups,
        workers=columns.workers,
        task_ids=columns.node_tasks[nodes],
        group_ids=columns.node_groups[nodes],
        parents=columns.node_parents[nodes],
        phases=columns.phases,
        attempts=columns.attempts,
        worker_ids=columns.worker_ids,
        started=columns.started,
        ended=columns.ended,
        cpu_seconds=cpu_seconds,
        memory_bytes=memory_bytes,
        errors=_errors(run, columns.phases, np.arange(columns.count)),
    )


def _copy_results(run: ReadRun, first: int, limit: int | None) -> Results:
    """Inputs and outputs of actions from one on."""
    columns = Columns(run)
    columns.refresh(None if limit is None else first + limit)
    made = results_of(run, columns, np.arange(first, columns.count))
    for lo in range(first, columns.count, _ROWS_AT_A_TIME):
        rows = range(lo, min(lo + _ROWS_AT_A_TIME, columns.count))
        made.inputs += run.read(lambda state, rows=rows: state.inputs_of(rows))  # type: ignore[misc]  # rows is bound
    return made


def results_of(run: ReadRun, columns: Columns, rows: Numbers) -> Results:
    """Outputs of some actions, without their inputs."""
    phases = columns.phases[rows]
    outputs: list[Item] = []
    for lo in range(0, len(rows), _ROWS_AT_A_TIME):
        part = rows[lo : lo + _ROWS_AT_A_TIME].tolist()
        outputs += run.read(lambda state, part=part: state.outputs_of(part))  # type: ignore[misc]  # part is bound
    task_ids = columns.node_tasks[columns.node_ids[rows]]
    return Results(tasks=columns.tasks, task_ids=task_ids, phases=phases, inputs=[], outputs=outputs, errors=_errors(run, phases, rows))


def _errors(run: ReadRun, phases: Numbers, rows: Numbers) -> dict[int, str]:
    """The reason of each action that did not succeed, by its position among these."""
    bad = np.flatnonzero(_ENDED_BADLY[phases])
    errors: dict[int, str] = {}
    for lo in range(0, len(bad), _REASONS_AT_A_TIME):
        positions = bad[lo : lo + _REASONS_AT_A_TIME].tolist()
        part = rows[positions].tolist()
        reasons = run.read(lambda state, part=part: [reason_of(state, row) for row in part])  # type: ignore[misc]  # part is bound
        errors.update((position, clean(reason)) for position, reason in zip(positions, reasons, strict=True) if reason)
    return errors


def reason_of(state: RunState, row: int) -> str:
    """Why an action did not succeed, in a line; empty if it did, or has not ended."""
    failure = state.failures.get(row)
    return failure.headline() if failure is not None else state.abort_reason(row)


# ------------------------------------------------------------------ columns
def _typed(values: Any, index: pd.RangeIndex) -> pd.Series[Any]:
    """A column with the type of its values, where they have one in common."""
    import pandas as pd  # noqa: PLC0415 - see above

    try:
        column: pd.Series[Any] = pd.Series(values, index=index)
        return column.infer_objects()
    except UnicodeEncodeError:  # text that is no Unicode stays as it is
        return pd.Series(values, index=index, dtype=object)


def _objects(values: Sequence[Any]) -> Objects:
    """Values as they are: numpy would turn equally long lists or arrays into another dimension."""
    return np.fromiter(values, object, len(values))


def _column(values: Sequence[Any]) -> Any:
    """A column without gaps: of numbers at once, of anything else as objects whose type pandas finds."""
    kind = _NUMBERS.get(frozenset(map(type, values)))
    if kind is not None:
        with contextlib.suppress(OverflowError):  # a whole number that needs more than 64 bits
            return np.array(values, kind)
    return _objects(values)


def _input_columns(rows: Results, unpack: Unpacker) -> dict[str, Any]:
    count = len(rows.phases)
    columns: dict[str, Any] = {}
    for task_id in np.unique(rows.task_ids):
        where = np.flatnonzero(rows.task_ids == task_id)
        whole = len(where) == count
        inputs = rows.inputs if whole else [rows.inputs[position] for position in where.tolist()]
        for place, name in enumerate(rows.tasks[task_id].parameters[: min(map(len, inputs))]):
            column = [each[place] for each in inputs]
            if whole:
                columns[name] = _column(unpack.all(column))
            else:
                target = columns.setdefault(name, np.full(count, np.nan, object))
                target[where] = _objects(unpack.all(column))
    return columns


def _output_columns(rows: Results, unpack: Unpacker) -> dict[str, Any]:
    """The columns that outputs become; NaN where there is none."""
    where = np.flatnonzero(np.isin(rows.phases, HAS_OUTPUT))
    whole = len(where) == len(rows.phases)
    values = unpack.all(rows.outputs if whole else [rows.outputs[position] for position in where.tolist()])
    named = [task.outputs for task in rows.tasks]
    declared = [named[task_id] for task_id in rows.task_ids[where].tolist()]
    columns: dict[str, Any] = {}
    for name, (positions, column) in spread_outputs(values, declared).items():
        if whole and len(column) == len(values):
            columns[name] = _column(column)
            continue
        target = columns[name] = np.full(len(rows.phases), np.nan, object)
        target[where[positions]] = _objects(column)
    return columns


def _free_name(name: str, taken: dict[str, Any]) -> str:
    while name in taken or name in RESERVED:
        name = f"output_{name}"
    return name


#: Columns of `flyte.runs()` that count actions: those in one of these phases.
_COUNTED = {
    "succeeded": (ActionPhase.SUCCEEDED, ActionPhase.RECOVERED),
    "failed": (ActionPhase.FAILED, ActionPhase.TIMED_OUT),
    "aborted": (ActionPhase.ABORTED,),
}
_RUN_COLUMNS = ("name", "task", "phase", "started", "seconds", "actions", *_COUNTED, "notebook", "labels", "kernel", "stored")


def runs_frame(runs: Sequence[RunEntry]) -> pd.DataFrame:
    """One row per run, by name.

    Returns:
        task (of the root), phase, started (UTC), seconds (up to now, if it goes on), actions (the root left out), of these
        succeeded (or recovered), failed (or timed out) and aborted; notebook (or script), labels (a dict), kernel ("here",
        "elsewhere", or "gone"), stored (kept on disk).
    """
    import pandas as pd  # noqa: PLC0415 - see above

    return pd.DataFrame([_run_facts(run) for run in runs], columns=list(_RUN_COLUMNS)).set_index("name")


def _run_facts(run: RunEntry) -> tuple[object, ...]:
    counted = [sum(run.counts.get(phase, 0) for phase in of) for of in _COUNTED.values()]
    started = datetime.fromtimestamp(run.started_at, UTC)
    seconds = (run.ended_at or time.time()) - run.started_at
    return (
        *(clean(run.name), clean(run.task), str(run.phase), started, seconds, run.actions, *counted),
        *(clean(run.notebook), dict(run.labels), run.owner, run.stored),
    )
