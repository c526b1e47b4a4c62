"""Decides how `%flyte_map TASK ITEMS` reads its line: what the task is, what it is called for, and what is said about a mistake.

Must not know: how rows are bound to parameters, or how a run is started (it is given `flyte.map_frame`).
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from IPython.core.error import UsageError
from IPython.core.magic import Magics, magics_class

from flyte_nb.authoring.task import Task
from flyte_nb.notebook.options import argument, line_magic, magic_arguments, nearest, read, variable_name

_NAME = re.compile(r"[^\W\d]\w*\Z")
_CLOSES = {"(": ")", "[": "]", "{": "}"}
_QUOTES = frozenset("\"'")


@magics_class
class MapMagics(Magics):
    """`%flyte_map`.

    Args:
        shell: IPython's shell.
        map_frame: `flyte.map_frame`.
    """

    def __init__(self, shell: Any, map_frame: Callable[..., Any]) -> None:
        super().__init__(shell)
        self._shell = shell
        self._map_frame = map_frame

    def completions(self) -> dict[str, tuple[Any, dict[str, Callable[[Mapping[str, Any]], Iterable[str]]]]]:
        """By magic: its method, and what may follow its options (or "", the magic itself)."""
        return {"%flyte_map": (self.flyte_map, {"": tasks_in})}

    @magic_arguments()
    @argument("task", help="A task, by its name.")
    @argument(
        "items", help="What it is called for: a DataFrame (a row a call), or any other iterable (an item a call, for the first parameter)."
    )
    @argument("-c", "--concurrency", type=int, default=0, metavar="N", help="Most calls at once. Default: no limit.")
    @argument("--group", metavar="NAME", help="The calls' group is TASK_NAME.")
    @argument("-o", "--out", type=variable_name, metavar="NAME", help="Bind the Run to this name, at once; NAME.results is the table.")
    @argument("-b", "--block", dest="block", action="store_true", help="Wait for the end, and show the results.")
    @argument("-a", "--noblock", dest="block", action="store_false", help="Return at once (default); the view below stays live.")
    @line_magic
    def flyte_map(self, line: str) -> Any:
        """Call a task for each row of a table, or each item of an iterable; `flyte.map_frame` is the same in Python.

        An expression with spaces stands in brackets: `%flyte_map train (table.head(10))`.
        """
        __tracebackhide__ = True
        options = read(self.flyte_map, line, "%flyte_map", split=words_of)
        task = self._value(options.task)
        facts = _task_of(task, options.task, self._shell.user_ns).facts
        table = _table(self._value(options.items), options.items, facts.parameters, task)
        try:
            run = self._map_frame(task, table, concurrency=options.concurrency, group_name=options.group)
        except (TypeError, ValueError) as error:
            raise UsageError(f"%flyte_map: {error}") from error
        if options.out:
            self._shell.user_ns[options.out] = run
        if not options.block:
            return None
        run.wait()
        run.raise_for_status()
        return run.results

    def _value(self, expression: str) -> Any:
        """What an expression stands for in the notebook.

        Raises:
            UsageError: it is no expression, or a name is unknown. What else it raises is the user's.
        """
        __tracebackhide__ = True
        try:
            return self._shell.ev(expression)
        except SyntaxError as error:
            raise UsageError(f"%flyte_map: {expression!r} is no Python expression: {error.msg}.") from None
        except NameError as error:
            name = error.name or expression
            hint = nearest(name, self._shell.user_ns) if _NAME.match(name) else ""
            raise UsageError(f"%flyte_map: there is no name {name!r} here. {hint}".rstrip()) from None


def tasks_in(user_ns: Mapping[str, Any]) -> list[str]:
    """Names of the tasks that a notebook has."""
    return [name for name, value in user_ns.items() if isinstance(value, Task) and not name.startswith("_")]


def _task_of(value: Any, word: str, user_ns: Mapping[str, Any]) -> Task[..., Any]:
    task = value
    while isinstance(task, partial):
        task = task.func
    if isinstance(task, Task):
        return task
    if callable(value):
        raise UsageError(f"%flyte_map: {word} is no task: put `@env.task` above the function, or `%%flyte_task` above its cell.")
    known = ", ".join(tasks_in(user_ns)) or "none yet"
    raise UsageError(f"%flyte_map: {word} is no task but a {type(value).__name__}. Tasks here: {known}.")


def _table(items: Any, word: str, parameters: tuple[str, ...], task: Any) -> Any:
    """What `flyte.map_frame` takes: a table as it is, other items as a column for the first parameter that is free."""
    import pandas as pd  # noqa: PLC0415 - half a second, only where something is mapped

    if isinstance(items, str | bytes) or not isinstance(items, Iterable):
        raise UsageError(f"%flyte_map: {word} is a {type(items).__name__}, one value: what is mapped is a DataFrame or an iterable.")
    if hasattr(items, "columns") or isinstance(items, Mapping):
        return items
    values = items if isinstance(items, pd.Series) else list(items)
    if isinstance(values, list) and values and all(isinstance(each, Mapping) for each in values):
        return values
    bound: set[str] = set()
    taken = 0
    while isinstance(task, partial):
        bound, taken, task = bound | set(task.keywords), taken + len(task.args), task.func
    free = [name for name in parameters[taken:] if name not in bound]
    if not free:
        raise UsageError(f"%flyte_map: {getattr(task, 'short_name', 'the task')} has no parameter that an item could go to.")
    column = pd.Series(values, dtype=object) if isinstance(values, list) else values
    return column.to_frame(free[0])


def words_of(line: str) -> list[str]:
    """The words of a line: brackets and quotes hold together what has spaces, and stay, but for a quoted value of an option."""
    words: list[str] = []
    word, closing, quote = "", "", ""
    for place, letter in enumerate(line):
        if quote:
            quote = "" if letter == quote and not line[:place].endswith("\\") else quote
        elif letter in _QUOTES:
            quote = letter
        elif letter in _CLOSES:
            closing = _CLOSES[letter] + closing
        elif closing and letter == closing[0]:
            closing = closing[1:]
        elif letter.isspace() and not closing:
            words += [word] if word else []
            word = ""
            continue
        word += letter
    if quote or closing:
        raise ValueError(f"{quote or closing[0]} is missing at the end")
    words += [word] if word else []
    return [_unquoted(each, before) for before, each in zip(["", *words], words, strict=False)]


def _unquoted(word: str, before: str) -> str:
    is_value = (before.startswith("-") and word[:1] in _QUOTES) or word.startswith("-")
    return shlex.split(word)[0] if is_value else word
