"""Decides how messages travel between the kernel and a worker: one TLS connection, whole batches as one frame.

A worker connects to the kernel and proves with a token that it was told to; nothing is unpickled before that. What is
sent in one turn of the loop goes out as one pickled list: at 100,000 small actions a second it is the number of frames
that costs. The end of the connection is the end of the worker: it is told within milliseconds. A machine that falls silent
(power, network) ends no connection by itself, so the system asks for a sign of life: it is given up on after half a minute,
or five if something is on its way to it. A process that is busy is none of that: the system answers for it.

Must not know: Dask, or what messages mean (the first one, a `Hello`, excepted).
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import pickle
import socket
import ssl
import struct
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any
from weakref import WeakSet

from flyte_nb.engine.hello import Hello

_HEADER = struct.Struct(">Q")
#: A frame above this is refused: no message of ours is that large, so the peer is not one of ours.
MAX_FRAME_BYTES = 8 * 2**30
TOKEN_BYTES = 32
#: After so many seconds of silence a machine is asked for a sign of life, this often, so many times.
SILENT_SECONDS, ASK_SECONDS, ASKS = 10, 5, 4
#: How long what was sent may lie there. Long, for a process whose compiled code keeps the interpreter's lock reads nothing.
UNTAKEN_SECONDS = 300
#: The same by the system's names; what a system does not have is left out.
_SIGNS_OF_LIFE = {
    "TCP_KEEPIDLE": SILENT_SECONDS,
    "TCP_KEEPALIVE": SILENT_SECONDS,
    "TCP_KEEPINTVL": ASK_SECONDS,
    "TCP_KEEPCNT": ASKS,
    "TCP_USER_TIMEOUT": UNTAKEN_SECONDS * 1_000,
}

Messages = Sequence[Any]
logger = logging.getLogger("flyte_nb")


class _Wire(asyncio.Protocol):
    """Frames on a connection. All calls on the loop's thread."""

    def __init__(self, on_messages: Callable[[_Wire, Messages], None], on_closed: Callable[[_Wire, str], None]) -> None:
        self._on_messages, self._on_closed = on_messages, on_closed
        self._transport: asyncio.Transport | None = None
        self._chunks: deque[bytes] = deque()
        self._held = 0
        self._need: int | None = None
        self._most = MAX_FRAME_BYTES
        self.peer = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # a stream connection has a Transport
        transport.set_write_buffer_limits(high=2**26)  # type: ignore[attr-defined]  # the same
        _ask_for_life(transport.get_extra_info("socket"))

    def data_received(self, data: bytes) -> None:
        self._chunks.append(data)
        self._held += len(data)
        while True:
            if self._need is None:
                if self._held < _HEADER.size:
                    return
                self._need = _HEADER.unpack(self._take(_HEADER.size))[0]
                if self._need > self._most:
                    self.close()
                    return
            if self._held < self._need:
                return
            frame, self._need = self._take(self._need), None
            self.frame_received(frame)

    def _take(self, size: int) -> bytes:
        if not size:
            return b""
        self._held -= size
        first = self._chunks.popleft()
        if len(first) == size:
            return first
        if len(first) > size:
            self._chunks.appendleft(first[size:])
            return first[:size]
        parts, missing = [first], size - len(first)
        while missing:
            part = self._chunks.popleft()
            if len(part) > missing:
                self._chunks.appendleft(part[missing:])
                part = part[:missing]
            parts.append(part)
            missing -= len(part)
        return b"".join(parts)

    def frame_received(self, frame: bytes) -> None:
        """A whole frame from the peer, which is trusted from here on."""
        self._on_messages(self, pickle.loads(frame))  # noqa: S301 - the peer proved that it holds our token

    def send_frame(self, frame: bytes) -> None:
        """Send bytes."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.writelines((_HEADER.pack(len(frame)), frame))

    def send(self, messages: Messages) -> None:
        """Send messages as one frame. If one of them cannot travel, nobody may wait for it: the connection ends."""
        try:
            frame = pickle.dumps(messages, 5)
        except Exception:
            logger.exception("flyte_nb: a message cannot be sent. This is a defect of flyte_nb.")
            self.close()
        else:
            self.send_frame(frame)

    def connection_lost(self, error: Exception | None) -> None:
        self._on_closed(self, "its process ended" if error is None else f"its connection broke ({error})")

    def close(self) -> None:
        """Hang up."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Hang up without a word; nothing that is on its way arrives."""
        if self._transport is not None:
            self._transport.abort()


def _ask_for_life(connection: socket.socket) -> None:
    """See that the system notices when the other machine is gone."""
    with suppress(OSError):  # a connection that has ended in this very moment
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in _SIGNS_OF_LIFE.items():
            if hasattr(socket, name):
                connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


