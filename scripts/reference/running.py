"""Decides how the examples are executed: as doctests, each with names of its own, all with one cluster of threads of this process.

Must not know: where examples come from, or how they are shown.
"""

import asyncio
import contextlib
import doctest
import io
import logging
import os
import tempfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

import flyte_nb
from scripts.reference import magics
from scripts.reference.names import all_names, examples_in


def failures(only: str = "") -> list[str]:
    """Run every example, or those of names that contain a text; return what went wrong."""
    found = []
    with _place():
        for name in all_names():
            if name.example and only in name.full:
                said = io.StringIO()
                test = doctest.DocTestParser().get_doctest(name.example + "\n", _known(), name.full, name.full, 0)
                runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE, verbose=False)
                runner.run(test, out=said.write)
                found += [said.getvalue()] if runner.failures else []
        if not only:
            found += _cells_that_fail()
    return found


def _cells_that_fail() -> list[str]:
    """Run the magics' examples as cells of one shell, in the order of their page's source; return what went wrong."""
    config = Config()
    config.HistoryManager.enabled = False
    shell = InteractiveShell.instance(config=config)
    found = []
    with contextlib.redirect_stdout(io.StringIO()) as said:
        for title, text in {"": "import asyncio\n%load_ext flyte_nb", **examples_in(magics.FILE)}.items():
            result = shell.run_cell(text, store_history=True)  # type: ignore[no-untyped-call]  # IPython's
            found += [] if result.success else [f"{title}: {result.error_in_exec or result.error_before_exec}\n{said.getvalue()}"]
    return found


def _known() -> dict[str, object]:
    """Return what an example may use without an import."""
    return {"flyte": flyte_nb, "asyncio": asyncio, "timedelta": timedelta, "__name__": "__main__"}


@contextlib.contextmanager
def _place() -> Iterator[None]:
    """An empty folder to work in, and a store that lasts as long."""
    before = Path.cwd()
    logging.getLogger("flyte_nb").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        flyte_nb.init(cluster="inline", store=":memory:", stdout=False)
        try:
            yield
        finally:
            os.chdir(before)
