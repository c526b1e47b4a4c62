"""Reads docstrings of Google's style, and the `#:` comments of values that can have none.

Decides: which sections there are, and what belongs to an item of one. Must not know: what is documented, or how it is shown.
A parser of our own: of the libraries, none reads several names before one colon, or sections of what is called later
("Args (when called):").
"""

import ast
import inspect
import re
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import ModuleType

_SECTION = re.compile(r"^(Args|Attributes|Returns|Yields|Raises|Example|Examples)(?: \(when called[^)]*\))?:$")
_ITEM = re.compile(r"^(\*{0,2}[\w.]+(?:, \*{0,2}[\w.]+)*): (.*)$")


@dataclass(frozen=True)
class Doc:
    """What a docstring says, by part.

    Attributes:
        summary: its first paragraph, in one line.
        text: what follows it, before the first section.
        arguments: what is said of each argument or attribute.
        returns: what is said of the result.
        errors: by the names of errors, when they are raised.
        example: a doctest.
    """

    summary: str = ""
    text: str = ""
    arguments: dict[str, str] = field(default_factory=dict)
    returns: str = ""
    errors: dict[str, str] = field(default_factory=dict)
    example: str = ""


def parse(docstring: str | None) -> Doc:
    """Return what a docstring says."""
    head, sections = _split(inspect.cleandoc(docstring or ""))
    summary, _, text = head.partition("\n\n")
    arguments: dict[str, str] = {}
    for title in ("Args", "Attributes"):
        for names, meaning in _items(sections.get(title, "")).items():
            arguments |= dict.fromkeys(names.replace("*", "").split(", "), meaning)
    returns = sections.get("Returns") or sections.get("Yields") or ""
    return Doc(
        summary=" ".join(summary.split()),
        text=text.strip(),
        arguments=arguments,
        returns=" ".join(returns.split()),
        errors=_items(sections.get("Raises", "")),
        example=sections.get("Example") or sections.get("Examples") or "",
    )


def _split(text: str) -> tuple[str, dict[str, str]]:
    """Return what comes before the sections, and each section's own lines."""
    parts: dict[str, list[str]] = {"": []}
    title = ""
    for line in text.splitlines():
        if found := _SECTION.match(line):
            title = found[1]
            parts[title] = []
        else:
            parts[title].append(line)
    return "\n".join(parts.pop("")).strip(), {name: inspect.cleandoc("\n" + "\n".join(lines)) for name, lines in parts.items()}


def _items(section: str) -> dict[str, str]:
    """Return the items of a section: names, a colon, what is said of them, in lines that are set in."""
    found: dict[str, str] = {}
    names = ""
    for line in section.splitlines():
        if item := _ITEM.match(line):
            names = item[1]
            found[names] = item[2].strip()
        elif names:
            found[names] = f"{found[names]} {line.strip()}".strip()
    return found


def comment_above(module: ModuleType, name: str) -> str:
    """Return the `#:` comment above the line that gives a module's name its value, where that line is: imports are followed."""
    path = Path(module.__file__ or "")
    while name in _origins(path):
        imported_from, name = _origins(path)[name]
        path = _file_of(imported_from)
    return _comments(path).get(name, "")


def _file_of(module: str) -> Path:
    root = Path(__file__).parents[2] / Path(*module.split("."))
    return root / "__init__.py" if root.is_dir() else root.with_suffix(".py")


@cache
def _origins(path: Path) -> dict[str, tuple[str, str]]:
    """Return, for each name that a file imports from this package, the module and the name there."""
    found = {}
    for node in ast.parse(path.read_text(encoding="utf8")).body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("flyte_nb."):
            for alias in node.names:
                found[alias.asname or alias.name] = (node.module or "", alias.name)
    return found


@cache
def _comments(path: Path) -> dict[str, str]:
    """Return the comments above assignments in a file, by name."""
    lines = path.read_text(encoding="utf8").splitlines()
    found: dict[str, str] = {}
    for node in ast.parse("\n".join(lines)).body:
        targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        above = []
        for line in reversed(lines[: node.lineno - 1]):
            if not line.startswith("#:"):
                break
            above.append(line[2:].removeprefix(" "))
        found |= {target.id: "\n".join(reversed(above)) for target in targets if isinstance(target, ast.Name)}
    return found
