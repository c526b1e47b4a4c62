"""Decides how counts, times and phases are written for a reader: one form everywhere, live, static and on a terminal.

A phase is always a glyph and a word, so that nothing depends on colour. A number is written so that it does not
claim more than is known: 100 % is said at the end only, and time left is a range, rounded outward, or "unknown".

Must not know: HTML, widgets, or where a text ends up.
"""

from __future__ import annotations

import math
import re

from flyte_nb.core.phases import ActionPhase

#: A character per phase, also for readers without fonts for symbols: each is in common system fonts.
GLYPHS: dict[ActionPhase, str] = {
    ActionPhase.QUEUED: "○",
    ActionPhase.WAITING_FOR_RESOURCES: "◌",
    ActionPhase.INITIALIZING: "◔",
    ActionPhase.RUNNING: "◐",
    ActionPhase.PAUSED: "‖",
    ActionPhase.SUCCEEDED: "✓",
    ActionPhase.FAILED: "✕",
    ActionPhase.ABORTED: "⊘",
    ActionPhase.TIMED_OUT: "◷",
    ActionPhase.RECOVERED: "↺",
}

#: The order in which phases stand in bars and lists: what is over first, what waits last.
PHASE_ORDER: tuple[ActionPhase, ...] = (
    ActionPhase.SUCCEEDED,
    ActionPhase.RECOVERED,
    ActionPhase.FAILED,
    ActionPhase.TIMED_OUT,
    ActionPhase.ABORTED,
    ActionPhase.RUNNING,
    ActionPhase.INITIALIZING,
    ActionPhase.PAUSED,
    ActionPhase.WAITING_FOR_RESOURCES,
    ActionPhase.QUEUED,
)

NOT_YET = "–"
_SOME, _MANY, _THOUSAND = 10, 100, 1000
_MIB, _GIB = 2**20, 2**30
_MINUTE, _HOUR, _DAY = 60.0, 3600.0, 86400.0
#: A range of time left whose ends are further apart than this says nothing.
_WIDEST_RANGE = 3.0
#: Characters of a worker's name.
WORKER_CHARACTERS = 80


def phase_word(phase: ActionPhase) -> str:
    """A phase as words: `timed out`."""
    return phase.value.replace("_", " ")


def outcome(phase: ActionPhase, failed: int) -> str:
    """A run's phase in a table: `✓ succeeded, 27 failed`."""
    word = f"{GLYPHS[phase]} {phase_word(phase)}"
    return f"{word}, {count(failed)} failed" if failed and phase is ActionPhase.SUCCEEDED else word


def count(number: int) -> str:
    """A count in full, with commas."""
    return f"{number:,}"


def plural(number: int, noun: str) -> str:
    """A count and its noun: `1 action`, `2,000 actions`."""
    return f"{count(number)} {noun}" if number == 1 else f"{count(number)} {noun}s"


def worker_words(name: str) -> str:
    """A worker's name where nothing beside it says that it is one: dask gives plain numbers as names."""
    flat = one_line(name, WORKER_CHARACTERS)
    return f"worker {flat}" if flat.isdecimal() else flat


def duration(seconds: float | None) -> str:
    """A span of time: `8.4 ms`, `412 ms`, `1.84 s`, `58.4 s`, `4m 12s`, `2h 05m`, `3d 04h`; a dash for none."""
    if seconds is None or math.isnan(seconds):
        return NOT_YET
    seconds = max(0.0, seconds)
    millis = seconds * 1000
    if round(millis) < _THOUSAND:
        return f"{millis:.1f} ms" if millis < _SOME else f"{millis:.0f} ms"
    if seconds < _MINUTE - 0.05:
        return f"{seconds:.2f} s" if seconds < _SOME - 0.005 else f"{seconds:.1f} s"
    return _long_duration(seconds)


def _long_duration(seconds: float) -> str:
    whole = round(seconds)
    if whole < _HOUR:
        return f"{whole // 60}m {whole % 60:02d}s"
    if whole < _DAY:
        return f"{whole // 3600}h {whole % 3600 // 60:02d}m"
    return f"{whole // 86400}d {whole % 86400 // 3600:02d}h"


