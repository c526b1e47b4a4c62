"""Decides how the text of a statement is taken from its cell, with its comments, and changed without a change of anything else in it.

Must not know: why it is changed.
"""

from __future__ import annotations

import ast
import io
import tokenize
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from flyte_nb.exporting.flytes import FLYTES, OURS, is_of
from flyte_nb.exporting.statements import Statement

INDENT = 4


@dataclass(frozen=True, order=True, slots=True)
class Edit:
    """A replacement of a stretch of a cell's text; both ends count characters."""

    start: int
    end: int
    text: str


class CellText:
    """The text of a cell, found by the positions of syntax nodes."""

    def __init__(self, source: str) -> None:
        self.source = source
        self._lines = source.split("\n")
        self._starts = [0]
        for line in self._lines:
            self._starts.append(self._starts[-1] + len(line) + 1)

    def position(self, line: int, column_bytes: int) -> int:
        """Where a line (from 1) and a column, as syntax nodes have them, are in the text."""
        text = self._lines[line - 1]
        return self._starts[line - 1] + len(text.encode()[:column_bytes].decode(errors="replace"))

    def span(self, node: ast.expr | ast.stmt) -> tuple[int, int]:
        """Where a node begins and ends; decorators are not counted."""
        end = self.position(node.end_lineno or node.lineno, node.end_col_offset or 0)
        return self.position(node.lineno, node.col_offset), end

    def line_start(self, line: int) -> int:
        """Where a line (from 1) begins."""
        return self._starts[line - 1]

    def of(self, node: ast.expr) -> str:
        """The text of an expression."""
        start, end = self.span(node)
        return self.source[start:end]

    def statement(self, statement: Statement, edits: Iterable[Edit] = ()) -> str:
        """The text of a statement with its comments, changed, and set flush left."""
        node = statement.node
        _, end = self.span(node)
        line_end = self._starts[node.end_lineno or node.lineno] - 1
        rest = self.source[end:line_end].strip()
        if not rest or rest.startswith("#"):
            end = line_end
        start = self._starts[statement.first - 1]
        first = min([node.lineno, *(each.lineno for each in getattr(node, "decorator_list", []))])
        own = self.position(node.lineno, node.col_offset)
        if first == node.lineno and self.source[self.line_start(first) : own].strip():
            start = own  # it stands behind another one on its line
        text = self.edited(start, end, edits)
        return shifted(text, -node.col_offset) if start != own else text

    def edited(self, start: int, end: int, edits: Iterable[Edit]) -> str:
        """A stretch of the text, changed."""
        parts, at = [], start
        for edit in sorted(edits):
            if edit.start >= at and edit.end <= end:
                parts += [self.source[at : edit.start], edit.text]
                at = edit.end
        return "".join([*parts, self.source[at:end]]).rstrip()


def shifted(text: str, columns: int) -> str:
    """Text moved to the right, or (negative) to the left; the lines within a text literal stay as they are."""
    inside = _within_literals(text) if columns else set()
    moved = []
    for number, line in enumerate(text.split("\n"), 1):
        if number in inside or not line.strip():
            moved.append(line if number in inside else "")
        elif columns > 0:
            moved.append(" " * columns + line)
        else:
            moved.append(line[min(-columns, len(line) - len(line.lstrip())) :])
    return "\n".join(moved)


def _within_literals(text: str) -> set[int]:
    """The lines that begin within a text literal."""
    found: set[int] = set()
    opened: list[int] = []
    try:
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            kind = tokenize.tok_name[token.type]
            if kind in {"FSTRING_START", "TSTRING_START"}:
                opened.append(token.start[0])
            elif kind in {"FSTRING_END", "TSTRING_END"}:
                found.update(range(opened.pop() + 1, token.end[0] + 1))
            elif kind == "STRING":
                found.update(range(token.start[0] + 1, token.end[0] + 1))
    except (tokenize.TokenError, IndentationError):
        return found
    return found


def renamed(text: CellText, node: ast.AST, names: Mapping[str, str]) -> list[Edit]:
    """The edits that make a notebook's code name the real package: `names` are the package's names and what each becomes."""
    edits = []
    for each in ast.walk(node):
        if isinstance(each, ast.Name) and names.get(each.id, each.id) != each.id:
            edits.append(Edit(*text.span(each), names[each.id]))
        elif isinstance(each, ast.Import) and any(is_of(alias.name, OURS) for alias in each.names):
            edits.append(Edit(*text.span(each), ast.unparse(ast.Import([real_alias(alias, names) for alias in each.names]))))
        elif isinstance(each, ast.ImportFrom) and not each.level and is_of(each.module, OURS):
            edits.append(Edit(*text.span(each), ast.unparse(ast.ImportFrom(real_module(each.module), each.names, 0))))
    return edits


def real_module(name: str | None) -> str:
    """`flyte_nb.io` as `flyte.io`; other names as they are."""
    module = name or ""
    return FLYTES + module[len(OURS) :] if is_of(module, OURS) else module


def real_alias(alias: ast.alias, names: Mapping[str, str]) -> ast.alias:
    """One name of an `import`, as the module has it."""
    if not is_of(alias.name, OURS):
        return alias
    bound = alias.asname or OURS
    wanted = names.get(bound, bound)
    if "." in alias.name and not alias.asname:
        return ast.alias(real_module(alias.name), None)
    return ast.alias(real_module(alias.name), None if wanted == real_module(alias.name) else wanted)
