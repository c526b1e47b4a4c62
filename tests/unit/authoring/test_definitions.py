"""Which definition of a task counts: what stands under its name now."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import ModuleType

import pytest

from flyte_nb.authoring.definitions import definition_now, is_same_code
from flyte_nb.authoring.environment import TaskEnvironment
from flyte_nb.authoring.task import Task

CELL = "@env.task\nasync def step(x: int) -> int:\n    return x + {}\n"


@pytest.fixture
def notebook() -> Iterator[ModuleType]:
    """A module in which cells are run."""
    module = sys.modules["cells_of_a_test"] = ModuleType("cells_of_a_test")
    module.__dict__["env"] = TaskEnvironment("cells")
    yield module
    del sys.modules["cells_of_a_test"]


def define(notebook: ModuleType, number: int) -> Task[..., object]:
    """Run the cell."""
    exec(CELL.format(number), notebook.__dict__)  # noqa: S102 - a cell
    step: Task[..., object] = notebook.__dict__["step"]
    return step


def test_the_latest_definition_counts(notebook: ModuleType) -> None:
    """What the name stands for now, also for facts of an earlier definition."""
    old, new = define(notebook, 1), define(notebook, 2)

    assert definition_now(old.facts) is new
    assert (is_same_code(old, new), is_same_code(new, new.override(retries=3))) == (False, True)


@pytest.mark.parametrize("change", ["gone", "another environment", "no task", "another module"])
def test_a_name_that_stands_for_something_else_does_not_count(notebook: ModuleType, change: str) -> None:
    """Nor one of a module that is not loaded."""
    facts = define(notebook, 1).facts
    if change == "gone":
        del notebook.__dict__["step"]
    elif change == "another environment":
        notebook.__dict__["env"] = TaskEnvironment("others")
        define(notebook, 1)
    elif change == "no task":
        notebook.__dict__["step"] = print
    else:
        sys.modules["cells_of_a_test"] = ModuleType("cells_of_a_test")

    assert definition_now(facts) is None


def test_a_task_made_in_a_function_has_no_name() -> None:
    """There may be many of it."""
    env = TaskEnvironment("inner")

    @env.task
    async def step() -> None: ...

    assert definition_now(step.facts) is None
