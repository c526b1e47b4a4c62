"""Decides how runs show themselves where there is no notebook: prints with their action's name, one progress line.

Must not know: IPython, or how runs work.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

from flyte_nb.core.summary import Summary
from flyte_nb.views.shown import ShownRun
from flyte_nb.views.terminal_asking import TerminalQuestions, somebody_types, tell_when_asked, typed_line
from flyte_nb.views.text import TextProgress, print_label


class Terminal:
    """Shows runs of a script. Prints go to standard output, progress to standard error if that is a terminal.

    Args:
        find: gives a run by name, for the labels of its prints.
    """

    def __init__(self, find: Callable[[str], ShownRun | None]) -> None:
        self._find = find

    def run_started(self, run: ShownRun) -> None:
        """Nothing is shown until somebody waits; where nobody can be asked, a question is told of."""
        if not somebody_types():
            tell_when_asked(run, lambda text: self.say(f"flyte_nb: {text}"))

    def show(self, run: ShownRun) -> bool:
        """A terminal shows no view."""
        del run
        return False

    def print_log(self, run: str, row: int, text: str) -> None:
        """Show what an action printed, each line labelled."""
        handle = self._find(run)
        if handle is None:
            return
        label = handle.read(lambda state: print_label(state, row))
        stream = getattr(sys.stdout, "wrapped", sys.stdout)
        stream.write("".join(f"{label}{line}\n" for line in text.splitlines()))

    def say(self, line: str) -> None:
        """Tell the user something."""
        print(line, file=getattr(sys.stderr, "wrapped", sys.stderr))

    @contextmanager
    def waiting(self, run: ShownRun) -> Iterator[Callable[[], object]]:
        """Show progress, and ask what the run asks, while somebody waits; the yielded function is called now and then."""
        if run.done():
            yield lambda: None
            return
        stream = getattr(sys.stderr, "wrapped", sys.stderr)
        asks = TerminalQuestions(run, lambda text: _write(stream, text), typed_line).tick if somebody_types() else _nothing_asked
        if not stream.isatty():
            yield asks
            return
        progress = TextProgress(stream)

        def update() -> None:
            if not asks():  # the line of progress would be written over what is typed
                progress.update(run.summary())

        try:
            yield update
        finally:
            summary: Summary = run.summary()
            progress.close(summary)


def _nothing_asked() -> bool:
    return False


def _write(stream: TextIO, text: str) -> None:
    stream.write(text)
    stream.flush()
