"""Decides how much is kept of what actions print: the first `LOG_LIMIT` characters of each.

Must not know: who prints, or how a log is shown.
"""

from __future__ import annotations

from dataclasses import dataclass, field

#: Characters of printed text that are kept of one action; what is over is dropped and said so.
LOG_LIMIT = 100_000
_CUT = "\n[... output cut: more than 100,000 characters]\n"


@dataclass(slots=True)
class Printed:
    """What actions printed, by row."""

    _parts: dict[int, list[str]] = field(default_factory=dict)
    _sizes: dict[int, int] = field(default_factory=dict)

    def add(self, row: int, text: str) -> None:
        """An action printed."""
        size = self._sizes.get(row, 0)
        if size > LOG_LIMIT:
            return
        if size + len(text) > LOG_LIMIT:
            text = text[: LOG_LIMIT - size] + _CUT
            self._sizes[row] = LOG_LIMIT + 1
        else:
            self._sizes[row] = size + len(text)
        self._parts.setdefault(row, []).append(text)

    def of(self, row: int) -> str:
        """What an action printed, at most `LOG_LIMIT` characters and a line that says so."""
        return "".join(self._parts.get(row, ()))
