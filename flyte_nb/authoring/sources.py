"""Decides which source text travels with a task: that of cells, which no worker can read from a file.

With it, tracebacks and `inspect.getsource` show lines on a worker as they do in the notebook.

Must not know: tasks; it looks at plain functions.
"""

from __future__ import annotations

import linecache
from collections.abc import Callable, Iterator
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

from flyte_nb.core.labels import file_label, remember_label
from flyte_nb.core.payloads import dumps

#: Functions that are looked at, at most, when following what a function uses.
MOST_FUNCTIONS = 200


Sources = dict[str, tuple[str, list[str]]]


def sources_of(func: Callable[..., Any]) -> Sources:
    """Label and source lines by file name, of a function and of those that it uses, where no file holds them."""
    found: Sources = {}
    for used in _used_functions(func):
        name = used.__code__.co_filename
        if name not in found and not Path(name).is_file():
            lines = linecache.getlines(name, used.__globals__)
            if lines:
                found[name] = (file_label(name), lines)
    return found


def remember(found: Sources) -> None:
    """Make source lines and labels known to tracebacks and to `inspect` in this process."""
    for name, (label, lines) in found.items():
        remember_label(name, label)
        linecache.cache[name] = (sum(map(len, lines)), None, lines, name)


def _used_functions(func: Callable[..., Any]) -> Iterator[FunctionType]:
    waiting: list[Any] = [func]
    seen: set[int] = set()
    while waiting and len(seen) < MOST_FUNCTIONS:
        used = waiting.pop()
        used = getattr(used, "func", used)  # a task or a partial
        if not isinstance(used, FunctionType) or id(used) in seen:
            continue
        seen.add(id(used))
        yield used
        waiting.extend(value for value in referenced(used).values() if callable(value))


def referenced(func: FunctionType) -> dict[str, Any]:
    """Globals and closed-over variables that a function's code names."""
    names = set(_names(func.__code__))
    values = {name: func.__globals__[name] for name in names if name in func.__globals__}
    for name, cell in zip(func.__code__.co_freevars, func.__closure__ or (), strict=False):
        try:
            values[name] = cell.cell_contents
        except ValueError:  # not assigned yet
            continue
    return values


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


def unpicklable_global(func: Callable[..., Any]) -> tuple[str, str]:
    """(name, type name) of the first variable used by a function that cannot be pickled."""
    for used in _used_functions(func):
        for name, value in referenced(used).items():
            if isinstance(value, FunctionType):
                continue
            try:
                dumps(value)
            except Exception:  # noqa: BLE001 - that it raises is the answer
                return name, type(value).__name__
    return getattr(func, "__name__", "function"), type(func).__name__
