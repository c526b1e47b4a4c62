"""Decides what a worker and the kernel must know of each other before they talk.

Must not know: Dask, or how they are connected.
"""

from __future__ import annotations

import platform
import uuid
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class LinkTls:
    """What a worker needs to make its end of the connection, as PEM text."""

    ca: str
    cert: str
    key: str


@dataclass(frozen=True, slots=True)
class LinkAddress:
    """Where the kernel listens, what to show there, and how to encrypt.

    Attributes:
        host_id, pid: the kernel's machine and process.
        folder: where large values go on that machine; "" for nowhere.
        ours: the kernel started the workers, and nobody else uses them.
        workers: how many of them share the machine, as far as the kernel knows.
        topic: the topic of Dask's events under which a worker tells why it cannot be used; "" for none.
    """

    hosts: tuple[str, ...]
    port: int
    token: bytes
    tls: LinkTls
    host_id: str
    pid: int
    folder: str
    ours: bool = False
    workers: int = 1
    topic: str = ""


@dataclass(frozen=True, slots=True)
class Hello:
    """What a worker says of itself.

    `group` says that its process leads a process group, which has all that it starts.
    """

    agent: str
    name: str
    pid: int
    slots: int
    host_id: str
    memory_limit: int
    gpus: int = 0
    group: bool = False


def host_id() -> str:
    """Names this machine, this boot of it, and the space in which its process ids count."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}-{Path('/proc/self/ns/pid').stat().st_ino}"
    except OSError:
        return f"{platform.node()}-{uuid.getnode()}"
