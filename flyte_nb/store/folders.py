"""Decides where files of runs lie: one folder a run, in the store, or in a folder of this process that goes when the process does.

A folder is made by whoever writes into it, on a worker too; here only paths are given out, and taken back.

Must not know: what is in the files.
"""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from flyte_nb.core.events import Event
from flyte_nb.core.state import RunState

#: Below a run's folder: what attempts leave for later attempts of the same action.
CHECKPOINTS = "checkpoints"


class RunFolders:
    """Folders of runs.

    Args:
        kept: tells the store's folder for them, which outlives this process; None if there is none.
    """

    def __init__(self, kept: Callable[[], Path | None] = lambda: None) -> None:
        self._kept = kept
        self._base = Path(tempfile.gettempdir()) / f"flyte_nb-{os.getpid()}-{secrets.token_hex(4)}"

    def path_of(self, run: str) -> str:
        """The folder of a run; it need not be there."""
        return str((self._kept() or self._base) / run)

    def recorded(self, events: Sequence[Event]) -> None:
        """Nothing to do: see `Sink`."""

    def ended(self, state: RunState) -> None:
        """Nobody loads a checkpoint of a run that has ended."""
        shutil.rmtree(Path(state.settings.raw_data_path or self.path_of(state.name)) / CHECKPOINTS / state.name, ignore_errors=True)

    def close(self) -> None:
        """Take all folders of this process away; those that the user named stay."""
        shutil.rmtree(self._base, ignore_errors=True)
