"""`flyte.map_frame` in batches, and of frames that are read little by little. The same on every backend."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import flyte_nb as flyte
from flyte_nb.remote import Run
from flyte_nb.workspace import Workspace
from tests.fakes.spaces import PATIENCE, wait_until

env = flyte.TaskEnvironment("frame_batches")


@env.task
def square(x: list[int], power: int = 2) -> list[dict[str, int]]:
    """A dict for each; 13 is not taken."""
    if 13 in x:
        raise ValueError("13 is not taken")
    return [{"y": number**power} for number in x]


@env.task
def shout(rows: pd.DataFrame, mark: str = "!") -> pd.DataFrame:
    """A frame out of a frame."""
    return pd.DataFrame({"words": rows["note"].str.upper() + mark, "x": rows["x"] + 1})


@env.task
def double(x: int) -> int:
    """One row; 13 is not taken."""
    if x == 13:
        raise ValueError("13 is not taken")
    return 2 * x


FRAME = pd.DataFrame({"x": range(20), "note": list("abcdefghijklmnopqrst")}, index=pd.Index([f"r{n:02}" for n in range(20)], name="row"))


def ended(run: Run) -> pd.DataFrame:
    """The results of a run that has ended well."""
    run.wait(timeout=PATIENCE)
    run.raise_for_status()
    assert run.done()
    return pd.DataFrame(run.results)


# ------------------------------------------------------------------ batches
def test_lists_of_columns_in_and_results_by_row(space: Workspace) -> None:
    """Columns are cut into lists; a failed batch fails its rows."""
    results = ended(flyte.map_frame(square, FRAME, batch_size=8))

    pd.testing.assert_frame_equal(results[["x", "note"]], FRAME)
    assert results["y"].fillna(-1).tolist() == [n * n if not 8 <= n < 16 else -1 for n in range(20)]
    assert results["error"].dropna().to_dict() == {f"r{n:02}": "ValueError: 13 is not taken" for n in range(8, 16)}
    assert results["phase"].tolist() == ["succeeded"] * 8 + ["failed"] * 8 + ["succeeded"] * 4


def test_a_failed_batch_is_split_until_the_row_is_found(space: Workspace) -> None:
    """The others of it have results."""
    run = flyte.map_frame(square, FRAME, batch_size=8, on_batch_error="split")
    results = ended(run)

    assert results["y"].fillna(-1).tolist() == [n * n if n != 13 else -1 for n in range(20)]
    assert results["error"].dropna().to_dict() == {"r13": "ValueError: 13 is not taken"}
    pd.testing.assert_frame_equal(pd.DataFrame(flyte.remote.Run.get(run.name).results), results)


def test_rows_travel_as_a_frame_where_one_is_declared(space: Workspace) -> None:
    """With all their columns and labels; rows of the frame that comes back are theirs, one after the other."""
    results = ended(flyte.map_frame(shout, FRAME, batch_size=7))

    assert list(results.columns) == ["x", "note", "words", "output_x", "phase", "error"]
    assert results["words"].tolist() == [f"{letter.upper()}!" for letter in FRAME["note"]]
    assert results["output_x"].tolist() == list(range(1, 21))


def test_columns_of_the_rows_are_renamed(space: Workspace) -> None:
    """A frame's columns need no parameter to go to."""
    results = ended(flyte.map_frame(shout, FRAME.rename(columns={"note": "text"}), rename={"text": "note"}, batch_size=9))

    assert results["text"].tolist() == FRAME["note"].tolist()
    assert results["words"].tolist() == [f"{letter.upper()}!" for letter in FRAME["note"]]


def test_items_of_batches_are_checked_before_anything_starts(space: Workspace) -> None:
    """By row, as without batches."""
    before = len(space.runs())

    with pytest.raises(TypeError, match=r"row 1 \(the 2nd\), column 'x', parameter x: int, got 'a' \(str\)"):
        flyte.map_frame(square, pd.DataFrame({"x": [1, "a"]}), batch_size=2)

    assert len(space.runs()) == before


