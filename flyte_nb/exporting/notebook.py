"""Decides which statement of a notebook gave a name its value at a moment, and why some of them cannot stand in a module.

Must not know: what is wanted.
"""

from __future__ import annotations

import ast
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

from flyte_nb.exporting.flytes import FlyteNames
from flyte_nb.exporting.names import FUNCTIONS
from flyte_nb.exporting.statements import DRAWING, Statement, own_nodes, root_of

#: After all that ran.
END = 1 << 60
MAGIC = "get_ipython"
DEFINITIONS = (*FUNCTIONS, ast.ClassDef)
IMPORTS = (ast.Import, ast.ImportFrom)
#: A constant that is copied as it is now may take so many characters.
_LONGEST = 2_000
_PLAIN = (bool, int, float, complex, str, bytes, type(None))

Reason = Literal["", "magic", "driver", "await", "run"]


class Notebook:
    """All statements that ran, found by the names that they bind.

    Args:
        statements: in the order in which they ran.
        here: the names as they are in the kernel, or None where there is no kernel.
    """

    def __init__(self, statements: Sequence[Statement], here: Mapping[str, object] | None = None) -> None:
        self.statements = statements
        self.here = here
        self.flyte = FlyteNames.of(statement.node for statement in statements)
        self.stars = [each for each in statements if isinstance(each.node, ast.ImportFrom) and each.node.names[0].name == "*"]
        self._binders: dict[str, list[Statement]] = defaultdict(list)
        self._changers: dict[str, list[Statement]] = defaultdict(list)
        self._reasons: dict[int, tuple[Reason, Statement]] = {}
        for statement in statements:
            for name in statement.binds:
                self._binders[name].append(statement)
            for name in statement.changes:
                self._changers[name].append(statement)

    def __contains__(self, name: str) -> bool:
        return name in self._binders

    # ------------------------------------------------------------------ who gave it its value
    def binder(self, name: str, at: int) -> Statement | None:
        """The last statement before a moment that bound a name; where there is none, the first one after it."""
        known = self._binders.get(name, [])
        if not known or (at == END and self.here is not None and name not in self.here):
            return None
        before = bisect_left([each.number for each in known], at)
        found = known[before - 1] if before else known[0]
        return None if name in found.uses.deletes else found

    def current(self, name: str, at: int) -> Statement | None:
        """As `binder`, but the code of functions, classes and imports is that of now: they are made again without being run again."""
        latest, found = self.binder(name, END), self.binder(name, at)
        return latest if latest is not None and isinstance(latest.node, (*DEFINITIONS, *IMPORTS)) else found

    def undriven(self, name: str, at: int) -> Statement | None:
        """The last statement before a moment that bound a name and is not one of a driver, if it can stand in a module."""
        known = [each for each in self._binders.get(name, []) if each.number < at and each.cell.driver is None]
        return known[-1] if known and not self.reason(known[-1])[0] else None

    def changes(self, name: str, since: Statement, at: int) -> Iterator[Statement]:
        """What changed a variable in place after it was bound, until a moment."""
        return (each for each in self._changers.get(name, []) if since.number < each.number < at and not self._draws(name, since))

    def _draws(self, name: str, binder: Statement) -> bool:
        if not isinstance(binder.node, IMPORTS):
            return False
        modules = [binder.node.module or ""] if isinstance(binder.node, ast.ImportFrom) else [each.name for each in binder.node.names]
        return any(module.partition(".")[0] in DRAWING for module in modules) or name == "pd"

    # ------------------------------------------------------------------ what cannot stand in a module
    def reason(self, statement: Statement) -> tuple[Reason, Statement]:
        """Why a statement cannot stand at the top level of a module, and the statement that it is due to; "" if it can."""
        known = self._reasons.get(statement.number)
        if known is None:
            self._reasons[statement.number] = ("", statement)  # while it is being found out: it may read itself
            known = self._reasons[statement.number] = self._found_reason(statement)
        return known

    def _found_reason(self, statement: Statement) -> tuple[Reason, Statement]:
        own = self._own_reason(statement)
        if own:
            return own, statement
        for name in sorted(statement.uses.now):
            binder = self.binder(name, statement.number)
            if binder is not None and self.reason(binder)[0] and self.literal(name) is None:
                return self.reason(binder)
        return "", statement

    def _own_reason(self, statement: Statement) -> Reason:
        if MAGIC in statement.uses.now | statement.uses.later:
            return "magic"
        if isinstance(statement.node, (*DEFINITIONS, *IMPORTS)):
            return ""
        if any(is_awaiting(node) for node in own_nodes(statement.node)):
            return "await"
        if statement.cell.driver is not None:
            return "driver"
        return "run" if any(self.flyte.starts_run(node) for node in own_nodes(statement.node)) else ""

    def literal(self, name: str) -> str | None:
        """The value that a name has now, as code, if it is a plain one and not long."""
        if self.here is None or name not in self.here or not _is_plain(self.here[name]):
            return None
        text = repr(self.here[name])
        try:
            same = ast.literal_eval(text) == self.here[name]
        except (ValueError, SyntaxError):  # inf, nan
            return None
        return text if same and len(text) <= _LONGEST else None

    # ------------------------------------------------------------------ environments and tasks
    def environment_name(self, statement: Statement) -> str | None:
        """The name that an environment is given where a statement makes one and binds it to a variable."""
        call = getattr(statement.node, "value", None)
        if not isinstance(statement.node, ast.Assign | ast.AnnAssign) or not isinstance(call, ast.Call):
            return None
        is_clone = isinstance(call.func, ast.Attribute) and call.func.attr == "clone_with"
        if not is_clone and self.flyte.path(call.func) not in {"TaskEnvironment", "Environment", "TaskEnvironment.from_task"}:
            return None
        given = [*call.args[:1], *(each.value for each in call.keywords if each.arg == "name")]
        return str(given[0].value) if given and isinstance(given[0], ast.Constant) else ""

    def environment_variable(self, name: str, at: int) -> str | None:
        """The variable that holds the environment of a name: the notebook's own, as `%%flyte_task` finds it."""
        made = [each for each in self.statements if each.number < at and self.environment_name(each) == name]
        for each in reversed(made):
            for variable in sorted(each.binds):
                if self.binder(variable, at) is each:
                    return variable
        return None

    def is_environment(self, variable: str, at: int) -> bool:
        """Whether a variable holds an environment, or something with environments in it."""
        binder = self.binder(variable, at)
        if binder is None:
            return False
        if isinstance(binder.node, IMPORTS):  # from a module of the user's own: its text is not here
            value = (self.here or {}).get(variable)
            return type(value).__name__ == "TaskEnvironment" if self.here is not None else "env" in variable
        if self.environment_name(binder) is not None or self._makes_environment(binder.node):
            return True
        value = getattr(binder.node, "value", None)  # what a function of the notebook made
        maker = self.binder(root_of(value.func), binder.number) if isinstance(value, ast.Call) else None
        return maker is not None and self._makes_environment(maker.node)

    def _makes_environment(self, node: ast.AST) -> bool:
        calls = [each.func for each in ast.walk(node) if isinstance(each, ast.Call)]
        return any(self.flyte.path(func) in {"TaskEnvironment", "Environment"} for func in calls)

    def is_task_maker(self, maker: ast.expr, at: int) -> bool:
        """Whether an expression is `env.task`, or a call of it: `env.task(...)(function)` too."""
        while isinstance(maker, ast.Call):
            maker = maker.func
        return isinstance(maker, ast.Attribute) and maker.attr == "task" and self.is_environment(root_of(maker), at)

    def task_name(self, statement: Statement) -> str | None:
        """The name of the task that a statement defines, or None."""
        node = statement.node
        if isinstance(node, FUNCTIONS):
            makes = statement.is_task or any(self.is_task_maker(each, statement.number) for each in node.decorator_list)
            return node.name if makes else None
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call) and isinstance(node.targets[0], ast.Name):
            return node.targets[0].id if self.is_task_maker(node.value, statement.number) else None
        return None


def is_awaiting(node: ast.AST) -> bool:
    """Whether a node is one that awaits."""
    return isinstance(node, ast.Await | ast.AsyncFor | ast.AsyncWith) or (isinstance(node, ast.comprehension) and bool(node.is_async))


def _is_plain(value: object) -> bool:
    if type(value) in {list, tuple, set}:
        return all(_is_plain(each) for each in value)  # type: ignore[attr-defined]  # the types above
    if type(value) is dict:
        return all(_is_plain(each) for pair in value.items() for each in pair)
    return type(value) in _PLAIN
