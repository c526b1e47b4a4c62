"""Decides how messages of a widget get past a cell that is running.

Must not know: any widget.
"""

from __future__ import annotations

from typing import Any


def answer_while_busy(comm: Any) -> None:
    """Let a widget's messages be handled while the main thread runs a cell.

    ipykernel 7.4 sends a comm's messages to the shell that published last on it, which is the busy one. This takes
    the choice back to the front end, which asks for a subshell. On other versions there is nothing to do.
    """
    if hasattr(comm, "_reply_subshell_for"):
        comm._reply_subshell_for = lambda _data, default: default  # noqa: SLF001 - no public way; guarded above
