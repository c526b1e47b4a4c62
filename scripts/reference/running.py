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

import flyte_nb
from scripts.reference.names import all_names


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
