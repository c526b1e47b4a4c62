"""Questions and reports of a run in a real JupyterLab: forms that answer while a cell is busy, frames that are shut off."""

from __future__ import annotations

import re
from collections.abc import Callable

from playwright.sync_api import Locator, expect

from tests.browser.labkit import Lab, Server, notebook

OpenLab = Callable[[str], Lab]
#: From the start of the run, with the start of the cluster, to its first question, on a loaded machine.
RUN_MS = 100_000

SETUP = """%load_ext flyte_nb
import time
import flyte_nb as flyte
env = flyte.TaskEnvironment("asides")

@env.task(report=True)
async def chart(n: int) -> int:
    await flyte.report.log.aio(
        "<h1 id=drawn>not yet</h1>"
        "<script>document.getElementById('drawn').textContent = 'drawn';"
        "try { parent.document.title = 'reached'; } catch (error) { document.body.append(' shut off'); }</script>"
    )
    flyte.report.get_tab("<b>numbers</b>").log(f"<p>{n} &lt; 100</p>")
    return n

@env.task
async def main() -> list[object]:
    go = await (await flyte.new_condition.aio("go", prompt="Go <b>on</b>?")).wait.aio()
    size = await (await flyte.new_condition.aio("size", prompt="How many?", data_type=int)).wait.aio()
    return [go, size, await chart(size)]
"""


def beside(lab: Lab, index: int) -> Locator:
    """Return the outputs below a cell."""
    return lab.cell(index).locator(".jp-OutputArea")


def test_a_person_answers_while_a_cell_is_busy_and_reports_are_shut_off(server: Server, open_lab: OpenLab) -> None:
    """Both answers arrive before the busy cell ends; the report draws itself and reaches nothing of the page."""
    wait = "end = time.monotonic() + 60\nwhile not run.done() and time.monotonic() < end:\n    time.sleep(0.05)"
    server.write("asides.ipynb", notebook(SETUP, "run = flyte.run(main)", f"{wait}\nprint('run ended:', run.done())", "run.outputs()"))
    lab = open_lab("asides.ipynb")
    lab.run_all(wait=False)
    outputs = beside(lab, 1)
    yes = outputs.locator(".fnb-answer-yes")
    expect(yes).to_be_visible(timeout=RUN_MS)
    expect(outputs).to_contain_text("Go <b>on</b>?")
    lab.screenshot("asides-question", cell=1)
    yes.click()
    field = outputs.locator("input[type=text]")
    expect(field).to_be_visible(timeout=RUN_MS)
    expect(outputs).to_contain_text("answered: yes")
    field.fill("many")
    outputs.locator(".fnb-answer-answer").click()
    expect(outputs).to_contain_text("Answer with a whole number; got 'many'.", timeout=RUN_MS)
    field.fill("42")
    outputs.locator(".fnb-answer-answer").click()
    lab.wait_commands(timeout_ms=RUN_MS)

    assert lab.wait_output(2, lambda text: "run ended" in text).strip() == "run ended: True"
    assert "[True, 42, 42]" in lab.text(3)
    frame = outputs.frame_locator("iframe")
    expect(frame.locator("#drawn")).to_have_text("drawn")
    expect(frame.locator("body")).to_contain_text("shut off")
    frame.locator("label", has_text="<b>numbers</b>").click()
    expect(frame.locator("p")).to_have_text("42 < 100")
    expect(outputs).to_contain_text(re.compile("size: How many\\? \\(answered: 42\\)"))
    lab.screenshot("asides-report", cell=1)
    assert "reached" not in lab.page.title()
    assert lab.tab.errors == []
    assert lab.tab.external_requests == []
