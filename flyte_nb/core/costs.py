"""Decides how it is kept what attempts cost: seconds of processor time, and how much memory their worker had meanwhile.

Short attempts are not measured, so most runs have no costs and pay nothing; otherwise a cost is 8 bytes an action. The
columns go as far as the last action that was measured.

Must not know: how anything is measured (that is `engine.meter`), or when an attempt ends.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field

#: Memory is counted in units of so many bytes.
UNIT_BYTES = 1024
#: Seconds that are not known; no NaN, so that equal columns are equal.
NOT_KNOWN = -1.0


@dataclass(frozen=True, slots=True)
class Cost:
    """What an attempt cost; None where it is not known.

    Attributes:
        cpu_seconds: processor time of the body's own code; that of threads and processes which it started is not in it.
        memory_bytes: the most that its worker's process had in memory while it ran, whatever else ran there.
    """

    cpu_seconds: float | None = None
    memory_bytes: int | None = None


UNKNOWN = Cost()


@dataclass(slots=True)
class Costs:
    """What the last attempt of each action cost, by row.

    Attributes:
        cpu_seconds: `NOT_KNOWN` where it is not known.
        memory: the peak in units of `UNIT_BYTES`; 0 where it is not known.
    """

    cpu_seconds: array[float] = field(default_factory=lambda: array("f"))
    memory: array[int] = field(default_factory=lambda: array("I"))

    def put(self, rows: Sequence[int], cpu_seconds: Sequence[float], memory: Sequence[int]) -> None:
        """Keep what attempts cost."""
        if rows and (more := max(rows) + 1 - len(self.memory)) > 0:
            self.cpu_seconds.extend(array("f", (NOT_KNOWN,)) * more)
            self.memory.extend(array("I", (0,)) * more)
        for row, cpu, most in zip(rows, cpu_seconds, memory, strict=True):
            self.cpu_seconds[row], self.memory[row] = cpu, most

    def of(self, row: int) -> Cost:
        """What an action's last attempt cost."""
        if row >= len(self.memory):
            return UNKNOWN
        cpu, most = self.cpu_seconds[row], self.memory[row]
        return Cost(None if cpu < 0 else cpu, most * UNIT_BYTES or None)

    def take(self, row: int) -> Cost:
        """The same, and forget it: another attempt will follow."""
        cost = self.of(row)
        if cost is not UNKNOWN:
            self.cpu_seconds[row], self.memory[row] = NOT_KNOWN, 0
        return cost
