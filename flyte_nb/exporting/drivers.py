"""Decides what starts the tasks in a module: the body of a `%%flyte_run` cell, or a task that a cell ran with `flyte.run`.

Must not know: how a module is put together.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass

from flyte_nb.exporting.findings import ExportRefusedError, Finding
from flyte_nb.exporting.names import FUNCTIONS
from flyte_nb.exporting.notebook import MAGIC, Notebook
from flyte_nb.exporting.slicing import Slice, magic_place
from flyte_nb.exporting.statements import Cell, Statement, own_nodes
from flyte_nb.exporting.texts import INDENT, shifted


@dataclass(frozen=True, slots=True)
class Driver:
    """What a module starts with: one of a cell, and a task with or without a call of it.

    Attributes:
        cell: a `%%flyte_run` cell.
        task: the name of a task.
        statement: the statement with the call that ran the task.
        call: that call.
        is_table: the call is one of `flyte.map_frame`.
    """

    cell: Cell | None = None
    task: str = ""
    statement: Statement | None = None
    call: ast.Call | None = None
    is_table: bool = False

    @property
    def has_body(self) -> bool:
        """Whether it becomes a task of its own."""
        return self.cell is not None or self.is_table


def chosen(notebook: Notebook, tasks: dict[str, Statement], wanted: str | None) -> Driver | None:
    """The driver that was asked for; without a wish what ran last, or the task `main`.

    Raises:
        ExportRefusedError: there is no such driver.
    """
    known: list[tuple[int, str, Driver]] = []
    for statement in notebook.statements:
        if statement.cell.driver is not None:
            known.append((statement.number, statement.cell.driver.out, Driver(statement.cell)))
            continue
        for call in own_nodes(statement.node):
            task, is_table = _task_of(notebook, call)
            if task in tasks and isinstance(call, ast.Call):
                driver = Driver(None, task, statement, call, is_table)
                known += [(statement.number, name, driver) for name in (task, *sorted(statement.binds))]
    if wanted is not None:
        known = [each for each in known if each[1] == wanted]
        if not known and wanted in tasks:
            return Driver(None, wanted)
        if not known:
            names = sorted({*tasks, *(each.cell.driver.out for each in notebook.statements if each.cell.driver is not None)} - {""})
            raise ExportRefusedError(f"There is no driver {wanted!r}: {', '.join(names) or 'the notebook has neither tasks nor drivers'}.")
    if known:
        return max(known, key=lambda each: each[0])[2]
    return Driver(None, "main") if "main" in tasks else None


def _task_of(notebook: Notebook, node: ast.AST) -> tuple[str, bool]:
    """The name of the task that a call runs, and whether it does so for each row of a table; "" if it is no such call."""
    if not isinstance(node, ast.Call) or not node.args:
        return "", False
    func = node.func.value if isinstance(node.func, ast.Attribute) and node.func.attr == "aio" else node.func
    path = notebook.flyte.path(func)
    context = func.value if isinstance(func, ast.Attribute) and func.attr == "run" else None
    is_context = isinstance(context, ast.Call) and notebook.flyte.path(context.func) == "with_runcontext"
    first = node.args[0]
    if path == "map_frame" and isinstance(first, ast.Call) and first.args:  # a partial of a task
        first = first.args[0]
    is_run = path in {"run", "map_frame"} or is_context
    return (first.id if is_run and isinstance(first, ast.Name) else ""), path == "map_frame"


# ------------------------------------------------------------------ the body of a cell
def collect(piece: Slice, driver: Driver) -> None:
    """Take the body of a driver into a slice.

    Raises:
        ExportRefusedError: it needs a magic.
    """
    own = [each for each in piece.notebook.statements if each.cell is driver.cell and not _is_line_magic(each)]
    if driver.is_table and driver.statement is not None and driver.call is not None:
        asked = ast.copy_location(ast.Expr(driver.call), driver.call)
        own = [Statement(driver.statement.number, driver.statement.cell, asked, driver.call.lineno)]
    for statement in own:
        if MAGIC in statement.uses.now | statement.uses.later:
            raise ExportRefusedError(f"{magic_place(statement)}: a driver in a module cannot use a magic or a shell command.")
        piece.inner.setdefault(statement.number, statement)
    for statement in own:
        piece.inner.pop(statement.number)
        piece.drive(statement)


def _is_line_magic(statement: Statement) -> bool:
    return isinstance(statement.node, ast.Expr) and MAGIC in statement.uses.now


def returned(piece: Slice, driver: Driver) -> int | None:
    """The number of the statement whose value the driver returns: a last expression, as in the notebook."""
    last = piece.inner[max(piece.inner)] if piece.inner else None
    if last is None or not isinstance(last.node, ast.Expr):
        return None
    line = last.cell.driver if last.cell is driver.cell else None
    return last.number if driver.is_table or (line is not None and not line.silenced) else None


def outputs(piece: Slice, driver: Driver) -> int:
    """How many outputs the driver has: the SDK takes a tuple for several."""
    number = returned(piece, driver)
    if number is None:
        return 1 if driver.cell is not None and _results(piece, driver.cell) else 0
    value = getattr(piece.inner[number].node, "value", None)
    is_plain = isinstance(value, ast.Tuple) and not any(isinstance(each, ast.Starred) for each in value.elts)
    return len(value.elts) if isinstance(value, ast.Tuple) and is_plain else 1


def body(piece: Slice, driver: Driver, texts: Mapping[int, str]) -> list[str]:
    """The lines of the driver's body.

    Args:
        piece: what goes into the module.
        driver: the driver.
        texts: statements by number, as the module has them.
    """
    declared = {name for statement in piece.inner.values() for name in statement.uses.shared}
    shared = (piece.outside | declared) & {name for statement in piece.inner.values() for name in statement.binds}
    lines = [f"global {', '.join(sorted(shared))}"] if shared else []
    group = ""
    for number in sorted(piece.inner):
        line = piece.inner[number].cell.driver
        own = line.group if line is not None else ""
        if own and own != group:
            lines.append(f"with flyte.group({own!r}):")
        lines.append(shifted(texts[number], INDENT if own else 0))
        group = own
    if returned(piece, driver) is None and driver.cell is not None:
        lines += _results(piece, driver.cell)
    return lines


def _results(piece: Slice, cell: Cell) -> list[str]:
    """What a driver without a last expression returns: the names that it assigns, as the notebook would have them."""
    names: dict[str, None] = {}
    for number in sorted(piece.inner):
        statement = piece.inner[number]
        if statement.cell is cell:
            names.update(dict.fromkeys(each for each in _assigned(statement.node) if not each.startswith("_")))
    if not names:
        return []
    return [f"return {next(iter(names))}" if len(names) == 1 else "return {" + ", ".join(f"{name!r}: {name}" for name in names) + "}"]


def _assigned(node: ast.stmt) -> list[str]:
    """Variables that a statement surely assigns: those of loops and branches are left to it."""
    if isinstance(node, ast.With | ast.AsyncWith):
        return [name for each in node.body for name in _assigned(each)]
    if isinstance(node, ast.AugAssign | ast.AnnAssign):
        return [node.target.id] if isinstance(node.target, ast.Name) and node.value is not None else []
    if not isinstance(node, ast.Assign):
        return []
    return [
        each.id for target in node.targets for each in ast.walk(target) if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)
    ]


# ------------------------------------------------------------------ a task and its inputs
def needs_inputs(statement: Statement) -> list[str]:
    """Parameters of a task that have no default."""
    node = statement.node
    if not isinstance(node, FUNCTIONS):
        return []
    plain = [*node.args.posonlyargs, *node.args.args]
    keyword = [each for each, default in zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True) if default is None]
    return [each.arg for each in [*plain[: len(plain) - len(node.args.defaults)], *keyword]]


def enter(piece: Slice, driver: Driver) -> bool:
    """Take along what a call of the driver is given, earlier runs included; whether all of it can be had without a notebook."""
    if driver.call is None or driver.statement is None:
        return False
    asked = ast.copy_location(ast.Expr(driver.call), driver.call)
    statement = Statement(driver.statement.number, driver.statement.cell, asked, driver.call.lineno)
    before = list(piece.findings)
    piece.driven = {"run"}
    for name in sorted(statement.uses.now | statement.uses.later | statement.uses.called):
        piece.driven_name(name, statement)
    failed = [each for each in piece.findings[len(before) :] if each.kind == "problem"]
    if failed:  # what is given was found by a driver, or by hand
        piece.inner.clear()
        why = "; ".join(each.what for each in failed)
        piece.findings[:] = [*before, Finding("note", f"the call of `{driver.task}` is left out: {why}", cell=statement.where)]
        return False
    return True


def earlier_runs(piece: Slice, texts: Mapping[int, str]) -> list[str]:
    """The lines of what runs before the driver, and of waiting for it."""
    lines = []
    for number in sorted(piece.inner):
        node = piece.inner[number].node
        lines.append(texts[number])
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and _task_of(piece.notebook, node.value)[0]:
            lines.append(f"{node.targets[0].id}.wait()")
    return lines
