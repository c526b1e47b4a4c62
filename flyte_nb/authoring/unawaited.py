"""Decides what is said when the call of a task is used as if it were its result: `await` was forgotten.

Must not know: how a call starts.
"""

from __future__ import annotations

import types
from typing import Any

#: What people do with results; comparing, hashing and truth are left alone: calls are kept in sets and dicts.
_USES = (
    *("add", "radd", "sub", "rsub", "mul", "rmul", "truediv", "rtruediv", "floordiv", "rfloordiv", "mod", "rmod", "pow", "rpow"),
    *("matmul", "rmatmul", "and", "rand", "or", "ror", "xor", "rxor", "neg", "abs", "lt", "le", "gt", "ge"),
    *("getitem", "setitem", "contains", "len", "int", "float", "index", "round"),
)


def hint_of(value: object) -> str:
    """What to do about a value that is an awaitable in a place where none belongs; empty if it is none."""
    return "it was not awaited: write `await ...`" if isinstance(value, types.CoroutineType) else ""


def refuse_uses(cls: type) -> None:
    """Make a class of calls say what was forgotten, where one is used as a value."""
    for use in _USES:
        setattr(cls, f"__{use}__", _refusal)
    cls.__bool__ = _yes  # type: ignore[attr-defined]  # what has a length is asked for it where its truth is: loops ask


def _yes(_call: object) -> bool:
    return True


def _refusal(call: Any, *_others: object) -> Any:
    name = call.task_name
    raise TypeError(f"This is a call of task '{name}', not its result: write `await {name.rpartition('.')[2]}(...)`.")
