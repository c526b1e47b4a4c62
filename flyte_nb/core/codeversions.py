"""Decides what is remembered of a version of a task's code: texts and digests, for people to read.

Must not know: what makes a version, or where versions are kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

#: Versions of one task that are kept.
MOST_VERSIONS = 50


@dataclass(frozen=True, slots=True)
class PartRecord:
    """What is remembered of one thing that a version depends on."""

    path: str
    digest: str
    text: str


@dataclass(frozen=True, slots=True)
class VersionRecord:
    """A version of a task's code, and when a run first used it (UTC seconds)."""

    task: str
    version: str
    at: float
    parts: tuple[PartRecord, ...]


class VersionKeeper(Protocol):
    """Keeps versions. Thread-safe."""

    def versions(self, task: str) -> list[VersionRecord]:
        """Those of a task, the latest last."""
        ...

    def keep(self, record: VersionRecord) -> None:
        """Add one."""
        ...
