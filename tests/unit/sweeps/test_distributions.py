"""Tables of parameters: drawn ones."""

from __future__ import annotations

import enum
import math
import os
import subprocess
import sys
from itertools import permutations
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import flyte_nb as flyte

SPECS: dict[str, Any] = {
    "lr": flyte.loguniform(1e-5, 1e-1),
    "depth": flyte.randint(2, 9),
    "noise": flyte.normal(1.0, 0.5),
    "kind": flyte.choice(["a", "b", "c"], weights=[1, 0, 3]),
}


class Kernel(enum.Enum):
    """Some values."""

    RBF = "rbf"
    LINEAR = "linear"


def test_the_order_of_the_arguments_changes_nothing() -> None:
    """Each column depends on the seed and on its own name."""
    first = flyte.sample(20, 3, **SPECS)

    for names in permutations(SPECS):
        pd.testing.assert_frame_equal(flyte.sample(20, 3, **{name: SPECS[name] for name in names})[list(SPECS)], first)


def test_other_columns_and_more_rows_change_nothing() -> None:
    """A search that goes on is the same search."""
    few = flyte.sample(5, 3, lr=SPECS["lr"])

    pd.testing.assert_series_equal(flyte.sample(50, seed=3, **SPECS)["lr"][:5], few["lr"])


def test_the_same_seed_gives_the_same_table_in_another_process() -> None:
    """Whatever that process hashes strings to."""
    code = "import flyte_nb as f; print(f.sample(3, 'x', lr=f.loguniform(1, 9), k=f.normal(), c=['a', 'b']).to_csv())"
    there = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, env={**os.environ, "PYTHONHASHSEED": "7"}
    )

    assert there.stdout.strip() == flyte.sample(3, "x", lr=flyte.loguniform(1, 9), k=flyte.normal(), c=["a", "b"]).to_csv().strip()


def test_another_seed_gives_another_table_and_none_a_new_one() -> None:
    """The seed that was taken stands in the table."""
    drawn = flyte.sample(10, lr=SPECS["lr"])

    assert not flyte.sample(10, 1, lr=SPECS["lr"]).equals(flyte.sample(10, 2, lr=SPECS["lr"]))
    assert not flyte.sample(10, lr=SPECS["lr"]).equals(drawn)
    pd.testing.assert_frame_equal(flyte.sample(10, drawn.attrs["seed"], lr=SPECS["lr"]), drawn)


@given(st.integers(0, 200), st.integers(), st.integers(-1000, 1000), st.integers(1, 1000))
def test_draws_stay_within_their_borders(n: int, seed: int, low: int, width: int) -> None:
    """Whole numbers are whole and below the upper border; as many rows as were asked for."""
    frame = flyte.sample(
        n, seed, a=flyte.randint(low, low + width), b=flyte.uniform(low, low + width), c=flyte.loguniform(width, width + 1), d=range(width)
    )

    assert len(frame) == n
    assert frame["a"].between(low, low + width - 1).all()
    assert frame["b"].between(low, low + width).all()
    assert frame["c"].between(width, width + 1).all()
    assert frame["d"].between(0, width - 1).all()
    assert n == 0 or frame["a"].dtype == np.int64


def test_draws_are_spread_as_they_should_be() -> None:
    """Shares and moments of many draws."""
    frame = flyte.sample(20_000, 0, **SPECS, log=flyte.lognormal(0, 1), flat=flyte.uniform(2, 4))

    assert frame["kind"].value_counts(normalize=True)["c"] == pytest.approx(0.75, abs=0.02)
    assert set(frame["kind"]) == {"a", "c"}
    assert frame["depth"].value_counts(normalize=True).to_numpy() == pytest.approx([1 / 7] * 7, abs=0.02)
    assert frame["noise"].mean() == pytest.approx(1.0, abs=0.02)
    assert frame["noise"].std() == pytest.approx(0.5, abs=0.02)
    assert np.log10(frame["lr"]).mean() == pytest.approx(-3, abs=0.05)
    assert frame["log"].median() == pytest.approx(1.0, abs=0.05)
    assert frame["flat"].mean() == pytest.approx(3.0, abs=0.02)
    assert frame[["lr", "depth", "noise", "flat"]].corr().to_numpy() == pytest.approx(np.eye(4), abs=0.04)


def test_values_enums_and_constants_need_no_distribution() -> None:
    """Any iterable is chosen from; one value is the same in all rows."""
    frame = flyte.sample(200, 0, kernel=Kernel, layers=[[64], [64, 32]], model="gbm", none=None)

    assert set(frame["kernel"]) == set(Kernel)
    assert {tuple(each) for each in frame["layers"]} == {(64,), (64, 32)}
    assert set(frame["model"]) == {"gbm"}
    assert frame["none"].isna().all()


def test_frozen_distributions_of_scipy_are_drawn_from() -> None:
    """By their quantile function; discrete ones give whole numbers."""
    stats = pytest.importorskip("scipy.stats")

    frame = flyte.sample(2_000, 0, beta=stats.beta(2, 5), count=stats.poisson(3))

    assert frame["beta"].mean() == pytest.approx(2 / 7, abs=0.02)
    assert frame["count"].dtype == np.int64
    assert frame["count"].mean() == pytest.approx(3, abs=0.2)


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda: flyte.uniform(2, 1), "lower border first"),
        (lambda: flyte.uniform(0, math.inf), "finite"),
        (lambda: flyte.loguniform(0, 1), "above 0"),
        (lambda: flyte.normal(0, -1), "deviation of 0 or more"),
        (lambda: flyte.randint(3, 3), "none from 3 to 3"),
        (lambda: flyte.choice([]), "nothing to choose from"),
        (lambda: flyte.choice([1, 2], [1]), "a weight for each value, got 1 for 2"),
        (lambda: flyte.choice([1, 2], [0, 0]), "not all of them 0"),
        (lambda: flyte.sample(-1), "from 0 to"),
    ],
)
def test_what_cannot_be_drawn_from_is_refused_where_it_is_written(make: Any, words: str) -> None:
    """Not after an hour."""
    with pytest.raises(ValueError, match=words):
        make()


@pytest.mark.parametrize("make, arguments", [(flyte.randint, (1.0, 2)), (flyte.uniform, ("0", 1)), (flyte.sample, (2.5,))])
def test_what_is_of_another_type_is_refused(make: Any, arguments: tuple[Any, ...]) -> None:
    """Numbers are numbers."""
    with pytest.raises(TypeError):
        make(*arguments)
