"""Decides what a notebook's tasks look like as a module for the real SDK, from the cells that ran to the finished text.

Must not know: where cells come from, or where the text goes.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from flyte_nb.exporting import checking, drivers
from flyte_nb.exporting.assembling import Assembly, Part
from flyte_nb.exporting.findings import ExportRefusedError, Finding
from flyte_nb.exporting.flytes import FLYTES
from flyte_nb.exporting.importing import IsOwn, group_of
from flyte_nb.exporting.names import words
from flyte_nb.exporting.notebook import DEFINITIONS, IMPORTS, Notebook
from flyte_nb.exporting.slicing import Slice
from flyte_nb.exporting.statements import CHANGING, Cell, Statement, dotted, own_nodes, statements_of
from flyte_nb.exporting.texts import CellText

#: Calls that make a value from what they are given.
_QUICK = words(
    "Counter Decimal Enum Lock NewType OrderedDict ParamSpec Path TypeVar clone_with compile date datetime defaultdict deque getLogger "
    "items join keys namedtuple override partial split strip task time timedelta upper lower values"
)

#: Lays a module's text out; what it returns means the same.
Formatter = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Module:
    """A module for the real SDK.

    Attributes:
        text: its text.
        tasks: names of its tasks.
        driver: what it starts with, or "".
        findings: what the real SDK cannot run of it (`problem`), and what else to know (`note`).
    """

    text: str
    tasks: tuple[str, ...]
    driver: str
    findings: tuple[Finding, ...]


def write_module(
    cells: Sequence[Cell],
    *,
    title: str,
    tasks: Sequence[str] | None = None,
    driver: str | None = None,
    here: Mapping[str, object] | None = None,
    is_own: IsOwn = lambda _module: False,
    formatted: Formatter = str,
) -> Module:
    """Make a module of a notebook's tasks.

    Args:
        cells: those that ran, in their order; a cell that ran twice is there twice.
        title: what the notebook is called.
        tasks: names of tasks; by default all that the notebook defines.
        driver: a task, or the `--out` name of a `%%flyte_run` cell; by default what ran last. If tasks are named, by default none.
        here: the names of the kernel as they are now; None where no kernel is asked.
        is_own: whether a module that is imported belongs to the user.
        formatted: lays the text out.

    Raises:
        ExportRefusedError: there is no such task or driver, there are no tasks at all, or one cannot stand in a module.
    """
    notebook = Notebook(statements_of(list(cells)), here)
    if FLYTES in notebook and FLYTES not in notebook.flyte.modules:
        raise ExportRefusedError(f"A variable of the notebook is called `{FLYTES}`, as the package is. Rename it, and run its cells again.")
    known = dict(_tasks(notebook))
    starts = drivers.chosen(notebook, known, driver) if driver is not None or not tasks else None
    wanted = _wanted(known, tasks, starts)
    piece = Slice(notebook)
    for statement in wanted.values():
        piece.take(statement)
    starts = _started(piece, starts, known)
    _take_paths(piece, is_own)
    taken = {name: each for name, each in known.items() if each.number in piece.module}
    assembly = Assembly(piece, taken, starts, is_own)
    parts = [part for part in assembly.parts() if part.text.strip()]
    notes = [*piece.findings, *_notes(piece, assembly, is_own)]
    return _finished(parts, title, notes, formatted, (tuple(taken), _name_of(starts)))


def _tasks(notebook: Notebook) -> Iterator[tuple[str, Statement]]:
    for statement in notebook.statements:
        name = notebook.task_name(statement)
        if name is not None and notebook.binder(name, 1 << 60) is statement:
            yield name, statement


def _wanted(known: dict[str, Statement], tasks: Sequence[str] | None, starts: drivers.Driver | None) -> dict[str, Statement]:
    unknown = [name for name in tasks or () if name not in known]
    if unknown:
        raise ExportRefusedError(f"There is no task {unknown[0]!r} in the notebook. Tasks: {', '.join(known) or 'none'}.")
    if not known and (starts is None or not starts.has_body):
        raise ExportRefusedError("The notebook defines no task: declare one with `@env.task` or `%%flyte_task`, and run its cell.")
    return {name: known[name] for name in tasks} if tasks else known


def _started(piece: Slice, starts: drivers.Driver | None, known: dict[str, Statement]) -> drivers.Driver | None:
    """Take the driver along; a task that needs inputs which cannot be had is not started by the module."""
    if starts is None:
        return None
    if starts.has_body:
        drivers.collect(piece, starts)
        return starts
    piece.take(known[starts.task])
    if starts.call is not None and drivers.enter(piece, starts):
        return starts
    needed = drivers.needs_inputs(known[starts.task])
    if not needed:
        return replace(starts, call=None, statement=None)
    words = " ".join(f"--{name} ..." for name in needed)
    piece.findings.append(
        Finding(
            "note", f"nothing is started by the module: `{starts.task}` needs inputs", f"`flyte run --local FILE {starts.task} {words}`"
        )
    )
    return None


def _name_of(starts: drivers.Driver | None) -> str:
    return "" if starts is None else "main" if starts.has_body else starts.task


def _take_paths(piece: Slice, is_own: IsOwn) -> None:
    """What changes `sys.path` is needed by the imports after it, though none of them names it."""
    imports = [each for each in piece.module.values() if isinstance(each.node, IMPORTS)]
    latest = max((each.number for each in imports if any(_is_foreign(name, is_own) for name in _modules(each.node))), default=-1)
    for statement in piece.notebook.statements:
        if statement.number < latest and "sys" in statement.changes and "path" in ast.dump(statement.node):
            piece.take(statement, statement.number)
            piece.findings.append(
                Finding("note", "`sys.path` is changed: the module looks there too, wherever it is run", cell=statement.where)
            )


def _modules(node: ast.AST) -> list[str]:
    if isinstance(node, ast.ImportFrom):
        return ["." * node.level + (node.module or "")]
    return [each.name for each in node.names] if isinstance(node, ast.Import) else []


def _is_foreign(module: str, is_own: IsOwn) -> bool:
    return group_of(module, is_own) > 0


# ------------------------------------------------------------------ what is said about it
def _notes(piece: Slice, assembly: Assembly, is_own: IsOwn) -> Iterator[Finding]:
    for task, own, other in assembly.dependencies():
        yield Finding(
            "note",
            f"tasks of `{own}` call tasks of `{other}`",
            f"for a backend, `{own}` needs `depends_on=[{other}]`",
            cell=task.where,
        )
    own_modules = {name: each for each in piece.module.values() for name in _modules(each.node) if is_own(name) or name.startswith(".")}
    for name, statement in sorted(own_modules.items()):
        yield Finding("note", f"`{name}` is a module of yours", "it has to be beside the exported one", cell=statement.where)
    if assembly.standins:
        yield Finding(
            "note", f"only flyte_nb has {', '.join(f'`flyte.{name}`' for name in assembly.standins)}: functions of the module do it"
        )
    for name in sorted(piece.frozen):
        yield Finding("note", f"`{name}` is written as the value that it has now: what made it cannot stand in a module")
    for statement in piece.statements():
        if isinstance(statement.node, ast.ImportFrom) and statement.node.names[0].name == "*":
            yield Finding("note", f"`from {statement.node.module} import *` is kept as it is", cell=statement.where)
    made = [name for each in piece.statements() if _is_work(piece, each) for name in sorted(each.binds)]
    if made:
        names = ", ".join(f"`{name}`" for name in dict.fromkeys(made))
        yield Finding("note", f"made whenever the module is imported: {names}", "make what takes long in a task")
    yield from _left_out(piece, assembly)


def _is_work(piece: Slice, statement: Statement) -> bool:
    """Whether a statement at the top level of the module calls something that may take its time."""
    if isinstance(statement.node, (*DEFINITIONS, *IMPORTS)):
        return False
    if any(piece.notebook.is_environment(name, statement.number + 1) for name in statement.binds):
        return False
    calls = [each.func for each in own_nodes(statement.node) if isinstance(each, ast.Call)]
    return any(not _is_quick(piece, func) for func in calls)


def _is_quick(piece: Slice, func: ast.expr) -> bool:
    name = func.attr if isinstance(func, ast.Attribute) else dotted(func)
    return piece.notebook.flyte.path(func) is not None or hasattr(builtins, name) or name in _QUICK or name in CHANGING


def _left_out(piece: Slice, assembly: Assembly) -> Iterator[Finding]:
    """Calls for their own sake that name a variable of the module: whether they change it cannot be told from the text."""
    kept = {name for each in piece.module.values() if isinstance(each.node, ast.Assign | ast.AnnAssign) for name in each.binds}
    numbers = {**piece.module, **piece.inner}
    cells = [each for each in piece.notebook.statements if isinstance(each.node, ast.Expr) and each.cell.driver is None]
    for position, statement in enumerate(cells):
        call = statement.node.value if isinstance(statement.node, ast.Expr) else None
        is_last = position + 1 == len(cells) or cells[position + 1].cell is not statement.cell
        if (
            not isinstance(call, ast.Call)
            or statement.number in numbers
            or _shows(call)
            or (is_last and isinstance(call.func, ast.Attribute))
        ):
            continue
        if assembly.is_task(dotted(call.func)):  # the plain function, tried by hand
            continue
        named = kept & {each.id for argument in [*call.args, call.func] for each in ast.walk(argument) if isinstance(each, ast.Name)}
        if named:
            text = CellText(statement.cell.source).of(call).split("\n")[0]
            what = f"`{text}` is left out; if it changes `{min(named)}`, assign what it returns"
            yield Finding("note", what, cell=statement.where)


def _shows(call: ast.Call) -> bool:
    """Whether a call is known to show something only."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else call.func.id if isinstance(call.func, ast.Name) else ""
    showing = (
        "print display show plot hist head tail describe info sample scatter bar boxplot savefig to_csv to_parquet wait raise_for_status"
    )
    return name in showing.split() or name.startswith(("plot", "show", "set_", "init", "len", "run"))


