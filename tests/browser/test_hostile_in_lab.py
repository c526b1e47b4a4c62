"""Texts that try to become markup, in a real JupyterLab: live, saved and opened without a kernel, and converted to a page."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from nbconvert import HTMLExporter
from playwright.sync_api import Browser, Dialog, Locator, ViewportSize, expect

from tests.browser import labkit
from tests.browser.labkit import Lab, Server, Tab, notebook
from tests.fakes.hostile import HOSTILE

OpenLab = Callable[[str], Lab]

#: What can be sent to a kernel as its source: no half pairs, and not the one that is only long.
TEXTS = [text for text in HOSTILE if len(text) < 1_000 and text.isprintable()]
SETUP = f"""%load_ext flyte_nb
import asyncio
import flyte_nb as flyte
env = flyte.TaskEnvironment("hostile")
TEXTS = {TEXTS!r}

class Spoken(str):
    def __repr__(self):
        return str(self)
    def _repr_html_(self):
        return f"<script>parent.alert(1)</script>{{self}}"

@env.task
async def say(text: str, bad: bool) -> dict:
    print(text)
    if bad:
        raise ValueError(text)
    return {{text: text, "said": Spoken(text)}}

@env.task
async def main() -> str:
    for place, text in enumerate(TEXTS):
        with flyte.group(text):
            await asyncio.gather(say(text, False), say(text, place % 2 == 0), return_exceptions=True)
    return TEXTS[0]"""
SLOW_MS = 60_000


def heard(tab: Tab) -> list[str]:
    """What the page says in boxes from now on: a script that ran would."""
    said: list[str] = []

    def on_dialog(dialog: Dialog) -> None:
        said.append(dialog.message)
        dialog.dismiss()

    tab.page.on("dialog", on_dialog)
    return said


def look_at_everything(view: Locator) -> None:
    """Open groups, actions, tabs, columns and a search."""
    for line in range(1, 8):
        view.locator(".grow").nth(line).locator(".nm").click()
        expect(view.locator(".foot")).to_contain_text("Rows 1–2 of 2 (of")
        for row in range(2):
            view.locator(".main:not([hidden]) .row").nth(row).click()
            expect(view.locator(".detail .db h5").first).to_be_visible()
        view.page.keyboard.press("Escape")
        view.locator(".filter .tok button").click()
    view.locator(".cols").click()
    view.locator(".cols").click()
    view.locator("input[type=search]").fill(TEXTS[0])
    expect(view.locator(".tok")).to_be_visible()
    view.get_by_role("tab", name="Results").click()
    expect(view.locator(".main.wide .row").first).to_be_visible()
    view.get_by_role("tab", name="Timeline").click()
    expect(view.locator(".tllanes")).to_be_visible()
    view.get_by_role("tab", name="Actions").click()


def test_nothing_that_a_user_wrote_is_run_or_loaded(server: Server, tab: Tab, open_lab: OpenLab) -> None:
    """Group names, inputs, outputs, errors and prints, looked at in every place of the view, live and saved."""
    server.write("hostile.ipynb", notebook(SETUP, "run = flyte.run(main)", "run.wait()", "run.results", "run.actions"))
    lab = open_lab("hostile.ipynb")
    lab.page.set_viewport_size(ViewportSize(width=1400, height=1000))
    said = heard(tab)
    lab.run_all(timeout_ms=SLOW_MS)
    assert all(not lab.text(cell).startswith("Traceback") for cell in range(5))
    view = lab.cell(1).locator(".fnb")
    expect(view.locator(".pct")).to_have_text(f"{2 * len(TEXTS)} of {2 * len(TEXTS)}", timeout=SLOW_MS)
    look_at_everything(view)
    lab.screenshot("lab-hostile", cell=1)
    lab.saved()
    lab.evaluate("run.name")
    lab.page.reload()
    lab.page.wait_for_function("() => window.labkit.isReady()", timeout=SLOW_MS)
    expect(lab.cell(1).locator(".fnb .pct")).to_have_text(f"{2 * len(TEXTS)} of {2 * len(TEXTS)}", timeout=SLOW_MS)

    assert said == []
    assert lab.tab.errors == []
    assert lab.tab.external_requests == []


@pytest.fixture
def converted(browser: Browser, server: Server, open_lab: OpenLab, tmp_path: Path) -> Path:
    """Return a page that nbconvert made of what JupyterLab saved, without its kernel."""
    server.write("converted.ipynb", notebook(SETUP, "run = flyte.run(main)", "run.wait()", "run.results"))
    lab = open_lab("converted.ipynb")
    lab.run_all(timeout_ms=SLOW_MS)
    expect(lab.cell(1).locator(".fnb .h1 .ph")).to_contain_text("Succeeded", timeout=SLOW_MS)
    page, _ = HTMLExporter().from_notebook_node(nbformat.v4.new_notebook(cells=lab.saved().cells))
    path = tmp_path / "converted.html"
    path.write_text(page, encoding="utf8")
    return path


def test_a_converted_notebook_tells_the_end_and_runs_nothing(browser: Browser, converted: Path) -> None:
    """Offline: nbconvert's own style may be missing, the run's last word is there, and no text of a user is markup."""
    with labkit.tab(browser) as tab:
        said = heard(tab)
        tab.page.goto(converted.as_uri(), wait_until="domcontentloaded")  # its style is asked for in vain
        expect(tab.page.locator("body")).to_contain_text(f"succeeded, but {(len(TEXTS) + 1) // 2} actions failed")
        expect(tab.page.locator("iframe[src*=evil]")).to_have_count(0)
        tab.page.screenshot(path=labkit.SCREENSHOTS / "converted.png")

        assert said == []
        assert not [url for url in tab.external_requests if "evil" in url]
