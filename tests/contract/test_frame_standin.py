"""What stands in an exported module for `flyte.map_frame` gives the table that ours gives."""

from __future__ import annotations

import enum
from typing import Any, NamedTuple

import pandas as pd
import pytest
from pydantic import BaseModel

import flyte_nb as flyte
from flyte_nb.exporting import standins
from flyte_nb.workspace import Workspace

env = flyte.TaskEnvironment("standins")


class Kind(enum.Enum):
    """A value of a field."""

    A = "a"


class Pair(NamedTuple):
    """Two outputs with names."""

    x: int
    y: str


class Model(BaseModel):
    """Two fields."""

    x: int
    y: Kind


@env.task
def tuple_of(n: int) -> tuple[int, str]:
    """Two outputs."""
    return n, str(n)


@env.task
def pair_of(n: int) -> Pair:
    """Two outputs with names."""
    return Pair(n, str(n))


@env.task
def model_of(n: int) -> Model:
    """Refuses one."""
    if n == 2:
        raise ValueError("two")
    return Model(x=n, y=Kind.A)


@env.task
def numbers_of(n: int) -> dict[int, int]:
    """A dict without names."""
    return {n: n}


@pytest.mark.parametrize("task", [tuple_of, pair_of, model_of, numbers_of], ids=lambda task: task.short_name)
def test_a_mapped_frame_has_the_same_columns(task: Any, space: Workspace) -> None:
    """Whatever the task returns."""
    module: dict[str, Any] = {"flyte": flyte}
    exec(standins.MAP_FRAME.format(map_frame="stand_in"), module)  # noqa: S102 - ours
    stand_in, frame = module["stand_in"], pd.DataFrame({"n": [1, 2, 3]})

    @env.task
    async def main() -> Any:
        return await stand_in(task, frame)

    exported, ours = flyte.run(main), flyte.map_frame(task, frame)
    exported.wait()
    ours.wait()

    pd.testing.assert_frame_equal(exported.outputs()[0].drop(columns="error"), pd.DataFrame(ours.results).drop(columns="error"))
