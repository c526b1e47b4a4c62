"""How many actions run at once is what the user said, exactly; and a run that waits costs nothing."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

import flyte_nb as flyte
from flyte_nb.workspace import Workspace
from tests.contract.conftest import finished, output

pytestmark = pytest.mark.usefixtures("space")
env = flyte.TaskEnvironment("bounds")
single = flyte.TaskEnvironment("single", reusable=flyte.ReusePolicy(concurrency=1))
three = flyte.TaskEnvironment("three", reusable=flyte.ReusePolicy(concurrency=3))
#: A worker's share of one core that waiting may cost, its own heartbeats and Dask's included.
IDLE_SHARE = 0.05


def note(path: str, line: str) -> None:
    """Append a line, in one piece however many write."""
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(descriptor, f"{line}\n".encode())
    os.close(descriptor)


async def stay(path: str, value: int) -> int:
    """Come and go."""
    note(path, "+")
    await asyncio.sleep(0.01)
    note(path, "-")
    return value


@single.task
async def stay_alone(path: str, value: int) -> int:
    """One at a time on a worker."""
    return await stay(path, value)


@three.task
async def stay_with_two(path: str, value: int) -> int:
    """Three at a time on a worker."""
    return await stay(path, value)


@env.task
async def stay_with_many(path: str, value: int) -> int:
    """As many as there are."""
    return await stay(path, value)


@env.task
async def fan_out(path: str, which: int, count: int) -> int:
    """Call one of the three."""
    task = {1: stay_alone, 3: stay_with_two, 0: stay_with_many}[which]
    return sum(await asyncio.gather(*(task(path, value) for value in range(count))))


@env.task
async def fan_out_by_map(path: str, concurrency: int, count: int) -> int:
    """Call the unbounded one through map."""
    values = flyte.map.aio(stay_with_many, [path] * count, range(count), concurrency=concurrency)
    return sum([value async for value in values if isinstance(value, int)])


def most_at_once(lines: Iterator[str]) -> int:
    """The highest count of those that came and had not gone."""
    now = most = 0
    for line in lines:
        now += 1 if line.startswith("+") else -1
        most = max(most, now)
    return most


@pytest.mark.parametrize("which,most", [(1, 2), (3, 6)])
def test_a_reuse_policys_concurrency_holds_on_each_of_two_workers(which: int, most: int, tmp_path: Path) -> None:
    """Sixty actions that wait: never more than two workers' worth at once, and all of that is used."""
    ledger = tmp_path / "ledger"

    assert output(flyte.run(fan_out, str(ledger), which, 60)) == sum(range(60))
    assert most_at_once(iter(ledger.read_text().splitlines())) == most


@pytest.mark.parametrize("concurrency", [1, 4])
def test_the_concurrency_of_a_map_holds_over_all_workers(concurrency: int, tmp_path: Path) -> None:
    """Forty actions that wait: exactly as many at once as was said."""
    ledger = tmp_path / "ledger"

    assert output(flyte.run(fan_out_by_map, str(ledger), concurrency, 40)) == sum(range(40))
    assert most_at_once(iter(ledger.read_text().splitlines())) == concurrency


@env.task
async def wait_for_gate(gate: str) -> int:
    """Wait as long as a file is not there."""
    while not Path(gate).exists():  # noqa: ASYNC110, ASYNC240 - seldom, and another process's file
        await asyncio.sleep(1)
    return 1


def test_a_run_that_waits_costs_nothing(space: Workspace, kind: str, tmp_path: Path) -> None:
    """Neither the kernel nor its workers have anything to do while an action waits."""
    run = flyte.run(wait_for_gate, str(tmp_path / "gate"))
    processes = [psutil.Process(), *(child for child in psutil.Process().children(recursive=True) if kind == "dask")]
    before = _used(processes)
    began = time.monotonic()
    assert not space.wait_ended(run.name, 2)
    share = (_used(processes) - before) / (time.monotonic() - began)
    (tmp_path / "gate").touch()

    assert finished(run).phase == "succeeded"
    assert share < IDLE_SHARE * len(processes)


def _used(processes: list[psutil.Process]) -> float:
    return sum(sum(process.cpu_times()[:2]) for process in processes if process.is_running())
