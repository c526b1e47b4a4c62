"""Notebooks that nobody looks at: nbclient, papermill, nbconvert. Runs are waited for, and what is saved tells the end."""

from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbconvert import HTMLExporter

from tests.notebook.conftest import Execute, mime_types, said

FETCH = """%%flyte_task --env etl
async def fetch(user_id: int) -> dict:
    print("fetching", user_id)
    await asyncio.sleep(0.2)
    if user_id == 3:
        raise ValueError(f"no user {user_id}")
    return {"user": user_id, "score": user_id / 2}"""
MAIN = """env = flyte.TaskEnvironment("main")
@env.task
async def main(n: int) -> int:
    with flyte.group("all"):
        pages = await asyncio.gather(*(fetch(u) for u in range(n)), return_exceptions=True)
    return len(pages)"""


@pytest.fixture
def cells(execute: Execute) -> list[Any]:
    """A notebook whose last cell starts a run."""
    return execute(FETCH, MAIN, "run = flyte.run(main, 5)")


def test_the_end_of_a_cell_waits_and_the_saved_output_tells_the_end(cells: list[Any]) -> None:
    """No run is cut off, also not in the last cell; no widget is left that nbconvert would prefer."""
    text = said(cells[-1])

    assert "main: succeeded, but 1 action failed" in text
    assert "1 x ValueError: no user 3" in text
    assert mime_types(cells[-1]) == {"text/plain", "text/html"}
    assert sum(output.output_type == "display_data" for output in cells[-1].outputs) == 1


def test_a_converted_notebook_shows_the_run(cells: list[Any]) -> None:
    """Without a script, a style sheet of ours, or the network."""
    page, _ = HTMLExporter().from_notebook_node(nbformat.v4.new_notebook(cells=cells))

    assert "succeeded, but 1 action failed" in page
    assert "ValueError: no user 3" in page
    assert "First traceback: fetch" in page
    assert "widget-view" not in page


def test_prints_appear_under_the_cell_that_started_the_run(cells: list[Any]) -> None:
    """Each line with its action."""
    lines = [line for line in said(cells[-1]).splitlines() if "fetching" in line]

    assert sorted(line.split("] ")[1] for line in lines) == [f"fetching {user}" for user in range(5)]
    assert all(line.startswith("[fetch ") for line in lines)


def test_waiting_can_be_turned_off(execute: Execute) -> None:
    """For those who wait themselves."""
    task = FETCH.replace("0.2", "30")
    cells = execute(task, MAIN, "run = flyte.run(main, 2)", "run.done()", "run.abort(); run.wait()", FLYTE_NB_BLOCK="0")

    assert said(cells[3]) == "False"


def test_a_driver_cell_runs_and_its_names_and_value_appear(execute: Execute) -> None:
    """With `--block` and without; `--out` is the run; an error of a blocking one fails the cell."""
    cells = execute(
        FETCH,
        "%%flyte_run --out sweep\npages = await asyncio.gather(*(fetch(u) for u in range(3)))\nsum(page['user'] for page in pages)",
        "sweep.name, len(pages), sweep.outputs()[0]",
        "%%flyte_run --block\nx = 1\nawait fetch(3)",
        "x",
        "%%flyte_run --block\n'value'",
    )

    assert "sweep: succeeded" in said(cells[1])
    assert said(cells[1]).endswith("\n3")
    assert said(cells[2]).endswith("3, 3)")
    assert "no user 3" in said(cells[3])
    assert "NameError" in said(cells[4])
    assert said(cells[5]).endswith("\n'value'")


def test_tables_of_a_run_are_data_frames_and_saved_as_such(execute: Execute) -> None:
    """`run.results` joins inputs and outputs; displayed, it is static at the end."""
    cells = execute(
        FETCH, MAIN, "run = flyte.run(main, 5)\nrun.results", "run.results.query('score > 1')['user'].tolist()", "len(run.actions)"
    )

    assert "5 rows; main succeeded: ✓ 4 succeeded, ✕ 1 failed" in said(cells[2])
    assert said(cells[3]) == "[4.0]"
    assert said(cells[4]) == "6"


def test_a_failed_asyncio_run_gets_a_hint_and_nest_makes_it_work(execute: Execute) -> None:
    """Only then are nested loops allowed."""
    cells = execute("asyncio.run(asyncio.sleep(0, 5))", "%flyte_config nest on", "asyncio.run(asyncio.sleep(0, 5))")

    assert "cannot be called from a running event loop" in said(cells[0])
    assert "%flyte_config nest on" in said(cells[0])
    assert said(cells[2]) == "5"


def test_tracebacks_show_the_lines_of_the_cell(execute: Execute) -> None:
    """Of tasks and of drivers."""
    cells = execute(FETCH, "%%flyte_run --block\nx = 1\nawait fetch(3)")
    (error,) = [output for output in cells[1].outputs if output.output_type == "error"]
    shown = "\n".join(error.traceback)

    assert 'raise ValueError(f"no user {user_id}")' in shown
    assert "await fetch(3)" in shown


def test_papermill_saves_the_end(tmp_path: Path, kernel_environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """As nbclient does."""
    papermill = pytest.importorskip("papermill")
    for name, value in kernel_environment.items():
        monkeypatch.setenv(name, value)
    source = nbformat.v4.new_notebook()
    source.cells = [nbformat.v4.new_code_cell(cell) for cell in ("%load_ext flyte_nb\nimport asyncio, flyte_nb as flyte", FETCH, MAIN)]
    source.cells.append(nbformat.v4.new_code_cell("run = flyte.run(main, 5)"))
    nbformat.write(source, tmp_path / "in.ipynb")
    papermill.execute_notebook(tmp_path / "in.ipynb", tmp_path / "out.ipynb", kernel_name="python3", progress_bar=False)

    assert "main: succeeded, but 1 action failed" in said(nbformat.read(tmp_path / "out.ipynb", 4).cells[-1])


def test_reports_are_saved_and_a_question_that_nobody_can_answer_is_told_of(execute: Execute) -> None:
    """The report in a frame that is shut off; the question with the call that answers, and its end in time."""
    report = "@env.task(report=True)\nasync def draw() -> int:\n    await flyte.report.log.aio('<h1>drawn</h1>')\n    return 1"
    ask = "@env.task\nasync def ask() -> bool:\n    return await (await flyte.new_condition.aio('go', timeout=0.5)).wait.aio()"
    cells = execute("env = flyte.TaskEnvironment('asides')", report, ask, "flyte.run(draw)", "run = flyte.run(ask)")
    told, asked = cells[-2], said(cells[-1])

    assert mime_types(told) == {"text/plain", "text/html"}
    assert any('<iframe sandbox="allow-scripts"' in output.data["text/html"] for output in told.outputs if "data" in output)
    assert "&lt;h1&gt;drawn&lt;/h1&gt;" in str(told.outputs)
    assert "Nobody can be asked here: answer with flyte.remote.Run.get(" in asked
    assert "go: Approve? - nobody answered in time" in asked
