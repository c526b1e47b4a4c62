"""Tables of parameters: all combinations."""

from __future__ import annotations

import enum
import itertools
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import flyte_nb as flyte


class Kernel(enum.Enum):
    """Some values."""

    RBF = "rbf"
    LINEAR = "linear"


@given(st.dictionaries(st.sampled_from("abcd"), st.lists(st.integers() | st.text(), max_size=4), max_size=4))
def test_a_grid_is_itertools_product(values: dict[str, list[Any]]) -> None:
    """The same rows in the same order, columns in the order of the arguments."""
    frame = flyte.grid(**values)

    assert list(frame.columns) == list(values)
    assert len(frame) == len(list(itertools.product(*values.values())))
    assert list(frame.itertuples(index=False, name=None)) == (list(itertools.product(*values.values())) if values else [()] * len(frame))


def test_what_is_no_list_is_one_value() -> None:
    """Texts, bytes, dicts, numbers, None."""
    frame = flyte.grid(a="text", b=b"bytes", c={"k": [1, 2]}, d=0.5, e=None, f=[1, 2])

    assert frame["a"].tolist() == ["text", "text"]
    assert frame["b"].tolist() == [b"bytes", b"bytes"]
    assert frame["c"].tolist() == [{"k": [1, 2]}] * 2
    assert frame["d"].tolist() == [0.5, 0.5]
    assert frame["e"].isna().all()


@pytest.mark.parametrize(
    "values",
    [
        [1, 2, 3],
        (1, 2, 3),
        range(1, 4),
        np.array([1, 2, 3]),
        pd.Series([1, 2, 3], index=[7, 8, 9]),
        pd.Index([1, 2, 3]),
        dict.fromkeys([1, 2, 3]).keys(),
        iter([1, 2, 3]),
    ],
    ids=lambda values: type(values).__name__,
)
def test_any_iterable_is_its_items(values: Any) -> None:
    """Lists, ranges, arrays, columns, generators."""
    frame = flyte.grid(x=values, y=["a", "b"])

    assert frame["x"].tolist() == [1, 1, 2, 2, 3, 3]
    assert frame["x"].dtype == np.int64


def test_an_enum_is_its_members_and_a_member_is_one_value() -> None:
    """`kernel=Kernel` tries all."""
    assert flyte.grid(kernel=Kernel)["kernel"].tolist() == list(Kernel)
    assert flyte.grid(kernel=Kernel.RBF)["kernel"].tolist() == [Kernel.RBF]


def test_values_that_are_lists_stay_lists() -> None:
    """A layer's sizes are one value of a combination."""
    assert flyte.grid(layers=[[64], [64, 32]], lr=[0.1])["layers"].tolist() == [[64], [64, 32]]


def test_an_array_without_dimensions_is_one_value() -> None:
    """As numpy gives it where a number was computed."""
    assert flyte.grid(x=np.float64(0.5), y=np.array(3))[["x", "y"]].to_numpy().tolist() == [[0.5, 3.0]]


def test_an_argument_without_values_makes_no_rows() -> None:
    """The columns are there."""
    frame = flyte.grid(a=[], b=[1, 2])

    assert list(frame.columns) == ["a", "b"]
    assert len(frame) == 0


def test_a_grid_that_nobody_can_want_is_refused() -> None:
    """Before it takes all memory."""
    with pytest.raises(ValueError, match=r"10,000 \(a\) \* 10,000 \(b\) = 100,000,000 rows.*flyte\.sample"):
        flyte.grid(a=range(10_000), b=range(10_000))
