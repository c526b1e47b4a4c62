"""Draws docs/failures.md from the crash table that tests/cluster/test_crash_table.py runs.

`make docs` calls it; with `--check` it only tells whether the page is true. Decides how the table reads. Must not know how its rows
are tested.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.cluster.crash_table import GRACE_SECONDS, MEMORY_LIMIT, ROWS, SYSTEM_RETRIES, TIMEOUT_SECONDS, Row

PAGE = Path(__file__).parents[1] / "docs" / "failures.md"

_INTRO = f"""# What you see when an action dies

Drawn by `make docs` from `tests/cluster/crash_table.py`; each line is run on real worker processes by `tests/cluster/test_crash_table.py`,
in the middle of other actions, whose results must be right all the same.

The table is made with `system_retries={SYSTEM_RETRIES}` (the default is 10), `timeout={TIMEOUT_SECONDS}`,
`grace_seconds={GRACE_SECONDS:g}` and workers of {MEMORY_LIMIT // 2**20} MiB.

- **user** is an error of the task, **system** one of the machinery, **timeout** a time limit that was reached.
- A lost worker costs no retry of the task (`retries=`): such attempts have a budget of their own (`flyte.init(system_retries=...)`).
- Of what a dead worker had, only what ran is suspected. Of several suspects, halves are tried apart and then alone, until it is clear which
  one ends its worker; that takes up to two attempts more. The others are run again, and lose nothing.
- A driver that waited for its children is run again and finds them: what has ended is not run again, what goes on is waited for.
- Too much memory is the task's own error (`OOMError`): it is tried again only as often as `retries=` says.
"""
_HEAD = ("where", "how", "the action ends", "whose error", "its caller catches", "the message says", "attempts")


def page() -> str:
    """Return the page."""
    lines = [_INTRO, _line(_HEAD), _line("-" * len(word) for word in _HEAD), *(_line(cells(row)) for row in ROWS)]
    return "\n".join(lines) + "\n"


def cells(row: Row) -> tuple[str, ...]:
    """Return the words of a row."""
    attempts = str(row.attempts) if row.attempts == row.most_attempts else f"{row.attempts} to {row.most_attempts}"
    caught = f"`{row.error.__name__}`" if row.error is not None else "nothing"
    if row.error is not None and row.error.__name__ != row.code:
        caught += f" with code `{row.code}`"
    return row.where, f"`{row.how}`", row.phase, row.kind or "nobody's", caught, f"“{row.message}”" if row.message else "", attempts


def _line(words: Iterator[str] | tuple[str, ...]) -> str:
    return "| " + " | ".join(words) + " |"


def main() -> int:
    """Draw, or check."""
    parser = argparse.ArgumentParser(description="Draw docs/failures.md.")
    parser.add_argument("--check", action="store_true", help="change nothing; exit status 1 if the page is not true")
    options = parser.parse_args()

    drawn = page()
    same = PAGE.exists() and PAGE.read_text(encoding="utf8") == drawn
    if options.check:
        if not same:
            print(f"{PAGE.name} does not show the table as it is: run `make docs`.", file=sys.stderr)
        return int(not same)
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(drawn, encoding="utf8")
    print(f"{PAGE.name}: {'was true already' if same else 'redrawn'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
