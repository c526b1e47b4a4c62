"""Decides what `%flyte_export` and `flyte.export` do around the module itself: which cells, which file, how it is laid out, what is said.

A file that was not written by an export, or that was edited since, is left alone unless somebody insists: the first line of an
exported file has a digest of the rest.

Must not know: how the module is made.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from flyte_nb.core.payloads import is_installed
from flyte_nb.exporting.findings import ExportRefusedError, Finding
from flyte_nb.exporting.module import Module, write_module
from flyte_nb.notebook import history
from flyte_nb.notebook.history import History, ReadLine
from flyte_nb.notebook.kernel import current_shell
from flyte_nb.views.listing import Listing
from flyte_nb.views.wording import plural

_MARK = re.compile(r"# Written by flyte_nb from (?P<title>.*); digest (?P<digest>[0-9a-f]{16})\. .*\n")
#: Asked in this order; the first one that is installed lays the text out.
FORMATTERS = ("ruff", "black")
_FORMAT_SECONDS = 20


@dataclass(frozen=True, repr=False)
class Exported:
    """What an export made; displayed, it is the table of what to know about it.

    Attributes:
        path: the file; None if none was asked for.
        text: the module.
        tasks: names of its tasks.
        driver: what it starts with when it is run, or "".
        problems: what the real SDK cannot run, by line.
        notes: what was left out, and what to see to.
    """

    path: Path | None
    text: str
    tasks: tuple[str, ...]
    driver: str
    problems: tuple[Finding, ...]
    notes: tuple[Finding, ...]

    def _listing(self) -> Listing:
        title = f"{self.path or 'A module'}: {plural(len(self.tasks), 'task')} ({', '.join(self.tasks)})"
        title += f", started by {self.driver}" if self.driver else ""
        rows = [(each.kind, each.line or "", each.cell, each.what, each.instead) for each in (*self.problems, *self.notes)]
        count = plural(len(self.problems), "problem")
        ready = f"The real SDK cannot run it yet: {count}." if self.problems else "Nothing was found that the real SDK cannot run."
        return Listing(title, ("kind", "line", "from", "what", "instead"), rows, ready)

    def __repr__(self) -> str:
        listing = self._listing()
        lines = [listing.title, *(f"  {each.kind}: {each}" for each in (*self.problems, *self.notes)), listing.note]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        return self._listing()._repr_html_()


def export(
    path: str | Path | None,
    *,
    read: ReadLine,
    notebook: str | Path | None = None,
    tasks: Sequence[Any] | str | None = None,
    driver: Any = None,
    strict: bool = False,
    force: bool = False,
) -> Exported:
    """Write the tasks of the notebook around us, or of a stored one, as a module; see `flyte_nb.export`.

    Args:
        path: the file; None makes the text only.
        read: reads the line of a magic.
        notebook: a stored notebook, or a script; None is what runs here.
        tasks: tasks, or their names, or these with commas between them.
        driver: a task, or a name.
        strict: write nothing if there is a problem.
        force: write over any file.

    Raises:
        ExportRefusedError: nothing was written; the message says why.
    """
    target = None if path is None else _target(Path(path), force=force)
    shell = current_shell() if notebook is None else None
    ran = _history(shell, notebook, read)
    names = [each.strip() for each in tasks.split(",") if each.strip()] if isinstance(tasks, str) else tasks
    module = write_module(
        ran.cells,
        title=ran.title,
        tasks=None if names is None else [_name(each) for each in names],
        driver=None if driver is None else _name(driver),
        here=_namespace(shell) if notebook is None else None,
        is_own=_OwnModules(None if notebook is None else Path(notebook).resolve().parent),
        formatted=lambda text: _formatted(text, target),
    )
    problems = tuple(each for each in module.findings if each.kind == "problem")
    if strict and problems:
        raise ExportRefusedError(f"Nothing was written: the real SDK cannot run {plural(len(problems), 'thing')}.", problems)
    return _written(module, target, ran, problems)


def _history(shell: Any, notebook: str | Path | None, read: ReadLine) -> History:
    if notebook is not None:
        return history.of_file(Path(notebook), read)
    if shell is not None:
        return history.of_shell(shell, read)
    script = getattr(sys.modules["__main__"], "__file__", None)
    if script is None:
        raise ExportRefusedError("There is no notebook and no script here to export: name a file with `notebook=`.")
    return history.of_file(Path(script), read)


def _namespace(shell: Any) -> dict[str, object]:
    return dict(shell.user_ns) if shell is not None else dict(vars(sys.modules["__main__"]))


def _name(each: Any) -> str:
    """The name of a task that was given as itself or by its name, short or full."""
    if isinstance(each, str):
        return each.rpartition(".")[2]
    name = getattr(getattr(each, "func", None), "__name__", None)
    if not isinstance(name, str):
        raise ExportRefusedError(f"{each!r} is no task.")
    return name


class _OwnModules:
    """Says whether a module is the user's own: where it lies decides."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def __call__(self, name: str) -> bool:
        top = name.partition(".")[0]
        if not top:
            return True
        if self._folder is not None and any((self._folder / each).exists() for each in (f"{top}.py", f"{top}/__init__.py")):
            return True
        module = sys.modules.get(top)
        if isinstance(module, ModuleType):
            return not is_installed(module)
        try:
            found = importlib.util.find_spec(top)
        except (ImportError, ValueError):
            return False
        origin = getattr(found, "origin", None)
        if origin is None or origin in {"built-in", "frozen"}:
            return False
        stand_in = ModuleType(top)
        stand_in.__file__ = origin
        return not is_installed(stand_in)