# ------------------------------------------------------------------ the text
def _finished(parts: list[Part], title: str, notes: list[Finding], formatted: Formatter, names: tuple[tuple[str, ...], str]) -> Module:
    tasks, driver = names
    docstring = f'"""Tasks of {title}, for Flyte 2."""'.replace("\\", "/")
    plain = _joined([docstring, *(part.text for part in parts)])
    try:
        ast.parse(plain)
    except SyntaxError as error:
        line = plain.split("\n")[(error.lineno or 1) - 1].strip()
        raise ExportRefusedError(f"What was taken from the notebook is no module ({error.msg}: `{line}`). Please report it.") from error
    text = formatted(plain)
    if ast.dump(ast.parse(text)) != ast.dump(ast.parse(plain)):
        text = plain
    cells = _cells_of(parts, text)
    found = [replace(each, cell=each.cell or cells(each.line)) for each in checking.check(ast.parse(text), tasks)]
    missing = {each.what.split("`")[1] for each in notes if each.kind == "problem" and each.what.startswith("`")}
    found = [
        each for each in found if not each.what.startswith("`") or each.what.split("`")[1] not in missing or "nowhere" not in each.what
    ]
    return Module(text, tasks, driver, tuple(sorted([*found, *notes], key=lambda each: (each.kind != "problem", each.line))))


def _joined(texts: list[str]) -> str:
    """Parts with the empty lines between them that a reader expects, where no formatter sees to it."""
    lines = [texts[0], "", texts[1]] if len(texts) > 1 else texts
    before = texts[1] if len(texts) > 1 else ""
    for text in texts[2:]:
        apart = _is_block(text) or _is_block(before) or before is texts[1]
        lines += ["", ""] if apart else [""] * ("\n" in text or "\n" in before)
        lines.append(text)
        before = text
    return "\n".join(lines) + "\n"


def _is_block(text: str) -> bool:
    code = [line for line in text.split("\n") if line and not line.startswith("#")]
    return bool(code) and code[0].startswith(("@", "def ", "async def ", "class ", "if __name__"))


def _cells_of(parts: list[Part], text: str) -> Callable[[int], str]:
    """Finds the cell that a line of the module comes from."""
    labels = ["", *(part.cell for part in parts for _ in ast.parse(part.text).body)]
    body = ast.parse(text).body

    def find(line: int) -> str:
        for node, label in zip(body, labels, strict=False):
            first = min([node.lineno, *(each.lineno for each in getattr(node, "decorator_list", []))])
            if first <= line <= (node.end_lineno or line):
                return label
        return ""

    return find
