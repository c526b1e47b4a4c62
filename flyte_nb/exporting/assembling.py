"""Decides how a module is put together: in which order, what the environments are called, where the driver stands.

Must not know: how the text is laid out in the end, or what the real SDK makes of it.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

from flyte_nb.exporting import drivers, importing, standins
from flyte_nb.exporting.drivers import Driver
from flyte_nb.exporting.flytes import FLYTES, OURS
from flyte_nb.exporting.importing import ImportLine, IsOwn
from flyte_nb.exporting.notebook import END, IMPORTS
from flyte_nb.exporting.slicing import Slice
from flyte_nb.exporting.statements import Statement, dotted, root_of
from flyte_nb.exporting.texts import INDENT, CellText, Edit, real_module, renamed, shifted

#: The environment of drivers, and of `%%flyte_task` cells that name none.
DRIVERS_ENVIRONMENT = "notebook"


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of the module: where it comes from, for what is said about it."""

    text: str
    cell: str = ""


class Assembly:
    """A module in the making.

    Args:
        piece: what goes into it.
        tasks: its tasks by name.
        driver: what it starts with, or None.
        is_own: whether a module that is imported is the user's.
    """

    def __init__(self, piece: Slice, tasks: dict[str, Statement], driver: Driver | None, is_own: IsOwn) -> None:
        self._piece = piece
        self._notebook = piece.notebook
        self._tasks = tasks
        self._driver = driver
        self._is_own = is_own
        self._statements = piece.statements()
        self._names = self._package_names()
        self._paths = {path for each in self._all() for path in _paths(each.node)}
        self._taken = {name for each in self._all() for name in each.binds | each.uses.now | each.uses.later}
        self._environments: dict[str, str] = {}
        self._main_name, self._outputs = "", 1
        used = {path for each in self._all() for _, path in self._replaced(each.node)}
        self._standins = {name: self._new_name(name, f"flyte_{name}") for name in standins.with_needed(used)}

    def _all(self) -> list[Statement]:
        return [*self._statements, *self._piece.inner.values()]

    def parts(self) -> list[Part]:
        """The module, from its first line to its last, without what is said above it."""
        imports, code = self._imports(), [*self._code(), *self._main()]
        future = any(_is_future(each.node) for each in self._notebook.statements)
        lines = [*imports, *self._extra(code)]
        head = ["from __future__ import annotations"] * future + [importing.written(lines)]
        return [Part("\n\n".join(head)), *code, *self._entry()]

    # ------------------------------------------------------------------ names
    def _package_names(self) -> dict[str, str]:
        """What names of the package itself become: `flyte`, unless that means something else here."""
        used = self._notebook.flyte.modules
        bound = {name for each in self._all() for name in _bound_anywhere(each.node)}
        free = FLYTES in used or FLYTES not in self._notebook
        texts = [each.value for one in self._all() for each in ast.walk(one.node) if isinstance(each, ast.Constant)]
        names = {}
        for name in used:
            in_text = any(isinstance(text, str) and re.search(rf"\b{name}\.", text) for text in texts)
            names[name] = FLYTES if free and not {name, FLYTES} & bound and (name == FLYTES or not in_text) else name
        return names

    def _replaced(self, node: ast.AST) -> Iterator[tuple[ast.expr, str]]:
        """Expressions that name something of ours for which the module has a stand-in, and what they name."""
        driver = self._driver
        call = driver.call if driver is not None and driver.is_table else None
        stands = call is not None and all(each.arg in standins.MAP_FRAME_ARGUMENTS for each in call.keywords)
        called = call.func if call is not None and stands else None
        for each in ast.walk(node):
            if isinstance(each, ast.Attribute | ast.Name):
                path = (self._notebook.flyte.path(each) or "").removesuffix(".aio")
                if path in standins.ANYWHERE or (called is each and path == "map_frame"):
                    yield each, path

    def _new_name(self, *wanted: str) -> str:
        numbered = (f"{wanted[-1]}_{number}" for number in range(2, 1000))
        name = next(each for each in [*wanted, *numbered] if each not in self._taken)
        self._taken.add(name)
        return name

    # ------------------------------------------------------------------ what stands at the top
    def _imports(self) -> list[ImportLine]:
        lines: list[ImportLine] = [
            ImportLine(importing.group_of(each.module, self._is_own), real_module(each.module), each.name) for each in self._piece.stars
        ]
        for statement in self._statements:
            if isinstance(statement.node, IMPORTS) and self._is_hoisted(statement):
                lines += self._lines(statement)
        return lines

    def _lines(self, statement: Statement) -> list[ImportLine]:
        wanted = self._piece.wanted.get(statement.number, set())
        lines = importing.lines_of(statement, wanted, names=self._names, is_own=self._is_own, paths=self._paths)
        return [line for line in lines if line.module != FLYTES or line.name not in self._standins]

    def _is_hoisted(self, statement: Statement) -> bool:
        """Whether an import stands at the top: what it binds is bound by nothing else, and nothing before it changes where it looks."""
        wanted = self._piece.wanted.get(statement.number, set())
        lines = self._lines(statement)
        for each in self._statements:
            if each.number < statement.number and _changes_path(each):
                return all(line.group == 0 for line in lines)
            if each is not statement and wanted & each.binds and (not isinstance(each.node, IMPORTS) or self._differ(each, lines, wanted)):
                return False
        return True

    def _differ(self, other: Statement, lines: list[ImportLine], wanted: set[str]) -> bool:
        shared = self._piece.wanted.get(other.number, set()) & wanted
        if not shared:
            return False
        own = {(line.alias or line.name): line.module for line in lines if "." not in line.name}
        others = {(line.alias or line.name): line.module for line in self._lines(other) if "." not in line.name}
        return any(own.get(name) != others.get(name) for name in shared & own.keys() & others.keys())

    def _extra(self, code: list[Part]) -> list[ImportLine]:
        """Imports that what was added needs."""
        text = "\n".join(part.text for part in code)
        lines = importing.parts_of_flyte(self._real_paths(), lambda name: name not in {n for n in self._taken if n != name})
        if re.search(rf"\b{FLYTES}\.", text) or self._driver is not None:
            lines.append(ImportLine(1, "", FLYTES))
        if self._piece.shows:
            lines.append(ImportLine(1, "IPython.display", "display"))
        if "timedelta(seconds=" in text and "timedelta" not in self._taken:
            lines.append(ImportLine(0, "datetime", "timedelta"))
        if re.search(r"-> (Any|tuple\[Any, .*):", text) and "Any" not in self._taken:
            lines.append(ImportLine(0, "typing", "Any"))
        return lines

    def _real_paths(self) -> Iterator[str]:
        for path in self._paths:
            first, _, rest = path.partition(".")
            if first in self._notebook.flyte.modules and rest:
                yield f"{FLYTES}.{rest}"

    # ------------------------------------------------------------------ code
    def _code(self) -> Iterator[Part]:
        for name in self._standins:
            yield Part(standins.STANDINS[name][0].strip("\n").format(**self._standins))
        for name, literal in sorted(self._piece.frozen.items()):
            yield Part(f"{name} = {literal}  # as it was when this was written")
        for statement in self._statements:
            if isinstance(statement.node, IMPORTS):
                if not _is_future(statement.node) and not self._is_hoisted(statement):
                    yield Part("\n".join(line.text() for line in self._lines(statement)), statement.cell.label)
                continue
            if statement.is_task:
                yield from self._environment_of(statement)
            yield Part(self._text(statement), statement.cell.label)
            if statement.is_task:
                yield from self._after_task(statement)

    def _text(self, statement: Statement, *, returns: bool = False) -> str:
        text = CellText(statement.cell.source)
        edits = self._edits(text, statement.node)
        if statement.is_task and not self._is_decorated(statement):
            edits.append(self._decorator(statement, text))
        if returns:
            start, _ = text.span(statement.node)
            edits.append(Edit(start, start, "return await " if self._driver is not None and self._driver.is_table else "return "))
        return text.statement(statement, edits)

    def _edits(self, text: CellText, node: ast.AST) -> list[Edit]:
        """What has to be changed in some code: names of the package, and those that have a stand-in."""
        replaced = [Edit(*text.span(each), self._standins[path]) for each, path in self._replaced(node)]
        edits = renamed(text, node, self._names)
        return [*replaced, *(each for each in edits if not any(other.start <= each.start and each.end <= other.end for other in replaced))]

    def _is_decorated(self, statement: Statement) -> bool:
        """Whether the function of a `%%flyte_task` cell is a task by a decorator of its own."""
        makers: list[ast.expr] = getattr(statement.node, "decorator_list", [])
        return any(self._notebook.is_task_maker(each, statement.number) for each in makers)

    def _decorator(self, statement: Statement, text: CellText) -> Edit:
        line = statement.cell.task
        settings = ", ".join(f"{name}={value}" for name, value in line.settings().items()) if line is not None else ""
        above = [each.lineno for each in getattr(statement.node, "decorator_list", [])]
        start = text.line_start(min([statement.node.lineno, *above]))
        return Edit(start, start, f"@{self.environment(statement)}.task" + (f"({settings})" if settings else "") + "\n")

    def environment(self, statement: Statement) -> str:
        """The variable that holds the environment of a task."""
        line = statement.cell.task
        if statement.is_task and line is not None and not self._is_decorated(statement):
            own = self._notebook.environment_variable(line.env, statement.number)
            return own or self._environments[line.env]
        for maker in [*getattr(statement.node, "decorator_list", []), getattr(statement.node, "value", None)]:
            node = maker
            while isinstance(node, ast.Call):
                node = node.func
            if isinstance(node, ast.Attribute) and node.attr == "task":
                return root_of(node)
        return ""

    def _environment_of(self, statement: Statement) -> Iterator[Part]:
        """The environment of a `%%flyte_task` cell, where the notebook has none of that name."""
        line = statement.cell.task
        if line is None or line.env in self._environments or self._is_decorated(statement):
            return
        if self._notebook.environment_variable(line.env, statement.number):
            return
        yield self._made_environment(line.env, [])

    def _made_environment(self, name: str, needs: list[str]) -> Part:
        word = re.sub(r"\W", "_", name)
        self._environments[name] = self._new_name(f"{word}_env")
        depends = f", depends_on=[{', '.join(needs)}]" if needs else ""
        return Part(f'{self._environments[name]} = flyte.TaskEnvironment("{name}"{depends})')

    def _after_task(self, statement: Statement) -> Iterator[Part]:
        line, name = statement.cell.task, getattr(statement.node, "name", "")
        if line is None:
            return
        if line.resources():
            yield Part(f"{name} = {name}.override(resources=flyte.Resources({line.resources()}))", statement.cell.label)
        if line.out and line.out != name and any(line.out in each.uses.now | each.uses.later for each in self._all()):
            yield Part(f"{line.out} = {name}", statement.cell.label)

    # ------------------------------------------------------------------ the driver
    def _main(self) -> Iterator[Part]:
        if self._driver is None or not self._driver.has_body:
            return
        called = sorted({self.environment(each) for each in self._called(list(self._piece.inner.values()))} - {""})
        environment = self._notebook.environment_variable(DRIVERS_ENVIRONMENT, END) or self._environments.get(DRIVERS_ENVIRONMENT)
        if environment is None:
            yield self._made_environment(DRIVERS_ENVIRONMENT, called)
            environment = self._environments[DRIVERS_ENVIRONMENT]
        elif [each for each in called if each != environment]:
            yield Part(f"{environment}.add_dependency({', '.join(each for each in called if each != environment)})")
        self._main_name = self._new_name("main", "driver")
        last = drivers.returned(self._piece, self._driver)
        texts = {number: self._text(each, returns=number == last) for number, each in self._piece.inner.items()}
        lines = drivers.body(self._piece, self._driver, texts)
        self._outputs = drivers.outputs(self._piece, self._driver)
        returns = f"tuple[{', '.join(['Any'] * self._outputs)}]" if self._outputs > 1 else "Any" if self._outputs else "None"
        text = "\n".join(lines or ["pass"])
        yield Part(f"@{environment}.task\nasync def {self._main_name}() -> {returns}:\n{shifted(text, INDENT)}", self._driver_label())

    def _driver_label(self) -> str:
        last = self._piece.inner[max(self._piece.inner)] if self._piece.inner else None
        return last.cell.label if last is not None else ""

    def _called(self, statements: list[Statement]) -> list[Statement]:
        """Tasks of the module that some code calls, in itself or in what it uses."""
        by_name = {name: each for each in self._statements for name in each.binds}
        found, waiting, seen = [], [*statements], set()
        while waiting:
            each = waiting.pop()
            for name in each.uses.now | each.uses.later:
                other = by_name.get(name)
                if other is not None and other.number not in seen:
                    seen.add(other.number)
                    waiting.append(other)
                    if other in self._tasks.values():
                        found.append(other)
        return found

    @property
    def standins(self) -> list[str]:
        """Names of ours that a function of the module stands in for."""
        return [name for name in self._standins if name != "values_of"]

    def is_task(self, name: str) -> bool:
        """Whether this is the name of a task of the module."""
        return name in self._tasks

    def dependencies(self) -> Iterator[tuple[Statement, str, str]]:
        """Tasks that call tasks of another environment: the task, its environment, and the other one."""
        for task in self._tasks.values():
            own = self.environment(task)
            for other in sorted({self.environment(each) for each in self._called([task])} - {own, ""}):
                yield task, own, other

    def _entry(self) -> Iterator[Part]:
        if self._driver is None:
            return
        call = f"flyte.run({self._main_name or self._driver.task})"
        label = self._driver_label()
        if not self._main_name and self._driver.call is not None and self._driver.statement is not None:
            call, label = self._call(self._driver.statement, self._driver.call), self._driver.statement.cell.label
        setting_up = self._set_up()
        handle = self._new_name("run", "started")
        texts = {number: self._text(each) for number, each in self._piece.inner.items()} if not self._main_name else {}
        earlier = drivers.earlier_runs(self._piece, texts) if texts else []
        shown = f"tuple({handle}.outputs())" if self._outputs > 1 else f"{handle}.outputs()[0]"
        lines = [setting_up, *earlier, f"{handle} = {call}", f"{handle}.wait()", *([f"print({shown})"] if self._outputs else [])]
        yield Part('if __name__ == "__main__":\n' + shifted("\n".join(lines), INDENT), label)

    def _call(self, statement: Statement, call: ast.Call) -> str:
        """The call of the driver as the notebook has it, in its blocking form."""
        text = CellText(statement.cell.source)
        edits = self._edits(text, call)
        func = call.func
        if isinstance(func, ast.Attribute) and func.attr == "aio":
            edits.append(Edit(text.span(func.value)[1], text.span(func)[1], ""))
        start, end = text.span(call)
        return text.edited(start, end, edits)

    def _set_up(self) -> str:
        """How the notebook set Flyte up, if the real SDK understands it; `flyte.init()` runs without a backend."""
        for statement in reversed(self._notebook.statements):
            value = getattr(statement.node, "value", None)
            if isinstance(statement.node, ast.Expr) and isinstance(value, ast.Call) and statement.cell.driver is None:
                path = self._notebook.flyte.path(value.func) or ""
                if path.startswith("init_") and not {name for name in statement.uses.now if name in self._notebook} - self._names.keys():
                    return self._text(statement)
        return f"{FLYTES}.init()"


def _bound_anywhere(node: ast.AST) -> Iterator[str]:
    """Names that functions in a statement bind for themselves."""
    for each in ast.walk(node):
        if isinstance(each, ast.arg):
            yield each.arg
        elif isinstance(each, ast.Name) and not isinstance(each.ctx, ast.Load):
            yield each.id


def _paths(node: ast.AST) -> Iterator[str]:
    for each in ast.walk(node):
        if isinstance(each, ast.Attribute | ast.Name) and (path := dotted(each)):
            yield path


def _changes_path(statement: Statement) -> bool:
    return "sys" in statement.changes and "path" in ast.dump(statement.node)


def _is_future(node: ast.AST) -> bool:
    return isinstance(node, ast.ImportFrom) and node.module == "__future__"


__all__ = ["DRIVERS_ENVIRONMENT", "OURS", "Assembly", "Part"]
