"""Decides what is remembered of the versions of a task's code, and how the story of their changes reads.

A version is remembered when a run first uses it: what it depends on, part by part, with a digest and a text of each (the
source of a function, a value as Python writes it). Two versions then differ in parts that changed, came or went.

Must not know: where versions are kept (`VersionKeeper`), or what a version is made of (`versions`).
"""

from __future__ import annotations

import difflib
import inspect
import reprlib
import textwrap
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from types import CodeType, FunctionType

from flyte_nb.authoring.versions import Part, version_of
from flyte_nb.core.codeversions import MOST_VERSIONS, PartRecord, VersionKeeper, VersionRecord

#: Lines that are shown of the change of one part.
MOST_LINES = 40
#: A source is kept up to this many characters, a value up to this many.
_LONGEST_SOURCE, _LONGEST_VALUE = 20_000, 300
#: Seconds that reading sources of one version may take: what a task uses of a large package beside it has thousands of them.
_READ_SECONDS = 0.3


class MemoryVersions:
    """Versions of this process; the latest of each task."""

    def __init__(self) -> None:
        self._versions: dict[str, list[VersionRecord]] = {}

    def versions(self, task: str) -> list[VersionRecord]:
        """See `VersionKeeper`."""
        return list(self._versions.get(task, ()))

    def keep(self, record: VersionRecord) -> None:
        """See `VersionKeeper`."""
        known = self._versions.setdefault(record.task, [])
        known.append(record)
        del known[:-MOST_VERSIONS]


_keeper: VersionKeeper = MemoryVersions()
_latest: dict[str, str] = {}
_lock = threading.Lock()


def set_keeper(keeper: VersionKeeper | None) -> None:
    """Say where versions are kept from now on; None is in this process."""
    global _keeper  # noqa: PLW0603 - one a process
    with _lock:
        _keeper = keeper or MemoryVersions()
        _latest.clear()


def remember(task: str, version: str, parts: Sequence[Part]) -> None:
    """A run uses this version of a task; it is kept if the version before was another one."""
    if _latest.get(task) == version:
        return
    with _lock:
        known = _keeper.versions(task)
        _latest[task] = version
        if not known or known[-1].version != version:
            _keeper.keep(_record(task, version, parts, time.time()))


def _record(task: str, version: str, parts: Sequence[Part], at: float) -> VersionRecord:
    until = time.monotonic() + _READ_SECONDS
    texts = (_text(part.value) if time.monotonic() < until else "" for part in parts)
    return VersionRecord(
        task, version, at, tuple(PartRecord(part.path, part.digest, text) for part, text in zip(parts, texts, strict=True))
    )


def _text(value: object) -> str:
    """A source, or a value as Python writes it; what cannot be shown is empty."""
    try:
        if isinstance(value, FunctionType | type | CodeType):
            return textwrap.dedent(inspect.getsource(value))[:_LONGEST_SOURCE]
        shown = reprlib.Repr()
        shown.maxstring = shown.maxother = shown.maxlong = _LONGEST_VALUE
        return shown.repr(value)[:_LONGEST_VALUE]
    except Exception:  # noqa: BLE001 - a repr is the user's code; a source may be gone
        return ""


# ------------------------------------------------------------------ the story
@dataclass(frozen=True, slots=True)
class VersionStory:
    """How a task's code changed from version to version; its text is for people.

    Attributes:
        task: the task's name.
        versions: all versions that are known, the latest last; the last one is that of now.
        changes: for each of them, what changed against the one before, a line each; nothing for the first.
    """

    task: str
    versions: tuple[VersionRecord, ...]
    changes: tuple[tuple[str, ...], ...]
    note: str = ""

    def __iter__(self) -> Iterator[str]:
        return iter(str(self).splitlines())

    def __repr__(self) -> str:
        count = len(self.versions)
        lines = [f"{self.task}: {count} version{'s' * (count != 1)} of its code"]
        for number, (record, changes) in enumerate(zip(self.versions, self.changes, strict=True), 1):
            when = datetime.fromtimestamp(record.at, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")
            lines.append(f"{number}  {record.version[:8]}  first used {when}")
            lines += [f"     {line}" for line in changes]
        return "\n".join([*lines, self.note] if self.note else lines)


def story(task: str, parts: Sequence[Part], note: str = "") -> VersionStory:
    """The story of a task's versions, up to what its code is now.

    Args:
        task: its name.
        parts: what its version depends on now.
        note: a last line.
    """
    known = _keeper.versions(task)
    version = version_of(list(parts))
    if not known or known[-1].version != version:
        known.append(_record(task, version, parts, time.time()))
    changes: list[tuple[str, ...]] = [()]
    for number in range(1, len(known)):
        again = next((back + 1 for back in range(number) if known[back].version == known[number].version), 0)
        changes.append((f"as version {again}",) if again else tuple(differences(known[number - 1], known[number])))
    return VersionStory(task, tuple(known), tuple(changes), note)


def differences(before: VersionRecord, after: VersionRecord) -> Iterator[str]:
    """What changed between two versions, in words; the names of parts are those by which the task reaches them."""
    old, new = ({part.path: part for part in record.parts} for record in (before, after))
    for path, part in new.items():
        if path not in old:
            yield f"{_named(path)}: new{_value(part.text)}"
        elif old[path].digest != part.digest:
            yield from _changed(path, old[path].text, part.text)
    yield from (f"{_named(path)}: no longer used" for path in old if path not in new)


def _named(path: str) -> str:
    """The last name of a path, and where it is used: `RATE (in clean)`."""
    *users, name = path.split(" > ")
    return f"{name} (in {users[-1]})" if users else name


def _value(text: str) -> str:
    return f", {text}" if text and "\n" not in text else ""


def _changed(path: str, before: str, after: str) -> Iterator[str]:
    if not before or not after or before == after:
        yield f"{_named(path)}: changed"
        return
    if "\n" not in before and "\n" not in after:
        yield f"{_named(path)}: {before} -> {after}"
        return
    yield f"{_named(path)}: changed"
    lines = list(difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=1))[2:]
    yield from (f"  {line}" for line in lines[:MOST_LINES] if not line.startswith("@@"))
    if len(lines) > MOST_LINES:
        yield f"  ... {len(lines) - MOST_LINES} more lines"


__all__ = ["MemoryVersions", "VersionStory", "differences", "remember", "set_keeper", "story"]
