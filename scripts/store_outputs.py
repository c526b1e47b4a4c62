"""Executes the notebooks of the guide and stores what they showed, so that a reader on GitHub sees what a run leaves.

`make notebooks` calls it. What it stores is what the cells said, except for paths of this machine, which say nothing elsewhere and are cut
to their telling end, and times of execution. Exit status 1 if a cell fails or a notebook becomes too large; such a notebook is left alone.
Knows notebooks; must know nothing of flyte_nb.
"""

import argparse
import json
import re
import sys
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from scripts.demo import QUICKSTART, execute

MOST_BYTES = 200_000  # a notebook is read in a browser and reviewed in a diff
#: Where a cell was kept for the debugger; and where Python and its packages are installed.
CUT = (
    (re.compile(r"/[\w./\-]*/ipykernel_\d+/\d+\.py"), "<cell>"),
    (re.compile(r"/[\w./\-]*/(?=(?:site-packages|dist-packages)/)"), ""),
    (re.compile(r"/[\w./\-]*/(?=python3\.\d+/)"), ""),
)


def without_paths(text: str) -> str:
    """Return a text with this machine's paths cut to their telling end."""
    for pattern, instead in CUT:
        text = pattern.sub(instead, text)
    return text


def tidied(notebook: NotebookNode) -> NotebookNode:
    """Return an executed notebook as it is stored."""
    kept: NotebookNode = nbformat.from_dict(json.loads(json.dumps(notebook)))
    for cell in kept.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs = [nbformat.from_dict(_cut(output)) for output in cell.outputs]
    return kept


def _cut(value: object) -> object:
    if isinstance(value, str):
        return without_paths(value)
    if isinstance(value, list):
        return [_cut(each) for each in value]
    if isinstance(value, dict):
        return {key: _cut(each) for key, each in value.items()}
    return value


def store(path: Path) -> str:
    """Execute a notebook and write it with its outputs; return what went wrong, or an empty text."""
    notebook = nbformat.read(path, as_version=4)
    failure = execute(notebook, path.resolve().parent)
    if failure:
        return failure
    text = nbformat.writes(tidied(notebook))
    if len(text.encode()) > MOST_BYTES:
        return f"it would have {len(text.encode()):,} bytes, more than {MOST_BYTES:,}"
    path.write_text(text.rstrip("\n") + "\n", encoding="utf8")
    print(f"{path.name}: {len(text.encode()):,} bytes")
    return ""


def main() -> int:
    """Store the outputs of all notebooks, or of those that are named."""
    parser = argparse.ArgumentParser(description="Execute notebooks and store their outputs.")
    parser.add_argument("notebooks", type=Path, nargs="*", default=sorted(QUICKSTART.parent.glob("*.ipynb")))
    failures = {path: store(path) for path in parser.parse_args().notebooks}
    for path, failure in failures.items():
        if failure:
            print(f"{path.name} was not stored: {failure}", file=sys.stderr)
    return int(any(failures.values()))


if __name__ == "__main__":
    sys.exit(main())
