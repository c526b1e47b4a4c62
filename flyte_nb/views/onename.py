"""Decides how one action's name is found without naming all of its siblings.

A name counts how often the parent had made that same call before. Where few calls are equal, they are found by comparing
inputs, which is a hundred times quicker than naming: whatever has the same digest is equal too. What cannot be told so
(pickled values, numbers that are none, very many equal calls) is left to those who name one by one.

Must not know: who asks.
"""

from __future__ import annotations

from dataclasses import dataclass

from flyte_nb.core.events import Inputs
from flyte_nb.core.ids import action_name
from flyte_nb.core.names import hash_of_inputs, identity
from flyte_nb.core.state import RunState
from flyte_nb.views.columns import ReadRun

#: Inputs that are compared while the run stands still, and equal calls that are looked at.
_SLICE, _MOST_EQUAL = 16_384, 200
_COMPARABLE = frozenset({type(None), bool, int, float, str, bytes})


@dataclass(frozen=True, slots=True)
class _Asked:
    """What the name of an action depends on, beside the calls before it."""

    parent: int
    group: str
    identity: str
    ignored: tuple[int, ...]
    inputs: Inputs
    before: list[range]


def one_name(run: ReadRun, row: int) -> str | None:
    """The name of an action; None if it takes naming those before it.

    Args:
        run: whose action.
        row: which one.
    """
    known = run.read(lambda state: state.name_within(row, 0))
    if known is not None:
        return known
    asked = run.read(lambda state: _asked(state, row))
    parent = None if asked is None else one_name(run, asked.parent)
    if asked is None or parent is None:
        return None
    mine, found = hash_of_inputs(asked.inputs, asked.ignored), 0
    for block in asked.before:
        for lo in range(block.start, block.stop, _SLICE):
            rows = range(lo, min(lo + _SLICE, block.stop))
            inputs = run.read(lambda state, rows=rows: state.inputs_of(rows))  # type: ignore[misc]  # rows is bound
            if equal := inputs.count(asked.inputs):
                if equal > _MOST_EQUAL - found:
                    return None
                places = [rows[place] for place, each in enumerate(inputs) if each == asked.inputs]
                found += run.read(lambda state, places=places: sum(_same(state, place, asked, mine) for place in places))  # type: ignore[misc]  # bound
    return action_name(parent, mine, asked.identity, found + 1, asked.group)


def _asked(state: RunState, row: int) -> _Asked | None:
    task, parent, inputs = state.task_of(row), state.parent_of(row), state.inputs(row)
    if state.sequences or task.cache.ignored or not all(type(item) in _COMPARABLE and item == item for item in inputs):  # noqa: PLR0124 - NaN
        return None
    before = [range(block.start, min(block.stop, row)) for block in state.children[parent] if block.start < row]
    return _Asked(parent, state.group_of(row), identity(task), task.cache.ignored, inputs, before)


def _same(state: RunState, row: int, asked: _Asked, mine: str) -> bool:
    """Whether an earlier call with equal inputs is the same call: of that task, in that group, and of the same types."""
    task = state.task_of(row)
    same = state.parent_of(row) == asked.parent and state.group_of(row) == asked.group and identity(task) == asked.identity
    return same and hash_of_inputs(state.inputs(row), task.cache.ignored) == mine
