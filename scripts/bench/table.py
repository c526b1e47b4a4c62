"""Decides what figures mean: pairs them up repeat by repeat, takes medians, holds them against bars, and words the table.

Pure. Must not know: how anything was measured, or where the table goes.
"""

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from scripts.bench.model import SECONDS, Case, Comparison, Contender, Figures, Found, Measure

Verdict = Literal["met, aim met", "met", "missed", "aim met", "aim missed", "broke", ""]

HEADINGS = ("bar", "workload", "who", "figure", "range", "against", "bar, aim", "verdict", "who's s", "other's s", "pairs")
#: A ratio below this is also told the other way round: "25 × faster" says more than 0.04.
SMALL_RATIO = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One comparison, measured.

    Attributes:
        figure: median over the pairs; `low` and `high` are the extremes; None where nothing could be paired.
        pairs: repeats in which both were measured.
        who_seconds, other_seconds: median seconds of the two.
        broken: why there is no figure.
    """

    key: str
    title: str
    who: str
    against: str
    measure: Measure
    figure: float | None
    low: float | None
    high: float | None
    pairs: int
    most: float | None
    aim: float | None
    unit: str
    who_seconds: float | None
    other_seconds: float | None
    note: str
    broken: str

    @property
    def verdict(self) -> Verdict:
        """Whether the bar holds; empty for a row that has none."""
        if self.broken or self.figure is None:
            return "broke"
        aimed = self.aim is not None and self.figure <= self.aim
        if self.most is None:
            return "" if self.aim is None else "aim met" if aimed else "aim missed"
        return "missed" if self.figure > self.most else "met, aim met" if aimed else "met"


def paired(comparison: Comparison, found: Found) -> list[float]:
    """Return a comparison's figure for each repeat in which all that it needs was measured."""
    mine = found.samples[comparison.subject]
    if comparison.measure == "value":
        return [sample[comparison.subject_metric] for sample in mine if sample is not None]
    theirs = found.samples[comparison.reference]
    pairs = [(one, other) for one, other in zip(mine, theirs, strict=True) if one is not None and other is not None]
    values = [(one[comparison.subject_metric], other[comparison.reference_metric]) for one, other in pairs]
    return [one / other if comparison.measure == "ratio" else one - other for one, other in values]


def middle(samples: Sequence[Figures | None], metric: str) -> float | None:
    """Return the median of a metric over the repeats that have it."""
    values = [sample[metric] for sample in samples if sample is not None]
    return statistics.median(values) if values else None


def rows_of(case: Case, found: Found) -> list[Row]:
    """Return a row for each comparison of a case that was measured, or should have been."""
    rows = [_row(case, comparison, found) for comparison in case.comparisons]
    return [row for row in rows if row.pairs or row.broken]


def _row(case: Case, comparison: Comparison, found: Found) -> Row:
    named: dict[str, Contender] = {contender.name: contender for contender in case.contenders}
    both = [name for name in (comparison.subject, comparison.reference) if name]
    figures = paired(comparison, found)
    other = comparison.reference
    # What a metric other than time is compared by is no time; the seconds beside it are then of the workload.
    metrics = [metric if metric.endswith(SECONDS) else SECONDS for metric in (comparison.subject_metric, comparison.reference_metric)]
    return Row(
        key=case.key,
        title=case.title,
        who=comparison.subject,
        against=other,
        measure=comparison.measure,
        figure=statistics.median(figures) if figures else None,
        low=min(figures, default=None),
        high=max(figures, default=None),
        pairs=len(figures),
        most=comparison.most,
        aim=comparison.aim,
        unit=comparison.unit,
        who_seconds=middle(found.samples[comparison.subject], metrics[0]),
        other_seconds=middle(found.samples[other], metrics[1]) if other else None,
        note="; ".join(named[name].note for name in both if named[name].note),
        broken="; ".join(found.broken[name] for name in both if name in found.broken),
    )


def significant(number: float) -> str:
    """Return a number with three digits that mean something."""
    if abs(number) >= 100:  # noqa: PLR2004 - three digits before the point
        return f"{number:,.0f}"
    return f"{number:.3g}"


def worded(number: float | None, row: Row) -> str:
    """Return a figure, a bar or an aim as the table has it."""
    if number is None:
        return ""
    if row.measure == "ratio":
        faster = f" ({significant(1 / number)} × faster)" if 0 < number < SMALL_RATIO else ""
        return significant(number) + faster
    sign = "+" if row.measure == "excess" and number > 0 else ""
    return f"{sign}{significant(number * 1000 if row.unit == 'ms' else number)} {row.unit}"


def cells(row: Row) -> tuple[str, ...]:
    """Return a row's cells."""
    limits = [f"≤ {worded(row.most, row)}"] * (row.most is not None) + [f"aim ≤ {worded(row.aim, row)}"] * (row.aim is not None)
    spread = "" if row.low is None or row.high is None or row.pairs == 1 else f"{short(row.low, row)} – {short(row.high, row)}"
    verdict = f"**{row.verdict}**" if row.verdict in {"missed", "broke"} else row.verdict
    return (
        row.key,
        row.title,
        row.who,
        worded(row.figure, row),
        spread,
        f"{row.against} ({row.note})" if row.note else row.against,
        ", ".join(limits),
        verdict,
        "" if row.who_seconds is None else significant(row.who_seconds),
        "" if row.other_seconds is None else significant(row.other_seconds),
        str(row.pairs),
    )


def short(number: float, row: Row) -> str:
    """Return an end of a range, which needs no unit."""
    return significant(number * 1000 if row.unit == "ms" else number)


def markdown(rows: Sequence[Row]) -> str:
    """Return the rows as a table; what several rows have in common stands in the first of them."""
    lines = [HEADINGS, tuple("---" for _ in HEADINGS), *_without_repetition([cells(row) for row in rows])]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    padded = [[cell.ljust(width, "-" if cell == "---" else " ") for cell, width in zip(line, widths, strict=True)] for line in lines]
    return "\n".join(f"| {' | '.join(line)} |" for line in padded)


def _without_repetition(lines: Sequence[tuple[str, ...]]) -> Iterator[tuple[str, ...]]:
    shared = 2
    previous: tuple[str, ...] = ()
    for line in lines:
        yield ("",) * shared + line[shared:] if line[:shared] == previous[:shared] else line
        previous = line


def closing_line(rows: Sequence[Row]) -> str:
    """Return how many bars and aims were met."""
    bars = [row for row in rows if row.most is not None and row.verdict != "broke"]
    aims = [row for row in rows if row.aim is not None and row.verdict != "broke"]
    missed = [row for row in bars if row.verdict == "missed"]
    reached = sum(row.verdict in {"met, aim met", "aim met"} for row in aims)
    broke = sum(row.verdict == "broke" for row in rows)
    words = [f"{len(bars) - len(missed)} of {len(bars)} bars met, {reached} of {len(aims)} aims"]
    words += [f"missed: {', '.join(f'{row.key} ({row.who})' for row in missed)}"] if missed else []
    words += [f"{broke} comparisons broke"] if broke else []
    return "; ".join(words) + "."
