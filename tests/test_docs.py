"""What the documentation says of the code is true: drawings, tables, names, links; its code is run in tests/cluster/test_readme.py."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

from flyte_nb.core.phases import PHASE_TRANSITIONS, ActionPhase
from flyte_nb.remote import Action, Run
from flyte_nb.settings import READERS, Settings
from scripts import phase_diagram, readme_tables, store_outputs
from tests import pages
from tests.pages import PAGES, dead_links

ROOT = Path(__file__).parents[1]
#: Of the notebook alone, and of the place of the store: no settings of the workspace.
OTHER_VARIABLES = {"FLYTE_NB_STATIC", "FLYTE_NB_NEST", "FLYTE_NB_HOME", "FLYTE_NB_KEY_FILE"}


def page(name: str) -> str:
    """Return a page's text."""
    return (ROOT / name).read_text(encoding="utf8")


def section(name: str, title: str) -> str:
    """Return a section of a page."""
    return page(name).partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def test_every_test_that_guards_a_promise_exists() -> None:
    """The table of promises names them with their files."""
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", section("CONTRIBUTING.md", "Promises"))

    assert [name for path, name in named if not re.search(rf"^(async )?def {name}\(", page(path), re.MULTILINE)] == []
    assert len(named) > 8  # promises of the table


def test_the_phase_diagram_is_current() -> None:
    """`make docs` would change nothing."""
    text = page("ARCHITECTURE.md")

    assert phase_diagram.redrawn(text) == text


def test_the_phase_diagram_shows_every_phase_and_move() -> None:
    """A move is an arrow, of its own or into the box of the common ends."""
    drawn = phase_diagram.diagram()
    box = re.search(r"\{\n(.*?)\n    \}", drawn, re.DOTALL)
    assert box is not None
    ends = set(box[1].split())
    arrows = set(re.findall(r"(\w+) --> (\w+)", drawn))

    assert ends == {"succeeded", "failed", "aborted", "timed_out"}
    for phase, following in PHASE_TRANSITIONS.items():
        moves = {(phase.value, "ended" if other.value in ends else other.value) for other in following}
        assert {arrow for arrow in arrows if arrow[0] == phase.value} == moves


def test_ends_that_only_some_phases_come_to_are_drawn_by_themselves() -> None:
    """The box holds what all open phases share, and nothing else."""
    table = {
        ActionPhase.QUEUED: frozenset({ActionPhase.RUNNING, ActionPhase.ABORTED}),
        ActionPhase.RUNNING: frozenset({ActionPhase.SUCCEEDED, ActionPhase.ABORTED}),
        ActionPhase.SUCCEEDED: frozenset[ActionPhase](),
        ActionPhase.ABORTED: frozenset[ActionPhase](),
    }

    lines = [line.strip() for line in phase_diagram.diagram(table).splitlines()]

    assert lines[3:-1] == [
        'state "ended" as ended {',
        "aborted",
        "}",
        "queued --> running",
        "queued --> ended",
        "running --> succeeded",
        "running --> ended",
        "succeeded --> [*]",
        "ended --> [*]",
    ]


def test_a_page_without_the_markers_is_refused() -> None:
    """The message names them."""
    with pytest.raises(ValueError, match="end of phases"):
        phase_diagram.redrawn("# No markers here\n")


def test_the_readmes_tables_are_current() -> None:
    """`make docs` would change nothing: every notebook is listed with its launch link, and the figures are those measured last."""
    drawn = readme_tables.redrawn(page("README.md"), ROOT / "notebooks", readme_tables.address(), readme_tables.figures())

    assert page("README.md") == drawn, "run `make docs`"


def test_the_settings_table_is_complete() -> None:
    """Every setting and every variable has its row in docs/settings.md, and no other has."""
    rows = re.findall(r"^\| (?:`(\w+)`)?[^|]*\| `(FLYTE_NB_\w+)` \|", page("docs/settings.md"), re.MULTILINE)
    documented = {name for name, _variable in rows if name} - {"nest"}

    assert documented == set(READERS) == {field.name for field in fields(Settings)} - {"security"}  # an object: `init` only
    assert {variable for _name, variable in rows} == {f"FLYTE_NB_{name.upper()}" for name in READERS} | OTHER_VARIABLES


