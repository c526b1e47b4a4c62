"""Decides how the figures of a Binder session read, and which of them are wrong. Must not know how they were measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from scripts.binder.image import Plan

PAGE = Path(__file__).parents[2] / "docs" / "binder.md"
BEGIN = "<!-- figures: drawn by `make binder-check ARGS=--write-docs` -->"
END = "<!-- end of figures -->"
MIB = 2**20
#: mybinder.org: a session that takes more than the most is ended; this much it has in any case.
MOST_BYTES = 2048 * MIB
MOST_SECONDS = 120
BUSY = 6.0  # the load that two workers, a kernel, a server and a browser make is half of it
SHOWN = ("jupyterlab", "notebook", "jupyter-server", "ipykernel", "ipython", "ipywidgets", "anywidget", "dask", "distributed", "pandas")


@dataclass
class Tried:
    """What one notebook took."""

    name: str
    seconds: float = 0.0
    peak_bytes: int = 0
    problems: list[str] = field(default_factory=list)


@dataclass
class Started:
    """How soon somebody sees something, in seconds from the start of the server; and the machine's load at the end of the round."""

    server: float = 0.0
    kernel: float = 0.0
    first_result: float = 0.0
    load: float = 0.0
    problems: list[str] = field(default_factory=list)


def judged(tried: Tried) -> list[str]:
    """Return what is wrong with a notebook's figures, and what went wrong in it."""
    found = list(tried.problems)
    if tried.peak_bytes > MOST_BYTES:
        found.append(f"it takes {tried.peak_bytes / MIB:,.0f} MiB; Binder ends a session at {MOST_BYTES / MIB:,.0f} MiB")
    if tried.seconds > MOST_SECONDS:
        found.append(f"it takes {tried.seconds:.0f} s, and a guide's notebook at most {MOST_SECONDS} s")
    return found


def line(tried: Tried) -> str:
    """Return one notebook's figures for a terminal."""
    verdict = "wrong: " + "; ".join(judged(tried)) if judged(tried) else "right"
    return f"  {tried.name:32} {tried.seconds:6.1f} s {tried.peak_bytes / MIB:7,.0f} MiB  {verdict}"


def text(planned: Plan, versions: Mapping[str, str], started: Started, rows: Sequence[Tried]) -> str:
    """Return all figures as a part of the page."""
    told = ", ".join(f"{name} {versions[name]}" for name in SHOWN if name in versions)
    table = [
        "| notebook | from top to bottom, s | most memory, MiB |",
        "|---|---|---|",
        *(f"| {row.name} | {row.seconds:.0f} | {row.peak_bytes / MIB:,.0f} |" for row in rows),
    ]
    when = f"Measured on {datetime.now(UTC):%Y-%m-%d} on two CPUs, with Python {planned.python}, {told}."
    soon = (
        f"From the start of the server: {started.server:.1f} s until it answers, {started.kernel:.1f} s until the quickstart is open and "
        f"its kernel idle, {started.first_result:.1f} s until the first result of a task is in the view."
    )
    if started.load > BUSY:
        when += (
            f" Others kept the machine busy (load {started.load:.0f}; the notebooks alone make about {BUSY / 2:.0f}):"
            " the seconds are far too many, the memory is right."
        )
    return "\n".join([when, "", soon, "", *table])


def redrawn(page: str, figures: str) -> str:
    """Return the page with other figures.

    Raises:
        ValueError: The page does not have the markers, in this order.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"The page needs a line {BEGIN!r} and, below it, {END!r}.")
    return f"{before}{BEGIN}\n{figures}\n{END}{after}"


def write(figures: str) -> None:
    """Put the figures into docs/binder.md."""
    PAGE.write_text(redrawn(PAGE.read_text(encoding="utf8"), figures), encoding="utf8")
