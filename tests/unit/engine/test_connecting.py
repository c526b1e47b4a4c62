"""What is said when a cluster that somebody named cannot be reached: what was tried, what came of it, what to do."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator

import pytest
from distributed.security import Security

from flyte_nb.engine import connecting
from flyte_nb.engine.connecting import connect, dashboard_link
from flyte_nb.errors import ClusterUnreachableError


class ClusterObject:
    """What a cluster object shows of itself."""

    security = None

    def __init__(self, address: str) -> None:
        self.scheduler_address = address


def refused(given: object, security: Security | None = None) -> str:
    """The message of the error."""
    with pytest.raises(ClusterUnreachableError) as caught:
        asyncio.run(connect(given, security))  # type: ignore[arg-type]  # a user may name anything
    return str(caught.value)


@pytest.mark.parametrize(
    "given,words",
    [
        ("http://127.0.0.1:8787", ["at http://127.0.0.1:8787", "no address of a scheduler", "tcp://HOST:8786", "dashboard"]),
        ("somewhere", ["at somewhere", "names no port"]),
        ("tcp://somewhere", ["names no port"]),
        ("tls://127.0.0.1:8786", ["asks for TLS", "no credentials", "security=distributed.Security("]),
        (5, ["5 is no cluster", "address, a Dask Client or a Dask cluster object"]),
        (ClusterObject("<Not Connected>"), ["not started, or closed"]),
        (ClusterObject("inproc://127.0.0.1/1/2"), ["threads of this process", 'cluster="inline"']),
    ],
)
def test_what_cannot_be_a_cluster_is_refused_at_once(given: object, words: list[str]) -> None:
    """Before anything is tried."""
    message = refused(given)

    assert [word for word in words if word not in message] == []


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An address where somebody listens, and never says a word."""
    monkeypatch.setattr(connecting, "CONNECT_SECONDS", 0.3)
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield f"127.0.0.1:{listening.getsockname()[1]}"


def test_where_nobody_answers_it_is_said_so_soon(silent: str) -> None:
    """A wrong address, a machine that is off, a firewall: they look the same from here."""
    message = refused(f"tcp://{silent}")

    assert f"tcp://{silent} cannot be reached: nothing answered there within 0.3 s" in message
    assert "does the scheduler run" in message


def test_an_address_without_a_scheme_is_one_too(silent: str) -> None:
    """Dask takes it for TCP."""
    assert "nothing answered" in refused(silent)


def test_tls_towards_something_else_is_said_so(silent: str) -> None:
    """The credentials are named, and so is who must speak TLS."""
    assert "at tls://" in refused(f"tls://{silent}", Security.temporary())


def test_a_link_that_cannot_be_made_is_none() -> None:
    """A dashboard is never worth an error."""
    assert dashboard_link(object()) == ""  # type: ignore[arg-type]  # as of a client whose scheduler is away
