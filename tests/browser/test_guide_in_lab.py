"""The notebooks of the guide in a real JupyterLab: each runs from top to bottom; the ETL one is looked at while it lives and afterwards."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import Locator, ViewportSize, expect

from tests.browser.labkit import Lab, Server

OpenLab = Callable[[str], Lab]

FOLDER = Path(__file__).parents[2] / "notebooks"
#: The quickstart has a test of its own.
NAMES = sorted(path.stem for path in FOLDER.glob("*.ipynb") if path.stem != "quickstart")
WIDE, NARROW = ViewportSize(width=1600, height=1000), ViewportSize(width=640, height=900)
#: From the first cell to the end, on a loaded machine.
RUN_MS = 200_000
#: What a view says of a run that has ended.
ENDED = re.compile(r"Succeeded|Failed|Aborted|Timed out")


def opened(name: str, server: Server, open_lab: OpenLab) -> tuple[Lab, dict[str, int], list[str]]:
    """Open a notebook as somebody does who wants to run it; with the position of each cell by id, and what cells should show by theirs."""
    notebook = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)
    shows = [cell.id for cell in notebook.cells if cell.cell_type == "code" and cell.outputs]
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    server.write(f"{name}.ipynb", notebook)
    lab = open_lab(f"{name}.ipynb")
    lab.page.set_viewport_size(WIDE)
    lab.command("application:toggle-left-area")
    return lab, {cell.id: index for index, cell in enumerate(notebook.cells)}, shows


def panel(lab: Lab, index: int) -> Locator:
    """Return the live view below a cell."""
    return lab.cell(index).locator(".fnb").first


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_runs_from_top_to_bottom_and_its_views_tell_the_end(name: str, server: Server, open_lab: OpenLab) -> None:
    """No cell fails, every cell that should show something does, every view has ended, the page asks for nothing and has no error."""
    lab, position, shows = opened(name, server, open_lab)

    lab.run_all(timeout_ms=RUN_MS)

    failed = {cell: output for cell in position for output in lab.outputs(position[cell]) if output["output_type"] == "error"}
    assert failed == {}
    assert [cell for cell in shows if not lab.outputs(position[cell])] == []
    views = [
        cell
        for cell in shows
        if any("ended 20" in str(output.get("data", {}).get("text/html", "")) for output in lab.outputs(position[cell]))
    ]
    assert views
    for cell in views:
        expect(panel(lab, position[cell]).locator(".h1 .ph")).to_have_text(ENDED)
    lab.screenshot(f"guide-{name}-view", cell=position[views[-1]])
    figures = [cell for cell in shows if lab.cell(position[cell]).locator("img[src^='data:image/png']").count()]
    if figures:
        lab.screenshot(f"guide-{name}-figure", cell=position[figures[-1]])
    assert lab.tab.errors == []
    assert lab.tab.external_requests == []


@pytest.mark.timeout(300)
def test_the_etl_notebook_lives_fails_and_goes_on(server: Server, open_lab: OpenLab) -> None:
    """The view moves while files are cleaned, names the broken one, and the second run shows what it took over."""
    lab, position, _shows = opened("etl", server, open_lab)

    lab.run_all(wait=False)
    view = panel(lab, position["run"])
    expect(view.locator(".h1 .ph")).to_have_text(re.compile("^(Running|Failed)"), timeout=RUN_MS)  # a fast machine may be through already
    expect(view.locator(".pct")).to_have_text(re.compile(r"^[1-9]\d* of \d+$"), timeout=RUN_MS)
    lab.screenshot("etl-running-light", cell=position["run"])
    lab.wait_commands(timeout_ms=RUN_MS)

    expect(view.locator(".h1 .ph")).to_contain_text("Failed")
    expect(view.locator(".pct")).to_have_text("388 of 388")
    expect(view.locator(".chip:visible")).to_have_text(["386 succeeded", "2 failed"])
    expect(view.locator(".digest .msg").first).to_contain_text("no columns carrier")
    again = panel(lab, position["mended"])
    expect(again.locator(".h1 .ph")).to_have_text("Succeeded")
    expect(again.locator(".chip:visible")).to_have_text(["3 succeeded", "41 recovered"])
    assert "327,346 flights landed" in lab.text(position["mended"])
    expect(lab.cell(position["aside"]).locator("tbody tr")).to_have_count(5)
    expect(lab.cell(position["answer"]).locator("img[src^='data:image/png']")).to_have_count(1)
    _take_pictures(lab, position)
    assert lab.tab.errors == []
    assert lab.tab.external_requests == []


def _take_pictures(lab: Lab, position: dict[str, int]) -> None:
    """Keep pictures for people: both themes, wide and narrow, no text wider than the view."""
    for theme in ("Dark", "Light"):
        lab.theme("JupyterLab Dark" if theme == "Dark" else "JupyterLab Light")
        for width, size in (("wide", WIDE), ("narrow", NARROW)):
            lab.page.set_viewport_size(size)
            for cell in ("run", "mended"):
                view = panel(lab, position[cell])
                expect(view).to_be_visible()
                lab.screenshot(f"etl-{cell}-{theme.lower()}-{width}", cell=position[cell])
                assert view.evaluate("node => node.scrollWidth <= node.clientWidth"), f"{cell} is cut off, {theme}, {width}"
    lab.page.set_viewport_size(WIDE)
