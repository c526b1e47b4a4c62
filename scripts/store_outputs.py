"""Executes the notebooks of the guide and stores what they showed, so that a reader on GitHub sees what a run leaves.

`make notebooks` calls it. What it stores is what the cells said, except for paths of this machine, which say nothing elsewhere
and are cut to their telling end, and times of execution. A digest of the cells' code is stored with it: whoever edits a cell
afterwards has outputs of other code, and a test says so. A notebook is executed in an empty folder, with an empty store and
without settings of this machine, so that what it shows is what somebody new sees. Exit status 1 if a cell fails or a notebook
becomes too large; such a notebook is left alone.
Knows notebooks, and of flyte_nb only its environment variables.
"""

import argparse
import hashlib
import json
import os
import re
import sys
import tempfile
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from scripts.demo import QUICKSTART, ROOT, execute

MOST_BYTES = 200_000  # a notebook is read in a browser and reviewed in a diff
#: Where a notebook's metadata say of which code its outputs are.
STORED, DIGEST = "flyte_nb", "stored_outputs_of"
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


def digest(notebook: NotebookNode) -> str:
    """Return a short digest of the code of a notebook."""
    code = "\0".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
    return hashlib.blake2b(code.encode(), digest_size=8).hexdigest()


def environment(folder: Path) -> dict[str, str]:
    """Return the environment of a kernel of somebody new: this checkout, nothing set, and a store in a folder."""
    (folder / "store").mkdir(mode=0o700)
    ours = {name: value for name, value in os.environ.items() if not name.startswith("FLYTE_NB_")}
    return ours | {
        "PYTHONPATH": str(ROOT),
        "IPYTHONDIR": str(folder / "ipython"),
        "FLYTE_NB_HOME": str(folder / "store"),
        "FLYTE_NB_KEY_FILE": str(folder / "key"),
    }


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
    with tempfile.TemporaryDirectory(prefix="flyte_nb-notebooks-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        (folder / "work").mkdir()
        failure = execute(notebook, folder / "work", environment(folder))
    if failure:
        return failure
    kept = tidied(notebook)
    kept.metadata[STORED] = {DIGEST: digest(kept)}
    text = nbformat.writes(kept)
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
