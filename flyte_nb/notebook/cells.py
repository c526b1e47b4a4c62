"""Decides how the body of a cell becomes a task, or the driver of a run.

A body is transformed, compiled and named as IPython does it with a cell, under the cell's own line numbers, so that
tracebacks and `inspect.getsource` show its lines. A defining cell is run in the notebook's namespace. A driver's body
runs in a copy of it: what it assigns appears in the notebook when it has succeeded, and not before, because other
cells may run meanwhile.

Must not know: magics, runs, or where a driver runs.
"""

from __future__ import annotations

import ast
import contextlib
import inspect
import weakref
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from types import CodeType
from typing import Any, NoReturn

from IPython.core.error import UsageError

from flyte_nb.authoring.context import group as open_group

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_SCOPES = (*_FUNCTIONS, ast.Lambda, ast.ClassDef, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


# ------------------------------------------------------------------ cells that define a task
def define(shell: Any, cell: str) -> tuple[str, Any]:
    """Run a cell that defines a function; returns its name and what the cell bound to it.

    Imports, constants and helpers may stand in the cell too; the last function at the top level is the task.

    Raises:
        UsageError: there is no function, or the cell awaits something itself.
        SyntaxError: the cell is not Python.
        Exception: whatever the cell raises.
    """
    __tracebackhide__ = True
    filename, tree = parse(shell, cell)
    name = _task_name(tree)
    if _awaits(tree):
        raise UsageError(
            "%%flyte_task defines a task and cannot await anything itself. Move the `await` into the function, "
            "or into a cell of its own (%%flyte_run runs a cell that awaits tasks)."
        )
    exec(shell.compile(tree, filename, "exec"), shell.user_global_ns, shell.user_ns)  # noqa: S102 - the user's cell
    return name, shell.user_ns[name]


def _task_name(tree: ast.Module) -> str:
    functions = [node.name for node in tree.body if isinstance(node, _FUNCTIONS)]
    if functions:
        return functions[-1]
    classes = [node.name for node in tree.body if isinstance(node, ast.ClassDef)]
    found = f" It defines the class {classes[-1]}, which cannot be a task." if classes else ""
    raise UsageError(
        f"%%flyte_task needs a function: write `def name(...):` or `async def name(...):` at the top level of the cell.{found}"
    )


def _awaits(tree: ast.AST) -> bool:
    """Whether code awaits something at its own level."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, (ast.Await, ast.AsyncFor, ast.AsyncWith)):
            return True
        if isinstance(node, ast.comprehension) and node.is_async:
            return True
        if not isinstance(node, (*_FUNCTIONS, ast.Lambda)) and _awaits(node):
            return True
    return False


def parse(shell: Any, cell: str) -> tuple[str, ast.Module]:
    """The file name under which a body is known to tracebacks, and its syntax tree."""
    source = _on_its_lines(cell, shell.transform_cell(cell))
    filename = shell.compile.cache(source, cell_number(shell), raw_code=source)
    tree = shell.compile.ast_parse(source, filename=filename)
    return filename, shell.transform_ast(tree)


def cell_number(shell: Any) -> int:
    """The number of the cell that is being run: IPython has counted on already."""
    return max(1, int(shell.execution_count) - 1)


def _on_its_lines(cell: str, transformed: str) -> str:
    """The transformed body with the line numbers that a reader of the notebook sees: the magic is line 1."""
    lines = cell.splitlines()
    leading = next((number for number, line in enumerate(lines) if line.strip()), 0)
    return "\n" * (1 + leading) + transformed


# ------------------------------------------------------------------ cells that drive a run
class DriverNamespace(dict[str, Any]):
    """The names that a driver sees: a copy of the notebook's. A class of its own, so that it can be weakly referenced."""

    __slots__ = ("__weakref__",)


#: Namespaces of drivers that succeeded, as long as functions that were defined there live.
_namespaces: list[weakref.ref[DriverNamespace]] = []


def refresh_namespaces(user_ns: dict[str, Any]) -> None:
    """Let functions that a driver defined see the notebook's present names, as functions from other cells do."""
    _namespaces[:] = [reference for reference in _namespaces if reference() is not None]
    for reference in _namespaces:
        namespace = reference()
        if namespace is not None:
            namespace.update(user_ns)


@dataclass(frozen=True, slots=True)
class Driver:
    """The body of a cell, ready to run once.

    Attributes:
        body: everything but a last expression.
        output: the last expression, whose value is the driver's output.
    """

    body: CodeType
    output: CodeType | None
    user_ns: dict[str, Any]

    def _flyte_nb_used_code(self) -> list[tuple[CodeType, dict[str, Any]]]:
        """What the version of a driver depends on: see `authoring.versions`."""
        return [(code, self.user_ns) for code in (self.body, self.output) if code is not None]

    def __reduce__(self) -> NoReturn:
        raise TypeError("a cell cannot be pickled: it would take all of the notebook along")

    async def run(self) -> Any:
        """Run the body; names that it assigned are in the notebook when it has succeeded."""
        namespace = DriverNamespace(self.user_ns)
        before = dict(namespace)
        await _execute(self.body, namespace)
        value = None if self.output is None else await _execute(self.output, namespace)
        self._merge(before, namespace)
        return value

    def _merge(self, before: dict[str, Any], namespace: DriverNamespace) -> None:
        for name, value in namespace.items():
            if name not in before or before[name] is not value:
                self.user_ns[name] = value
        for name in before:
            if name not in namespace:
                self.user_ns.pop(name, None)
        _namespaces.append(weakref.ref(namespace))

    def as_function(self, name: str, *, group: str | None = None) -> Callable[[], Awaitable[Any]]:
        """An async function that runs the body, under a name of its own; its calls may belong to a group."""

        async def driver():  # type: ignore[no-untyped-def]  # noqa: ANN202 - its annotations would be the task's
            with open_group(group) if group else contextlib.nullcontext():
                return await self.run()

        driver.__name__ = driver.__qualname__ = name
        driver.__doc__ = "The body of a %%flyte_run cell."
        driver.__module__ = "__main__"
        return driver


async def _execute(code: CodeType, namespace: DriverNamespace) -> Any:
    value = eval(code, namespace)  # noqa: S307 - the user's cell
    return await value if code.co_flags & inspect.CO_COROUTINE else value


def driver(shell: Any, cell: str) -> Driver:
    """Compile a cell that drives a run; top-level `await` works.

    Raises:
        UsageError: the cell is empty.
        SyntaxError: it is not Python.
    """
    filename, tree = parse(shell, cell)
    if not tree.body:
        raise UsageError("%%flyte_run needs a body: the calls of tasks that the run shall make.")
    last = tree.body[-1]
    output: ast.Expression | None = None
    if isinstance(last, ast.Expr) and not _is_silenced(cell):
        output = ast.Expression(last.value)
        tree.body.pop()
    with shell.compile.extra_flags(ast.PyCF_ALLOW_TOP_LEVEL_AWAIT):
        body = shell.compile(tree, filename, "exec")
        value = None if output is None else shell.compile(output, filename, "eval")
    return Driver(body, value, shell.user_ns)


def _is_silenced(cell: str) -> bool:
    """Whether the last line ends in a semicolon, as IPython has it."""
    return cell.rstrip().endswith(";")
