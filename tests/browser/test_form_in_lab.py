"""The form of a task in a real JupyterLab: labels, what is said beside a field, the run below it, in light and dark."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.browser.labkit import Lab, Server, Theme, notebook

OpenLab = Callable[[str], Lab]
#: From the click to the end of the run, with the start of the cluster, on a loaded machine.
RUN_MS = 100_000

SETUP = """%load_ext flyte_nb
import enum
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Literal
import flyte_nb as flyte
env = flyte.TaskEnvironment("forms")

class Model(enum.Enum):
    LINEAR = 1
    TREE = 2

@dataclass
class Schedule:
    rate: float = 0.1
    rounds: Annotated[int, range(1, 11)] = 3

@env.task
async def train(lr: float, model: Model, depth: Annotated[int, range(1, 10)] = 3, loss: Literal["mse", "mae"] = "mse",
                shuffle: bool = True, day: date | None = None, names: list[str] = ["a", "b"], schedule: Schedule = Schedule()) -> str:
    \"\"\"Train one model.\"\"\"
    return f"{lr} {model.name} {depth} {names} {schedule.rounds}"
"""


@pytest.mark.timeout(300)
@pytest.mark.parametrize("theme", ["JupyterLab Light", "JupyterLab Dark"])
def test_a_form_says_what_does_not_fit_and_then_runs(server: Server, open_lab: OpenLab, theme: Theme) -> None:
    """Every input has its label; a run that was started by the button is shown below the form."""
    server.write("form.ipynb", notebook(SETUP, "form = flyte.form(train)\nform", "form.run.outputs()[0]"))
    lab = open_lab("form.ipynb")
    lab.theme(theme)
    lab.run_all(wait=False)
    outputs = lab.cell(1).locator(".jp-OutputArea")
    run = outputs.get_by_role("button", name="Run train")
    expect(run).to_be_visible(timeout=RUN_MS)
    for label in ("lr *", "day", "names"):
        expect(outputs.get_by_role("textbox", name=label, exact=True)).to_be_visible()
    for label in ("model *", "loss"):
        expect(outputs.get_by_role("combobox", name=label, exact=True)).to_be_visible()
    expect(outputs.get_by_role("checkbox", name="shuffle")).to_be_checked()
    outputs.get_by_role("textbox", name="names", exact=True).fill("[1")
    run.click()
    expect(outputs.get_by_role("alert").filter(has_text="is needed")).to_be_visible()
    expect(outputs.get_by_role("alert").filter(has_text="choose one")).to_be_visible()
    expect(outputs).to_contain_text("must be a literal")
    lab.screenshot(f"form-{theme.split()[1].lower()}", cell=1)

    outputs.get_by_role("textbox", name="lr *", exact=True).fill("0.5")
    outputs.get_by_role("textbox", name="names", exact=True).fill("c, d")
    outputs.get_by_role("combobox", name="model *", exact=True).select_option("TREE")
    run.click()
    expect(outputs).to_contain_text("started r", timeout=RUN_MS)
    expect(outputs).to_contain_text("Succeeded", timeout=RUN_MS)
    lab.screenshot(f"form-run-{theme.split()[1].lower()}", cell=1)
    lab.run_cell(2)
    expect(lab.cell(2).locator(".jp-OutputArea")).to_contain_text("0.5 TREE 3 ['c', 'd'] 3")
