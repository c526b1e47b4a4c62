"""Decides what of a notebook goes into a module: what tasks and driver use, what that uses in turn, and nothing else.

A name stands for the value that it had when it was read: what runs at once reads what was there before it, and the bodies
of tasks read what is there in the end. So a variable that was bound several times is bound as often in the module, if that matters.

Must not know: how the module is written.
"""

from __future__ import annotations

import ast
import builtins
import sys
from collections import defaultdict
from dataclasses import dataclass

from flyte_nb.exporting.findings import ExportRefusedError, Finding
from flyte_nb.exporting.notebook import DEFINITIONS, END, IMPORTS, MAGIC, Notebook, Reason
from flyte_nb.exporting.statements import Statement

_OF_MODULES = frozenset({"__name__", "__file__", "__doc__", "__builtins__"})
#: What IPython adds to the names of Python.
_OF_IPYTHON = frozenset({"In", "Out", "_", "__", "___", "exit", "quit", "_ih", "_oh", "_dh"})
_WHY: dict[Reason, str] = {
    "magic": "it is made by a magic or a shell command",
    "driver": "it is what a run found",
    "await": "it is made by an `await` of its cell, and a module cannot await",
    "run": "it is made by starting a run, which a module must not do when it is imported",
}


@dataclass(frozen=True, slots=True)
class StarImport:
    """A name that came with `from module import *`."""

    module: str
    name: str


def magic_place(statement: Statement) -> str:
    """Cell and line of the first magic in a statement."""
    lines = [each.lineno for each in ast.walk(statement.node) if isinstance(each, ast.Name) and each.id == MAGIC]
    return f"{statement.cell.label}, line {min(lines)}" if lines else statement.where


