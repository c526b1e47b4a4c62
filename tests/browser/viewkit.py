"""A page that holds one live view and a kernel that pretends (`fake_kernel.js`): looks and speed at any size, without Jupyter.

`Page` opens it and does what a person does. Knows the view's script; must know nothing of runs.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from playwright.sync_api import Browser, Locator, Route

from flyte_nb.views.widget import lean
from tests.browser.labkit import SCREENSHOTS, Tab

STATIC = Path(__file__).parents[2] / "flyte_nb" / "views" / "static"
KERNEL = Path(__file__).with_name("fake_kernel.js")
ADDRESS = "http://127.0.0.1:1/"  # never asked: every request is answered by `_answer`
#: JupyterLab's dark theme, as far as the view reads it.
DARK = {
    "--jp-layout-color0": "#111",
    "--jp-ui-font-color0": "#fff",
    "--jp-ui-font-color1": "rgba(255,255,255,.87)",
    "--jp-border-color2": "#424242",
    "--jp-brand-color1": "#2196f3",
    "--jp-success-color1": "#4caf50",
    "--jp-error-color1": "#f44336",
    "--jp-warn-color1": "#ff9800",
}
OPEN = """async (options) => {
  const { default: widget } = await import("/run.js");
  const { FakeKernel } = await import("/fake_kernel.js");
  window.kernel = new FakeKernel(options);
  window.stop = widget.render({ model: window.kernel, el: document.getElementById("root") });
}"""


class ViewPage:
    """One view in a page of its own."""

    def __init__(self, tab: Tab) -> None:
        self.tab, self.page = tab, tab.page
        self.view: Locator = self.page.locator(".fnb")
        self.table: Locator = self.view.get_by_role("grid", name="Actions")
        self.rows: Locator = self.view.locator(".row")
        self.groups: Locator = self.view.locator(".grow")

    def open(self, options: Mapping[str, Any], *, dark: bool = False) -> None:
        """Draw the view of a pretended run and wait for its first rows."""
        self.page.goto(ADDRESS)
        if dark:
            self.page.evaluate(
                "(look) => Object.entries(look).forEach(([name, value]) => document.documentElement.style.setProperty(name, value))", DARK
            )
        self.page.evaluate(OPEN, dict(options))

    def wait_rows(self) -> None:
        """Wait until every row that is seen has come."""
        self.page.wait_for_function("() => document.querySelector('.row') && !document.querySelector('.row.is-blank')")

    def kernel(self, code: str) -> Any:
        """Do something with the pretended kernel, named `kernel`."""
        return self.page.evaluate(f"() => {{ {code} }}")

    def requests(self, kind: str) -> list[dict[str, Any]]:
        """What the view has asked for."""
        asked: list[dict[str, Any]] = self.page.evaluate("(kind) => kernel.requests.filter((one) => one.kind === kind)", kind)
        return asked

    def screenshot(self, name: str) -> None:
        """Take a picture of the view into build/screenshots."""
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        self.view.screenshot(path=SCREENSHOTS / f"{name}.png", animations="disabled")


def _answer(route: Route) -> None:
    name = route.request.url.removeprefix(ADDRESS)
    if name == "run.js":
        route.fulfill(body=lean((STATIC / name).read_text()), content_type="text/javascript")  # as users get it
    elif name == "fake_kernel.js":
        route.fulfill(body=KERNEL.read_text(), content_type="text/javascript")
    else:
        style = (STATIC / "run.css").read_text()
        body = "margin:16px;background:var(--jp-layout-color0,#fff)"
        route.fulfill(body=f"<!doctype html><style>{style}</style><body style='{body}'><div id=root></div>", content_type="text/html")


@contextmanager
def view_page(browser: Browser, *, width: int = 1080, height: int = 900, forced: Literal["active", "none"] = "none") -> Iterator[ViewPage]:
    """Open a page of its own."""
    context = browser.new_context(viewport={"width": width, "height": height}, forced_colors=forced)
    try:
        tab = Tab(context.new_page())
        tab.watch(offline=True)
        tab.page.route(ADDRESS + "**", _answer)
        yield ViewPage(tab)
    finally:
        context.close()


def longest_task_ms(trace: bytes) -> float:
    """The longest task of the page's main thread, in milliseconds of processor time: other programs do not count."""
    events = json.loads(trace)["traceEvents"]
    main = {(event["pid"], event["tid"]) for event in events if event.get("args", {}).get("name") == "CrRendererMain"}
    spent = [event.get("tdur", 0) for event in events if event.get("ph") == "X" and (event["pid"], event["tid"]) in main]
    assert len(spent) > 100, "the trace holds no tasks"
    return float(max(spent)) / 1000
