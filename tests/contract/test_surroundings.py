"""What a body finds around it: variables, its context, its checkpoint, its time, its files."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

import flyte_nb as flyte
from tests.contract.conftest import PATIENCE, finished, output

pytestmark = pytest.mark.usefixtures("space")
NAME = "FLYTE_NB_TEST_AROUND"
env = flyte.TaskEnvironment("around", env_vars={NAME: "environment"})
bare = flyte.TaskEnvironment("bare")


@env.task
async def read_async() -> str:
    """The variable, after others had their turn."""
    await asyncio.sleep(0.05)
    return os.environ.get(NAME, "unset")


@env.task
def read_sync() -> str:
    """The variable."""
    return os.environ.get(NAME, "unset")


@bare.task
async def read_bare() -> str:
    """The variable of a task that has none."""
    await asyncio.sleep(0.02)
    return os.environ.get(NAME, "unset")


def test_each_action_sees_its_own_variables() -> None:
    """Of the environment, of an override, and none; async and sync, side by side in one process."""

    @bare.task
    async def main() -> list[str]:
        other = {NAME: "override"}
        apart = [read_async.override(env_vars=other)(), read_sync.override(env_vars=other).aio()]
        return [*await asyncio.gather(read_async(), read_sync.aio(), *apart, *[read_bare() for _ in range(5)])]

    assert output(flyte.run(main)) == ["environment", "environment", "override", "override", *["unset"] * 5]
    assert NAME not in os.environ


def test_variables_of_a_run_reach_all_its_actions() -> None:
    """Those that the run was started with go over those of tasks; the root in the kernel has them too."""

    @bare.task
    async def main() -> list[str]:
        return [os.environ[NAME], await read_bare(), await read_async(), await read_sync.aio()]

    assert output(flyte.with_runcontext(env_vars={NAME: "run"}).run(main)) == ["run"] * 4


def test_a_secret_is_the_notebooks_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also one that was set, or changed, after the workers had started; it is in no pickled task."""
    secretive = flyte.TaskEnvironment("secretive", secrets=[flyte.Secret("api-key", group="maps")])

    @secretive.task
    async def read() -> str:
        return os.environ.get("MAPS_API_KEY", "unset")

    @secretive.task
    def block() -> str:
        return os.environ["MAPS_API_KEY"]

    @bare.task
    async def main() -> list[str]:
        return [await read(), await block.aio()]

    for value in ("s3cret", "changed"):
        monkeypatch.setenv("MAPS_API_KEY", value)
        assert output(flyte.run(main)) == [value, value]
    assert "MAPS_API_KEY" in read.facts.secrets
    assert b"changed" not in read.pickled() + block.pickled()


def test_a_limit_of_inline_bytes_refuses_what_is_larger() -> None:
    """Inputs at the call, outputs as the child's failure; a task without a limit of its own takes everything."""

    @bare.task(max_inline_io_bytes=1_000)
    async def echo(text: str, times: int = 1) -> str:
        return text * times

    @bare.task
    async def main() -> list[str]:
        calls = (echo("x" * 900), echo("x" * 1_100), echo("x" * 600, 2), echo.override(max_inline_io_bytes=5_000)("x" * 1_100))
        got = await asyncio.gather(*calls, return_exceptions=True)
        return [f"{each.code}: {each}"[:40] if isinstance(each, flyte.errors.BaseRuntimeError) else str(len(str(each))) for each in got]

    assert output(flyte.run(main)) == [
        "900",
        "InlineIOMaxBytesBreached: Inputs of task",
        "InlineIOMaxBytesBreached: Outputs of tas",
        "1100",
    ]


def test_a_run_keeps_to_its_limit_of_actions_at_once() -> None:
    """The root counts, sync and async alike; drivers inside do not make it stand still."""

    @bare.task
    async def nap(number: int) -> int:
        await asyncio.sleep(0.01)
        return number

    @bare.task
    def block(number: int) -> int:
        return number

    @bare.task
    async def part(numbers: list[int]) -> int:
        return sum(await asyncio.gather(*(nap(each) for each in numbers)))

    @bare.task
    async def main() -> int:
        flat = await asyncio.gather(*(task.aio(each) for task in (nap, block) for each in range(8)))
        return sum([*flat, *await asyncio.gather(part([1, 2]), part([3]))])

    limited = flyte.with_runcontext(max_action_concurrency=3)
    run = finished(limited.run(main))
    # Leaves only: a driver that waits counts too, and one more may start where nothing else could go on.
    state = run.state
    spans = [(state.started_ats[row], state.ended_ats[row]) for row in range(1, 17)]
    peak = max(sum(start < at <= end for start, end in spans) for at in (end for _start, end in spans))

    assert (run.outputs()[0], peak <= 2) == (62, True)


