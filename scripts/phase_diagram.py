"""Draws the phase diagram of ARCHITECTURE.md from the table in flyte_nb/core/phases.py.

`make docs` calls it; with `--check` it only tells whether the picture is true. Decides how the table is drawn: ends that every open phase
can come to are one box, so that the picture shows what differs. Must not know what the phases mean.
"""

import argparse
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from flyte_nb.core.phases import PHASE_TRANSITIONS, ActionPhase

PAGE = Path(__file__).parents[1] / "ARCHITECTURE.md"
BEGIN = "<!-- phases: drawn by `make docs` from flyte_nb/core/phases.py -->"
END = "<!-- end of phases -->"

Table = Mapping[ActionPhase, frozenset[ActionPhase]]


def diagram(table: Table = PHASE_TRANSITIONS) -> str:
    """Return the table as a Mermaid state diagram."""
    return "\n".join(["```mermaid", "stateDiagram-v2", *(f"    {line}" for line in _lines(table)), "```"])


def _lines(table: Table) -> Iterator[str]:
    common = _common_ends(table)
    yield f"[*] --> {next(iter(table)).value}"
    if common:
        yield 'state "ended" as ended {'
        yield from (f"    {phase.value}" for phase in table if phase in common)
        yield "}"
    for phase, following in table.items():
        yield from (f"{phase.value} --> {other.value}" for other in table if other in following - common)
        if common and common <= following:
            yield f"{phase.value} --> ended"
    yield from (f"{phase.value} --> [*]" for phase, following in table.items() if not following and phase not in common)
    if common:
        yield "ended --> [*]"


def _common_ends(table: Table) -> frozenset[ActionPhase]:
    """Return the terminal phases that may follow every open one."""
    open_phases = [following for following in table.values() if following]
    shared = frozenset.intersection(*open_phases) if open_phases else frozenset()
    return frozenset(phase for phase in shared if not table[phase])


def redrawn(page: str) -> str:
    """Return a page with the picture between its markers drawn anew.

    Raises:
        ValueError: The page does not have the markers, in this order.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"The page needs a line {BEGIN!r} and, below it, {END!r}.")
    return f"{before}{BEGIN}\n{diagram()}\n{END}{after}"


def main() -> int:
    """Draw, or check."""
    parser = argparse.ArgumentParser(description="Draw the phase diagram into ARCHITECTURE.md.")
    parser.add_argument("--check", action="store_true", help="change nothing; exit status 1 if the picture is not true")
    options = parser.parse_args()

    page = PAGE.read_text(encoding="utf8")
    drawn = redrawn(page)
    if options.check:
        if drawn != page:
            print(f"{PAGE.name} does not show the phases as they are: run `make docs`.", file=sys.stderr)
        return int(drawn != page)
    PAGE.write_text(drawn, encoding="utf8")
    print(f"{PAGE.name}: {'redrawn' if drawn != page else 'was true already'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