class Slice:
    """What goes into the module, collected by asking for it.

    Attributes:
        module: statements at the top level, by number.
        inner: statements in the body of the driver, by number.
        wanted: by number of an import, the names of it that are used.
        stars: names that came with a star import.
        frozen: variables whose statement cannot be taken along, with their value now, as code.
        findings: what cannot be taken along at all.
        outside: variables of the module that the driver reads.
        shows: `display` is used.
        driven: why statements are taken into the body of the driver instead of the module.
    """

    def __init__(self, notebook: Notebook) -> None:
        self.notebook = notebook
        self.module: dict[int, Statement] = {}
        self.inner: dict[int, Statement] = {}
        self.wanted: dict[int, set[str]] = defaultdict(set)
        self.stars: set[StarImport] = set()
        self.frozen: dict[str, str] = {}
        self.findings: list[Finding] = []
        self.outside: set[str] = set()
        self.shows = False
        self.driven: set[Reason] = {"driver", "await"}
        self._seen: set[tuple[int, int]] = set()
        self._missing: set[str] = set()

    # ------------------------------------------------------------------ asking
    def take(self, statement: Statement, at: int = END) -> None:
        """Take a statement along, with all that it uses; functions in it are called until a moment.

        Raises:
            ExportRefusedError: it has a magic in its body.
        """
        if (statement.number, at) in self._seen:
            return
        self._seen.add((statement.number, at))
        if self.notebook.reason(statement)[0] == "magic":
            raise ExportRefusedError(
                f"{magic_place(self.notebook.reason(statement)[1])}: what is needed uses a magic or a shell command, which a module "
                "does not have. Take it out of the function, or export other tasks."
            )
        self.module[statement.number] = statement
        uses = statement.uses
        for name in sorted(uses.now):
            self.name(name, statement.number, statement)
            binder = self.notebook.binder(name, statement.number)
            if at != statement.number and binder is not None and binder.number in self.module:
                self.take(binder, at)
        for name in sorted(uses.called):
            self.name(name, statement.number, statement, soft=True)
        for name in sorted(uses.later):
            self.name(name, at, statement)
        for name in sorted(uses.hints):
            self.name(name, END, statement, soft=True)
        if statement.is_task and statement.cell.task is not None:
            variable = self.notebook.environment_variable(statement.cell.task.env, statement.number)
            if variable is not None:
                self.name(variable, statement.number, statement)

    def name(self, name: str, at: int, asker: Statement, *, soft: bool = False) -> None:
        """Take along what gives a name its value at a moment; `soft`: it does not matter if nothing does."""
        binder = self.notebook.binder(name, at)
        if binder is None:
            self._unbound(name, asker, soft=soft)
            return
        self._bound(name, binder, at, asker, soft=soft)

    def _bound(self, name: str, binder: Statement, at: int, asker: Statement, *, soft: bool) -> None:
        reason, due = self.notebook.reason(binder)
        if reason and not (reason == "magic" and isinstance(binder.node, DEFINITIONS)):
            earlier = self.notebook.undriven(name, at) if binder.cell.driver is not None else None
            if earlier is None:
                self._blocked(name, asker, f"{_WHY[reason]} ({due.where})", soft=soft)
                return
            self._note(f"`{name}` is as it was before the run of {due.where} gave it another value", due)
            binder = earlier
        if isinstance(binder.node, IMPORTS):
            self.wanted[binder.number].add(name)
        self.take(binder, at)
        for change in self.notebook.changes(name, binder, at):
            if not self.notebook.reason(change)[0]:
                self.take(change, change.number)
            elif change.cell is not asker.cell:
                self._note(f"`{name}` was changed by {change.where}, which is not in the module", change)

    def _note(self, what: str, due: Statement) -> None:
        note = Finding("note", what, cell=due.where)
        if note not in self.findings:
            self.findings.append(note)

    def _unbound(self, name: str, asker: Statement, *, soft: bool) -> None:
        if self._from_star(name):
            return
        if name == "display":
            self.shows = True
        elif name in _OF_MODULES or (hasattr(builtins, name) and name not in _OF_IPYTHON):
            return
        elif name in _OF_IPYTHON:
            self._miss(name, asker, "it is a name of IPython's")
        else:
            self._blocked(name, asker, "no cell that ran defines it", soft=soft)

    def _from_star(self, name: str) -> bool:
        for star in reversed(self.notebook.stars):
            module = getattr(star.node, "module", None) or ""
            if self.notebook.here is None:
                if not hasattr(builtins, name):
                    self.module[star.number] = star
                    return True
            elif name in self.notebook.here and getattr(sys.modules.get(module), name, self) is self.notebook.here[name]:
                self.stars.add(StarImport(module, name))
                return True
        return False

    def _blocked(self, name: str, asker: Statement, why: str, *, soft: bool) -> None:
        literal = self.notebook.literal(name)
        if literal is not None:
            self.frozen[name] = literal
        elif not soft:
            self._miss(name, asker, why)

    def _miss(self, name: str, asker: Statement, why: str) -> None:
        if name in self._missing:
            return
        self._missing.add(name)
        self.findings.append(
            Finding(
                "problem", f"`{name}` is missing: {why}", "give it to the task as an argument, or define it in a cell", cell=asker.where
            )
        )

    # ------------------------------------------------------------------ the body of a driver
    def drive(self, statement: Statement) -> None:
        """Take a statement into the body of the driver, with all that it uses: what awaits or is found by runs goes there too."""
        if statement.number in self.inner:
            return
        if isinstance(statement.node, IMPORTS):
            self.wanted[statement.number] |= set(statement.binds)
            self.take(statement)
            return
        self.inner[statement.number] = statement
        uses = statement.uses
        for name in sorted(uses.now | uses.later | uses.called):
            self.driven_name(name, statement)
        for name in sorted(uses.hints):
            self.name(name, END, statement, soft=True)

    def driven_name(self, name: str, statement: Statement) -> None:
        """Take along what a statement of the driver reads."""
        binder = self.notebook.binder(name, statement.number)
        if binder is None or binder.number not in self.inner:
            binder = self.notebook.current(name, statement.number)
        if binder is None or (binder.number >= statement.number and binder.cell is statement.cell):
            self._unbound(name, statement, soft=False)
        elif binder.number in self.inner:
            return
        elif self.notebook.reason(binder)[0] in self.driven:
            self.drive(binder)
            for change in self.notebook.changes(name, binder, statement.number):
                self.drive(change)
        else:
            self.outside.add(name)
            at = END if isinstance(binder.node, (*DEFINITIONS, *IMPORTS)) else statement.number
            self._bound(name, binder, at, statement, soft=False)

    # ------------------------------------------------------------------ what is left
    def statements(self) -> list[Statement]:
        """The statements of the module in their order; those that say the same again are left out."""
        kept: list[Statement] = []
        for number in sorted(self.module):
            statement = self.module[number]
            if not _says_it_again(statement, kept):
                kept.append(statement)
        return kept


def _says_it_again(statement: Statement, before: list[Statement]) -> bool:
    """Whether a statement would give its names the values that they have: it stands there already, and nothing has changed since."""
    if not statement.binds or statement.binds & statement.uses.now:
        return False
    is_code = isinstance(statement.node, (*DEFINITIONS, *IMPORTS))
    for other in reversed(before):
        if other.binds & statement.binds:
            return other.binds == statement.binds and other.alike == statement.alike
        touched = other.binds | other.changes
        if touched & (statement.uses.now | statement.binds) or not (is_code or isinstance(other.node, (*DEFINITIONS, *IMPORTS))):
            return False
    return False
