"""Decides where the prints of a run's tasks appear: under the cell that started the run, each line with its action.

Must not know: what prints, or how prints travel here.
"""

from __future__ import annotations

import contextvars
import sys
import threading

#: Lines and characters of one run that are shown. A notebook that is flooded cannot be read, and a browser that is
#: flooded hangs; everything is kept with the actions anyway.
MAX_LINES = 200
MAX_CHARACTERS = 40_000


class CellOutput:
    """The output of the cell in which it is made.

    ipykernel finds the cell of a print in a context variable, so the context is kept and prints are made in it.
    """

    def __init__(self) -> None:
        self._context = contextvars.copy_context()
        # Prints of actions are routed away from the stream; what is shown here has come from there.
        self._stream = getattr(sys.stdout, "wrapped", sys.stdout)
        self._guard = threading.Lock()
        self._begun: dict[str, str] = {}
        self._lines = 0
        self._characters = 0
        self._full = False

    @property
    def is_full(self) -> bool:
        """Whether nothing more will be shown."""
        return self._full

    def print_log(self, prefix: str, text: str) -> None:
        """Show what an action printed, each line after its prefix, as soon as the line is whole; from any thread."""
        with self._guard:
            *lines, rest = (self._begun.pop(prefix, "") + text).split("\n")
            if rest:
                self._begun[prefix] = rest
            self._show(prefix, lines)

    def finish(self) -> None:
        """Show the lines that were begun and will not be ended."""
        with self._guard:
            begun, self._begun = self._begun, {}
            for prefix, line in begun.items():
                self._show(prefix, [line])

    def _show(self, prefix: str, lines: list[str]) -> None:
        shown = []
        for line in lines:
            if self._full:
                break
            shown.append(f"{prefix}{line}\n")
            self._lines += 1
            self._characters += len(shown[-1])
            self._full = self._lines >= MAX_LINES or self._characters >= MAX_CHARACTERS
            if self._full:
                shown.append("[more was printed; it is kept with each action: run.action(name).logs]\n")
        if shown:
            # A copy: a context can be entered by one thread at a time.
            self._context.copy().run(self._write, "".join(shown))

    def _write(self, text: str) -> None:
        try:
            self._stream.write(text)
        except UnicodeEncodeError:  # lone surrogates cannot be sent
            self._stream.write(text.encode("utf8", "replace").decode("utf8"))
        except ValueError:  # the stream was closed: nobody reads along any more
            self._full = True
