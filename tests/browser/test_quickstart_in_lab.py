"""The quickstart in a real JupyterLab: run from top to bottom, its views looked at while they live and afterwards, light and dark."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import nbformat
from playwright.sync_api import Locator, ViewportSize, expect

from tests.browser.labkit import Lab, Server

OpenLab = Callable[[str], Lab]

QUICKSTART = Path(__file__).parents[2] / "notebooks" / "quickstart.ipynb"
WIDE, NARROW = ViewportSize(width=1600, height=1000), ViewportSize(width=640, height=900)
#: From the start of the run to its end, on a loaded machine.
RUN_MS = 100_000


def without_outputs() -> tuple[nbformat.NotebookNode, dict[str, int]]:
    """Return the quickstart as somebody opens it who wants to run it, and the position of each cell by id."""
    notebook = nbformat.read(QUICKSTART, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    return notebook, {cell.id: index for index, cell in enumerate(notebook.cells)}


def panel(lab: Lab, index: int) -> Locator:
    """Return the live view below a cell."""
    return lab.cell(index).locator(".fnb")


def ended(view: Locator) -> int:
    """Return how many actions a view says have ended."""
    return int(view.locator(".pct b").inner_text().replace(",", ""))


def test_the_quickstart_runs_and_its_views_live_and_tell_the_end(server: Server, open_lab: OpenLab) -> None:
    """The view moves while the next cell waits; afterwards all views, their static forms and the tables tell the same end."""
    notebook, position = without_outputs()
    server.write("quickstart.ipynb", notebook)
    lab = open_lab("quickstart.ipynb")
    lab.page.set_viewport_size(WIDE)
    lab.command("application:toggle-left-area")  # a narrow window without room for the notebook tells nothing of the view

    lab.run_all(wait=False)
    view = panel(lab, position["run"])
    expect(view.locator(".h1 .ph")).to_have_text("Running", timeout=RUN_MS)
    expect(view.locator(".pct")).to_have_text(re.compile(r"^[1-9]\d* of \d+$"), timeout=RUN_MS)
    seen = ended(view)
    expect(view.get_by_role("button", name="Abort", exact=True)).to_be_visible()
    lab.screenshot("quickstart-running-light")
    expect(view.locator(".pct")).not_to_have_text(re.compile(rf"^{seen} of"), timeout=RUN_MS)
    lab.wait_commands(timeout_ms=RUN_MS)

    expect(view.locator(".h1 .ph")).to_have_text("Succeeded")
    expect(view.locator(".pct")).to_have_text("464 of 464")
    expect(view.locator(".chip:visible")).to_have_text(["464 succeeded"])
    expect(view.locator(".groups")).to_contain_text("30 features")
    expect(view.get_by_role("button", name="Abort", exact=True)).to_be_hidden()
    assert 0 < seen < 464
    assert "✓ 464 succeeded" in lab.text(position["run"])
    assert lab.text(position["wait"]).startswith("464 actions; the last five features: ")
    _look_at_failures(lab, position)
    _take_pictures(lab, position)
    assert lab.tab.errors == []
    assert lab.tab.external_requests == []


def _look_at_failures(lab: Lab, position: dict[str, int]) -> None:
    """The run with failures: in the view, in the cells that ask why, and in the mended run."""
    view = panel(lab, position["logs"])
    expect(view.locator(".h1 .ph")).to_have_text("Succeeded, but 6 actions failed")
    expect(view.locator(".chip:visible")).to_have_text(["24 succeeded", "6 failed"])
    expect(view.locator(".digest .msg").first).to_contain_text("ValueError")
    assert "logarithms = values.map(math.log)" in lab.text(position["why"])
    expect(lab.cell(position["table"]).locator("tbody tr")).to_have_count(6)
    expect(panel(lab, position["again"]).locator(".h1 .ph")).to_have_text("Succeeded")
    expect(lab.cell(position["answer"]).locator("tbody tr")).to_have_count(29)


def _take_pictures(lab: Lab, position: dict[str, int]) -> None:
    """Keep pictures for people: both themes, wide and narrow, no text wider than the view."""
    for theme in ("Dark", "Light"):
        lab.theme("JupyterLab Dark" if theme == "Dark" else "JupyterLab Light")
        for width, size in (("wide", WIDE), ("narrow", NARROW)):
            lab.page.set_viewport_size(size)
            for cell in ("run", "logs"):
                view = panel(lab, position[cell])
                expect(view).to_be_visible()
                lab.screenshot(f"quickstart-{cell}-{theme.lower()}-{width}", cell=position[cell])
                assert view.evaluate("node => node.scrollWidth <= node.clientWidth"), f"{cell} is cut off, {theme}, {width}"
            lab.screenshot(f"quickstart-page-{theme.lower()}-{width}")
    lab.page.set_viewport_size(WIDE)
