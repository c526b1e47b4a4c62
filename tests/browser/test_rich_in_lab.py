"""Output that draws itself, in a real JupyterLab: a figure, a report and hostile HTML, each in the detail of its action."""

from __future__ import annotations

import re
from collections.abc import Callable

from playwright.sync_api import Dialog, Locator, ViewportSize, expect

from tests.browser.labkit import Lab, Server, notebook

OpenLab = Callable[[str], Lab]

DEED = "parent.hit = 1; top.hit = 1; parent.document.title = 'reached'; alert(1)"
AWAY = "https://outside.example"
#: Whatever runs by itself, loads, or leads away.
HOSTILE = f"""<base href="{AWAY}/"><meta http-equiv="refresh" content="0; url={AWAY}/refreshed">
<link rel="stylesheet" href="{AWAY}/a.css"><link rel="prefetch" href="{AWAY}/fetched"><link rel="preconnect" href="{AWAY}">
<style>@import url({AWAY}/b.css);
@font-face {{font-family: f; src: url({AWAY}/f.woff)}} h1 {{font-family: f; background: url({AWAY}/c.png)}}</style>
<script>{DEED}</script><script src="{AWAY}/s.js"></script><script type="module">import "{AWAY}/m.js"</script>
<img src="{AWAY}/i.png" onerror="{DEED}"><img src=x onerror="{DEED}"><svg onload="{DEED}"><image href="{AWAY}/v.png"/></svg>
<iframe src="{AWAY}/frame"></iframe><iframe src="javascript:{DEED}"></iframe><iframe srcdoc="<script>{DEED}</script>"></iframe>
<object data="{AWAY}/o.swf"></object><embed src="{AWAY}/e.swf"><video src="{AWAY}/v.mp4" autoplay></video>
<form action="{AWAY}/form" target="_top"><input autofocus onfocus="{DEED}"><button>Send</button></form>
<a href="{AWAY}/link" target="_top">Leave</a><details open ontoggle="{DEED}"><summary>s</summary></details></body></html>
<script>{DEED}</script><h1>What it says</h1>"""
SETUP = f"""%load_ext flyte_nb
import asyncio
import flyte_nb as flyte
env = flyte.TaskEnvironment("rich")

class Page:
    def _repr_html_(self):
        return {HOSTILE!r}

@env.task
async def figure() -> object:
    from matplotlib.figure import Figure
    made = Figure(figsize=(3, 2))
    made.subplots().plot([1, 3, 2])
    return made

@env.task(report=True)
async def report() -> int:
    await flyte.report.log.aio("<h1>Quarterly</h1><table><tr><td>42</td></tr></table>")
    return 1

@env.task
async def hostile() -> object:
    return Page()

@env.task
async def all_three() -> int:
    await asyncio.gather(figure(), report(), hostile())
    return 3"""


def detail_of(lab: Lab, name: str) -> Locator:
    """Open the detail of the action of a task, and return it."""
    view = lab.cell(1).locator(".fnb").first
    view.locator(".row", has_text=name).click()
    detail = view.locator(".detail")
    expect(detail.locator(".l1 .nm")).to_have_text(name)
    return detail


def test_outputs_that_draw_themselves_show_what_they_should_and_nothing_else(server: Server, open_lab: OpenLab) -> None:
    """A figure is a picture and a report a page; of hostile HTML the text is there, nothing runs and nobody outside is asked."""
    server.write("rich.ipynb", notebook(SETUP, "run = flyte.run(all_three)\nrun.wait()", "%flyte_view run"))
    lab = open_lab("rich.ipynb")
    dialogs: list[Dialog] = []

    def asked(dialog: Dialog) -> None:
        dialogs.append(dialog)
        dialog.dismiss()

    lab.page.on("dialog", asked)
    lab.page.set_viewport_size(ViewportSize(width=1400, height=1000))
    lab.command("application:toggle-left-area")
    title, address = lab.page.title(), lab.page.url
    lab.run_all()
    assert "Error" not in lab.text(1)

    figure = detail_of(lab, "figure").locator("img.rich")
    expect(figure).to_have_attribute("src", re.compile("^data:image/png;base64,"))
    lab.page.wait_for_function("() => document.querySelector('.fnb img.rich')?.naturalWidth > 100")
    lab.screenshot("lab-rich-figure", cell=1)

    detail_of(lab, "report")
    page = lab.page.frame_locator(".fnb iframe.rich")
    expect(page.locator("h1")).to_have_text("Quarterly")
    expect(page.locator("td")).to_have_text("42")
    lab.screenshot("lab-rich-report", cell=1)

    shown = detail_of(lab, "hostile").locator("iframe.rich")
    expect(shown).to_have_attribute("sandbox", "")
    expect(page.locator("h1")).to_have_text("What it says")
    page.get_by_role("link", name="Leave").click()
    page.get_by_role("button", name="Send").click()
    expect(page.locator("h1")).to_have_text("What it says")
    lab.screenshot("lab-rich-hostile", cell=1)

    assert lab.page.evaluate("() => window.hit") is None
    assert (lab.page.title(), lab.page.url, dialogs) == (title, address, [])
    assert lab.page.context.pages == [lab.page]
    assert lab.tab.external_requests == []
    refused = re.compile("sandbox|Content Security Policy|net::ERR_BLOCKED_BY_CSP", re.IGNORECASE)  # the browser tells what it refused
    assert [error for error in lab.tab.errors if not refused.search(error)] == []
