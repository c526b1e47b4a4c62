"""Decides which cells ran: those of a shell, in the order in which they did, of a stored notebook, or of a script.

Magics are taken off: what they time or capture is code like any other, `%run FILE` is the file's code, and the rest is told of.

Must not know: what becomes of the cells.
"""

from __future__ import annotations

import ast
import json
import os
import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from IPython.core.error import UsageError
from IPython.core.inputtransformer2 import TransformerManager

from flyte_nb.exporting.findings import ExportRefusedError, Finding
from flyte_nb.exporting.statements import Cell, DriverLine, TaskLine

#: Cell magics whose body runs in the notebook as it stands.
_AROUND = frozenset({"capture", "memit", "mprun", "prun", "snakeviz", "time"})
#: Line magics that are about the notebook itself.
_SILENT = ("flyte_", "load_ext", "reload_ext", "pinfo", "matplotlib", "autoreload", "who", "config", "time")
_FAILED_LINE = re.compile(r"Cell In\[\d+\], line (\d+)")
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")

#: Reads the line of a magic: its name, and what stands behind it.
ReadLine = Callable[[str, str], Any]


@dataclass
class History:
    """The cells that ran.

    Attributes:
        title: what the notebook or script is called.
        cells: in the order in which they ran.
        notes: about magics that were left out.
    """

    title: str
    cells: list[Cell] = field(default_factory=list)
    notes: list[Finding] = field(default_factory=list)


def of_shell(shell: Any, read: ReadLine) -> History:
    """The cells that ran in a shell, the one that runs now included."""
    manager = shell.history_manager
    errors = getattr(manager, "exceptions", {})
    reader = _Reader(read, Path.cwd())
    for number, source in enumerate(manager.input_hist_raw):
        if source.strip():
            reader.cell(f"In[{number}]", source, _failed_at(errors.get(number)))
    return History(_title(shell.user_ns), reader.cells, reader.notes)


def of_file(path: Path, read: ReadLine) -> History:
    """The cells of a stored notebook from top to bottom, or a script as one.

    Raises:
        ExportRefusedError: it is neither.
    """
    reader = _Reader(read, path.parent)
    if path.suffix != ".ipynb":
        reader.cell(path.name, _text(path), None)
        return History(path.name, reader.cells, reader.notes)
    try:
        stored = json.loads(_text(path))
        cells = [each for each in stored["cells"] if each["cell_type"] == "code"]
        sources = [each["source"] if isinstance(each["source"], str) else "".join(each["source"]) for each in cells]
        language = stored.get("metadata", {}).get("kernelspec", {}).get("language", "python")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ExportRefusedError(f"{path} is no notebook of nbformat 4 ({type(error).__name__}: {error}).") from error
    if str(language).lower() not in {"python", "ipython", "python3"}:
        raise ExportRefusedError(f"{path} is a notebook in {language}, and only Python can be exported.")
    for number, source in enumerate(sources, 1):
        reader.cell(f"cell {number}", source, None)
    return History(path.name, reader.cells, reader.notes)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf8")
    except (OSError, UnicodeDecodeError) as error:
        raise ExportRefusedError(f"{path} cannot be read: {error}") from error


def _failed_at(error: Any) -> int | None:
    """The line at which a cell failed; 0 if that is not known; None if it did not."""
    if error is None:
        return None
    text = _COLOURS.sub("", "\n".join(error.get("traceback") or []))
    found = _FAILED_LINE.search(text)
    return int(found[1]) if found else 0


def _title(user_ns: Mapping[str, Any]) -> str:
    """The notebook's name, where the front end says it: Jupyter in the environment, VS Code in a variable."""
    return Path(os.environ.get("JPY_SESSION_NAME") or str(user_ns.get("__vsc_ipynb_file__", ""))).name or "a notebook"


