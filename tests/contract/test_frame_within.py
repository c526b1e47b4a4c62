"""`flyte.map_frame` inside of a task: calls of the running action. The same on every backend."""

from __future__ import annotations

import pandas as pd
import pytest

import flyte_nb as flyte
from flyte_nb.workspace import Workspace
from tests.fakes.spaces import finished, output

env = flyte.TaskEnvironment("frame_within")


@env.task
def double(x: int) -> int:
    """13 is not taken."""
    if x == 13:
        raise ValueError("13 is not taken")
    return 2 * x


@env.task
def squares(x: list[int]) -> list[int]:
    """13 is not taken."""
    if 13 in x:
        raise ValueError("13 is not taken")
    return [number * number for number in x]


@env.task
def days(month: int) -> pd.DataFrame:
    """A frame."""
    return pd.DataFrame({"day": [1, 2]}) * month


def test_a_sync_driver_gets_the_results(space: Workspace) -> None:
    """What it returns reads as a run does, and has ended."""

    @env.task
    def main(count: int) -> tuple[pd.DataFrame, bool, str]:
        sweep = flyte.map_frame(double, pd.DataFrame({"x": range(count), "note": "n"}))
        sweep.wait()
        sweep.raise_for_status()
        return pd.DataFrame(sweep.results), sweep.done(), repr(sweep)

    results, done, words = finished(flyte.run(main, 15)).outputs()

    assert list(results.columns) == ["x", "note", "output", "phase", "error"]
    assert results["output"].fillna(-1).tolist() == [2 * n if n != 13 else -1 for n in range(15)]
    assert results["error"].dropna().to_dict() == {13: "ValueError: 13 is not taken"}
    assert done
    assert words == "<sweep of 15 rows, 1 failed>"


def test_an_async_driver_awaits_them(space: Workspace) -> None:
    """Rows, batches, streams; the calls are those of its own run."""

    @env.task
    async def main(count: int) -> dict[str, list[float]]:
        frame = pd.DataFrame({"x": range(count)})
        rows = await flyte.map_frame.aio(double, frame, concurrency=2)
        batches = await flyte.map_frame.aio(squares, frame, batch_size=4, on_batch_error="split")
        stream = await flyte.map_frame.aio(double, (frame.iloc[lo : lo + 5] for lo in range(0, count, 5)))
        return {name: list(each.results["output"].fillna(-1)) for name, each in zip("rbs", (rows, batches, stream), strict=True)}

    run = finished(flyte.run(main, 15))

    doubled = [2 * n if n != 13 else -1 for n in range(15)]
    assert output(run) == {"r": doubled, "b": [n * n if n != 13 else -1 for n in range(15)], "s": doubled}
    assert set(run.actions["parent"][1:]) == {"a0"}
    assert len(space.runs()[-1].actions) == len(run.actions)


def test_errors_are_at_hand_by_row(space: Workspace) -> None:
    """As exceptions; and frames can be put one below the other."""

    @env.task
    def main() -> list[str]:
        sweep = flyte.map_frame(double, pd.DataFrame({"x": [1, 13]}))
        frames = flyte.map_frame(days, pd.DataFrame({"month": [3]})).results.explode_frames()
        return [str(sweep.errors[1]), str(frames["day"].tolist())]  # type: ignore[attr-defined]  # what map_frame is within a task

    assert output(finished(flyte.run(main))) == ["13 is not taken", "[3, 6]"]


def test_what_does_not_fit_is_the_drivers_error(space: Workspace) -> None:
    """Before anything is called."""

    @env.task
    async def main() -> None:
        await flyte.map_frame.aio(double, pd.DataFrame({"x": ["a"]}))

    run = finished(flyte.run(main))

    with pytest.raises(flyte.errors.RuntimeUserError, match=r"row 0 \(the 1st\), column 'x'"):
        run.raise_for_status()
    assert len(run.actions) == 1
