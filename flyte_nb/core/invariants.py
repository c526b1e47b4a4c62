"""Decides what must hold of a run's state at any moment, whatever events it was folded from.

Must not know: events.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from flyte_nb.core.phases import CODE, PHASES, TERMINAL_CODES, ActionPhase

if TYPE_CHECKING:  # the state is what is checked; only its shape is needed
    from flyte_nb.core.state import RunState

_RUNNING, _SUCCEEDED = CODE[ActionPhase.RUNNING], CODE[ActionPhase.SUCCEEDED]
_FAILED = {CODE[ActionPhase.FAILED], CODE[ActionPhase.TIMED_OUT]}


def check(state: RunState) -> None:
    """Assert every invariant; costs a pass over all rows."""
    count = state.count
    columns = (state.node_ids, state.attempts, state.worker_ids, state.called_at, state.started_ats, state.ended_ats)
    _hold(all(len(column) == count for column in (*columns, state._inputs, state._outputs)), "columns are equally long")  # noqa: SLF001 - it checks what is inside
    recount: Counter[tuple[int, int]] = Counter(zip(state.node_ids, state.phases, strict=True))
    for node_id, node in enumerate(state.nodes):
        _hold(node.counts == [recount[node_id, code] for code in range(len(PHASES))], f"counts of node {node_id}")
    by_phase = Counter(state.phases)
    _hold(state.totals == [by_phase[code] for code in range(len(PHASES))], "totals")
    for row in range(count):
        _check_row(state, row)
    ended = state.phases[0] in TERMINAL_CODES and state.open_count == 0
    _hold(ended == (state.ended_at is not None), "a run has an end exactly when all its actions have")


def _check_row(state: RunState, row: int) -> None:
    code = state.phases[row]
    _hold(row == 0 or state.parent_of(row) < row, f"row {row} comes after its parent")
    _hold((code in TERMINAL_CODES) == (state.ended_ats[row] > 0), f"row {row} has an end exactly when terminal")
    _hold((code in _FAILED) == (row in state.failures), f"row {row} has a failure exactly when it failed")
    if code in {_RUNNING, _SUCCEEDED} and row not in state.reused:
        _hold(state.started_ats[row] > 0 and state.attempts[row] > 0, f"row {row} has a start")
    _hold(len(state.past.get(row, ())) <= state.attempts[row] + 1, f"row {row} has no more endings than attempts")


def _hold(truth: bool, what: str) -> None:  # noqa: FBT001 - reads as `assert truth, what`
    if not truth:
        raise AssertionError(f"invariant broken: {what}")