def test_the_context_tells_of_the_action_and_its_run() -> None:
    """Names, version, folders, and a place for values."""

    @bare.task
    async def child() -> dict[str, bool]:
        context = flyte.ctx()
        assert context.action is not None
        assert context.raw_data_path is not None
        assert context.data is not None
        context.data["key"] = 1
        return {
            "name": context.action.name != context.action.run_name,
            "version": context.version == "v1",
            "folder": Path(context.raw_data_path.path).name == context.action.run_name,
            "own": context.output_path != context.raw_data_path.path,
            "data": flyte.ctx()["key"] == 1 and flyte.ctx()["other"] is None,
            "rank": context.rank is None,
            "mode": context.mode == "local" and not context.is_in_cluster(),
            "report": context.report is flyte.report.current_report(),
        }

    @bare.task
    async def main() -> dict[str, bool]:
        return await child()

    told = output(flyte.with_runcontext(version="v1").run(main))

    assert isinstance(told, dict)
    assert [name for name, holds in told.items() if not holds] == []


def test_a_checkpoint_survives_the_attempt_that_saved_it(tmp_path: Path) -> None:
    """Bytes and folders; the first attempt finds none, and nothing is left when the run has ended."""

    @bare.task(retries=2)
    def train(folder: str) -> list[str]:
        checkpoint = flyte.ctx().checkpoint
        assert checkpoint is not None
        found = checkpoint.load_sync()
        attempt = flyte.ctx().attempt_number
        if found is None:
            checkpoint.save_sync(b"first")
        elif attempt == 1:
            (Path(folder) / "state").write_text(found.read_text() + ", second")
            checkpoint.save_sync(folder)
        else:
            return [(found / "state").read_text(), str(attempt)]
        raise ValueError("again")

    @bare.task
    async def main(folder: str) -> list[str]:
        return list(await train.aio(folder))

    run = finished(flyte.run(main, str(tmp_path)))

    assert run.outputs()[0] == ["first, second", "2"]
    assert run.home.wait_ended(run.name, PATIENCE)  # what follows is done when the end is told
    assert list((Path(run.state.settings.raw_data_path) / "checkpoints").iterdir()) == []


def test_durable_time_is_that_of_the_first_attempt(tmp_path: Path) -> None:
    """Another attempt gets the same instant, and does not sleep again."""
    seen = tmp_path / "seen"

    @bare.task(retries=1)
    async def wait() -> bool:
        now, instant = flyte.durable.time(), await flyte.durable.now.aio()
        await flyte.durable.sleep.aio(0.01)
        text = f"{now} {instant}"
        if not seen.exists():
            seen.write_text(text)
            raise ValueError("again")
        return seen.read_text() == text

    @bare.task
    async def main() -> bool:
        return await wait()

    assert output(flyte.run(main)) is True


def test_files_and_folders_travel_as_references(tmp_path: Path) -> None:
    """Written by one action, read by another; what was local to the caller is copied."""
    (tmp_path / "in" / "sub").mkdir(parents=True)
    (tmp_path / "in" / "a.txt").write_text("a")
    (tmp_path / "in" / "sub" / "b.txt").write_text("b")

    @bare.task
    async def write(text: str) -> flyte.io.File[str]:
        file: flyte.io.File[str] = flyte.io.File.new_remote("note.txt")
        async with file.open("wb") as opened:
            await opened.write(text.encode())
        return file

    @bare.task
    def read(file: flyte.io.File[str], folder: flyte.io.Dir[str]) -> list[str]:
        with file.open_sync("r") as opened:
            return [opened.read(), file.name, *(Path(each.path).read_text() for each in folder.walk_sync())]

    @bare.task
    async def main(folder: str) -> list[str]:
        return list(await read.aio(await write("hello"), await flyte.io.Dir.from_local(folder)))

    assert output(flyte.run(main, str(tmp_path / "in"))) == ["hello", "note.txt", "a", "b"]


def test_tables_travel_between_libraries() -> None:
    """A table of pandas is read as one of pyarrow, by value and through a file."""
    import pandas as pd  # noqa: PLC0415 - half a second
    import pyarrow as pa  # noqa: PLC0415 - as above

    @bare.task
    async def total(frame: flyte.io.DataFrame) -> int:
        table = await frame.open(pa.Table).all()
        return int(sum(table.column("n").to_pylist()))

    @bare.task
    async def main() -> list[int]:
        table = pd.DataFrame({"n": [1, 2, 3]})
        return [await total(flyte.io.DataFrame.wrap_df(table)), await total(await flyte.io.DataFrame.from_local(table))]

    assert output(flyte.run(main)) == [6, 6]
