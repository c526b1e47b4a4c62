"""Decides how it is told what an export could not take along, or what the real SDK cannot run.

Must not know: how it was found.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Kind = Literal["problem", "note"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to know about an exported module.

    Attributes:
        kind: a `problem` is what the real SDK cannot run; a `note` is what was left out, or what to see to.
        what: what it is.
        instead: what to do about it, or "".
        line: in the module; 0 where it is about no line of it.
        cell: where in the notebook it comes from, or "".
    """

    kind: Kind
    what: str
    instead: str = ""
    line: int = 0
    cell: str = ""

    def __str__(self) -> str:
        place = ", ".join(part for part in (f"line {self.line}" if self.line else "", self.cell) if part)
        told = f"{self.what}: {self.instead}" if self.instead else self.what
        return f"{place}: {told}" if place else told


class ExportRefusedError(ValueError):
    """Nothing was written.

    Attributes:
        findings: why.
    """

    def __init__(self, message: str, findings: Sequence[Finding] = ()) -> None:
        self.findings = tuple(findings)
        super().__init__("\n".join([message, *(f"  {each}" for each in self.findings)]))
