"""What stands in an exported module for names of ours gives what ours gives."""

from __future__ import annotations

import enum
from typing import Any

import pandas as pd
import pytest

import flyte_nb as flyte
from flyte_nb.exporting import standins


@pytest.fixture(scope="module")
def module() -> dict[str, Any]:
    """Return a module with all stand-ins, under names of their own."""
    names = {name: f"our_{name}" for name in standins.STANDINS}
    found: dict[str, Any] = {"flyte": flyte}
    for text, _needs in standins.STANDINS.values():
        exec(text.format(**names), found)  # noqa: S102 - ours
    return found


class Kind(enum.Enum):
    """Values to choose from."""

    A = "a"
    B = "b"


GRIDS: tuple[dict[str, Any], ...] = (
    {"lr": [0.1, 0.01], "depth": range(3, 6), "model": "gbm"},
    {"x": (number * 2 for number in range(3)), "kind": Kind, "flag": [True, False]},
    {"none": [], "x": [1]},
    {"layers": [[1, 2], [3]], "date": pd.date_range("2026-01-01", periods=2)},
)


@pytest.mark.parametrize("number", range(len(GRIDS)))
def test_a_grid_is_the_same_grid(number: int, module: dict[str, Any]) -> None:
    """Rows, their order, the types of the columns."""
    values = {name: list(given) if not isinstance(given, str | type) else given for name, given in GRIDS[number].items()}

    pd.testing.assert_frame_equal(
        module["our_grid"](**values), flyte.grid(**values), check_index_type=False, check_dtype=bool(values.get("none", 1))
    )


def test_draws_are_the_same_draws(module: dict[str, Any]) -> None:
    """From each distribution, for a seed."""

    def drawn(of: dict[str, Any], start: str) -> pd.DataFrame:
        get = {name: of[start + name] for name in ("sample", "uniform", "loguniform", "normal", "lognormal", "randint", "choice")}
        table: pd.DataFrame = get["sample"](
            50,
            seed=7,
            a=get["uniform"](0, 2),
            b=get["loguniform"](1e-4, 1),
            c=get["normal"](3, 2),
            d=get["lognormal"](0, 0.5),
            e=get["randint"](2, 9),
            f=get["choice"](["x", "y", "z"], weights=[1, 2, 0]),
            g=[1, 2, 3],
            h="one",
        )
        return table

    pd.testing.assert_frame_equal(drawn(module, "our_"), drawn(vars(flyte), ""), check_index_type=False)


def test_every_stand_in_is_a_name_of_ours() -> None:
    """And none is a name of Flyte's."""
    assert set(standins.STANDINS) - {"values_of"} <= set(flyte.__all__)