# ------------------------------------------------------------------ the file
def _target(path: Path, *, force: bool) -> Path:
    """The file that may be written.

    Raises:
        ExportRefusedError: it may not.
    """
    path = path.expanduser()
    if path.suffix != ".py":
        raise ExportRefusedError(f"{path} is no name of a Python file: write {path.with_suffix('.py').name}.")
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise ExportRefusedError(f"{path} is a folder." if path.is_dir() else f"There is no folder {path.absolute().parent}.")
    if path.exists() and not force:
        try:
            text = path.read_text(encoding="utf8")
        except (OSError, UnicodeDecodeError) as error:
            raise ExportRefusedError(f"{path} cannot be read, so it is left alone: {error}") from error
        mark = _MARK.match(text)
        if mark is None:
            raise ExportRefusedError(f"{path} is there, and was not written by an export. Write over it with --force (`force=True`).")
        if mark["digest"] != _digest(text[mark.end() :]):
            raise ExportRefusedError(f"{path} was edited since it was exported. Write over the edits with --force (`force=True`).")
    return path


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def _written(module: Module, target: Path | None, ran: History, problems: tuple[Finding, ...]) -> Exported:
    title = " ".join(ran.title.split())
    mark = f"# Written by flyte_nb from {title}; digest {_digest(module.text)}. An edited file is not written over.\n"
    notes = tuple(each for each in module.findings if each.kind == "note")
    moved = tuple(_moved(each) for each in problems), tuple(_moved(each) for each in notes)
    text = mark + module.text
    if target is not None:
        _replace(target, text)
        if not target.stem.isidentifier():
            what = f"`{target.name}` cannot be imported under that name"
            better = re.sub(r"\W", "_", target.stem)
            moved = (moved[0], (*moved[1], Finding("note", what, f"call it {better}.py")))
    return Exported(target, text, module.tasks, module.driver, moved[0], (*moved[1], *ran.notes))


def _moved(each: Finding) -> Finding:
    """A finding one line further down: the mark stands above the module."""
    return Finding(each.kind, each.what, each.instead, each.line + 1 if each.line else 0, each.cell)


def _replace(target: Path, text: str) -> None:
    """Write a file at once: a reader sees the old one or the new one."""
    try:
        handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.absolute().parent)
        with os.fdopen(handle, "w", encoding="utf8", newline="\n") as file:
            file.write(text)
        mode = target.stat().st_mode & 0o777 if target.exists() else 0o666 & ~_umask()
        Path(name).chmod(mode)
        Path(name).replace(target)
    except OSError as error:
        raise ExportRefusedError(f"{target} cannot be written: {error}") from error


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


# ------------------------------------------------------------------ layout
def _formatted(text: str, target: Path | None) -> str:
    """The text as ruff or black lay it out, with the settings of the file's project; as it is where there is neither."""
    name = str((target or Path("module.py")).absolute())
    for formatter in FORMATTERS:
        if importlib.util.find_spec(formatter) is None:
            continue
        command = [formatter, *(["format"] if formatter == "ruff" else []), "--quiet", "--stdin-filename", name, "-"]
        try:
            done = subprocess.run(  # noqa: S603 - the formatters by their names, the text on their input
                [sys.executable, "-m", *command],
                input=text,
                capture_output=True,
                text=True,
                encoding="utf8",
                timeout=_FORMAT_SECONDS,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired):
            continue
        if done.returncode == 0 and done.stdout.strip():
            return done.stdout
    return text
