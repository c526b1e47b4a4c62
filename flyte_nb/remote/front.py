"""Decides what a place where runs show themselves must be able to do.

Must not know: notebooks, terminals.
"""

from __future__ import annotations

from typing import Any, Protocol


class FrontEnd(Protocol):
    """Where runs show themselves: a notebook, or a terminal."""

    def run_started(self, run: Any) -> None:  # noqa: ANN401 - a Run
        """A run was started from plain code."""
        ...

    def print_log(self, run: str, row: int, text: str) -> None:
        """An action printed; called on the engine's thread."""
        ...

    def show(self, run: Any) -> bool:  # noqa: ANN401 - a Run
        """Show a run here and now; false if that is not possible."""
        ...

    def say(self, line: str) -> None:
        """Tell the user something; called on the engine's thread."""
        ...
