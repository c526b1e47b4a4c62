"""The story of a task's versions: what changed, part by part."""

from __future__ import annotations

import linecache
from collections.abc import Iterator
from typing import Any

import pytest

from flyte_nb.authoring import history
from flyte_nb.authoring.environment import TaskEnvironment
from flyte_nb.authoring.history import MemoryVersions, VersionStory
from flyte_nb.authoring.task import Task
from flyte_nb.core.codeversions import MOST_VERSIONS, VersionRecord

CELL = """RATE = 3

def clean(x):
    return x * RATE

def f(x: int) -> int:
    return clean(x) + 1
"""


@pytest.fixture
def keeper() -> Iterator[MemoryVersions]:
    """An empty memory."""
    made = MemoryVersions()
    history.set_keeper(made)
    yield made
    history.set_keeper(MemoryVersions())


def define(cell: str) -> Task[..., Any]:
    """A task from a cell whose source can be read."""
    file = f"<cell {hash(cell)}>"
    linecache.cache[file] = (len(cell), None, cell.splitlines(keepends=True), file)
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(cell, file, "exec"), names)  # noqa: S102 - a cell
    made: Task[..., Any] = TaskEnvironment("etl").task(names["f"])
    return made


def use(*cells: str) -> VersionStory:
    """The story after runs with each of the cells."""
    for cell in cells:
        define(cell).current_facts()
    return define(cells[-1]).version_story()


def test_each_change_says_what_changed(keeper: MemoryVersions) -> None:
    """A helper with its lines, a constant with its values, what came and what went; running again tells nothing."""
    helped = CELL.replace("x * RATE", "x * RATE + 2")
    told = use(
        CELL,
        CELL,
        helped,
        helped.replace("RATE = 3", "RATE = 4"),
        CELL.replace("clean(x) + 1", "abs(x)"),
        CELL,
    )

    assert [list(changes) for changes in told.changes] == [
        [],
        ["clean (in f): changed", "   def clean(x):", "  -    return x * RATE", "  +    return x * RATE + 2"],
        ["RATE (in clean): 3 -> 4"],
        [
            "f: changed",
            "   def f(x: int) -> int:",
            "  -    return clean(x) + 1",
            "  +    return abs(x)",
            "clean (in f): no longer used",
            "RATE (in clean): no longer used",
        ],
        ["as version 1"],
    ]
    assert str(told).startswith("etl.f: 5 versions of its code\n1  ")
    assert len(keeper.versions("etl.f")) == 5


def test_an_edit_that_no_run_has_used_yet_is_told_and_not_kept(keeper: MemoryVersions) -> None:
    """The last version is that of now."""
    use(CELL)
    edited = define(CELL.replace("RATE = 3", "RATE = 5"))

    assert edited.version_story().changes[1] == ("RATE (in clean): 3 -> 5",)
    assert len(keeper.versions("etl.f")) == 1


def test_a_version_that_was_given_is_told(keeper: MemoryVersions) -> None:
    """The cache does not follow the code then."""
    from flyte_nb import Cache  # noqa: PLC0415 - the only test that needs it

    del keeper
    task = define(CELL).override(cache=Cache("auto", version_override="v7"))

    assert "'v7'" in list(task.version_story())[-1]


def test_the_latest_versions_are_kept() -> None:
    """A cell that is run a thousand times does not fill the memory."""
    kept = MemoryVersions()
    for number in range(MOST_VERSIONS + 5):
        kept.keep(VersionRecord("t", str(number), 1.0, ()))

    assert [record.version for record in kept.versions("t")][::49] == ["5", "54"]
