"""How tests execute a notebook of the guide: as somebody new runs it, with a cell at the end that tells numbers as numbers."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

from scripts.store_outputs import environment
from tests.notebook.conftest import said

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "notebooks"
NAMES = sorted(path.stem for path in FOLDER.glob("*.ipynb"))
CELL_SECONDS = 300
#: The headline of a run's view.
OUTCOME = re.compile(r"^\W [\w-]+: .*$", re.MULTILINE)

Cells = dict[str, Any]


@dataclass(frozen=True)
class Executed:
    """A notebook after a run from top to bottom.

    Args:
        cells: its code cells, by their ids.
        found: what its probe told.
        left: names of what it left in its folder.
    """

    cells: Cells
    found: dict[str, Any]
    left: list[str]

    def said(self, cell: str) -> str:
        """What a cell printed, displayed as text or raised."""
        return said(self.cells[cell])


def by_id(notebook: nbformat.NotebookNode) -> Cells:
    """Return the code cells by their ids."""
    return {cell.id: cell for cell in notebook.cells if cell.cell_type == "code"}


def outcomes(cells: Cells) -> dict[str, list[str]]:
    """What views say became of runs, by cell; and, with nothing, which other cells show something."""
    return {name: OUTCOME.findall(said(cell)) for name, cell in cells.items() if cell.outputs}


def read(name: str) -> nbformat.NotebookNode:
    """Return a notebook as it is stored."""
    notebook: nbformat.NotebookNode = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)
    return notebook


def executed(name: str, probe: str, folder: Path) -> Executed:
    """Execute a notebook in a folder of its own.

    Args:
        name: of the notebook.
        probe: an expression, a dict of what JSON can say, that is evaluated in the kernel at the end.
        folder: an empty folder.

    Raises:
        nbclient.exceptions.CellExecutionError: a cell failed.
    """
    notebook = read(name)
    notebook.cells.append(nbformat.v4.new_code_cell(f"import json\nprint(json.dumps({probe.strip()}))", id="probe"))
    work = folder / "work"
    work.mkdir()
    client = NotebookClient(notebook, timeout=CELL_SECONDS, kernel_name="python3", resources={"metadata": {"path": str(work)}})
    client.execute(env=environment(folder) | {"JUPYTER_PLATFORM_DIRS": "0", "PYDEVD_DISABLE_FILE_VALIDATION": "1"})
    cells = by_id(notebook)
    return Executed(cells, json.loads(said(cells.pop("probe")).splitlines()[-1]), sorted(path.name for path in work.iterdir()))
