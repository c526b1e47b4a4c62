"""What views show of a sweep beside what they show of any run. The same on every backend."""

from __future__ import annotations

import pandas as pd

import flyte_nb as flyte
from flyte_nb.remote import Run
from flyte_nb.views.columns import Columns
from flyte_nb.views.livetable import LiveTable
from flyte_nb.views.sweepcells import SweepCells
from flyte_nb.workspace import Workspace
from tests.fakes.spaces import finished

env = flyte.TaskEnvironment("sweep_views")


@env.task
def double(x: int) -> int:
    """A row."""
    return 2 * x


@env.task
def squares(x: list[int]) -> list[int]:
    """A batch; 5 is not taken."""
    if 5 in x:
        raise ValueError("5 is not taken")
    return [number * number for number in x]


FRAME = pd.DataFrame(
    {"x": range(8), "note": list("abcdefgh"), "share": [0.5] * 8}, index=pd.Index([f"r{n}" for n in range(8)], name="case")
)


def shown(run: Run) -> tuple[list[tuple[str, str]], list[dict[str, str]]]:
    """The columns of a finished sweep, and the cells of each action."""
    cells, columns = SweepCells(finished(run)), Columns(run)
    columns.refresh()
    return cells.titles(["x"]), [cells.cells(row, columns) for row in range(columns.count)]


def test_the_label_of_a_row_and_its_other_columns_are_shown(space: Workspace) -> None:
    """Inputs have columns of their own."""
    titles, cells = shown(flyte.map_frame(double, FRAME))

    assert titles == [("row", "case"), ("aside1", "note"), ("aside2", "share")]
    assert cells[0] == {}
    assert [{key: each[key] for key, _ in titles} for each in cells[1:3]] == [
        {"row": "r0", "aside1": "a", "aside2": "0.5"},
        {"row": "r1", "aside1": "b", "aside2": "0.5"},
    ]


def test_a_batch_says_which_rows_it_holds(space: Workspace) -> None:
    """A part of one that failed does too."""
    titles, cells = shown(flyte.map_frame(squares, FRAME, batch_size=4, on_batch_error="split"))

    assert titles == [("row", "Rows")]
    assert [each["row"] for each in cells[1:]] == ["r0 – r3 (4)", "r4 – r7 (4)", "r4 – r5 (2)", "r6 – r7 (2)", "r4", "r5"]


def test_rows_of_a_stream_are_counted(space: Workspace) -> None:
    """Its labels are not at hand."""
    titles, cells = shown(flyte.map_frame(double, iter([FRAME.iloc[:3], FRAME.iloc[3:]])))

    assert titles == [("row", "Row")]
    assert [each["row"] for each in cells if each] == [str(n) for n in range(8)]


def test_other_runs_have_no_such_columns(space: Workspace) -> None:
    """And their inputs are not read for it."""
    titles, cells = shown(flyte.run(double, 3))

    assert (titles, cells) == ([], [{}])


def test_a_table_of_batches_counts_rows(space: Workspace) -> None:
    """And not actions."""
    run = flyte.map_frame(squares, FRAME.iloc[:5], batch_size=2)

    assert "5 rows" in LiveTable(finished(run), "results").bundle()["text/plain"]
