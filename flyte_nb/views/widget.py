"""Decides how the live view's script, style and state reach a browser: one anywidget per run, shared by all its views.

The state is traits, so a page that is reloaded, or a second tab, shows the present; everything else is a message
(`protocol`). Must not know: what a run is, or when something is sent.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib.resources import files
from typing import Any

import anywidget
import traitlets

from flyte_nb.views.busy import answer_while_busy
from flyte_nb.views.protocol import Answer, Causes, First, Fixed, Head
from flyte_nb.views.protocol_tabs import TabAnswer

_STATIC = files("flyte_nb.views") / "static"
#: What only readers and checkers of the script need: types and comments, and the room in front of lines.
_FOR_READERS = re.compile(r"/\*\*.*?\*/[ ]?|^[ \t]*//[^\n]*$|^[ \t]+", re.DOTALL | re.MULTILINE)


def lean(script: str) -> str:
    """A script without what only its readers need: each live view in a notebook's page holds a copy."""
    return re.sub(r"\n{2,}", "\n", _FOR_READERS.sub("", script))


class RunWidget(anywidget.AnyWidget):
    """The live view of one run.

    Args:
        fixed, head, causes, first: its state; see `protocol`.
        receive: takes messages from the browser, on whichever thread they come.
    """

    _esm = lean((_STATIC / "run.js").read_text(encoding="utf8"))
    _css = (_STATIC / "run.css").read_text(encoding="utf8")

    fixed = traitlets.Dict().tag(sync=True)
    head = traitlets.Dict().tag(sync=True)
    causes = traitlets.Dict().tag(sync=True)
    first = traitlets.Dict().tag(sync=True)

    def __init__(self, fixed: Fixed, head: Head, causes: Causes, first: First, *, receive: Callable[[object], None]) -> None:
        super().__init__(fixed=fixed, head=head, causes=causes, first=first)
        self._receive = receive
        self.on_msg(self._on_message)
        for widget in (self, self.layout):
            answer_while_busy(widget.comm)

    def _on_message(self, _widget: object, content: object, _buffers: object) -> None:
        self._receive(content)

    def update(self, state: dict[str, Any], *, again: bool = False) -> None:
        """Send new state: one message, and none if nothing changed. `again`: in any case, since a message may have been lost."""
        with self.hold_sync():
            for name, value in state.items():
                setattr(self, name, value)
        if again:
            self.send_state(list(state))

    def answer(self, message: Answer | TabAnswer) -> None:
        """Send a message to all views."""
        self.send(message)

    def dispose(self) -> None:
        """Take the widget out of the kernel and the browser."""
        layout = self.layout
        self.close()
        layout.close()