def test_what_the_page_says_of_a_run_exists() -> None:
    """Each member of the handle, and of an action, that docs/notebook.md names."""
    text = section("docs/notebook.md", "The run in your hand")
    of_run = set(re.findall(r"(?<!flyte\.)\brun\.(\w+)", text)) | set(re.findall(r"Run\.(\w+)", text))
    line = next(line for line in text.splitlines() if line.startswith("| `run.action("))
    of_action = set(re.findall(r"`(\w+)(?:\(\))?`", line.partition("one action:")[2]))

    assert {name for name in of_run if not hasattr(Run, name)} == set()
    assert len(of_action) > 5
    assert {name for name in of_action if not hasattr(Action, name)} == set()


@pytest.mark.parametrize("name", PAGES)
def test_links_lead_somewhere(name: str) -> None:
    """Files that a page links to are there, and so are the headings in them."""
    assert dead_links(name) == []


def test_the_map_of_the_documentation_has_every_page() -> None:
    """Pages of the reference are found from its own index."""
    listed = {(ROOT / "docs" / link.partition("#")[0]).resolve().relative_to(ROOT).as_posix() for link in pages.links("docs/index.md")}
    named = {name for name in PAGES if name.startswith("docs/") and not name.startswith("docs/reference/")} - {"docs/index.md"}

    assert named - listed == set()


def test_a_link_that_leads_nowhere_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """To a file that is not there, or to a heading; code is not looked at."""
    text = (
        "# One `two`\n\n## Same\n\n## Same\n\n[a](#one-two) [b](#same-1) [c](#same-2) [d](nowhere.md) [e](https://example.org)\n`[f](no)`\n"
    )
    monkeypatch.setattr(pages, "text_of", lambda _name: text + "```python\n[g](no)\n```\n")

    assert dead_links("README.md") == ["#same-2", "nowhere.md"]


@pytest.mark.parametrize("name", PAGES)
def test_make_targets_exist(name: str) -> None:
    """`make` knows the targets that a page names."""
    targets = set(re.findall(r"`make ([a-z][a-z-]*)", page(name)))
    known = set(re.findall(r"^([a-z][a-z-]*(?: [a-z][a-z-]*)*):", page("Makefile"), re.MULTILINE))

    assert targets - {target for line in known for target in line.split()} == set()


def test_the_map_names_modules_that_exist() -> None:
    """A path in ARCHITECTURE.md is a file of the package, or of the repository."""
    paths = set(re.findall(r"`([\w/]+\.(?:py|css))`", page("ARCHITECTURE.md")))

    assert len(paths) > 25
    assert {path for path in paths if not any((folder / path).exists() for folder in (ROOT, ROOT / "flyte_nb"))} == set()


def test_the_layers_are_those_of_the_contract() -> None:
    """The picture names the layers of pyproject.toml, in their order."""
    contract = re.search(r'id = "layers".*?layers = \[(.*?)\]', page("pyproject.toml"), re.DOTALL)
    assert contract is not None
    agreed = re.findall(r"\((\w+)\)", contract[1])
    picture = section("ARCHITECTURE.md", "Layers").partition("```\n")[2].partition("```")[0]
    drawn = [word for line in picture.splitlines() for word in line.partition("  ")[0].split() if word != "|"]

    assert drawn == agreed


def test_paths_of_a_machine_are_cut_from_stored_outputs() -> None:
    """What is left of a path tells what a reader can use."""
    said = 'File "/var/tmp/ipykernel_12/345.py", line 3\nFile "/opt/x/.venv/lib/python3.11/site-packages/pandas/a.py", line 1'

    assert store_outputs.without_paths(said) == 'File "<cell>", line 3\nFile "site-packages/pandas/a.py", line 1'
