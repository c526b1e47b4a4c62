"""`%%flyte_run`: a cell becomes the driver of a run."""

import gc
import inspect
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from IPython.core.error import UsageError

from flyte_nb.authoring.versions import code_version
from flyte_nb.core.current import CURRENT
from flyte_nb.notebook import cells
from tests.unit.notebook.conftest import Cells


def test_the_body_runs_as_a_root_task_in_the_kernel(nb: Cells) -> None:
    """Not before the workspace runs it; the run is bound at once."""
    nb.run("%%flyte_run --out sweep\nmade = 1")

    assert nb.workspace.drivers == ["kernel"]
    assert nb["sweep"] is nb.workspace.started[0]
    assert nb.workspace.started[0].state.root.short_name == "sweep"
    assert "made" not in nb


def test_a_cell_can_go_on_where_an_earlier_run_of_it_ended(nb: Cells) -> None:
    """The name of that run is handed on."""
    nb.run("%%flyte_run --recover r7\nmade = 1")
    nb.run("%%flyte_run\nmade = 1")

    assert nb.workspace.recovered == ["r7", None]


def test_the_version_of_a_cell_is_that_of_its_code_and_of_what_it_uses(nb: Cells) -> None:
    """Whatever else the notebook holds, and whenever it is run."""

    def version(cell: str) -> str:
        nb.run(f"%%flyte_run\n{cell}")
        return code_version(nb.workspace.started[-1].function)

    nb.run("rate = 2\ndef helped(x):\n    return x * rate\nlarge = bytes(10_000_000)")
    first = version("helped(3)")
    again = version("# once more\nhelped(3)")
    nb.run("rate = 3")

    assert (first, version("helped(3)") == first, version("helped(4)") == first) == (again, False, False)


def test_names_appear_in_the_notebook_when_the_body_has_succeeded(nb: Cells) -> None:
    """And only what it assigned."""
    nb.run("n = 3\nlost = 4")
    nb.run("%%flyte_run\nimport math\nm = n + 1\nn += 10\ndef double(x):\n    return 2 * x * n\nclass Point:\n    size = m\ndel lost")
    assert "m" not in nb
    nb.workspace.started[0].go()

    assert (nb["m"], nb["n"], nb["Point"].size, nb["double"](1)) == (4, 13, 4, 26)
    assert nb["math"].pi > 3
    assert "lost" not in nb


def test_names_of_a_body_that_failed_do_not_appear(nb: Cells) -> None:
    """No half results."""
    nb.run("n = 3")
    nb.run("%%flyte_run\nn = 4\nm = 5\nraise ValueError('no')")
    nb.workspace.started[0].go()

    assert nb["n"] == 3
    assert "m" not in nb


def test_top_level_await_works(nb: Cells) -> None:
    """In all its forms."""
    nb.run("import asyncio\nasync def f(x):\n    await asyncio.sleep(0)\n    return x")
    nb.run(
        "%%flyte_run\na = await f(1)\nb = [await f(x) for x in range(3)]\n"
        "async with asyncio.timeout(5):\n    c = await asyncio.gather(*(f(x) for x in b))"
    )
    nb.workspace.started[0].go()

    assert (nb["a"], nb["b"], nb["c"]) == (1, [0, 1, 2], [0, 1, 2])


def test_the_body_sees_names_as_a_cell_does(nb: Cells) -> None:
    """In comprehensions, nested functions, classes and `global` statements."""
    nb.run("n = 3\nfrom dataclasses import dataclass")
    nb.run(
        "%%flyte_run\nk = 2\nxs = [n * k for _ in range(2)]\n"
        "def outer():\n    global g\n    g = k\n    class Inner:\n        value = n + k\n    return lambda: Inner.value + n\n"
        "@dataclass\nclass P:\n    x: int = n\n"
        "r = outer()() + P().x"
    )
    nb.workspace.started[0].go()

    assert (nb["xs"], nb["r"], nb["g"]) == ([6, 6], 11, 2)


