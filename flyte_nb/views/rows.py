"""Decides how one action reads as a row: the columns that it has in `run.results`, and what `run.actions` tells of it.

A row is what was known at the moment of reading; values are unpacked when they are first asked for.

Must not know: when a row is made (as actions end, or for a question about those that are open).
"""

from __future__ import annotations

import difflib
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

from flyte_nb.core.events import Inputs, TaskFacts
from flyte_nb.core.payloads import Item
from flyte_nb.core.phases import ActionPhase
from flyte_nb.core.state import RunState
from flyte_nb.views.columns import ReadRun
from flyte_nb.views.frames import RESERVED, reason_of
from flyte_nb.views.spread import Unpacker, spread_outputs
from flyte_nb.views.wording import clean, encodable, one_line

#: Rows that are copied while the run stands still: some microseconds each.
_ROWS_AT_A_TIME = 256
_HAS_OUTPUT = frozenset({ActionPhase.SUCCEEDED, ActionPhase.RECOVERED})
_SHOWN_CHARACTERS = 60


class RowedRun(ReadRun, Protocol):
    """What a row needs of its run."""

    def action_at(self, row: int) -> Any:
        """The handle of an action by its position."""
        ...


class Row(Mapping[str, Any]):
    """One action as a row: `row["lr"]` or `row.lr` is a column of `run.results`; the rest are attributes.

    Columns are the action's inputs by name, its outputs (a dict, dataclass or named tuple is spread over columns, anything else
    is `output`), `task`, `phase` and `error`. Where a column has the name of an attribute, `row["..."]` is the column.

    Attributes:
        position: the row of `run.actions` and `run.results` that it is; `run.action(position)` is its handle.
        task: short name of its task.
        kind: what it is: a "task", a "trace" (a step of its parent) or a "condition".
        group: the group that it was called in; empty for none.
        phase: an `ActionPhase`, which is also its word: `row.phase == "succeeded"`.
        attempt: attempts that have started.
        worker: which worker ran it last; empty before.
        error: why it did not succeed, in a line; None if it did, or has not ended.
        seconds: how long its last attempt took, or has been going on; NaN before its start.
        started: when its last attempt started, UTC; None before.
    """

    __slots__ = (
        *("_columns", "_facts", "_inputs", "_item", "_run", "_unpack"),
        *("attempt", "error", "group", "kind", "phase", "position", "seconds", "started", "task", "worker"),
    )

    def __init__(self, run: RowedRun, state: RunState, position: int, unpack: Unpacker, now: float) -> None:
        self._run, self._unpack = run, unpack
        self._facts: TaskFacts = state.task_of(position)
        self._inputs: Inputs = state.inputs(position)
        self._item: Item = state.output(position)
        self._columns: dict[str, Any] | None = None
        self.position = position
        self.task = encodable(self._facts.short_name)
        self.kind = self._facts.kind
        self.group = encodable(state.group_of(position))
        self.phase = state.phase_of(position)
        self.attempt = state.attempts[position]
        self.worker = state.workers[state.worker_ids[position]]
        badly = self.phase.is_terminal and self.phase not in _HAS_OUTPUT
        self.error = clean(reason_of(state, position)) or self.phase.value if badly else None
        began, ended = state.started_ats[position], state.ended_ats[position]
        self.started = datetime.fromtimestamp(began, UTC) if began else None
        self.seconds = max(0.0, (ended or now) - began) if began else float("nan")

    # ------------------------------------------------------------------ what is worked out when it is asked for
    @property
    def name(self) -> str:
        """The action's deterministic name."""
        position = self.position
        return self._run.read(lambda state: state.action_name(position))

    @property
    def action(self) -> Any:
        """The action's handle: its logs, report, traceback, `abort()`."""
        return self._run.action_at(self.position)

    @property
    def inputs(self) -> dict[str, Any]:
        """What it was called with, by parameter name."""
        return {name: self._unpack(item) for name, item in zip(self._facts.parameters, self._inputs, strict=False)}

    @property
    def output(self) -> Any:
        """What it returned; None if it did not succeed, or has not ended."""
        return self._unpack(self._item) if self.phase in _HAS_OUTPUT else None

    def to_dict(self) -> dict[str, Any]:
        """The columns and their values."""
        if self._columns is None:
            self._columns = self._made()
        return dict(self._columns)

    def _made(self) -> dict[str, Any]:
        columns = {f"input_{name}" if name in RESERVED else encodable(name): value for name, value in self.inputs.items()}
        if self.phase in _HAS_OUTPUT:
            for name, (_, (value,)) in spread_outputs([self.output], [self._facts.outputs]).items():
                while name in columns or name in RESERVED:
                    name = f"output_{name}"  # noqa: PLW2901 - as in run.results
                columns[name] = value
        return {"task": self.task, **columns, "phase": self.phase.value, "error": self.error}

    # ------------------------------------------------------------------ as a mapping
    def __getitem__(self, column: str) -> Any:
        columns = self._columns if self._columns is not None else self.to_dict()
        try:
            return columns[column]
        except KeyError:
            raise KeyError(self._about_missing(column)) from None

    def __getattr__(self, column: str) -> Any:
        if column.startswith("_"):
            raise AttributeError(column)
        try:
            return self.to_dict()[column]
        except KeyError:
            raise AttributeError(self._about_missing(column)) from None

    def _about_missing(self, column: object) -> str:
        names = list(self.to_dict())
        near = difflib.get_close_matches(str(column), names, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        return (
            f"no column {column!r} in action {self.position} of task {self.task}, which is {self.phase}.{hint} It has {', '.join(names)}."
        )

    def __iter__(self) -> Iterator[str]:
        return iter(self.to_dict())

    def __len__(self) -> int:
        return len(self.to_dict())

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *(name for name in self.to_dict() if name.isidentifier())]

    def __reduce__(self) -> tuple[Any, ...]:
        return dict, (self.to_dict(),)  # elsewhere there is no run that it belongs to

    def __repr__(self) -> str:
        parts = [f"{name}={one_line(repr(value), _SHOWN_CHARACTERS)}" for name, value in self.to_dict().items() if name not in RESERVED]
        why = f": {one_line(self.error, _SHOWN_CHARACTERS)}" if self.error else ""
        return f"<row {self.position} of {self.task}: {', '.join(parts)}; {self.phase}{why}>"


def rows_of(run: RowedRun, positions: Sequence[int]) -> list[Row]:
    """Actions as rows, as they are at this moment.

    Args:
        run: whose actions.
        positions: which of them.
    """
    made: list[Row] = []
    unpack, now = Unpacker(), time.time()
    for lo in range(0, len(positions), _ROWS_AT_A_TIME):
        part = positions[lo : lo + _ROWS_AT_A_TIME]
        made += run.read(lambda state, part=part: [Row(run, state, each, unpack, now) for each in part])  # type: ignore[misc]  # bound now
    return made