def test_a_task_of_single_rows_is_told_what_to_declare(space: Workspace) -> None:
    """Or that nothing takes the frame."""
    with pytest.raises(TypeError, match=r"declare list\[int\]"):
        flyte.map_frame(double, FRAME, batch_size=2)
    with pytest.raises(ValueError, match="parameter 'x' has no column"):
        flyte.map_frame(square, FRAME[["note"]], batch_size=2)


def test_a_sweep_in_batches_is_recovered(space: Workspace) -> None:
    """Batches that succeeded are taken over, and the table is the same."""
    first = flyte.map_frame(square, FRAME, batch_size=8, on_batch_error="split")
    before = ended(first)

    again = ended(first.rerun(recover=True))

    assert again["y"].equals(before["y"])
    assert set(again["phase"]) == {"recovered", "failed"}


# ------------------------------------------------------------------ frames of other libraries
def test_tables_in_memory_are_frames(space: Workspace) -> None:
    """Of arrow, of polars; whole numbers stay whole where some are missing."""
    polars = pytest.importorskip("polars")

    @env.task
    def known(x: int | None) -> bool:
        return x is not None

    for table in (pa.table({"x": [2**60 + 1, None]}), polars.DataFrame({"x": [2**60 + 1, None]})):
        results = ended(flyte.map_frame(known, table))
        assert results["output"].tolist() == [True, False]
        assert results["x"][0] == 2**60 + 1


def lazy_frames() -> Iterator[tuple[str, Any]]:
    """Frames that are read little by little, by their names."""
    dask = pytest.importorskip("dask.dataframe")
    polars = pytest.importorskip("polars")
    arrow = pa.Table.from_pandas(FRAME.reset_index(drop=True))

    class Foreign:
        """Something that only arrow can read."""

        def __arrow_c_stream__(self, requested_schema: object = None) -> object:
            return arrow.__arrow_c_stream__(requested_schema)

    yield "dask", dask.from_pandas(FRAME, npartitions=3)
    yield "polars", polars.from_pandas(FRAME.reset_index(drop=True)).lazy()
    yield "reader", arrow.to_reader(max_chunksize=6)
    yield "capsule", Foreign()
    yield "iterator", (FRAME.iloc[lo : lo + 6] for lo in range(0, 20, 6))


@pytest.mark.parametrize("name", ["dask", "polars", "reader", "capsule", "iterator"])
@pytest.mark.parametrize("options", [{}, {"concurrency": 3}], ids=["free", "three at once"])
def test_lazy_frames_are_read_as_their_rows_are_called(space: Workspace, name: str, options: dict[str, Any]) -> None:
    """The results have the inputs, what is asked to be kept, and labels that are more than a count."""
    run = flyte.map_frame(double, dict(lazy_frames())[name], keep=["note"], **options)
    results = ended(run)

    assert results["x"].tolist() == list(range(20))
    assert results["note"].tolist() == FRAME["note"].tolist()
    assert results["output"].fillna(-1).tolist() == [2 * n if n != 13 else -1 for n in range(20)]
    assert results.index.tolist() == (FRAME.index.tolist() if name in {"dask", "iterator"} else list(range(20)))
    pd.testing.assert_frame_equal(pd.DataFrame(flyte.remote.Run.get(run.name).results), results)


def test_columns_of_lazy_frames_are_not_kept_unless_asked_for(space: Workspace) -> None:
    """They may be what is too large."""
    results = ended(flyte.map_frame(double, pa.Table.from_pandas(FRAME, preserve_index=False).to_reader()))

    assert list(results.columns) == ["x", "output", "phase", "error"]


