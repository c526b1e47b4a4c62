"""The live view in other front ends and on other kernels: JupyterLab 4.4, Notebook 7, and a kernel that has no subshells."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Locator, expect

from tests.browser.labkit import Lab, Server, Tab, notebook
from tests.browser.test_live_view_in_lab import SECONDS_TO_STOP, SETUP, SLOW_MS, WIDE
from tests.tooling.environments import python_with

OpenLab = Callable[[str], Lab]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@dataclass(frozen=True)
class FrontEnd:
    """What people have. `listens`: the kernel hears a button while a cell runs."""

    app: Literal["lab", "notebook"]
    packages: tuple[str, ...]
    listens: bool = True


WIDGETS = ("ipywidgets", "anywidget")  # their scripts lie in the environment of the server
FRONT_ENDS = {
    "lab-4.4": FrontEnd("lab", ("jupyterlab==4.4.*", "ipykernel==7.0.1", *WIDGETS)),
    "lab-on-ipykernel-6": FrontEnd("lab", ("jupyterlab", "ipykernel==6.31.*", *WIDGETS), listens=False),
    "notebook-7": FrontEnd("notebook", ("notebook", "ipykernel", *WIDGETS)),
}
#: An error of Notebook's own while it starts, with or without a widget.
NOT_OURS = "reading 'schema'"


@pytest.fixture(params=list(FRONT_ENDS.values()), ids=list(FRONT_ENDS))
def front_end(request: pytest.FixtureRequest) -> FrontEnd:
    """Return one of the front ends."""
    chosen: FrontEnd = request.param
    return chosen


@pytest.fixture
def server(front_end: FrontEnd, _stops_on_sigterm: None) -> Iterator[Server]:
    """Yield its server."""
    try:
        python: Path = python_with(*front_end.packages)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"{front_end.packages} cannot be installed here: {error.stderr.decode()[-300:]}")
    with Server(front_end.app, python=python) as started:
        yield started


def test_a_view_lives_is_asked_and_stops_its_run_while_a_cell_is_busy(
    front_end: FrontEnd, server: Server, tab: Tab, open_lab: OpenLab, request: pytest.FixtureRequest
) -> None:
    """Or waits for the cell and says so, and the stop button brings it through; what is saved tells the end."""
    server.write("view.ipynb", notebook(SETUP, "run = flyte.run(waiting, 40)", "time.sleep(60)"))
    lab = open_lab("view.ipynb")
    lab.page.set_viewport_size(WIDE)
    lab.run_cell(0)
    lab.run_cell(1)
    view = lab.cell(1).locator(".fnb")
    expect(view.locator(".pct")).to_have_text("1 of 40", timeout=SLOW_MS)
    expect(view.locator(".groups")).to_contain_text("wait")
    lab.run_cell(2, wait=False)
    lab.page.wait_for_function("() => window.labkit.kernel().status === 'busy'")
    view.locator(".chip", has_text="succeeded").click()
    clicked = view.get_by_role("button", name="Abort", exact=True).evaluate("(button) => { button.click(); return Date.now() / 1000; }")
    if front_end.listens:
        expect(view.locator(".h1 .ph")).to_have_text("Aborted")
        expect(view.locator(".foot")).to_contain_text("Rows 1–1 of 1 (of 40)")
    else:
        expect(view.get_by_role("button", name="Abort sent, waits for the cell")).to_be_disabled()
        expect(view.locator(".foot")).to_contain_text("waits for the cell that runs")
    lab.screenshot(f"{request.node.callspec.id}-busy", cell=1)
    _interrupt(lab)
    ended = float(lab.evaluate("run.wait(); print(run.state.ended_at)"))
    _tells_the_end(lab, view)
    if front_end.listens:
        assert ended - clicked < SECONDS_TO_STOP
    assert [error for error in tab.errors if NOT_OURS not in error] == []
    assert tab.external_requests == []


def _interrupt(lab: Lab) -> None:
    lab.page.evaluate("() => window.labkit.kernel().interrupt()")
    lab.wait_commands()


def _tells_the_end(lab: Lab, view: Locator) -> None:
    expect(view.locator(".h1 .ph")).to_have_text("Aborted")
    expect(view.locator(".note")).to_contain_text("Abort was clicked")
    (output,) = [each for each in lab.saved().cells[1].outputs if each.output_type == "display_data"]
    assert "aborted" in output.data["text/plain"]
    assert "Abort was clicked" in output.data["text/html"]
