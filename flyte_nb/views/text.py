"""Decides how a run reads as plain text: the summary that stands beside the HTML, and the line that a terminal shows.

A terminal gets one line that is written over; a file or a pipe gets nothing until the end, so that logs stay short.

Must not know: HTML, widgets, or how a summary is made.
"""

from __future__ import annotations

import shutil
from typing import Protocol

from flyte_nb.core.state import RunState
from flyte_nb.core.summary import Summary
from flyte_nb.views.page import cause_count, cause_text, group_name, headline, when
from flyte_nb.views.wording import GLYPHS, PHASE_ORDER, count, duration, one_line, percent, phase_word, plural, rate, time_left

_MAX_CAUSES, _MAX_GROUPS = 10, 10
_BAR_CELLS = 20
#: Names that may be worked out for a label while the engine waits: some milliseconds.
NAME_STEPS = 1_000


class TextStream(Protocol):
    """The part of a text file that progress needs."""

    def write(self, text: str, /) -> object:
        """Write text."""
        ...

    def flush(self) -> object:
        """Push it out."""
        ...

    def isatty(self) -> bool:
        """Whether a person reads along."""
        ...


def text_page(summary: Summary) -> str:
    """A run as a few lines of plain text."""
    lines = [headline(summary), when(summary)]
    counts = [f"{GLYPHS[phase]} {count(summary.counts[phase])} {phase_word(phase)}" for phase in PHASE_ORDER if summary.counts.get(phase)]
    if counts:
        lines.append("  ".join(counts))
    if summary.message:
        lines.append(one_line(summary.message, 300))
    lines.extend(
        f"  {count(line.count)} x {one_line(cause_text(line.code, line.message), 160)} ({one_line(line.task, 60)} {line.action})"
        for line in summary.failures[:_MAX_CAUSES]
    )
    more = cause_count(summary) - _MAX_CAUSES
    if more > 0:
        lines.append(f"  and {plural(more, 'more cause')}")
    bad = [group for group in summary.groups if group.failed and group.name]
    lines.extend(
        f"  group {one_line(group_name(group), 60)}: {count(group.failed)} of {count(group.total)} failed" for group in bad[:_MAX_GROUPS]
    )
    return "\n".join(lines)


def print_label(state: RunState, row: int) -> str:
    """What stands before each line that an action printed: `[train 6c1m8wq2] `; its row where the name would take long."""
    name = state.name_within(row, NAME_STEPS)
    return f"[{one_line(state.task_of(row).short_name, 60)} {name[:8] if name else f'#{row}'}] "


def progress_line(summary: Summary, columns: int = 80) -> str:
    """A run in one line that fits a terminal of so many columns."""
    done = percent(summary.ended, summary.total)
    filled = _BAR_CELLS * done // 100
    bar = "#" * filled + "." * (_BAR_CELLS - filled)
    pieces = [
        f"{one_line(summary.task, 30)} {phase_word(summary.phase)}",
        f"[{bar}] {count(summary.ended)}/{count(summary.total)}",
        f"{count(summary.failed)} failed" if summary.failed else "",
        rate(summary.rate),
        duration(summary.elapsed_seconds) if summary.phase.is_terminal else _times(summary),
    ]
    return one_line("  ".join(piece for piece in pieces if piece), max(20, columns - 1))


def _times(summary: Summary) -> str:
    whole = duration(float(int(summary.elapsed_seconds))) if summary.elapsed_seconds >= 1 else ""
    left = time_left(summary.eta_seconds, may_grow=summary.more_may_come) if summary.eta_seconds else ""
    return "  ".join(piece for piece in (whole, left) if piece)


class TextProgress:
    """One line on a terminal, written over as a run goes on; silent where nobody reads along."""

    def __init__(self, stream: TextStream) -> None:
        self._stream = stream
        self._live = stream.isatty()
        self._shown = ""

    def update(self, summary: Summary) -> None:
        """Show the run as it is now."""
        if not self._live:
            return
        line = progress_line(summary, shutil.get_terminal_size().columns)
        if line != self._shown:
            self._write("\r" + line.ljust(len(self._shown)))
            self._shown = line

    def close(self, summary: Summary) -> None:
        """Leave the last word: the end of the run, with its failures."""
        if self._live:
            self._write("\r" + " " * len(self._shown) + "\r" + text_page(summary) + "\n")
            self._shown = ""

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()