def test_functions_of_a_driver_see_later_changes_as_functions_of_cells_do(nb: Cells) -> None:
    """The copy that the driver ran in is not frozen for what it defined."""
    nb.run("n = 1")
    nb.run("%%flyte_run\ndef f():\n    return n + later")
    nb.workspace.started[0].go()
    nb.run("n = 5\nlater = 10")
    cells.refresh_namespaces(nb.shell.user_ns)

    assert nb["f"]() == 15


def test_a_driver_s_namespace_is_freed(nb: Cells) -> None:
    """A thousand runs leave nothing behind."""
    for _ in range(3):
        nb.run("%%flyte_run\nx = 1")
        nb.workspace.started[-1].go()
    gc.collect()
    cells.refresh_namespaces(nb.shell.user_ns)

    assert cells._namespaces == []


def test_a_last_expression_is_the_output_and_is_shown(nb: Cells, monkeypatch: pytest.MonkeyPatch) -> None:
    """When it is there, below the cell."""
    shown: list[Any] = []
    monkeypatch.setattr("flyte_nb.views.value._display", shown.append)
    nb.run("%%flyte_run\nx = 20\nx + 1")
    nb.views.paint()
    assert shown == []

    nb.workspace.started[0].go()
    nb.views.paint()
    assert shown == [21]
    assert nb.views.views == []
    assert nb.workspace.started[0].callbacks == []


def test_a_semicolon_silences_the_output(nb: Cells) -> None:
    """As in any cell."""
    nb.run("%%flyte_run --block\n21;")

    assert nb.workspace.started[0].outputs() == (None,)


def test_block_waits_and_gives_the_value(nb: Cells) -> None:
    """It is the cell's Out."""
    assert nb.run("%%flyte_run --block\nx = 1\nx + 1") == 2
    assert nb["x"] == 1
    assert nb.workspace.started[0].waited == 1
    assert nb.views.views == []


def test_block_raises_the_error_of_the_run_with_the_cell_s_lines(nb: Cells) -> None:
    """The run is bound nevertheless, so that one can look at it."""
    result = nb.attempt("%%flyte_run -b -o bad\nx = 1\n\nraise ValueError('mine')")
    last = traceback.extract_tb(result.error_in_exec.__traceback__)[-1]

    assert isinstance(result.error_in_exec, ValueError)
    assert (last.lineno, last.line) == (4, "raise ValueError('mine')")
    assert nb["bad"].done()


def test_functions_of_a_driver_have_source(nb: Cells) -> None:
    """The body is known to `inspect`."""
    nb.run("%%flyte_run -b\ndef f():\n    return 1")

    assert inspect.getsource(nb["f"]) == "def f():\n    return 1\n"


def test_a_group_is_open_around_the_body(nb: Cells, monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls of the cell belong to it."""
    opened = []

    @contextmanager
    def open_group(name: str) -> Iterator[None]:
        opened.append(name)
        yield

    monkeypatch.setattr(cells, "open_group", open_group)
    nb.run("%%flyte_run -b --group first\nx = 1")

    assert opened == ["first"]
    assert CURRENT.get() is None


@pytest.mark.parametrize(
    "cell, message",
    [
        ("%%flyte_run --blok\nx = 1", "unknown option --blok. Did you mean --block?"),
        ("%%flyte_run\n# nothing", "needs a body"),
        ("%%flyte_run --out a-b\nx = 1", "'a-b' is not a name for a variable"),
    ],
)
def test_mistakes_get_a_clear_usage_error(nb: Cells, cell: str, message: str) -> None:
    """And no run is started."""
    assert message in nb.fails(cell, UsageError)
    assert nb.workspace.started == []


def test_a_syntax_error_is_the_user_s_and_starts_nothing(nb: Cells) -> None:
    """As in any cell."""
    nb.fails("%%flyte_run\nx = = 1", SyntaxError)
    nb.fails("%%flyte_run\nreturn 1", SyntaxError)

    assert nb.workspace.started == []
