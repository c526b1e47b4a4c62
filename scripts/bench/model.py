"""Decides the words of the benchmark: who is measured at what, and which figures are held against which.

Must not know: how anything is measured, judged or shown.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

#: What one measurement found: "seconds", and whatever else the workload tells.
Figures = dict[str, float]
#: How a figure is held against another: `ratio` divides, `excess` subtracts, `value` stands alone.
Measure = Literal["ratio", "excess", "value"]

SECONDS = "seconds"
#: From the first import to the system's being ready, without Python's own start.
START_SECONDS = "start_seconds"
#: Until the first result.
COLD_SECONDS = "cold_seconds"
#: Most threads of a worker process.
THREADS = "threads"


@dataclass(frozen=True, slots=True)
class Slots:
    """What a system may use."""

    workers: int = 2
    threads: int = 1

    @property
    def count(self) -> int:
        """Actions that can compute at once."""
        return self.workers * self.threads


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """A system with something to do.

    Attributes:
        name: how the table calls it; unique in its case.
        system: a module of `systems`; empty for a time that is calculated.
        workload: a method of that system; `arguments` are its own.
        calculated: the time in seconds, where nothing is measured.
        scale: what measured seconds are multiplied with, where a smaller number of actions stands for a larger one.
        note: what the reader must know of it, such as that.
        most_repeats: a slow one is measured less often than the rest.
        fresh: each repeat has a process of its own, without a warm-up if `cold`.
    """

    name: str
    system: str = ""
    workload: str = ""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    slots: Slots = field(default_factory=Slots)
    calculated: float | None = None
    scale: float = 1.0
    note: str = ""
    most_repeats: int | None = None
    fresh: bool = False
    cold: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A contender held against another (by name), or against a number alone.

    Attributes:
        most: the bar; None for a row that is there to be read.
        aim: what we would like.
        unit: of an excess or a value; "s" is a time, "ms" shows it in thousandths.
    """

    subject: str
    reference: str = ""
    measure: Measure = "ratio"
    subject_metric: str = SECONDS
    reference_metric: str = SECONDS
    most: float | None = None
    aim: float | None = None
    unit: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One line of the list of bars."""

    key: str
    title: str
    contenders: tuple[Contender, ...]
    comparisons: tuple[Comparison, ...]

    def __post_init__(self) -> None:
        names = [contender.name for contender in self.contenders]
        if len(set(names)) != len(names):
            raise ValueError(f"{self.key}: names of contenders must differ, got {names}")
        for comparison in self.comparisons:
            missing = {comparison.subject, comparison.reference} - {*names, ""}
            if missing:
                raise ValueError(f"{self.key}: {', '.join(sorted(missing))} is compared, but no contender is called so")
            if bool(comparison.reference) == (comparison.measure == "value"):
                raise ValueError(f"{self.key}: a {comparison.measure} of {comparison.subject} against {comparison.reference!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What the measurements of one case found.

    Attributes:
        samples: by contender, one entry a repeat; None where it was not measured.
        broken: by contender, why it could not be measured.
    """

    samples: Mapping[str, list[Figures | None]]
    broken: Mapping[str, str]
