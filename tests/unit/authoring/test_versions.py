"""Versions of code: editing what a task does, or what it uses, makes a new one; nothing else does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cloudpickle
import pytest

from flyte_nb.authoring.environment import TaskEnvironment
from flyte_nb.authoring.versions import CodePolicy, TooLargeError, code_version, used_names
from flyte_nb.core.caching import VersionParameters

CELL = '''
import dataclasses, functools, threading
import numpy as np

RATE = 3
LOCK = threading.Lock()
seen = 0

@dataclasses.dataclass
class Model:
    size: int = 1
    def cost(self):
        return self.size * RATE

def helper(x):
    return x + RATE

@functools.lru_cache
def remembered(x):
    return x + 1

def f(x, more=(1, 2)):
    """Does it."""
    global seen
    seen += 1
    with LOCK:
        return helper(x) + Model(x).cost() + np.sum([x]) + remembered(x) + (lambda y: y + RATE)(1)
'''


def version(cell: str = CELL, **changed: object) -> str:
    """The version of `f` after a cell, with other values for some names."""
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(cell, f"<cell {id(names)}>", "exec"), names)  # noqa: S102 - a cell
    names.update(changed)
    return code_version(names["f"])


def test_running_a_cell_again_makes_no_new_version() -> None:
    """Unchanged code is the same version, moved, commented, or with another docstring too."""
    assert version() == version(CELL) == version("\n\n# moved" + CELL) == version(CELL.replace("Does it.", "Does it well."))


@pytest.mark.parametrize(
    "edit",
    [
        ("x + RATE\n\n@functools", "x - RATE\n\n@functools"),
        ("return self.size * RATE", "return self.size + RATE"),
        ("size: int = 1", "size: int = 2"),
        ("return x + 1", "return x + 2"),
        ("(lambda y: y + RATE)", "(lambda y: y - RATE)"),
        ("more=(1, 2)", "more=(1, 3)"),
        ("RATE = 3", "RATE = 4"),
        ("with LOCK:", "if True:"),
    ],
    ids=["helper", "method", "field", "decorated helper", "lambda", "default", "constant", "body"],
)
def test_an_edit_of_what_the_function_uses_makes_a_new_version(edit: tuple[str, str]) -> None:
    """Helpers, methods of classes, constants, defaults and functions inside all count."""
    assert edit[0] in CELL
    assert version(CELL.replace(*edit)) != version()


def test_a_counter_that_the_function_keeps_is_no_part_of_its_version() -> None:
    """A global that the code assigns changes by running it."""
    assert version(seen=7) == version()


def test_a_helper_that_was_defined_again_counts() -> None:
    """What counts is what the name stands for now, although the function was defined before."""
    names: dict[str, Any] = {"__name__": "__main__"}
    exec("def helper(x): return x\ndef f(x): return helper(x)", names)  # noqa: S102 - a cell
    before = code_version(names["f"])
    exec("def helper(x): return -x", names)  # noqa: S102 - another cell

    assert code_version(names["f"]) != before


def test_a_task_that_the_function_calls_counts() -> None:
    """A called task is a helper too."""
    env = TaskEnvironment("versions")

    def made(number: int) -> Callable[[int], object]:
        @env.task
        def child(x: int) -> int:
            return x + number

        def parent(x: int) -> object:
            return child(x)

        return parent

    assert code_version(made(1)) == code_version(made(1)) != code_version(made(2))


def test_functions_that_call_each_other_have_a_version() -> None:
    """The walk ends."""
    names: dict[str, Any] = {"__name__": "__main__"}
    exec("def even(n): return n == 0 or odd(n - 1)\ndef odd(n): return n != 0 and even(n - 1)", names)  # noqa: S102 - a cell

    assert code_version(names["even"]) != code_version(names["odd"])


def test_the_salt_is_part_of_the_policy() -> None:
    """Another salt is another version of the same code."""
    parameters = VersionParameters(test_the_salt_is_part_of_the_policy)

    assert CodePolicy().get_version("a", parameters) != CodePolicy().get_version("b", parameters)


def test_names_that_code_reads_are_told_from_those_that_it_assigns() -> None:
    """Code of inner functions counts; attributes are apart."""
    names: dict[str, Any] = {}
    exec("def f():\n    global b\n    b = a.x\n    return [c for _ in range(2)]", names)  # noqa: S102 - a cell

    read, attributes = used_names(names["f"].__code__)

    assert ({"a", "c"} <= read, "b" in read, "x" in attributes) == (True, False, True)


def test_a_task_that_was_pickled_and_loaded_has_the_same_version() -> None:
    """A worker, or another kernel, sees the version that the notebook saw."""
    names: dict[str, Any] = {"__name__": "__main__"}
    cell = CELL.replace("threading.Lock()", "None").replace("with LOCK:", "if not LOCK:").replace("@functools.lru_cache\n", "")
    exec(compile(cell, "<cell>", "exec"), names)  # noqa: S102 - a cell
    task = TaskEnvironment("shipped").task(names["f"])
    loaded = cloudpickle.loads(task.pickled())

    assert loaded.facts.version == task.current_facts().version == code_version(loaded.func)


def test_code_in_lists_and_dictionaries_counts() -> None:
    """A table of functions is code too; one that holds itself has a version."""
    cell = "def one(x): return x + 1\nTABLE = {'one': [one]}\nTABLE['self'] = TABLE\ndef f(x): return TABLE['one'][0](x)\n"

    assert version(cell) == version(cell) != version(cell.replace("x + 1", "x + 2"))


def test_what_a_property_or_getattr_would_do_is_not_done() -> None:
    """Looking at the user's objects runs none of their code."""
    cell = "class Odd:\n    def __getattr__(self, name): raise RuntimeError(name)\nODD = Odd()\ndef f(x): return ODD\n"

    assert version(cell) == version(cell)


def test_large_values_are_not_looked_at_where_that_is_asked() -> None:
    """A root in the kernel may read all of a notebook's data."""
    names: dict[str, Any] = {"__name__": "__main__", "DATA": [bytes(1000)] * 3}
    exec("def f(x): return DATA", names)  # noqa: S102 - a cell

    assert code_version(names["f"], 10_000) == code_version(names["f"])
    with pytest.raises(TooLargeError):
        code_version(names["f"], 500)


def test_a_task_that_reads_its_environment_does_not_depend_on_the_other_tasks() -> None:
    """A task that is added makes no new version of the others."""
    env = TaskEnvironment("grows")

    def f(x: int) -> object:
        return env, x

    before = code_version(f)
    env.task(test_the_salt_is_part_of_the_policy)

    assert code_version(f) == before
