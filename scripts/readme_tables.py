"""Writes what the README says of other files: the list of notebooks, the figures of speed, and every address of the repository.

`make docs` calls it; with `--check` it only tells whether the page is true. Decides the order of the notebooks, the form of a link, and
which figures of docs/performance.json a newcomer sees. The repository's address stands in pyproject.toml (`project.urls.Repository`) and
nowhere else. Must know nothing of flyte_nb.
"""

import argparse
import json
import re
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "README.md"
FIGURES = ROOT / "docs" / "performance.json"
NOTEBOOKS = ("<!-- notebooks: drawn by `make docs` from notebooks/ and pyproject.toml -->", "<!-- end of notebooks -->")
SPEED = ("<!-- speed: drawn by `make docs` from docs/performance.json -->", "<!-- end of speed -->")
#: The short path, in the order in which it is read; others follow by name.
SHORT_PATH = ("quickstart", "patterns", "when-things-fail", "scale-out")
BADGE = "https://mybinder.org/badge_logo.svg"
BINDER_LINK = re.compile(r"https://mybinder\.org/v2/gh/[^/\s]+/[^/\s]+/HEAD")
#: What is told of speed: bar, workload, beside what (as docs/performance.md names them), and in a newcomer's words.
TOLD = (
    ("B1b", "100,000 no-ops through map", "Dask, saturation inf", "100,000 calls of an empty function, `flyte.map`", "Dask's `client.map`"),
    ("B1b", "100,000 no-ops through map", "ProcessPoolExecutor", "the same", "`ProcessPoolExecutor.map`"),
    ("B1b", "100,000 no-ops through map", "joblib", "the same", "joblib, which records nothing"),
    ("B1a", "100,000 no-ops in one gather", "plain asyncio", "100,000 in one `asyncio.gather`", "bare coroutines in one process"),
    ("B4", "nested 50×50 on 2 × 1", "Dask, saturation inf", "50 calls that make 50 calls each", "Dask with `worker_client`"),
    ("B6", "200 results of 1 MB", "joblib", "200 results of 1 MB", "joblib"),
    ("B2", "400 × 10 ms sync, computing", "ideal", "400 calls that compute 10 ms", "the sum of them, spread evenly"),
    (
        "B7",
        "first result from cold, imports included",
        "Dask: LocalCluster's start",
        "a first result, from a cold start",
        "the start of Dask's `LocalCluster`",
    ),
)
SAME = 0.05  # a difference that another round would not show
CLONE_LINE = re.compile(r"^git clone \S+", re.MULTILINE)


