"""Decides how the page of the magics looks: from their own declarations, which `%%magic?` and Tab read too.

Must not know: what a magic does.
"""

import argparse
import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from IPython.core.magic import Magics

from flyte_nb import notebook
from scripts.reference.names import examples_in
from scripts.reference.pages import cell

FILE = "magics.md"
_INTRO = """# Magics

Made by `make docs` from the magics' own declarations; the examples are executed by the tests, from the top.

`%load_ext flyte_nb` adds them. `%%flyte_task?` and `%%flyte_task --help` show in the notebook what stands here, Tab completes options and
values, and a mistake in a line is answered with the nearest option. What a run gives you is in [notebook.md](notebook.md).

"""


@dataclass(frozen=True)
class MagicPage:
    """A magic: its name with percent signs, and the method that does it."""

    name: str
    method: Any

    @property
    def parser(self) -> argparse.ArgumentParser:
        """What reads its line."""
        parser: argparse.ArgumentParser = self.method.parser
        return parser

    @property
    def example(self) -> str:
        """Cells that use it."""
        return examples_in(FILE).get(self.name, "")


def all_magics() -> list[MagicPage]:
    """Return every magic of the package, those of cells first."""
    for module in pkgutil.walk_packages(notebook.__path__, "flyte_nb.notebook."):  # the rest may need what is not installed
        importlib.import_module(module.name)
    found = []
    for kind, sign in (("cell", "%%"), ("line", "%")):
        for cls in Magics.__subclasses__():
            if cls.__module__.startswith("flyte_nb."):
                found += [MagicPage(sign + name, getattr(cls, method)) for name, method in sorted(cls.magics[kind].items())]
    return found


def gaps(magic: MagicPage) -> list[str]:
    """Return what is not told of a magic that should be."""
    options = [action for action in magic.parser._actions if not action.help]  # noqa: SLF001 - argparse has no public way
    found = [f"{action.option_strings or action.dest} has no help" for action in options]
    return found + ([] if magic.example else [f"no example in scripts/reference/examples/{FILE.replace('.md', '.txt')}"])


def page() -> str:
    """Return the page."""
    magics = all_magics()
    table = "".join(f"| [`{magic.name}`](#{magic.name.strip('%')}) | {cell(summary(magic))} |\n" for magic in magics)
    return _INTRO + f"| magic | |\n|---|---|\n{table}\n" + "\n".join("".join(entry(magic)) for magic in magics)


def summary(magic: MagicPage) -> str:
    """Return what it does, in a sentence."""
    return " ".join(magic.parser.description.partition("\n\n")[0].split()) if magic.parser.description else ""


def entry(magic: MagicPage) -> Iterator[str]:
    """Yield what is said of a magic."""
    yield f"## {magic.name}\n\n"
    yield inspect.cleandoc(magic.parser.description or "") + "\n\n"
    actions = magic.parser._actions  # noqa: SLF001 - argparse has no public way
    if actions:
        yield "| option | |\n|---|---|\n" + "".join(_row(action) for action in actions) + "\n"
    if magic.example:
        yield f"```ipython\n{magic.example}\n```\n"


def _row(action: argparse.Action) -> str:
    value = "" if action.nargs == 0 else str(action.metavar or "|".join(action.choices or ()) or action.dest.upper())
    names = ", ".join(f"`{option}{' ' + value if value else ''}`" for option in action.option_strings) or f"`{value.replace('|', ' | ')}`"
    return f"| {cell(names)} | {cell(action.help or '')} |\n"
