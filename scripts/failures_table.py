"""Draws docs/failures.md from the crash table that tests/cluster/test_crash_table.py runs.

`make docs` calls it; with `--check` it only tells whether the page is true. Decides how the table reads. Must not know how its rows
are tested.
"""

import argparse
import re
import sys
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path

from tests.cluster.crash_table import GRACE_SECONDS, MEMORY_LIMIT, ROWS, SYSTEM_RETRIES, TIMEOUT_SECONDS, WAYS, How, Row

PAGE = Path(__file__).parents[1] / "docs" / "failures.md"

_INTRO = f"""# What you see when an action dies

Drawn by `make docs` from `tests/cluster/crash_table.py`. Each cell is run on real worker processes by `tests/cluster/test_crash_table.py`,
in the middle of other actions, whose results must be right all the same.

The actions of the table have `timeout={TIMEOUT_SECONDS}` where they hang; the workers have {MEMORY_LIMIT // 2**20} MiB, and
`flyte.init(system_retries={SYSTEM_RETRIES}, grace_seconds={GRACE_SECONDS:g})` (the defaults are 10 losses of a worker, and 2 s until a
worker is ended on which something does not stop).

Across: how it dies. Down: where. In a cell: what becomes of the action, and in how many attempts.

"""
_RULES = """
## The rules behind it

- **Whose error it is** is never mixed up: what the task raised is the *user*'s, with its own message and traceback; the end of a worker
  is the *system*'s; a limit that was reached is a *timeout*. Too much memory is the task's own (`OOMError`).
- **A lost worker costs no retry of the task** (`retries=`): such attempts have a budget of their own
  (`flyte.init(system_retries=...)`), and from the third loss on a pause before the next one, which doubles up to a second. A time limit
  and too much memory do use up a retry.
- **Bystanders lose nothing.** Of what a dead worker had, only what ran is suspected. Of several suspects, halves are tried apart and then
  each alone, until it is clear which one ends its worker: that is why a few attempts more are recorded for it than losses are allowed.
- **A driver that waits for its children** is run again when its worker dies, and finds them by name: what has ended is not run again,
  what goes on is waited for.
- **What had not started** when its worker died has no lost attempt at all. A worker tells of a start after 20 ms: what had run for less
  may have been started once more than its attempts say.
- **Every attempt is kept**, with its worker and why it ended: `run.action(name).past_attempts`. Only the answer of the current one is
  accepted.

## In full

`...` stands for what differs from run to run. The error that the caller catches has these attributes, besides `code`, `kind` and `worker`.

"""
_ENDS = {"failed": "fails", "timed_out": "times out", "succeeded": "succeeds"}


def page() -> str:
    """Return the page."""
    return _INTRO + matrix() + _RULES + "\n".join(sections())


def matrix() -> str:
    """Return where by how."""
    ways = list(WAYS)
    by_place = {where: {row.how: row for row in rows} for where, rows in groupby(ROWS, key=lambda row: row.where)}
    lines = [("", *(f"`{how}`" for how in ways)), tuple("-" * 3 for _ in range(len(ways) + 1))]
    lines += [(f"**{where}**", *(cell(rows.get(how)) for how in ways)) for where, rows in by_place.items()]
    return "".join(_line(words) for words in lines)


def cell(row: Row | None) -> str:
    """Return what becomes of one row's action."""
    if row is None:
        return ""
    attempts = f"{row.attempts}" if row.attempts == row.most_attempts else f"{row.attempts} to {row.most_attempts}"
    what = f"[{row.code}](#{row.code.lower()})" if row.code else _ENDS[row.phase]
    return what if attempts == "1" else f"{what}, {attempts} attempts"


def sections() -> Iterator[str]:
    """Yield what is shown of each error, by code."""
    failing = sorted((row for row in ROWS if row.error is not None), key=lambda row: row.code)
    for code, rows in groupby(failing, key=lambda row: row.code):
        yield section(code, list(rows))


def section(code: str, rows: list[Row]) -> str:
    """Return what is shown of one error."""
    row = rows[0]
    caught = row.error.__name__ if row.error is not None else ""
    with_code = f' with `code == "{code}"`' if caught != code else ""
    known = "".join(f", `{name}`" for name, _value in row.facts)
    text = f"### {code}\n\nThe action **{_ENDS[row.phase]}**; the error is of kind **{row.kind}**. "
    text += f"Its caller catches `flyte.errors.{caught}`{with_code}"
    text += f" (it knows{known[1:]}):\n\n" if known else ":\n\n"
    messages: dict[str, list[How]] = {}
    for each in rows:
        ways = messages.setdefault(each.message, [])
        if each.how not in ways:
            ways.append(each.how)
    return text + "\n".join(f"- {', '.join(f'`{how}`' for how in ways)}: “{_quoted(message)}”\n" for message, ways in messages.items())


def _quoted(message: str) -> str:
    """Return a message so that Markdown shows it as it is."""
    return re.sub(r"([*_`<>|\\])", r"\\\1", message)


def _line(words: Iterable[str]) -> str:
    return "| " + " | ".join(words) + " |\n"


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
