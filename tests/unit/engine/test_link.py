"""The connection between kernel and worker, over loopback: who gets in, what arrives, what its end is called."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable

import pytest

from flyte_nb.engine.hello import Hello, host_id
from flyte_nb.engine.link import _SIGNS_OF_LIFE, LinkClient, LinkServer

TOKEN = b"t" * 32
HELLO = Hello("w1", "worker", 1, 1, "host", 0)


class Bench:
    """A server, and what it heard."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, object]] = []
        self.changed = asyncio.Event()
        self.server = LinkServer(
            TOKEN,
            lambda hello: self._hear("hello", hello),
            lambda peer, messages: self._hear(peer, list(messages)),
            lambda peer, reason: self._hear(f"{peer} closed", reason),
        )
        self.port = 0

    def _hear(self, what: str, detail: object) -> None:
        self.heard.append((what, detail))
        self.changed.set()

    async def until(self, reached: Callable[[], bool]) -> None:
        """Wait for something that arrives."""
        while not reached():
            self.changed.clear()
            await asyncio.wait_for(self.changed.wait(), 20)

    async def client(self, hello: Hello = HELLO) -> tuple[LinkClient, list[object]]:
        """A worker's end, connected, and what it hears."""
        heard: list[object] = []

        def hear(message: object) -> None:
            heard.append(message)
            self.changed.set()

        client = LinkClient(hear, lambda reason: hear(f"closed: {reason}"))
        client.send("early")
        await client.connect("127.0.0.1", self.port, None, TOKEN, hello)
        return client, heard


def with_server(test: Callable[[Bench], Awaitable[None]]) -> None:
    """Run a test against a server that listens."""

    async def main() -> None:
        bench = Bench()
        bench.port = await bench.server.listen("127.0.0.1", None)
        try:
            await test(bench)
        finally:
            await bench.server.close()
            await asyncio.sleep(0.01)

    asyncio.run(main())


def test_messages_arrive_in_order_both_ways() -> None:
    """Those of one moment in one frame; the hello first."""

    async def test(bench: Bench) -> None:
        client, heard = await bench.client()
        for number in range(3):
            client.send(number)
        await bench.until(lambda: ("w1", [0, 1, 2]) in bench.heard)
        for number in range(3):
            bench.server.send("w1", number)
        bench.server.send("nobody", "lost")
        await bench.until(lambda: heard == [0, 1, 2])
        assert bench.heard == [("hello", HELLO), ("w1", ["early"]), ("w1", [0, 1, 2])]
        client.close()
        await bench.until(lambda: ("w1 closed", "its process ended") in bench.heard)

    with_server(test)


@pytest.mark.parametrize("size", [0, 1, 70_000, 3_000_000])
def test_messages_of_any_size_arrive(size: int) -> None:
    """However the bytes are cut on the way."""

    async def test(bench: Bench) -> None:
        client, _heard = await bench.client()
        client.send(b"x" * size)
        await bench.until(lambda: ("w1", [b"x" * size]) in bench.heard)
        client.close()

    with_server(test)


@pytest.mark.parametrize(
    "frames",
    [
        [b"wrong" + TOKEN[5:]],
        [b""],
        [b"x" * 33],
        [TOKEN[:5]],
        [struct.pack(">Q", 2**40)],
    ],
    ids=["wrong", "empty", "long", "short", "huge"],
)
def test_strangers_are_hung_up_on_before_anything_is_unpacked(frames: list[bytes]) -> None:
    """Without the token nothing is read, and no more of it kept than a token is long."""

    async def test(bench: Bench) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", bench.port)
        for frame in frames:
            writer.write(struct.pack(">Q", len(frame)) + frame if len(frame) != 8 else frame)
        assert await asyncio.wait_for(reader.read(), 20) == b""
        writer.close()
        assert bench.heard == []

    with_server(test)


def test_a_stranger_who_says_nothing_is_hung_up_on_at_the_end() -> None:
    """A connection that never showed the token does not outlive the server."""

    async def test(bench: Bench) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", bench.port)
        await asyncio.sleep(0)
        await bench.server.close()
        assert await asyncio.wait_for(reader.read(), 20) == b""
        writer.close()

    with_server(test)


def test_a_worker_that_connects_again_is_not_lost_with_its_first_connection() -> None:
    """The end of the old connection says nothing about the new one."""

    async def test(bench: Bench) -> None:
        first, _heard = await bench.client()
        await bench.until(lambda: len(bench.heard) == 2)
        second, heard = await bench.client()
        await bench.until(lambda: len(bench.heard) == 4)
        first.close()
        await asyncio.sleep(0.01)
        bench.server.send("w1", "still there")
        await bench.until(lambda: heard == ["still there"])
        assert [what for what, _detail in bench.heard] == ["hello", "w1", "hello", "w1"]
        second.close()
        await bench.until(lambda: bench.heard[-1][0] == "w1 closed")

    with_server(test)


def test_a_machine_that_falls_silent_is_noticed_at_both_ends() -> None:
    """The system asks for a sign of life, and gives up after half a minute: no run waits for ever for a machine without power."""

    async def test(bench: Bench) -> None:
        client, _heard = await bench.client()
        await bench.until(lambda: len(bench.heard) > 0)
        ends = [client._wire, bench.server._ends["w1"].wire]
        sockets = [wire._transport.get_extra_info("socket") for wire in ends if wire is not None and wire._transport is not None]

        assert [each.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) for each in sockets] == [1, 1]
        for name in {"TCP_KEEPINTVL", "TCP_KEEPCNT", "TCP_USER_TIMEOUT"} & set(dir(socket)):
            found = [each.getsockopt(socket.IPPROTO_TCP, getattr(socket, name)) for each in sockets]
            assert found == [_SIGNS_OF_LIFE[name]] * 2

    with_server(test)


def test_a_message_that_cannot_be_pickled_ends_the_connection(caplog: pytest.LogCaptureFixture) -> None:
    """Loudly: whoever waits for it learns that the worker is lost, and does not wait for ever."""

    async def test(bench: Bench) -> None:
        client, heard = await bench.client()
        client.send(lambda: None)
        await bench.until(lambda: ("w1 closed", "its process ended") in bench.heard and bool(heard))

    with_server(test)

    assert "cannot be sent" in caplog.text


def test_the_kernels_end_is_told_to_the_worker() -> None:
    """What runs for a kernel that is gone is of no use."""

    async def test(bench: Bench) -> None:
        _client, heard = await bench.client()
        await bench.until(lambda: bool(bench.heard))
        await bench.server.close()
        await bench.until(lambda: heard == ["closed: its process ended"])

    with_server(test)


def test_closing_what_was_never_connected_is_no_error() -> None:
    """A worker that could not connect hangs up all the same."""
    LinkClient(lambda _message: None, lambda _reason: None).close()
    asyncio.run(LinkServer(TOKEN, lambda _hello: None, lambda _peer, _messages: None, lambda _peer, _reason: None).close())


def test_a_machine_is_named_the_same_each_time() -> None:
    """Two processes of one machine find that they share it."""
    assert host_id() == host_id() != ""
