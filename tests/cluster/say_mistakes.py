"""Makes every mistake of the table in a shell of IPython, and writes what it says as JSON: `python -m tests.cluster.say_mistakes`."""

import contextlib
import io
import json
import sys
from typing import Any

from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

from tests.cluster.mistakes_table import BEFORE, MISTAKES


def answer(shell: Any, cell: str) -> str:
    """Run a cell; return its error as the last lines of a traceback have it, or its value."""
    result = shell.run_cell(cell, store_history=True)
    error = result.error_before_exec or result.error_in_exec
    if error is None:
        return repr(result.result)
    return "\n".join([f"{type(error).__name__}: {error}", *getattr(error, "__notes__", ())])


def main() -> int:
    """Print what each says, by its title."""
    config = Config()
    config.HistoryManager.enabled = False
    config.InteractiveShell.colors = "nocolor"
    shell = InteractiveShell.instance(config=config)
    with contextlib.redirect_stdout(io.StringIO()):
        shell.run_cell(BEFORE).raise_error()
        found = {mistake.title: answer(shell, mistake.cell) for mistakes in MISTAKES.values() for mistake in mistakes}
    print(json.dumps(found))  # noqa: T201 - that is its purpose
    return 0


if __name__ == "__main__":
    sys.exit(main())
