"""Decides where the engine's time comes from: the system's clock, or one that a test moves.

Must not know: what time is used for.
"""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Tells the time."""

    def now(self) -> float:
        """UTC seconds since 1970."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> float:
        """UTC seconds since 1970."""
        return time.time()
