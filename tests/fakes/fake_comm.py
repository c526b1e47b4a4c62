"""The browser's side of widgets: keeps what a kernel would have sent, and sends what a browser would."""

from __future__ import annotations

from typing import Any

import comm
from comm.base_comm import BaseComm


class RecordingComm(BaseComm):
    """A comm that ends here."""

    sent: list[RecordingComm] = []  # noqa: RUF012 - all comms of a test, cleared by its fixture

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.messages: list[tuple[str, dict[str, Any]]] = []
        RecordingComm.sent.append(self)
        super().__init__(*args, **kwargs)

    def publish_msg(self, msg_type: str, data: Any = None, metadata: Any = None, buffers: Any = None, **keys: Any) -> None:
        """Keep the message."""
        del metadata, buffers, keys
        self.messages.append((msg_type, data or {}))

    @property
    def is_closed(self) -> bool:
        """Whether the kernel closed it."""
        return any(kind == "comm_close" for kind, _ in self.messages)

    def updates(self, name: str) -> list[Any]:
        """The values that were sent for one trait, without the first state."""
        sent = [data["state"] for kind, data in self.messages if kind == "comm_msg" and data.get("method") == "update"]
        return [state[name] for state in sent if name in state]


def use(monkeypatch: Any) -> type[RecordingComm]:
    """Let all widgets made from now on talk to recording comms."""
    monkeypatch.setattr(comm, "create_comm", RecordingComm)
    monkeypatch.setattr(RecordingComm, "sent", [])
    return RecordingComm
