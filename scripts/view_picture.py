"""Takes the README's pictures of the live view: a real run in a real JupyterLab, half done, light and dark.

`make pictures` calls it. Decides what is shown: models of a few kinds and sizes, cross-validated, one size of each impossible on
purpose, so that the picture has groups, results and failures in it. Knows the view only as a person does.
"""

import re
import sys
from pathlib import Path

from playwright.sync_api import expect

from tests.browser import labkit
from tests.browser.labkit import Lab, Server, Theme

FOLDER = Path(__file__).parents[1] / "docs" / "images"
WIDTH, HEIGHT = 1280, 900
RUN_MS = 120_000
DEFINITIONS = """
import asyncio
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import cross_val_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.tree import DecisionTreeClassifier
import flyte_nb as flyte

%load_ext flyte_nb
X, y = load_breast_cancer(return_X_y=True)
env = flyte.TaskEnvironment("models")
MODELS = {
    "neighbours": lambda size: KNeighborsClassifier(size),
    "tree": lambda size: DecisionTreeClassifier(max_depth=size),
    "forest": lambda size: RandomForestClassifier(20, max_depth=size),
}

@env.task
def score(model: str, size: int) -> dict:
    accuracies = cross_val_score(MODELS[model](size), X, y, cv=5, error_score="raise")
    return {"accuracy": float(accuracies.mean()), "spread": float(accuracies.std())}

@env.task
async def sweep(sizes: int) -> dict:
    async def try_all(model):
        with flyte.group(model):
            return await asyncio.gather(*(score.aio(model, size) for size in range(sizes)), return_exceptions=True)

    return dict(zip(MODELS, await asyncio.gather(*map(try_all, MODELS))))

list(flyte.map(score, ["tree"], [3]))  # the cluster has started before the picture
"""
RUN = "run = flyte.run(sweep, sizes=60)"


def take(lab: Lab, theme: Theme, path: Path) -> None:
    """Run the sweep in a theme and take a picture when most of it is done."""
    lab.theme(theme)
    lab.run_cell(1)
    lab.page.evaluate("() => window.labkit.select(0)")  # the marks of the selected cell are not the view's
    view = lab.cell(1).locator(".fnb")
    expect(view.locator(".pct")).to_have_text(re.compile(r"^1[3-5]\d of 180"), timeout=RUN_MS)
    expect(view.locator(".h1 .ph")).to_contain_text("Running")
    lab.cell(1).screenshot(path=path, animations="disabled")
    print(f"{path.relative_to(FOLDER.parents[1])}: {path.stat().st_size:,} bytes")
    expect(view.locator(".pct")).to_have_text("180 of 180", timeout=RUN_MS)


def main() -> int:
    """Take both pictures."""
    FOLDER.mkdir(exist_ok=True)
    with Server(env={"FLYTE_NB_WORKERS": "2", "FLYTE_NB_STORE": ":memory:"}) as server:
        server.write("models.ipynb", labkit.notebook(DEFINITIONS.strip(), RUN))
        with labkit.browser() as chromium, labkit.tab(chromium, width=WIDTH, height=HEIGHT) as tab:
            lab = Lab(tab, server).open("models.ipynb")
            lab.command("application:toggle-left-area")
            lab.run_cell(0)
            take(lab, "JupyterLab Light", FOLDER / "live-view-light.png")
            take(lab, "JupyterLab Dark", FOLDER / "live-view-dark.png")
            lab.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