def address() -> str:
    """Return the repository's address."""
    return str(tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf8"))["project"]["urls"]["Repository"])


def figures() -> list[dict[str, Any]]:
    """Return the rows that were measured last, of those that are kept."""
    rows: list[dict[str, Any]] = json.loads(FIGURES.read_text(encoding="utf8"))["rows"]
    return rows


def binder(repository: str) -> str:
    """Return where Binder serves a repository of GitHub.

    Raises:
        ValueError: The address is not that of a repository on GitHub.
    """
    parts = urlsplit(repository)
    path = parts.path.strip("/").removesuffix(".git")
    if (parts.scheme, parts.netloc) != ("https", "github.com") or path.count("/") != 1:
        raise ValueError(f"project.urls.Repository in pyproject.toml must be https://github.com/ACCOUNT/NAME, not {repository!r}.")
    return f"https://mybinder.org/v2/gh/{path}/HEAD"


def notebooks(folder: Path) -> list[Path]:
    """Return a folder's notebooks in the order in which they are listed."""
    place = {name: number for number, name in enumerate(SHORT_PATH)}
    return sorted(folder.glob("*.ipynb"), key=lambda path: (place.get(path.stem, len(place)), path.name))


def heading(notebook: Path) -> tuple[str, str]:
    """Return a notebook's title, and what it says that it shows: the rest of the title, or else the first sentence below it.

    Raises:
        ValueError: It does not begin with a title and a text.
    """
    cells = json.loads(notebook.read_text(encoding="utf8"))["cells"]
    first = "".join(cells[0]["source"]) if cells else ""
    found = re.match(r"# (?P<title>[^\n:]+)(?:: (?P<rest>[^\n]+))?\n+(?P<sentence>.*?[.!?])(?=\s|$)", first, re.DOTALL)
    if found is None:
        raise ValueError(f"{notebook.name} must begin with a cell that has a title (# ...) and a text below it.")
    shown = found["rest"] or " ".join(found["sentence"].split())
    return found["title"].strip(), (shown[0].upper() + shown[1:]).rstrip(".").replace("|", "\\|")


def table(folder: Path, repository: str) -> str:
    """Return the list as a table."""
    return "\n".join(["| notebook | what it shows | run it in the browser |", "|---|---|---|", *_rows(folder, repository)])


def _rows(folder: Path, repository: str) -> Iterator[str]:
    for path in notebooks(folder):
        title, shown = heading(path)
        launched = f"{binder(repository)}?labpath={quote(f'notebooks/{path.name}', safe='')}"
        yield f"| [{title}](notebooks/{path.name}) | {shown} | [![launch {title} on Binder]({BADGE})]({launched}) |"


def in_words(ratio: float) -> str:
    """Return a ratio of times, ours to another's, as one says it."""
    if abs(ratio - 1) <= SAME:
        return "the same time"
    if ratio > 1:
        return f"{ratio:.2g} times the time"
    faster = 1 / ratio
    return f"**{faster:.0f} × faster**" if faster >= 10 else f"**{faster:.1f} × faster**"  # noqa: PLR2004 - two digits that mean something


def speed(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the figures of speed as a table.

    Raises:
        ValueError: A figure that is told was not measured.
    """
    lines = ["| workload | flyte_nb takes | beside |", "|---|---|---|"]
    for key, title, against, workload, beside in TOLD:
        of_bar = [row for row in rows if (row["key"], row["title"], row["who"]) == (key, title, "flyte_nb") and not row["broken"]]
        found = [row for row in of_bar if str(row["against"]).partition(" (")[0] == against and row["measure"] == "ratio"]
        if not found:
            raise ValueError(f"docs/performance.json has no row of {key}, {title!r}, beside {against!r}: measure it, or mend TOLD.")
        lines.append(f"| {workload} | {in_words(found[0]['figure'])} | {beside} |")
    return "\n".join(lines)


def between(page: str, markers: tuple[str, str], text: str) -> str:
    """Return a page with another text between two markers.

    Raises:
        ValueError: The page does not have the markers, in this order.
    """
    before, begin, rest = page.partition(markers[0])
    _, end, after = rest.partition(markers[1])
    if not begin or not end:
        raise ValueError(f"The page needs a line {markers[0]!r} and, below it, {markers[1]!r}.")
    return f"{before}{begin}\n{text}\n{end}{after}"


def redrawn(page: str, folder: Path, repository: str, rows: Sequence[Mapping[str, Any]]) -> str:
    """Return a page with its list and its figures drawn anew, and with the repository's address wherever one stands.

    Raises:
        ValueError: The page lacks a marker, a notebook a title, or a figure was not measured; or Binder cannot serve the address.
    """
    drawn = between(between(page, NOTEBOOKS, table(folder, repository)), SPEED, speed(rows))
    return CLONE_LINE.sub(f"git clone {repository}", BINDER_LINK.sub(binder(repository), drawn))


def main() -> int:
    """Draw, or check."""
    parser = argparse.ArgumentParser(description="Write the README's tables and links.")
    parser.add_argument("--check", action="store_true", help="change nothing; exit status 1 if the list is not true")
    options = parser.parse_args()

    page = PAGE.read_text(encoding="utf8")
    try:
        drawn = redrawn(page, ROOT / "notebooks", address(), figures())
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    if options.check:
        if drawn != page:
            print(f"{PAGE.name} is not true any more: run `make docs`.", file=sys.stderr)
        return int(drawn != page)
    PAGE.write_text(drawn, encoding="utf8")
    print(f"{PAGE.name}: {'redrawn' if drawn != page else 'was true already'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
