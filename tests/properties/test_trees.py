"""Random trees of tasks give what the same program gives in plain Python, whatever kinds of bodies call each other."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import flyte_nb as flyte
from flyte_nb.workspace import Workspace
from tests.fakes.spaces import Spaces, current, finished
from tests.leaks import LeakCheck

env = flyte.TaskEnvironment("trees")


@dataclass
class Tree:
    """A program: a leaf returns its number or fails; a parent of some kind sums up its children and counts failed ones."""

    kind: str
    number: int = 0
    children: list[Tree] = field(default_factory=list)


def plain(tree: Tree) -> int:
    """The program in plain Python."""
    if tree.kind == "fail":
        raise ValueError(tree.number)
    total = tree.number
    for child in tree.children:
        try:
            total += plain(child)
        except ValueError:
            total += 1_000
    return total


def calls(tree: Tree) -> Counter[str]:
    """How many actions of each task it takes."""
    found = Counter({{"fail": "grow", "leaf": "grow", "gather": "grow", "map_aio": "grow", "turns": "grow"}.get(tree.kind, "build"): 1})
    for child in tree.children:
        found += calls(child)
    return found


def call(tree: Tree) -> object:
    """The awaitable call of a child: by the task that fits its kind."""
    return build.aio(tree) if tree.kind in {"map", "blocking"} else grow(tree)


@env.task
async def grow(tree: Tree) -> int:
    """Bodies on a loop."""
    if tree.kind == "fail":
        raise ValueError(tree.number)
    total = tree.number
    if tree.kind == "gather":
        results = await asyncio.gather(*(call(child) for child in tree.children), return_exceptions=True)  # type: ignore[call-overload]
        total += sum(each if isinstance(each, int) else 1_000 for each in results)
    elif tree.kind == "map_aio":
        for part in (True, False):
            group = [child for child in tree.children if (child.kind in {"map", "blocking"}) is part]
            async for each in flyte.map.aio(build if part else grow, group):
                total += each if isinstance(each, int) else 1_000
    elif tree.kind == "turns":
        for child in tree.children:
            try:
                total += await call(child)  # type: ignore[misc]  # a call of either task
            except flyte.errors.RuntimeUserError:
                total += 1_000
    return total


@env.task
def build(tree: Tree) -> int:
    """Bodies in a slot."""
    total = tree.number
    if tree.kind == "map":
        for part in (True, False):
            group = [child for child in tree.children if (child.kind in {"map", "blocking"}) is part]
            total += sum(each if isinstance(each, int) else 1_000 for each in flyte.map(build if part else grow, group))
        return total
    for child in tree.children:
        task = build if child.kind in {"map", "blocking"} else grow
        for each in flyte.map(task, [child]):
            total += each if isinstance(each, int) else 1_000
    return total


LEAVES = st.builds(Tree, st.sampled_from(["leaf", "leaf", "leaf", "fail"]), st.integers(0, 99))
PARENTS = st.sampled_from(["gather", "gather", "map", "map_aio", "turns", "blocking"])
TREES = st.recursive(LEAVES, lambda inner: st.builds(Tree, PARENTS, st.integers(0, 99), st.lists(inner, max_size=5)), max_leaves=25)


@pytest.fixture(scope="module")
def space(leak_check: LeakCheck) -> Iterator[Workspace]:
    """Two workers with one thread each, in this process."""
    with contextlib.ExitStack() as stack, current(Spaces(leak_check, stack).get("inline", 2)) as made:
        yield made


@pytest.mark.leaves(descriptors=30)  # loops of workers, made when they are first needed, three each
@pytest.mark.usefixtures("space")
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(TREES, min_size=1, max_size=4))
def test_a_tree_of_tasks_gives_what_plain_python_gives(trees: list[Tree]) -> None:
    """The output, and the number of actions of each task; every action has an end, and none is left over."""
    tree = Tree("gather", 1, trees)

    run = finished(flyte.run(grow, tree))

    assert run.outputs()[0] == plain(tree)
    made = Counter(run.state.task_of(row).short_name for row in range(run.state.count))
    assert made == calls(tree)
    assert {run.state.phase_of(row).value for row in range(run.state.count)} <= {"succeeded", "failed"}