@pytest.mark.parametrize("name", ["dask", "reader"])
def test_lazy_frames_in_batches(space: Workspace, name: str) -> None:
    """No batch goes over the border of what was read at once; the rows of failed ones are found."""
    results = ended(flyte.map_frame(square, dict(lazy_frames())[name], batch_size=4, on_batch_error="split"))
    frames = ended(flyte.map_frame(shout, dict(lazy_frames())[name], batch_size=4))

    assert results["x"].tolist() == list(range(20))
    assert results["y"].fillna(-1).tolist() == [n * n if n != 13 else -1 for n in range(20)]
    assert frames["note"].tolist() == FRAME["note"].tolist()
    assert frames["words"].tolist() == [f"{letter.upper()}!" for letter in FRAME["note"]]


def test_a_stream_is_read_no_further_than_needed(space: Workspace) -> None:
    """While the first rows are asked about, the rest stays where it is; once they are answered, all of it is read."""
    read: list[int] = []

    def chunks() -> Iterator[pd.DataFrame]:
        for number in range(50):
            read.append(number)
            yield pd.DataFrame({"x": np.arange(number * 10, number * 10 + 10)})

    @env.task
    async def asked(x: int) -> int:
        if x < 2:
            await (await flyte.new_condition.aio(f"go{x}", prompt="Go on?")).wait.aio()
        return x

    run = flyte.map_frame(asked, chunks(), concurrency=2)
    wait_until(lambda: len(run.conditions) == 2)
    held = list(read)
    for condition in run.conditions:
        condition.signal(value=True)

    assert held == [0]
    assert ended(run)["output"].tolist() == list(range(500))
    assert read == list(range(50))


def test_a_value_that_does_not_fit_further_on_ends_the_run_after_what_came_before(space: Workspace) -> None:
    """The error has its row; the rows before have their results."""
    chunks = iter([pd.DataFrame({"x": [1, 2]}), pd.DataFrame({"x": [3, "four"]}), pd.DataFrame({"x": [5]})])

    run = flyte.map_frame(double, chunks)
    run.wait(timeout=PATIENCE)

    with pytest.raises(flyte.errors.RuntimeUserError, match=r"row 1 \(the 4th\), column 'x', parameter x: int, got 'four'"):
        run.raise_for_status()
    assert run.results["output"].tolist() == [2, 4]


def test_what_does_not_fit_at_the_beginning_is_refused_in_the_cell(space: Workspace) -> None:
    """Columns and the first rows are looked at before anything starts."""
    before = len(space.runs())

    with pytest.raises(ValueError, match="parameter 'x'"):
        flyte.map_frame(double, iter([pd.DataFrame({"y": [1]})]))
    with pytest.raises(TypeError, match="got 'a'"):
        flyte.map_frame(double, pa.table({"x": ["a"]}).to_reader())

    assert len(space.runs()) == before


def test_a_stream_without_rows_is_a_sweep_without_rows(space: Workspace) -> None:
    """The run ends at once."""
    assert len(ended(flyte.map_frame(double, iter([])))) == 0
    assert list(ended(flyte.map_frame(double, pa.table({"x": pa.array([], pa.int64())}).to_reader())).columns) == ["x", "phase", "error"]


def test_a_sweep_of_what_can_be_read_again_is_recovered(space: Workspace) -> None:
    """A lazy frame is; of a reader that is used up it says what to do."""
    polars = pytest.importorskip("polars")
    lazy = flyte.map_frame(double, polars.LazyFrame({"x": [1, 13]}))
    ended(lazy)
    used = flyte.map_frame(double, pa.table({"x": [1, 13]}).to_reader())
    ended(used)

    assert ended(lazy.rerun(recover=True))["phase"].tolist() == ["recovered", "failed"]
    again = used.rerun(recover=True)
    again.wait(timeout=PATIENCE)
    with pytest.raises(flyte.errors.RuntimeUserError, match=r"recover=run\.name"):
        again.raise_for_status()
    anew = flyte.map_frame(double, pa.table({"x": [1, 13]}).to_reader(), recover=used.name)
    assert ended(anew)["phase"].tolist() == ["recovered", "failed"]
