"""Random trees of tasks under a killer of workers give what the same program gives in plain Python.

A seed decides the tree and when the killer strikes. `CHAOS_SEEDS=500 make test-cluster ARGS="-k chaos"` runs more of them, and
`CHAOS_FIRST=500` others. What was started more than once is counted, and allowed; what is lost or wrong is not.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Self

import pytest

import flyte_nb as flyte
from tests.cluster.conftest import FIGURES, wait_for_workers, worker_pids

pytestmark = [pytest.mark.usefixtures("embedded"), pytest.mark.leaves(descriptors=40)]

FIRST, SEEDS = int(os.environ.get("CHAOS_FIRST", "0")), int(os.environ.get("CHAOS_SEEDS", "20"))
MOST_DEPTH, MOST_FAN, MOST_NODES = 4, 20, 120
#: The killer strikes so often, after pauses of this length.
STRIKES, PAUSE_SECONDS = 3, (0.05, 0.6)

env = flyte.TaskEnvironment("chaos")
#: A tree: (name, kind, number, children). Kinds: "sync" and "async" (by their body), "raise".
Tree = tuple[str, str, int, list["Tree"]]


def grown(seed: int) -> Tree:
    """The tree of a seed."""
    chance, left = random.Random(seed), [MOST_NODES]  # noqa: S311 - no secret

    def grow(name: str, depth: int) -> Tree:
        fan = chance.randint(1, MOST_FAN) if depth < MOST_DEPTH and chance.random() < (0.45 if depth else 1) else 0
        children = []
        for number in range(fan):
            if left[0] > 0:
                left[0] -= 1
                children.append(grow(f"{name}.{number}", depth + 1))
        kind = chance.choice(["sync", "async"]) if children or chance.random() > 0.1 else "raise"
        return name, kind, chance.randint(0, 99), children

    return grow("0", 0)


def written(ledger: str, name: str) -> None:
    """Write down that a node was started."""
    if ledger:
        with Path(ledger).open("a") as file:
            file.write(f"{name}\n")


def folded(number: int, found: list[object]) -> int:
    """What a node makes of its children's results: it depends on each, and on their order."""
    for place, each in enumerate(found, start=1):
        value = each if isinstance(each, int) else sum(str(each).encode())
        number = (number * 31 + value * place) % 1_000_003
    return number


def fails(tree: Tree) -> None:
    """Some nodes raise."""
    if tree[1] == "raise":
        raise ValueError(f"node {tree[0]}")


@env.task
def sync_node(tree: Tree, ledger: str) -> int:
    """A node with a plain body: its children one after the other."""
    name, _kind, number, children = tree
    written(ledger, name)
    time.sleep(number / 10_000)
    fails(tree)
    found: list[object] = []
    for child in children:
        try:
            found.append(called_sync(child, ledger))
        except Exception as error:  # noqa: BLE001 - a result like others
            found.append(str(error))
    return folded(number, found)


@env.task
async def async_node(tree: Tree, ledger: str) -> int:
    """A node with an async body: its children all at once."""
    name, _kind, number, children = tree
    written(ledger, name)
    await asyncio.sleep(number / 1_000)
    fails(tree)
    found = await asyncio.gather(*(called_async(child, ledger) for child in children), return_exceptions=True)
    return folded(number, [str(each) if isinstance(each, BaseException) else each for each in found])


def called_sync(tree: Tree, ledger: str) -> int:
    """A node's result, called from a plain body: all below it are plain then."""
    return sync_node(tree, ledger)


async def called_async(tree: Tree, ledger: str) -> int:
    """A node's result, called from an async body."""
    return await (async_node(tree, ledger) if tree[1] == "async" else sync_node.aio(tree, ledger))


@env.task
async def whole(tree: Tree, ledger: str) -> int:
    """The driver in the kernel."""
    return await called_async(tree, ledger)


class Killer:
    """Ends workers, in a thread of its own, while it is entered."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(-seed - 1)  # noqa: S311 - no secret
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._strike)
        self.struck = 0

    def _strike(self) -> None:
        while self.struck < STRIKES and not self._over.wait(self._chance.uniform(*PAUSE_SECONDS)):
            pids = sorted(worker_pids())
            if pids:
                with suppress(ProcessLookupError):  # it has just died, and nobody was told yet
                    os.kill(self._chance.choice(pids), signal.SIGKILL)
                    self.struck += 1

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._thread.join()


@pytest.fixture(scope="module")
def tally() -> Iterator[Counter[str]]:
    """What all seeds together did; told at the end."""
    counts: Counter[str] = Counter()
    yield counts
    FIGURES.append(f"chaos, {SEEDS} seeds: " + ", ".join(f"{count} {what}" for what, count in counts.items()))


@pytest.mark.parametrize("seed", range(FIRST, FIRST + SEEDS))
def test_a_random_tree_under_a_killer_gives_what_plain_python_gives(seed: int, tmp_path: Path, tally: Counter[str]) -> None:
    """Nothing is lost, nothing is wrong, whoever dies when."""
    wait_for_workers(2)
    tree, ledger = grown(seed), tmp_path / "ledger"
    expected = asyncio.run(called_async(tree, ""))

    with Killer(seed) as killer:
        run = flyte.run(whole, tree, str(ledger))
        run.wait(timeout=90)

    run.state.check()
    starts = Counter(ledger.read_text().split())
    tally.update({"workers killed": killer.struck, "actions": run.state.count - 1})
    tally.update({"started twice": sum(count == 2 for count in starts.values()), "more": sum(count > 2 for count in starts.values())})
    assert run.outputs()[0] == expected
    assert {run.action(row).phase.value for row in range(run.state.count)} <= {"succeeded", "failed"}
    assert run.state.count - 1 == len(starts), "an action was made twice, or never"
