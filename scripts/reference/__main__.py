"""Writes the pages, checks them, or runs their examples."""

import argparse
import subprocess
import sys
from pathlib import Path

from scripts.reference import errortree, magics
from scripts.reference.pages import pages
from scripts.reference.running import failures

FOLDER = Path(__file__).parents[2] / "docs"


def drawn() -> dict[Path, str]:
    """Return every page by where it lies."""
    found = {FOLDER / "reference" / file: text for file, text in pages().items()}
    found[FOLDER / magics.FILE] = magics.page()
    found[errortree.PAGE] = errortree.redrawn(errortree.PAGE.read_text(encoding="utf8"))
    return found


def stale() -> list[str]:
    """Return the pages that are not true, and those that nothing makes any more."""
    wanted = drawn()
    wrong = [path for path, text in wanted.items() if not path.exists() or path.read_text(encoding="utf8") != text]
    return sorted(str(path.relative_to(FOLDER)) for path in [*wrong, *(set((FOLDER / "reference").glob("*.md")) - set(wanted))])


def run_examples() -> subprocess.CompletedProcess[str]:
    """Execute the examples in a process of their own: they change settings, and start a cluster."""
    command = [sys.executable, "-m", "scripts.reference", "--run"]
    return subprocess.run(command, cwd=FOLDER.parent, stdout=subprocess.PIPE, text=True, check=False)


def main() -> int:
    """Write, check or run."""
    parser = argparse.ArgumentParser(description="Write the reference, docs/errors.md and docs/magics.md.")
    parser.add_argument("--check", action="store_true", help="change nothing; exit status 1 if a page is not true")
    parser.add_argument("--run", action="store_true", help="execute the examples; exit status 1 if one fails")
    options = parser.parse_args()
    if options.run:
        found = failures()
        print("\n".join(found) or "All examples do what they say.")
        return int(bool(found))
    wrong = stale()
    if options.check:
        if wrong:
            print(f"Not true any more: {', '.join(wrong)}. Run `make docs`.", file=sys.stderr)
        return int(bool(wrong))
    wanted = drawn()
    (FOLDER / "reference").mkdir(parents=True, exist_ok=True)
    for path in set((FOLDER / "reference").glob("*.md")) - set(wanted):
        path.unlink()
    for path, text in wanted.items():
        path.write_text(text, encoding="utf8")
    print(f"{len(wanted)} pages of the reference: {', '.join(wrong) + ' redrawn' if wrong else 'were true already'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
