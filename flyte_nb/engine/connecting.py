"""Decides how a cluster that somebody else started is reached, and what is said when it cannot be.

Dask's own words for a wrong address, a missing certificate or a port of another kind are many and technical; whatever
it says, the user reads what was tried, what came of it, and what to do.

Must not know: actions, agents, the embedded cluster.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

from distributed import Client
from distributed.deploy.cluster import Cluster
from distributed.security import Security

from flyte_nb.errors import ClusterUnreachableError

#: How long a scheduler may take to answer; one that is there does so within milliseconds.
CONNECT_SECONDS = 8.0
#: How long one that went away is waited for, if it was there before.
RETURN_SECONDS = 60.0
SCHEMES = ("tcp", "tls", "ws", "wss", "ucx", "gateway")


async def connect(given: str | Client | Cluster, security: Security | None) -> Client:
    """A client of our own of a cluster.

    Args:
        given: a scheduler's address (`HOST:PORT` with or without `tcp://` or `tls://`), a `Client`, or a cluster object.
        security: TLS credentials; None takes those of a `Client` or a cluster object.

    Raises:
        ClusterUnreachableError: it cannot be reached, in words for the user.
    """
    address = address_of(given)
    credentials: Any = security if security is not None else getattr(given, "security", None)
    _check(address, credentials)
    client: Client | None = None
    try:
        make: Any = Client  # Dask does not tell mypy
        client = make(address, security=credentials, asynchronous=True, set_as_default=False, timeout=RETURN_SECONDS)
        async with asyncio.timeout(CONNECT_SECONDS):
            await client
    except Exception as error:  # noqa: BLE001 - it is said in other words
        if client is not None:
            await _drop(client)
        raise ClusterUnreachableError(address, **_words(address, error)) from None
    return client


def address_of(given: object) -> str:
    """The scheduler's address of what the user named.

    Raises:
        ClusterUnreachableError: it is no cluster, or one that is closed.
    """
    if isinstance(given, str):
        return given.strip()
    if isinstance(given, Client):
        if given.status != "running" or given.scheduler is None:
            raise ClusterUnreachableError("", f"the Client is {given.status}", "Make a new one, or name the scheduler's address.")
        return str(given.scheduler.address)
    address = getattr(given, "scheduler_address", None)
    if not isinstance(address, str):
        raise ClusterUnreachableError(
            "", f"{given!r} is no cluster", "cluster= takes a scheduler's address, a Dask Client or a Dask cluster object."
        )
    if not address or "<" in address:  # an asynchronous one that nobody has awaited
        raise ClusterUnreachableError("", "the cluster object is not started, or closed", "Start it, then name it.")
    return address


def _check(address: str, security: Security | None) -> None:
    scheme, mark, rest = address.partition("://")
    if mark and scheme == "inproc":
        raise ClusterUnreachableError(
            address,
            "its workers are threads of this process",
            'Use flyte.init(cluster="inline") for threads, or a cluster with processes: LocalCluster(processes=True).',
        )
    if mark and scheme not in SCHEMES:
        raise ClusterUnreachableError(
            address, f"{scheme}:// is no address of a scheduler", "It looks like tcp://HOST:8786; the dashboard has another port."
        )
    if scheme != "gateway" and not (rest if mark else address).rpartition(":")[2].rstrip("/").isdecimal():
        raise ClusterUnreachableError(address, "it names no port", "A scheduler's address looks like tcp://HOST:8786.")
    if scheme == "tls" and security is None:
        raise ClusterUnreachableError(address, "it asks for TLS, and no credentials were given", _HOW_TLS)


_HOW_TLS = (
    "Name them: flyte.init(cluster=..., security=distributed.Security(tls_ca_file=..., tls_client_cert=..., tls_client_key=..., "
    "require_encryption=True))."
)


def _words(address: str, error: Exception) -> dict[str, str]:
    """What happened, and what to do, as arguments of `ClusterUnreachableError`."""
    said = f"{type(error).__name__}: {error}".rstrip(": ")
    if isinstance(error, TimeoutError):
        return {
            "reason": f"nothing answered there within {CONNECT_SECONDS:g} s",
            "remedy": "Is the address right, does the scheduler run, and can this machine reach it?",
        }
    if "certificate" in said.lower() or "ssl" in said.lower() or address.startswith("tls://"):
        return {
            "reason": f"TLS failed ({said})",
            "remedy": "The certificates must come from the authority that the scheduler trusts, and it must speak TLS. " + _HOW_TLS,
        }
    return {
        "reason": f"what answers there is no scheduler that speaks as this kernel does ({said})",
        "remedy": "If it asks for TLS the address begins with tls://, and security= names the credentials.",
    }


async def _drop(client: Client) -> None:
    """Close a client that never was connected, so that it does not complain when it is collected."""
    with suppress(Exception):
        await client._close(fast=True)  # noqa: SLF001 - close() refuses what has not started
    client.status = "closed"


def own_hosts(client: Client, named: str | None) -> list[str]:
    """Addresses of this machine under which workers may find it; the first one is where the scheduler sees it."""
    comm = client.scheduler_comm
    local = comm.comm.local_address if comm is not None else "tcp://127.0.0.1:0"
    host = local.split("://", 1)[-1].rsplit(":", 1)[0].strip("[]")
    return [named, host] if named else [host]


def dashboard_link(client: Client, given: object = None) -> str:
    """The address of a cluster's dashboard; "" where none is told.

    Args:
        client: our client.
        given: what the user named: a cluster object may know a way around a gateway.
    """
    named = given.cluster if isinstance(given, Client) else given
    source: Any = named if isinstance(named, Cluster) else client
    with suppress(Exception):  # the link of a cluster object of any kind, or of a scheduler that is away
        return str(source.dashboard_link or "")
    return ""


def has_dashboard(scheduler: Any) -> bool:  # noqa: ANN401 - a Scheduler, of this process
    """Whether there is a page behind the dashboard's address, which Dask names in any case: only with bokeh there is."""
    return bool(getattr(scheduler.http_application, "applications", ()))
