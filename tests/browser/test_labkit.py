"""The kit itself, in a real JupyterLab: what the other browser tests take for granted."""

from collections.abc import Callable

from playwright.sync_api import expect

from tests.browser.labkit import Lab, Server, Tab, notebook

OpenLab = Callable[[str], Lab]


def test_a_cell_runs_and_its_output_is_read(server: Server, open_lab: OpenLab) -> None:
    """Run all cells: the outputs hold what was printed, and the page shows it."""
    server.write("sum.ipynb", notebook("print(1 + 1)", "6 * 7"))
    lab = open_lab("sum.ipynb")

    lab.run_all()

    assert [lab.text(0), lab.text(1)] == ["2\n", "42"]
    expect(lab.cell(0).locator(".jp-OutputArea-output")).to_have_text("2\n")
    assert lab.tab.external_requests == []
    assert lab.tab.errors == []


def test_a_failing_cell_tells_its_error_and_stops_the_rest(server: Server, open_lab: OpenLab) -> None:
    """A cell that raises is read like any other, and the next one has not run."""
    server.write("fails.ipynb", notebook("1 / 0", "print('never')"))
    lab = open_lab("fails.ipynb")

    lab.run_all()

    assert [lab.text(0), lab.text(1)] == ["ZeroDivisionError: division by zero", ""]


def test_the_kernel_answers_beside_the_cells_and_the_file_is_saved(server: Server, open_lab: OpenLab) -> None:
    """Code can be evaluated in the notebook's kernel; the saved file holds the outputs."""
    server.write("kernel.ipynb", notebook("x = 20\nprint('set')"))
    lab = open_lab("kernel.ipynb")
    lab.run_cell(0)

    answer = lab.evaluate("x + 1")

    assert answer == "21"
    assert lab.saved().cells[0].outputs[0].text == "set\n"


def test_themes_change_and_pictures_are_taken(server: Server, open_lab: OpenLab) -> None:
    """Both themes can be looked at."""
    server.write("theme.ipynb", notebook("print('look')"))
    lab = open_lab("theme.ipynb")
    lab.run_all()

    lab.theme("JupyterLab Dark")
    dark = lab.screenshot("labkit-dark")
    lab.theme("JupyterLab Light")
    light = lab.screenshot("labkit-light", cell=0)

    assert dark.read_bytes()[:4] == light.read_bytes()[:4] == b"\x89PNG"


def test_a_request_that_leaves_this_machine_is_stopped_and_recorded(tab: Tab) -> None:
    """The guard sees what a page asks of other hosts."""
    tab.page.goto("about:blank")

    failed = tab.page.evaluate("() => fetch('https://flyte.example/x').then(() => false, () => true)")

    assert (failed, tab.external_requests) == (True, ["https://flyte.example/x"])
