"""The live view in a real JupyterLab: buttons while a cell is busy, several views and tabs, reload, failures, both themes."""

from __future__ import annotations

import re
from collections.abc import Callable

from playwright.sync_api import Locator, ViewportSize, expect

from tests.browser.labkit import Lab, Server, notebook

OpenLab = Callable[[str], Lab]

WIDE, NARROW = ViewportSize(width=1400, height=1000), ViewportSize(width=640, height=1000)
SECONDS_TO_STOP = 1.0
SLOW_MS = 60_000

SETUP = """%load_ext flyte_nb
import asyncio, time
import flyte_nb as flyte
env = flyte.TaskEnvironment("lab")

@env.task
async def wait(n: int) -> int:
    await asyncio.sleep(600 if n else 0)
    return n

@env.task
async def waiting(count: int) -> int:
    return sum(await asyncio.gather(*(wait(n) for n in range(count))))

@env.task
async def train(depth: int, fold: int) -> dict:
    print(f"depth {depth}, fold {fold}")
    if depth == 8 and fold == 2 and not flyte.ctx().custom_context.get("mended"):
        raise ValueError("Input y contains NaN.")
    return {"auc": 0.8 + fold / 100}

@env.task
async def sweep(depths: int, rounds: int) -> int:
    for number in range(rounds):
        with flyte.group(f"round {number}"):
            calls = (train(2 * depth, fold) for depth in range(depths) for fold in range(5))
            await asyncio.gather(*calls, return_exceptions=True)
    return rounds"""


#: Two views, each below its cell, say the same in every part.
AGREE = """([one, other]) => {
  const parts = [".h1", ".barline", ".chips", ".digest", ".tabs", ".groups", ".main:not([hidden])", ".foot"];
  const told = (cell) => parts.map((part) => document.querySelector(`[data-labkit-cell="${cell}"] .fnb ${part}`)?.innerText);
  return told(one).every((text) => text !== undefined) && JSON.stringify(told(one)) === JSON.stringify(told(other));
}"""


def views(lab: Lab, index: int) -> Locator:
    """Return the live views below a cell."""
    return lab.cell(index).locator(".fnb")


def prepared(server: Server, open_lab: OpenLab, name: str, *cells: str) -> Lab:
    """Open a notebook with these cells below the set-up, which has run."""
    server.write(name, notebook(SETUP, *cells))
    lab = open_lab(name)
    lab.page.set_viewport_size(WIDE)
    lab.command("application:toggle-left-area")
    lab.run_cell(0)
    assert lab.text(0) == ""
    return lab


def test_a_run_is_stopped_from_its_view_while_another_cell_sleeps(server: Server, open_lab: OpenLab) -> None:
    """Within a second; all views of it, a reloaded page and a second tab tell the same."""
    lab = prepared(server, open_lab, "busy.ipynb", "run = flyte.run(waiting, 40)", "%flyte_view run", "time.sleep(60)")
    lab.run_cell(1)
    lab.run_cell(2)
    first, second = views(lab, 1), views(lab, 2)
    expect(first.locator(".pct")).to_have_text("1 of 40", timeout=SLOW_MS)
    lab.run_cell(3, wait=False)
    expect(second.locator(".pct")).to_have_text("1 of 40")
    expect(second.locator(".row").first).to_contain_text(re.compile("running|queued"))
    second.locator(".chip", has_text="succeeded").click()  # answered although the kernel sleeps
    expect(second.locator(".foot")).to_contain_text("Rows 1–1 of 1 (of 40)")
    clicked = first.get_by_role("button", name="Abort", exact=True).evaluate("(button) => { button.click(); return Date.now() / 1000; }")
    for view in (first, second):
        expect(view.locator(".h1 .ph")).to_have_text("Aborted")
        expect(view.get_by_role("button", name="Abort", exact=True)).to_be_hidden()
    expect(second.locator(".foot")).to_contain_text("Rows 1–1 of 1 (of 40)")  # the end is published anew; filters stay
    lab.screenshot("lab-aborted-while-busy")
    lab.command("notebook:interrupt-kernel")
    lab.wait_commands()
    ended = float(lab.evaluate("print(run.state.ended_at)"))

    assert ended - clicked < SECONDS_TO_STOP
    lab.saved()
    lab.page.reload()
    lab.page.wait_for_function("() => window.labkit.isReady()", timeout=SLOW_MS)
    _tells_the_end(lab, 2)
    other = Lab(type(lab.tab)(lab.page.context.new_page()), server)
    other.open("busy.ipynb")
    _tells_the_end(other, 1)
    assert lab.tab.errors == []
    assert lab.tab.external_requests == []


