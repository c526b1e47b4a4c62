"""Draws docs/mistakes.md from the table of mistakes that tests/cluster/test_mistakes.py makes.

`make docs` calls it. Decides how the table reads. Must not know how its rows are tested.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

from tests.cluster.mistakes_table import BEFORE, MISTAKES, Mistake

PAGE = Path(__file__).parents[1] / "docs" / "mistakes.md"
_INTRO = f"""# The most likely mistakes

What a newcomer trips over, what is said, and what to write instead. Drawn by `make docs` from `tests/cluster/mistakes_table.py`; every cell
is executed by the tests, on an embedded cluster, after this one:

```ipython
{BEFORE}```

`...` stands for what differs from run to run.

"""


def page() -> str:
    """Return the page."""
    return _INTRO + contents() + "".join(f"\n## {title}\n\n{''.join(map(section, mistakes))}" for title, mistakes in MISTAKES.items())


def contents() -> str:
    """Return the table of all mistakes."""
    rows = [f"| {mistake.title} | {mistake.instead} |" for mistakes in MISTAKES.values() for mistake in mistakes]
    return "| mistake | instead |\n|---|---|\n" + "\n".join(rows) + "\n"


def section(mistake: Mistake) -> str:
    """Return what is shown of one."""
    return f"### {mistake.title[0].upper()}{mistake.title[1:]}\n\n" + "".join(_parts(mistake)) + "\n"


def _parts(mistake: Mistake) -> Iterator[str]:
    yield f"```ipython\n{mistake.cell}```\n\n"
    yield f"```text\n{mistake.says}\n```\n\n"
    yield f"{mistake.instead}\n"


def main() -> int:
    """Draw."""
    drawn = page()
    same = PAGE.exists() and PAGE.read_text(encoding="utf8") == drawn
    PAGE.write_text(drawn, encoding="utf8")
    print(f"{PAGE.name}: {'was true already' if same else 'redrawn'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
