"""Decides how the imports of a module are written: only what is used, sorted, at the top where that changes nothing.

Must not know: what uses them.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from flyte_nb.exporting.flytes import FLYTES, MODULES, OURS, is_of
from flyte_nb.exporting.statements import Statement
from flyte_nb.exporting.texts import real_alias, real_module


@dataclass(frozen=True, order=True, slots=True)
class ImportLine:
    """One import of one name.

    Attributes:
        group: 0 for the standard library, 1 for what is installed, 2 for modules of the user's own.
        module: where it comes from; "" in `import name`.
        name: what is imported.
        alias: what it is called here, or "".
        comment: what stood behind it.
    """

    group: int
    module: str
    name: str
    alias: str = ""
    comment: str = ""

    def text(self) -> str:
        """The line."""
        start = f"from {self.module} import {self.name}" if self.module else f"import {self.name}"
        return start + (f" as {self.alias}" if self.alias else "") + (f"  {self.comment}" if self.comment else "")


#: Says whether a module belongs to the user, given its full name.
IsOwn = Callable[[str], bool]


def group_of(module: str, is_own: IsOwn) -> int:
    """Which block an import of this module belongs to."""
    top = module.partition(".")[0]
    if top in sys.stdlib_module_names:
        return 0
    return 2 if not top or is_own(module) else 1


def lines_of(
    statement: Statement, wanted: set[str], *, names: Mapping[str, str], is_own: IsOwn, paths: Iterable[str] = ()
) -> list[ImportLine]:
    """The imports that a statement makes, as far as they are wanted.

    Args:
        statement: an import.
        wanted: names that it binds and that are used.
        names: what the package's names become; see `texts.renamed`.
        is_own: whether a module is the user's.
        paths: dotted names that the code uses: of `import a.b` and `import a.c` only what is used is kept.
    """
    node = statement.node
    comment = _comment(statement)
    if isinstance(node, ast.Import):
        found = []
        for alias in node.names:
            bound = alias.asname or alias.name.partition(".")[0]
            is_part = "." in alias.name and not alias.asname
            if bound in wanted and (not is_part or _is_used(alias.name, paths)):
                real = real_alias(alias, names)
                found.append(ImportLine(group_of(real.name, is_own), "", real.name, real.asname or "", comment))
        return found
    if not isinstance(node, ast.ImportFrom) or node.module == "__future__":
        return []
    module = "." * node.level + real_module(node.module)
    group = group_of(module, is_own)
    return [
        ImportLine(group, module, each.name, each.asname or "", comment)
        for each in node.names
        if (each.asname or each.name) in wanted or each.name == "*"
    ]


def _is_used(name: str, paths: Iterable[str]) -> bool:
    return is_of(name, OURS) or any(path == name or path.startswith(f"{name}.") for path in paths)


def _comment(statement: Statement) -> str:
    """What stands behind an import on its line."""
    node = statement.node
    line = statement.cell.source.split("\n")[(node.end_lineno or node.lineno) - 1]
    rest = line.encode()[node.end_col_offset or 0 :].decode(errors="replace").strip()
    return rest if rest.startswith("#") else ""


def written(lines: Iterable[ImportLine]) -> str:
    """Imports as blocks; several names of one module stand in one line, if none of them has a comment."""
    blocks: dict[int, list[str]] = {}
    plain = sorted({line for line in lines if not line.module}, key=lambda line: (line.name, line.alias))
    for line in plain:
        blocks.setdefault(line.group, []).append(line.text())
    together: dict[tuple[int, str, str], list[ImportLine]] = {}
    for line in sorted({line for line in lines if line.module}, key=lambda line: (line.module, line.name, line.alias)):
        together.setdefault((line.group, line.module, line.comment), []).append(line)
    for (group, module, comment), parts in together.items():
        members = ", ".join(part.name + (f" as {part.alias}" if part.alias else "") for part in parts)
        blocks.setdefault(group, []).append(f"from {module} import {members}" + (f"  {comment}" if comment else ""))
    return "\n\n".join("\n".join(dict.fromkeys(blocks[group])) for group in sorted(blocks))


def parts_of_flyte(code: Iterable[str], is_bound: Callable[[str], bool]) -> list[ImportLine]:
    """Imports of Flyte's modules that `import flyte` does not bring: those that the code names as `flyte.io...`."""
    used = {path.split(".")[1] for path in code if path.startswith(f"{FLYTES}.") and is_bound(FLYTES)}
    return [ImportLine(1, "", f"{FLYTES}.{name}") for name in sorted(used & MODULES.keys())]
