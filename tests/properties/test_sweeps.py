"""Sweeps against plain pandas: a frame mapped is the frame applied, whatever its columns, index, batches and failures."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import flyte_nb as flyte
from flyte_nb.workspace import Workspace
from tests.fakes.spaces import PATIENCE, Spaces, current
from tests.leaks import LeakCheck

env = flyte.TaskEnvironment("sweep_properties")


def combined(number: int, factor: float, word: str | None) -> float:
    """What is computed of a row; some rows fail."""
    if number % 7 == 3:
        raise ValueError(f"{number} is not taken")
    return number * factor + len(word or "")


@env.task
def by_row(number: int, factor: float, word: str | None = None) -> float:
    """A row a call."""
    return combined(number, factor, word)


@env.task
async def by_lists(number: list[int], factor: list[float], word: list[str | None]) -> list[float]:
    """A batch a call."""
    return [combined(*row) for row in zip(number, factor, word, strict=True)]


@pytest.fixture(scope="module")
def space(leak_check: LeakCheck) -> Iterator[Workspace]:
    """A workspace in this process, for all examples."""
    with contextlib.ExitStack() as stack, current(Spaces(leak_check, stack).get("inline", 2)) as made:
        yield made


ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "number": st.integers(-50, 50),
            "factor": st.floats(-1e6, 1e6) | st.integers(-1000, 1000),
            "word": st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
            "note": st.integers() | st.text(max_size=2),
        }
    ),
    max_size=25,
)


@st.composite
def frames(draw: st.DrawFn) -> pd.DataFrame:
    """Frames of any dtypes that hold these rows, with any index, columns in any order."""
    rows = draw(ROWS)
    frame = pd.DataFrame(rows, columns=["number", "factor", "word", "note"])
    frame["number"] = frame["number"].astype(draw(st.sampled_from(["int64", "int32", "float64", "Int64", "object", "category"])))
    frame["word"] = frame["word"].astype(draw(st.sampled_from(["object", "string", "category"])))
    if len(rows) and draw(st.booleans()):
        labels = draw(st.lists(st.sampled_from("abc") | st.integers(0, 3), min_size=len(rows), max_size=len(rows)))
        frame.index = pd.Index(labels, dtype=object, name=draw(st.none() | st.just("label")))
    return frame[draw(st.permutations(list(frame.columns)))]


def applied(frame: pd.DataFrame) -> list[Any]:
    """What pandas' own loop gives: a number, or the words of the error."""
    made: list[Any] = []
    for number, factor, word in zip(frame["number"], frame["factor"], frame["word"], strict=True):
        try:
            made.append(combined(int(number), float(factor), None if pd.isna(word) else str(word)))
        except ValueError as error:
            made.append(f"ValueError: {error}")
    return made


def mapped(run: Any) -> pd.DataFrame:
    """The results of a run that has ended."""
    run.wait(timeout=PATIENCE)
    run.raise_for_status()
    return pd.DataFrame(run.results)


def outcomes(results: pd.DataFrame) -> list[Any]:
    """Each row's output, or its error."""
    if "output" not in results:
        return list(results["error"])
    return [error if isinstance(error, str) else output for output, error in zip(results["output"], results["error"], strict=True)]


@pytest.mark.leaves(descriptors=30)  # loops of workers, made when they are first needed, three each
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    frame=frames(),
    size=st.none() | st.integers(1, 9),
    on_error=st.sampled_from(["fail", "split"]),
    concurrency=st.integers(0, 3),
    parts=st.integers(0, 3),
)
def test_a_frame_mapped_is_the_frame_applied(
    space: Workspace, frame: pd.DataFrame, size: int | None, on_error: Any, concurrency: int, parts: int
) -> None:
    """Row by row, in batches that are split, read at once or little by little."""
    options: dict[str, Any] = {"concurrency": concurrency, "keep": list(frame.columns)}
    given_frame: Any = iter([frame.iloc[:parts], frame.iloc[parts:]]) if parts else frame
    if size is None:
        results = mapped(flyte.map_frame(by_row, given_frame, **options))
    else:
        results = mapped(flyte.map_frame(by_lists, given_frame, batch_size=size, on_batch_error=on_error, **options))

    if len(frame) or not parts:
        assert results.index.tolist() == frame.index.tolist()
        assert set(results.columns) >= set(frame.columns)
        assert results["note"].tolist() == frame["note"].tolist()
    wanted = applied(frame)
    if size is None or on_error == "split":
        assert outcomes(results) == wanted
    else:
        got = outcomes(results)
        assert [value for value in got if not isinstance(value, str)] == [
            value for value, mine in zip(wanted, got, strict=True) if not isinstance(mine, str)
        ]
        assert {value for value in wanted if isinstance(value, str)} >= {value for value in got if isinstance(value, str)}
        assert all(isinstance(mine, str) for value, mine in zip(wanted, got, strict=True) if isinstance(value, str))


@pytest.mark.leaves(descriptors=30)  # as above
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(numbers=st.lists(st.integers(-20, 20), max_size=30), size=st.integers(1, 8), concurrency=st.integers(0, 2))
def test_a_map_in_batches_is_the_map(space: Workspace, numbers: list[int], size: int, concurrency: int) -> None:
    """Whatever is in the batches, once those that fail are split."""
    factors, words = [0.5] * len(numbers), ["x"] * len(numbers)

    made = list(flyte.map(by_lists, numbers, factors, words, batch_size=size, on_batch_error="split", concurrency=concurrency))

    one_by_one = list(flyte.map(by_row, numbers, factors, words))
    assert [str(each) for each in made] == [str(each) for each in one_by_one]
