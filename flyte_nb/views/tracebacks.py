"""Decides how the text of a traceback is taken apart into frames, so that the reader's own lines stand first.

The text is Python's own form, as the worker wrote it (without this package's frames). Where it has another form, there
are no frames and the text is shown as it is.

Must not know: how frames are shown.
"""

from __future__ import annotations

import linecache
import re
from dataclasses import dataclass, field

from flyte_nb.core.labels import file_label

#: `  File "/x/y.py", line 3, in f`, or the name of a cell instead of a file.
_PLACE = re.compile(r'^  File "?(?P<file>.+?)"?, line (?P<line>\d+), in (?P<function>.+)$')
#: Lines that are shown before the failing one, where the source is at hand.
_BEFORE = 2
#: Files under these are not the reader's own code.
_LIBRARY = ("site-packages", "dist-packages", "/lib/python", "\\lib\\", "<frozen", "<__array_function__")


@dataclass(slots=True)
class TracebackFrame:
    """One frame: where, and its numbered source lines as far as they are known."""

    file: str
    function: str
    line: int
    own: bool
    lines: list[tuple[int, str]] = field(default_factory=list)


def frames_of(text: str) -> list[TracebackFrame]:
    """The frames of the last traceback in a text, in the order in which they were entered; empty if it has none."""
    frames: list[TracebackFrame] = []
    for line in _last_part(text).splitlines():
        place = _PLACE.match(line)
        if place is not None:
            file = place["file"]
            frames.append(TracebackFrame(file, place["function"], int(place["line"]), _is_own(file)))
        elif frames and line.startswith("    ") and set(line.strip()) - set("^~"):
            frame = frames[-1]
            frame.lines.append((frame.line + len(frame.lines), line[4:]))
    for frame in frames:
        _surround(frame)
    return frames


def _last_part(text: str) -> str:
    """The traceback of the error itself, without those of the errors that it came from."""
    return text.rpartition("Traceback (most recent call last):")[2]


def _is_own(file: str) -> bool:
    return not any(part in file for part in _LIBRARY)


def _surround(frame: TracebackFrame) -> None:
    """Add the lines before the failing one of the reader's own code, if it still reads as it did."""
    if not frame.own or not frame.lines:
        return
    file = _file_of(frame.file)
    here = linecache.getline(file, frame.line)
    if here.strip() != frame.lines[0][1].strip():
        return
    before = [(number, linecache.getline(file, number).rstrip("\n")) for number in range(max(1, frame.line - _BEFORE), frame.line)]
    frame.lines[:1] = [*before, (frame.line, here.rstrip("\n"))]


def _file_of(label: str) -> str:
    """The file that is called so; the newest one, if a cell's number was given twice."""
    return next((file for file in reversed(list(linecache.cache)) if file_label(file) == label), label)
