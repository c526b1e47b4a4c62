"""Runs the main job, notebooks/quickstart.ipynb, in a real kernel on the embedded cluster, and tells what it did.

What it tells is read from the outputs that the notebook left, so it says what a reader of the executed copy sees.
Exit status 1 if a cell fails. Knows notebooks; must know nothing of flyte_nb.
"""

import argparse
import os
import re
import sys
import textwrap
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError
from nbformat import NotebookNode

ROOT = Path(__file__).parents[1]
QUICKSTART = ROOT / "notebooks" / "quickstart.ipynb"
EXECUTED = ROOT / "build" / "quickstart.executed.ipynb"
CELL_SECONDS = 900  # a cell that takes longer hangs, even on two loaded cores
SHOWN_LINES = 12
SHOWN_COLUMNS = 118
ESCAPES = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")  # the colours of tracebacks
ACTIONS = re.compile(r"\b(\d[\d,]*) actions\b")


def title(cell: NotebookNode) -> str:
    """Return a code cell's first line that says something."""
    lines = [line.strip() for line in cell.source.splitlines()]
    return textwrap.shorten(next((line for line in lines if line and not line.startswith("#")), ""), 80)


def text(output: NotebookNode) -> str:
    """Return what one output of a cell says in plain text."""
    if output.output_type == "stream":
        said = output.text
    elif output.output_type == "error":
        said = "\n".join(output.traceback) or f"{output.ename}: {output.evalue}"
    else:
        said = output.data.get("text/plain", "")
    return ESCAPES.sub("", "".join(said))


def shortened(said: str) -> list[str]:
    """Return the lines of a text that fit a screen, telling how many are left out."""
    lines = [
        line.rstrip() if len(line) <= SHOWN_COLUMNS else line[: SHOWN_COLUMNS - 3] + "..."
        for line in said.strip("\n").rstrip().splitlines()
    ]
    if len(lines) <= SHOWN_LINES:
        return lines
    kept = SHOWN_LINES // 2
    return [*lines[:kept], f"... {len(lines) - 2 * kept} more lines ...", *lines[-kept:]]


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    """Return the cells that run."""
    return [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip()]


def account(notebook: NotebookNode) -> list[str]:
    """Return what each cell said, as lines."""
    lines = []
    for number, cell in enumerate(code_cells(notebook), start=1):
        said = [line for output in cell.outputs for line in shortened(text(output))]
        if said:
            lines += [f"[{number}] {title(cell)}", *(f"    {line}" for line in said), ""]
    return lines


def action_count(notebook: NotebookNode) -> int:
    """Return the largest number of actions that any output tells of: that of the main run."""
    said = " ".join(text(output) for cell in code_cells(notebook) for output in cell.outputs)
    return max((int(number.replace(",", "")) for number in ACTIONS.findall(said)), default=0)


def execute(notebook: NotebookNode, folder: Path, environment: dict[str, str] | None = None) -> str:
    """Execute a notebook in place, in a folder; return what went wrong, or an empty text."""
    total = len(code_cells(notebook))

    def tell(cell: NotebookNode, cell_index: int) -> None:
        if cell.cell_type == "code":
            number = len(code_cells(NotebookNode(cells=notebook.cells[: cell_index + 1])))
            print(f"  cell {number} of {total}: {title(cell)}", flush=True)

    client = NotebookClient(
        notebook,
        timeout=CELL_SECONDS,
        kernel_name="python3",
        resources={"metadata": {"path": str(folder)}},
        store_widget_state=False,  # a page made of the copy then shows the text, offline too
        extra_arguments=["--IPKernelApp.log_level=40"],  # errors only: its warnings are for those who configure kernels
        on_cell_start=tell,
    )
    try:
        client.execute(env=environment or dict(os.environ))
    except (CellExecutionError, DeadKernelError, TimeoutError) as error:
        return ESCAPES.sub("", str(error))
    return ""


def main() -> int:
    """Run the demo."""
    parser = argparse.ArgumentParser(description="Execute a notebook on the embedded cluster and tell what it did.")
    parser.add_argument("notebook", type=Path, nargs="?", default=QUICKSTART)
    parser.add_argument("--executed", type=Path, default=EXECUTED, help="where the executed copy goes")
    options = parser.parse_args()

    notebook = nbformat.read(options.notebook, as_version=4)
    print(f"Executing {options.notebook.name} in a kernel of its own:", flush=True)
    started = time.perf_counter()
    failure = execute(notebook, options.notebook.resolve().parent)
    seconds = time.perf_counter() - started
    options.executed.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, options.executed)

    print("\nWhat its cells said:\n")
    print("\n".join(account(notebook)))
    if failure:
        print(f"FAILED after {seconds:.1f} s:\n{failure}\nThe copy up to there: {options.executed}", file=sys.stderr)
        return 1
    actions = action_count(notebook)
    counted = f", {actions:,} actions in its largest run" if actions else ""
    print(f"Done: {len(code_cells(notebook))} cells in {seconds:.1f} s{counted}.\nExecuted copy: {options.executed}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