class _Gate(_Wire):
    """The kernel's end of a connection: the first frame must be the token."""

    def __init__(self, token: bytes, on_messages: Callable[[_Wire, Messages], None], on_closed: Callable[[_Wire, str], None]) -> None:
        super().__init__(on_messages, on_closed)
        self._token = token
        self._open = False
        self._most = len(token)  # of a stranger, no more than that is kept

    def frame_received(self, frame: bytes) -> None:
        if self._open:
            super().frame_received(frame)
        elif hmac.compare_digest(frame, self._token):
            self._open, self._most = True, MAX_FRAME_BYTES
        else:
            self.close()


class _Batching:
    """Collects what is sent in one turn of the loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, wire: _Wire) -> None:
        self._loop, self.wire = loop, wire
        self._out: list[Any] = []
        self._scheduled = False

    def send(self, message: Any) -> None:  # noqa: ANN401 - any message
        self._out.append(message)
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._scheduled = False
        out, self._out = self._out, []
        self.wire.send(out)


class LinkServer:
    """The kernel's end: takes connections of workers. Use on one loop.

    Args:
        token: what a worker must show.
        on_hello: called with the first message of a connection.
        on_messages: called with (worker id, messages).
        on_closed: called with (worker id, reason).
    """

    def __init__(
        self,
        token: bytes,
        on_hello: Callable[[Hello], None],
        on_messages: Callable[[str, Messages], None],
        on_closed: Callable[[str, str], None],
    ) -> None:
        self.token = token
        self._on_hello, self._on_messages, self._on_closed = on_hello, on_messages, on_closed
        self._server: asyncio.Server | None = None
        self._ends: dict[str, _Batching] = {}
        self._wires: WeakSet[_Wire] = WeakSet()

    async def listen(self, host: str, tls: ssl.SSLContext | None) -> int:
        """Start to listen on a free port of `host`; returns the port."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._gate, host, 0, ssl=tls)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    def _gate(self) -> _Gate:
        gate = _Gate(self.token, self._messages, self._closed)
        self._wires.add(gate)
        return gate

    def _messages(self, wire: _Wire, messages: Messages) -> None:
        if not wire.peer:
            hello, *messages = messages
            wire.peer = hello.agent
            self._ends[wire.peer] = _Batching(asyncio.get_running_loop(), wire)
            self._on_hello(hello)  # may send at once: the way back is open
        if messages:
            self._on_messages(wire.peer, messages)

    def _closed(self, wire: _Wire, reason: str) -> None:
        end = self._ends.get(wire.peer)
        if end is not None and end.wire is wire:  # else it has connected again meanwhile
            del self._ends[wire.peer]
            self._on_closed(wire.peer, reason)

    def send(self, peer: str, message: Any) -> None:  # noqa: ANN401 - any message
        """Send a message to a worker; dropped if it is gone."""
        end = self._ends.get(peer)
        if end is not None:
            end.send(message)

    def drop(self, peer: str) -> None:
        """Hang up on a worker at once: what is on its way from it is not taken any more."""
        end = self._ends.get(peer)
        if end is not None:
            end.wire.abort()

    async def close(self) -> None:
        """Hang up on everybody, those who never said who they are included."""
        if self._server is not None:
            self._server.close()
        for wire in list(self._wires):
            wire.close()


class LinkClient:
    """A worker's end. `send` is thread-safe; everything else runs on the loop that `connect` ran on."""

    def __init__(self, on_message: Callable[[Any], None], on_closed: Callable[[str], None]) -> None:
        self._on_message, self._on_closed = on_message, on_closed
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wire: _Wire | None = None
        self._out: deque[Any] = deque()
        self._scheduled = False

    async def connect(self, host: str, port: int, tls: ssl.SSLContext | None, token: bytes, hello: Any) -> None:  # noqa: ANN401
        """Connect, show the token and say who this is."""
        self._loop = loop = asyncio.get_running_loop()
        _, wire = await loop.create_connection(
            lambda: _Wire(self._messages, lambda _wire, reason: self._on_closed(reason)),
            host,
            port,
            ssl=tls,
            server_hostname="" if tls is not None else None,
        )
        wire.send_frame(token)
        wire.send([hello])
        self._wire = wire
        self._flush()

    def _messages(self, _wire: _Wire, messages: Messages) -> None:
        for message in messages:
            self._on_message(message)

    def send(self, message: Any) -> None:  # noqa: ANN401 - any message
        """Send a message; those of one moment travel together."""
        self._out.append(message)
        if not self._scheduled and self._loop is not None:
            self._scheduled = True
            self._loop.call_soon_threadsafe(self._flush)

    def _flush(self) -> None:
        self._scheduled = False
        out = []
        while self._out:
            out.append(self._out.popleft())
        if out and self._wire is not None:
            self._wire.send(out)

    def close(self) -> None:
        """Hang up."""
        if self._wire is not None:
            self._wire.close()