class _Reader:
    """Turns what was typed into cells."""

    def __init__(self, read: ReadLine, folder: Path) -> None:
        self.cells: list[Cell] = []
        self.notes: list[Finding] = []
        self._read = read
        self._folder = folder
        manager: Any = TransformerManager()  # type: ignore[no-untyped-call]  # IPython's
        self._transform = manager.transform_cell
        self._running: list[Path] = []

    def cell(self, label: str, source: str, failed_at: int | None) -> None:
        """Read a cell as it was typed."""
        source = source.replace("\r\n", "\n")
        try:
            code = self._transform(source)
        except (SyntaxError, ValueError):
            return
        whole = _magic_call(code.strip(), "run_cell_magic")
        if whole is None:
            self._python(Cell(label, code, failed_at=failed_at))
            return
        name, line, body = whole
        leading = source.partition("%%")[0].count("\n")
        if name in _AROUND:
            self.cell(label, body, failed_at if failed_at is None else max(0, failed_at - 1))
        elif name in {"flyte_task", "flyte_run"}:
            self._ours(label, (name, line, "\n" * (1 + leading) + self._body(body)), failed_at)
        else:
            self._left_out(f"%%{name} {line}".strip(), label)

    def _body(self, body: str) -> str:
        blank = len(body) - len(body.lstrip("\n"))
        return "\n" * blank + str(self._transform(body))

    def _ours(self, label: str, magic: tuple[str, str, str], failed_at: int | None) -> None:
        name, line, body = magic
        try:
            asked = self._read(name, line)
        except UsageError:
            return  # the cell failed
        if name == "flyte_run":
            driver = DriverLine(asked.out or "", asked.group or "", body.rstrip().endswith(";"))
            self._python(Cell(label, body, driver=driver))  # what it drives may have failed: it is its code all the same
            return
        fields = TaskLine.__dataclass_fields__
        task = TaskLine(**{key: value for key, value in vars(asked).items() if key in fields})
        self._python(Cell(label, body, task=task, failed_at=failed_at))

    def _python(self, cell: Cell) -> None:
        """Take a cell of Python, without the magics in lines of their own."""
        try:
            tree = ast.parse(cell.source)
        except (SyntaxError, ValueError):
            return
        lines = cell.source.split("\n")
        for node in tree.body:
            magic = _magic_of(node)
            if magic is None:
                continue
            name, text = magic
            for number in range(node.lineno - 1, node.end_lineno or node.lineno):
                lines[number] = ""
            if name == "time" and _is_code(text):
                lines[node.lineno - 1] = text
            elif name == "run":
                before = replace(cell, source="\n".join(lines[: node.lineno]))
                lines[: node.lineno] = [""] * node.lineno
                self.cells.append(before)
                self._run_file(text, cell.label)
            else:
                self._left_out(_shown(name, text), cell.label)
        self.cells.append(replace(cell, source="\n".join(lines)))

    def _run_file(self, line: str, label: str) -> None:
        words = [word for word in shlex.split(line) if not word.startswith("-")]
        path = self._folder / (words[0] if words else "")
        path = path if path.suffix else path.with_suffix(".py")
        if not path.is_file() or path in self._running:
            self._left_out(f"%run {line}", label)
            return
        self._running.append(path)
        if path.suffix == ".ipynb":
            for each in of_file(path, self._read).cells:
                self.cells.append(replace(each, label=f"{path.name}, {each.label}"))
        else:
            self.cell(path.name, _text(path), None)
        self._running.pop()

    def _left_out(self, text: str, label: str) -> None:
        word = text.lstrip("%!")
        if word.startswith(_SILENT) and not text.startswith("!"):
            return
        packages = re.match(r"[%!]\s*(?:python -m )?(?:pip|uv pip|conda|mamba) install\s+(.*)", text)
        what, instead = f"`{text.splitlines()[0]}` is left out", ""
        if packages:
            names = [word for word in packages[1].split() if not word.startswith("-")]
            instead = "for a backend: `image=flyte.Image.from_debian_base().with_pip_packages(" + ", ".join(map(repr, names)) + ")`"
        note = Finding("note", what, instead, cell=label)
        if all(each.what != what for each in self.notes):
            self.notes.append(note)


# ------------------------------------------------------------------ magics as IPython writes them
def _magic_of(node: ast.stmt) -> tuple[str, str] | None:
    """Name and rest of a magic, or of a shell command, that is a line of its own."""
    if not isinstance(node, ast.Expr):
        return None
    return _called(node.value)


def _called(node: ast.expr) -> tuple[str, str] | None:
    is_call = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Call)
    if not is_call or ast.unparse(node.func.value) != "get_ipython()":  # type: ignore[attr-defined]  # it is a call of an attribute
        return None
    words = [each.value for each in node.args if isinstance(each, ast.Constant)]  # type: ignore[attr-defined]  # as above
    method = node.func.attr  # type: ignore[attr-defined]  # as above
    if method == "run_line_magic" and len(words) > 1:
        return str(words[0]), str(words[1])
    return ("!", str(words[0])) if words else None


def _magic_call(code: str, method: str) -> tuple[str, str, str] | None:
    """What a cell magic was given, if code is nothing but that."""
    if not code.startswith(f"get_ipython().{method}("):
        return None
    call = ast.parse(code, mode="eval").body
    words = [ast.literal_eval(each) for each in call.args] if isinstance(call, ast.Call) else []
    return (str(words[0]), str(words[1]), str(words[2])) if len(words) > 2 else None  # noqa: PLR2004 - name, line, body


def _shown(name: str, text: str) -> str:
    return f"!{text}" if name == "!" else f"%{name} {text}".strip()


def _is_code(text: str) -> bool:
    try:
        ast.parse(text)
    except SyntaxError:
        return False
    return "\n" not in text
