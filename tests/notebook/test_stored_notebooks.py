"""What is stored of each notebook is true: outputs of the present code, of a run that ended, and nothing of the machine it ran on."""

from __future__ import annotations

import getpass
import platform
import re
from typing import Any

import pytest

from scripts.store_outputs import DIGEST, MOST_BYTES, STORED, digest
from tests.notebook.conftest import mime_types, said
from tests.notebook.guide import FOLDER, NAMES, ROOT, by_id, read

every_notebook = pytest.mark.parametrize("name", NAMES)

#: What a view says of a run that has not ended, in text and in HTML.
UNFINISHED = re.compile(r"\bas of 20\d\d-|: (?:running|queued)\b|\bactions ended\b")
#: Absolute paths, addresses in memory, and what kernels call their cells.
PLACES = re.compile(r"(?<![\w.:/<])/(?:home|root|tmp|var|opt|usr|Users|work|mnt)/[\w.-]+|\b0x[0-9a-f]{6,}\b|ipykernel_\d+|[A-Z]:\\\\")


def texts(name: str) -> list[str]:
    """All forms of all outputs of a notebook that are text."""
    found = []
    for cell in by_id(read(name)).values():
        found.append(said(cell))
        found += [form for output in cell.outputs for mime, form in output.get("data", {}).items() if mime == "text/html"]
    return found


def test_there_are_the_notebooks_that_the_guide_names() -> None:
    """The short path, and one for each use."""
    path = ["quickstart", "patterns", "when-things-fail", "scale-out"]
    uses = ["etl", "ab-testing", "batch-inference", "monte-carlo"]

    assert {*path, *uses} <= set(NAMES)


@every_notebook
def test_its_outputs_are_those_of_its_code(name: str) -> None:
    """Each cell ran, once, in order, without an error, and no cell was edited afterwards (`make notebooks` executes it again)."""
    notebook = read(name)
    cells = list(by_id(notebook).values())

    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert [cell.id for cell in cells if any(output.output_type == "error" for output in cell.outputs)] == []
    assert notebook.metadata[STORED][DIGEST] == digest(notebook)


@every_notebook
def test_its_runs_have_ended_in_what_is_stored(name: str) -> None:
    """Views are stored as HTML and text that tell the end, without a widget."""
    notebook = by_id(read(name))
    shown = [form for form in texts(name) if re.search(r"<p><strong>\W ", form)]  # a run's begins with the sign of its phase

    assert [text for text in texts(name) if UNFINISHED.search(text)] == []
    assert shown
    assert all(re.search(r"\bended 20\d\d-\d\d-\d\d", view) for view in shown)
    assert {mime for cell in notebook.values() for mime in mime_types(cell)} <= {"text/plain", "text/html", "image/png"}


@every_notebook
def test_it_says_what_it_teaches_and_ends_with_something_to_look_at(name: str) -> None:
    """A title, what is learnt, how long it takes; and at the end a table or a figure."""
    notebook = read(name)
    first = notebook.cells[0].source
    forms = [mime_types(cell) for cell in by_id(notebook).values()]
    last = next(index for index in reversed(range(len(forms))) if forms[index] & {"text/html", "image/png"})

    assert first.startswith("# ")
    assert "You learn" in first
    assert re.search(r"It takes .* minute", first)
    assert last >= len(forms) - 3


@every_notebook
def test_it_is_small_and_names_no_place_and_nobody(name: str) -> None:
    """It is read in a browser and reviewed in a diff, by people who do not know the machine."""
    text = (FOLDER / f"{name}.ipynb").read_text(encoding="utf8")
    forms = "\n".join([*texts(name), *(cell.source for cell in read(name).cells)])
    people = {platform.node(), getpass.getuser()} - {"root", "user", "localhost"}

    assert len(text.encode()) < MOST_BYTES
    assert PLACES.findall(forms) == []
    assert [person for person in people if len(person) > 2 and re.search(rf"\b{re.escape(person)}\b", forms)] == []
    assert text.endswith("}\n")


@every_notebook
def test_its_links_lead_somewhere(name: str) -> None:
    """Files that its texts link to are there."""
    markdown = [cell.source for cell in read(name).cells if cell.cell_type == "markdown"]
    links = [link for text in markdown for link in re.findall(r"\]\(([^)#]+)[^)]*\)", text) if "://" not in link]

    assert [link for link in links if not (FOLDER / link).resolve().exists()] == []
    assert all((FOLDER / link).resolve().is_relative_to(ROOT) for link in links)


def test_places_are_recognised() -> None:
    """The pattern finds what it is to find, and no more."""
    found: list[Any] = PLACES.findall('File "/home/me/a.py" <F at 0x7f2f3a> /tmp/x/1.py ipykernel_12 /var/lib')
    harmless = "site-packages/pandas/a.py tcp://127.0.0.1:1 flights-by-day/2013.csv 0x10 a/tmp/b"

    assert [place.partition("/")[0] or place for place in found] == ["/home/me", "0x7f2f3a", "/tmp/x", "ipykernel_12", "/var/lib"]  # noqa: S108 - looked for, not used
    assert PLACES.findall(harmless) == []