def _tells_the_end(lab: Lab, index: int) -> None:
    view = views(lab, index)
    expect(view.locator(".h1 .ph")).to_have_text("Aborted", timeout=SLOW_MS)
    expect(view.locator(".note")).to_contain_text("Abort was clicked")
    expect(view.locator(".row").nth(1)).to_contain_text("aborted")


def test_failures_are_found_explained_and_run_again(server: Server, open_lab: OpenLab) -> None:
    """From the count to the cause, the action, its own traceback, log and inputs; then only what failed runs again."""
    lab = prepared(server, open_lab, "failures.ipynb", "run = flyte.run(sweep, 6, 4)", "run.wait()", "%flyte_view run")
    lab.run_cell(1)
    lab.run_cell(2, timeout_ms=SLOW_MS)
    view = views(lab, 1).first
    expect(view.locator(".h1 .ph")).to_have_text("Succeeded, but 4 actions failed")
    expect(view.locator(".pct")).to_have_text("120 of 120")
    lab.run_cell(3)
    expect(views(lab, 3).locator(".row:not(.is-blank)").first).to_be_visible()
    lab.page.wait_for_function(AGREE, arg=[1, 3])  # the view that followed from the start, and one that is new
    view.get_by_role("button", name="Show 4").click()
    expect(view.locator(".row:not(.is-blank) .word")).to_have_text(["failed"] * 4)
    view.locator(".row").nth(1).click()
    expect(view.locator(".etitle")).to_have_text("ValueError: Input y contains NaN.")
    expect(view.locator(".detail .hit")).to_contain_text('raise ValueError("Input y contains NaN.")')
    expect(view.locator(".detail .log")).to_contain_text("depth 8, fold 2")
    expect(view.locator(".detail .kv").first).to_contain_text(re.compile(r"depth\s*8\s*fold\s*2"))
    for theme in ("Dark", "Light"):
        lab.theme("JupyterLab Dark" if theme == "Dark" else "JupyterLab Light")
        for width, size in (("wide", WIDE), ("narrow", NARROW)):
            lab.page.set_viewport_size(size)
            lab.screenshot(f"lab-failed-{theme.lower()}-{width}", cell=1)
            assert view.evaluate("(node) => node.scrollWidth <= node.clientWidth"), f"{theme} {width}"
    lab.page.set_viewport_size(WIDE)
    view.get_by_role("button", name="Re-run failed").click()
    expect(views(lab, 3)).to_have_count(2, timeout=SLOW_MS)  # below the cell that showed the run last
    again = views(lab, 3).nth(1)
    expect(again.locator(".h1 .ph")).to_have_text("Succeeded, but 4 actions failed", timeout=SLOW_MS)
    expect(again.locator(".chip", has_text="recovered")).to_contain_text("116 recovered")
    lab.run_cell(3)
    expect(views(lab, 3).locator(".digest .msg")).to_have_text("ValueError: Input y contains NaN.")
    expect(views(lab, 3).locator(".row:not(.is-blank)").first).to_be_visible()
    lab.screenshot("lab-rerun-failed", cell=3)
    assert lab.tab.errors == []
    assert lab.tab.external_requests == []
