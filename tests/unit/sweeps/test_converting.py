"""What the values of a column become for a parameter."""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal, NewType

import numpy as np
import pandas as pd
import pytest

from flyte_nb.sweeps.converting import Converter, Misfit

UserId = NewType("UserId", int)


class Kernel(enum.Enum):
    """Some values."""

    RBF = "rbf"
    LINEAR = "linear"


@dataclass
class Settings:
    """A class of the user's."""

    depth: int


def convert(values: Any, annotation: object) -> list[object]:
    """All values of a column, which fit."""
    made, misfits = Converter(annotation).column(values if isinstance(values, pd.Series) else pd.Series(values))
    assert misfits == []
    return made


def refused(values: Any, annotation: object) -> list[tuple[int, str]]:
    """Positions and reasons of the values that do not fit."""
    made, misfits = Converter(annotation).column(values if isinstance(values, pd.Series) else pd.Series(values))
    assert [made[misfit.position] for misfit in misfits] == [None] * len(misfits)
    return [(misfit.position, misfit.reason) for misfit in misfits]


settings = Settings(3)
CASES: list[tuple[Any, object, list[object]]] = [
    (np.array([1, 2], np.int8), int, [1, 2]),
    (np.array([1, 2], np.uint64), int, [1, 2]),
    (pd.Series([1, 2], dtype="Int64"), int, [1, 2]),
    ([1.0, 2.0], int, [1, 2]),
    (pd.Series([1, None], dtype="Int64"), int | None, [1, None]),
    ([1.0, None], int | None, [1, None]),
    (pd.Series([np.int32(1), 2], dtype=object), int, [1, 2]),
    ([1, 2], UserId, [1, 2]),
    ([1, 2], Annotated[int, "a count"], [1, 2]),
    (np.array([0.5, 1.5], np.float32), float, [0.5, 1.5]),
    ([1, 2], float, [1.0, 2.0]),
    (pd.Series([Decimal("0.5")]), float, [0.5]),
    ([0.5, None], float | None, [0.5, None]),
    ([True, False], bool, [True, False]),
    (pd.Series([True, None], dtype="boolean"), bool | None, [True, None]),
    (["a", "b"], str, ["a", "b"]),
    (pd.Series(["a", "b"], dtype="category"), str, ["a", "b"]),
    (pd.Series(["a", None], dtype="string"), str | None, ["a", None]),
    (pd.Series([np.str_("a")], dtype=object), str, ["a"]),
    (pd.to_datetime(["2024-01-02 03:04:05"]), datetime, [datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC)]),
    (pd.to_datetime(["2024-01-02T00:00:00+02:00"]), datetime, [datetime(2024, 1, 1, 22, tzinfo=UTC)]),
    (pd.Series([pd.Timestamp("2024-01-02"), pd.NaT]), date | None, [date(2024, 1, 2), None]),
    (pd.to_datetime(["2024-01-02"]), pd.Timestamp, [pd.Timestamp("2024-01-02")]),
    (pd.Series([np.datetime64("2024-01-02")], dtype=object), date, [date(2024, 1, 2)]),
    (pd.to_timedelta(["90s"]), timedelta, [timedelta(seconds=90)]),
    (["rbf", "LINEAR"], Kernel, [Kernel.RBF, Kernel.LINEAR]),
    ([Kernel.RBF, None], Kernel | None, [Kernel.RBF, None]),
    (["rbf"], Literal["rbf", "linear"], ["rbf"]),
    (np.array([1, 2]), Literal[1, 2], [1, 2]),
    (pd.Series([np.array([1, 2]), [3]]), list[int], [[1, 2], [3]]),
    (pd.Series([[1, "a"]]), tuple[int, str], [(1, "a")]),
    (pd.Series([{"a": 1}]), dict[str, int], [{"a": 1}]),
    (pd.Series([settings]), Settings, [settings]),
    (["1", "2"], int | str, ["1", "2"]),
    (np.array([1, 2]), Any, [1, 2]),
    (pd.Series([np.int64(1), None, "a"], dtype=object), Any, [1, None, "a"]),
]


@pytest.mark.parametrize("values, annotation, wanted", CASES, ids=lambda value: str(value)[:40].replace("\n", " "))
def test_values_become_what_the_annotation_asks_for(values: Any, annotation: object, wanted: list[object]) -> None:
    """Of exactly the type that is declared, not one that is equal to it."""
    made = convert(values, annotation)

    assert made == wanted
    assert list(map(type, made)) == list(map(type, wanted))


@pytest.mark.parametrize(
    "values, annotation, position, words",
    [
        ([1.0, 2.5], int, 1, "2.5"),
        ([1.0, None], int, 1, "missing"),
        (pd.Series([1, None], dtype="Int64"), int, 1, "missing"),
        ([2.0**60], int, 0, "int"),
        ([2**60 + 1], float, 0, "float"),
        (["a", None], str, 1, "missing"),
        ([1], str, 0, "str"),
        (["1"], int, 0, "int"),
        ([True], int, 0, "boolean"),
        ([1], bool, 0, "bool"),
        (pd.to_datetime(["2024-01-02 03:00"]), date, 0, "time of day"),
        (pd.to_datetime(["2024-01-02 03:00:00.123456789"]), datetime, 0, "nanoseconds"),
        (pd.to_timedelta([1], unit="ns"), timedelta, 0, "nanoseconds"),
        (["poly"], Kernel, 0, "RBF, LINEAR"),
        (["poly"], Literal["rbf"], 0, "'rbf'"),
        (pd.Series([[1, "a"]]), list[int], 0, "[1]"),
        (pd.Series(["depth"]), Settings, 0, "Settings"),
        (pd.Series([None]), Settings, 0, "missing"),
    ],
)
def test_what_would_lose_something_is_refused(values: Any, annotation: object, position: int, words: str) -> None:
    """Nothing is rounded, cut or turned into text."""
    (found,) = refused(values, annotation)

    assert found[0] == position
    assert words in found[1]


def test_a_missing_number_is_not_a_number_for_a_float() -> None:
    """NaN is a float; None is for those who declare it."""
    for column in (pd.Series([0.5, None]), pd.Series([0.5, None], dtype="Float64"), pd.Series([0.5, None], dtype=object)):
        half, gap = convert(column, float)
        assert half == 0.5
        assert isinstance(gap, float)
        assert math.isnan(gap)


def test_all_misfits_are_found_at_once() -> None:
    """Nobody mends a table one value at a time."""
    assert refused(["1", 2, None, "x"], int) == [(position, reason) for position, reason in refused(["1", 2, None, "x"], int)]
    assert [position for position, _ in refused(["1", 2, None, "x"], int)] == [0, 2, 3]
    assert Converter(int).column(pd.Series(["x"], dtype=object))[1] == [
        Misfit(0, "x", "Expected value of type <class 'int'> but got 'x' of type <class 'str'>")
    ]
