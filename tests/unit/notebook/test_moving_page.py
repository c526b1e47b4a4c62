"""What docs/moving-to-flyte.md shows is what an export writes."""

from __future__ import annotations

import re
from pathlib import Path

import flyte_nb as flyte
from tests.fakes.notebook_shapes import write_notebook

PAGE = Path(__file__).parents[3] / "docs" / "moving-to-flyte.md"


def test_the_module_on_the_page_is_that_of_its_cells(tmp_path: Path) -> None:
    """Laid out by ruff as it stands there, below the mark and the docstring."""
    blocks = re.findall(r"```(\w*)\n(.*?)```", PAGE.read_text(encoding="utf8"), re.DOTALL)
    cells = [text.rstrip("\n") for kind, text in blocks if kind == "ipython"]
    (module,) = (text for kind, text in blocks if kind == "python")

    made = flyte.export(tmp_path / "pipeline.py", notebook=write_notebook(tmp_path / "n.ipynb", cells), strict=True)

    assert made.text.split("\n\n", 1)[1] == module
    assert made.text.splitlines()[1] == '"""Tasks of n.ipynb, for Flyte 2."""'


def test_problems_on_the_page_are_those_that_are_found() -> None:
    """Each row of the table has a test of its own in test_export.py; their number is the table's."""
    table = PAGE.read_text(encoding="utf8").partition("## What the real SDK cannot run")[2].partition("\n## ")[0]

    assert len(re.findall(r"^\| (?!problem|---)", table, re.MULTILINE)) == 8