def clock(seconds: float) -> str:
    """A span that counts up on screen: whole seconds, so that it changes once a second."""
    whole = int(max(0.0, seconds))
    return f"{whole} s" if whole < _MINUTE else _long_duration(float(whole))


def size(bytes_count: int) -> str:
    """A size: `612 MiB`, `1.8 GiB`."""
    if bytes_count < _GIB:
        return f"{bytes_count / _MIB:,.0f} MiB"
    return f"{bytes_count / _GIB:,.1f} GiB"


def rate(per_second: float | None) -> str:
    """Actions ended per time: `4,812/s`, `21.4/s`, `3.1/min`; empty where unknown."""
    if per_second is None or per_second <= 0:
        return ""
    if per_second >= _MANY:
        return f"{per_second:,.0f}/s"
    return f"{per_second:.1f}/s" if per_second >= 1 else f"{per_second * 60:.1f}/min"


def percent(part: int, whole: int) -> int:
    """Share as a whole number; 100 only when nothing is missing."""
    if whole <= 0:
        return 0
    return 100 if part >= whole else min(99, part * 100 // whole)


def time_left(eta_seconds: tuple[float, float] | None, *, may_grow: bool, short: bool = False) -> str:
    """Time left as a range, or that it is not known.

    Args:
        eta_seconds: the shortest and the longest time that is likely.
        may_grow: more actions may still be called, so the range is a lower bound.
        short: for little room, `3+ min left`; nothing where it is not known.
    """
    low, high = sorted(eta_seconds or (0.0, 0.0))
    if eta_seconds is None or (high > _MINUTE and high > max(low, 1.0) * _WIDEST_RANGE):
        return "" if short else "time left unknown"
    text = _span(low, high)
    if not may_grow:
        return text
    if text.startswith("under"):
        return "1+ min left" if short else f"{text}, more may come"
    return f"{text.partition('–')[0].removesuffix(' min left')}+ min left" if short and high <= _HOUR else f"at least {text}"


def _span(low: float, high: float) -> str:
    if high <= _MINUTE:
        return "under 1 min left"
    if high <= _HOUR:
        shortest, longest = int(low // 60), math.ceil(high / 60)
        if shortest < 1:
            return f"under {longest} min left"
        return f"{longest} min left" if shortest == longest else f"{shortest}–{longest} min left"
    shortest, longest = int(low // 600) * 600, math.ceil(high / 600) * 600
    return f"{_long_duration(shortest)}–{_long_duration(longest)} left"


def clean(text: str) -> str:
    """Text from a user, made safe to send and to read: no control characters, none that turn the reading order.

    A lone surrogate cannot be encoded and would take the whole message with it; an escape character would drive the
    reader's terminal; an override of the reading order would show another name than the one that is meant.
    """
    return _UNSAFE.sub("\ufffd", text)


def plain_log(text: str) -> str:
    """What was printed, as text: colours and other orders to a terminal are taken out, a returned carriage begins a line."""
    text = _HALF_ORDER.sub("", _TERMINAL_ORDER.sub("", text))
    return clean(text.replace("\r\n", "\n").replace("\r", "\n"))


def encodable(text: str) -> str:
    """Text without lone surrogates, otherwise as it is."""
    return text.encode("utf8", "replace").decode("utf8")


def one_line(text: str, limit: int) -> str:
    """Cleaned text on one line, cut with an ellipsis; line breaks become spaces."""
    flat = clean(" ".join(text[: limit * 4].split()))
    return flat if len(flat) <= limit else flat[: limit - 1] + "…"


#: Control characters but tab and line feed, surrogates, and the marks that steer the direction of text.
_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff]")
#: Orders to a terminal: those with a final letter, those that end with a bell or a terminator, and short ones.
_TERMINAL_ORDER = re.compile("\x1b(?:\\[[0-?]*[ -/]*[@-~]|\\][^\x07\x1b]*(?:\x07|\x1b\\\\)|[@-Z\\\\^_])")
#: One that has only begun to arrive.
_HALF_ORDER = re.compile("\x1b(?:\\[[0-?]*[ -/]*|\\][^\x07\x1b]*)?$")
