"""Builds what Binder would build, runs every notebook in it as somebody does who opens a launch link, and tells what it took.

Exit status 1 if a cell fails, a session takes more memory than Binder gives, the dashboard does not show through the proxy, or a page asks
for anything outside. `--write-docs` also writes the figures into docs/binder.md.
"""

import argparse
import os
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import nbformat
from nbformat import NotebookNode
from playwright.sync_api import Browser, expect

from scripts.binder import image, report
from scripts.binder.report import Started, Tried
from scripts.binder.session import PREFIX, Footprint, Session
from scripts.readme_tables import notebooks
from tests.browser import labkit
from tests.browser.labkit import SCREENSHOTS, Lab, Tab

FOLDER = image.ROOT / "build" / "binder"
QUICKSTART = "quickstart.ipynb"
NOTEBOOK_MS = 600_000
PAGE_MS = 60_000
#: Seen in JupyterLab's own start, with any notebook.
NOT_OURS = re.compile(r"Failed to load resource|favicon|reading 'schema'")


def problems_of(executed: NotebookNode) -> list[str]:
    """Return what is wrong with a notebook that was run from top to bottom."""
    found = []
    for number, cell in enumerate((cell for cell in executed.cells if cell.cell_type == "code" and cell.source.strip()), start=1):
        may_fail = "raises-exception" in cell.metadata.get("tags", [])
        failed = [f"{output.ename}: {output.evalue}" for output in cell.outputs if output.output_type == "error"]
        found += [f"cell {number} failed: {said[:300]}" for said in failed if not may_fail]
        found += [] if cell.execution_count else [f"cell {number} did not run"]
    return found


@contextmanager
def opened(server: Session, chromium: Browser, name: str, tried: Tried) -> Iterator[Lab]:
    """Open a notebook in a page of its own, run what the context does, and end its kernel; note what the page should not have done."""
    with labkit.tab(chromium, width=1400, height=1000) as tab:
        lab = Lab(tab, server).open(f"notebooks/{name}")
        lab.command("notebook:clear-all-cell-outputs")
        yield lab
        tried.problems += problems_of(lab.saved())
        tried.problems += [f"the page asked for {address}" for address in tab.external_requests]
        tried.problems += [f"the page said {said[:300]}" for said in tab.errors if not NOT_OURS.search(said)]
        lab.close()


def dashboard_problems(lab: Lab, chromium: Browser) -> list[str]:
    """Follow the link that `%flyte_cluster` shows, as a person does, and take a picture of what is there."""
    said = lab.evaluate("print(get_ipython().run_line_magic('flyte_cluster', ''))")
    link = re.search(r"^dashboard\s+(\S+)", said, re.MULTILINE)
    if link is None:
        return [f"%flyte_cluster names no dashboard: {said[:300]}"]
    origin = "{0.scheme}://{0.netloc}".format(urlsplit(lab.server.url))
    with labkit.tab(chromium, width=1400, height=1000) as tab:
        answer = tab.page.goto(origin + link[1], timeout=PAGE_MS)
        if answer is None or not answer.ok or not link[1].startswith(PREFIX):
            return [f"the dashboard at {link[1]} answered {answer.status if answer else 'nothing'}"]
        tab.page.wait_for_function("() => globalThis.Bokeh && Bokeh.documents.length && Bokeh.documents[0].is_idle", timeout=PAGE_MS)
        tab.page.screenshot(path=SCREENSHOTS / "binder-dashboard.png", animations="disabled")
        return [f"the dashboard asked for {address}" for address in tab.external_requests]


def start(server: Session, chromium: Browser, began: float, footprint: Footprint) -> tuple[Started, Tried]:
    """Run the quickstart as the first thing in a session, with an eye on the clock and on the dashboard."""
    started, tried = Started(server=time.perf_counter() - began), Tried(QUICKSTART)
    with opened(server, chromium, QUICKSTART, tried) as lab:
        started.kernel = time.perf_counter() - began
        lab.screenshot("binder-opened")
        lab.run_all(wait=False)
        cells = nbformat.read(server.root / "notebooks" / QUICKSTART, as_version=4).cells
        position = next(number for number, cell in enumerate(cells) if "flyte.run(" in cell.source and cell.cell_type == "code")
        view = lab.cell(position).locator(".fnb")
        expect(view.locator(".pct")).to_have_text(re.compile(r"^[1-9][\d,]* of"), timeout=NOTEBOOK_MS)
        started.first_result = time.perf_counter() - began
        lab.screenshot("binder-running")
        lab.wait_commands(timeout_ms=NOTEBOOK_MS)
        tried.seconds = time.perf_counter() - began - started.kernel
        started.problems += dashboard_problems(lab, chromium)
        lab.cell(position)
        lab.screenshot("binder-ended")
    tried.peak_bytes = footprint.take_peak()
    return started, tried


def run_through(server: Session, chromium: Browser, name: str, footprint: Footprint) -> Tried:
    """Run a notebook from top to bottom."""
    tried = Tried(name)
    footprint.take_peak()
    with opened(server, chromium, name, tried) as lab:
        began = time.perf_counter()
        lab.run_all(timeout_ms=NOTEBOOK_MS)
        tried.seconds = time.perf_counter() - began
    tried.peak_bytes = footprint.take_peak()
    return tried


def default_page_problems(server: Session, chromium: Browser) -> list[str]:
    """A link that names no notebook opens the quickstart."""
    with labkit.tab(chromium) as tab:
        _open_default(tab, server)
        place = urlsplit(tab.page.url).path
        return [] if place.endswith(f"/lab/tree/notebooks/{QUICKSTART}") else [f"without a notebook in the link, {place} is opened"]


def _open_default(tab: Tab, server: Session) -> None:
    tab.page.goto(server.url, timeout=PAGE_MS)
    tab.page.wait_for_function("() => window.jupyterapp", timeout=PAGE_MS)


def main() -> int:
    """Build, run, tell."""
    parser = argparse.ArgumentParser(description="Try the notebooks in what Binder would build.")
    parser.add_argument("notebooks", nargs="*", help="names of notebooks to run after the quickstart; all, if none is named")
    parser.add_argument("--keep-image", action="store_true", help="do not build again what an earlier round has built")
    parser.add_argument("--write-docs", action="store_true", help="also write the figures into docs/binder.md")
    options = parser.parse_args()

    planned = image.plan()
    print(f"Python {planned.python}; {', '.join(planned.commands)}; started through {planned.start}", flush=True)
    built = image.Image.at(FOLDER) if options.keep_image else image.build(planned, FOLDER)
    names = [path.name for path in notebooks(built.folder / "notebooks") if path.name != QUICKSTART]
    names = [name for name in names if not options.notebooks or name in options.notebooks]
    began = time.perf_counter()
    with Session(planned, built, FOLDER / "home") as server, labkit.browser() as chromium, Footprint(server.mark) as footprint:
        started, first = start(server, chromium, began, footprint)
        started.problems += default_page_problems(server, chromium)
        rows = [first]
        print(report.line(first), flush=True)
        for name in names:
            rows.append(run_through(server, chromium, name, footprint))
            print(report.line(rows[-1]), flush=True)
    started.load = os.getloadavg()[2]
    text = report.text(planned, built.versions(), started, rows)
    print(f"\n{text}")
    if options.write_docs:
        report.write(text)
    problems = [*started.problems, *(f"{row.name}: {problem}" for row in rows for problem in report.judged(row))]
    print("\n".join(problems) or "Nothing is wrong.", file=sys.stderr if problems else sys.stdout)
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main())
