"""Random notebooks: what a task sees in the exported module is what it sees in the notebook after all cells ran."""

from __future__ import annotations

import sys
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

import flyte_nb
from flyte_nb.exporting.module import write_module
from flyte_nb.exporting.statements import Cell

NUMBERS, LISTS, FUNCTIONS = ("a", "b", "c"), ("xs", "ys"), ("f", "g")
START = "import math\nimport flyte_nb as flyte\nenv = flyte.TaskEnvironment('e')\n"
START += "a = b = c = 1\nxs, ys = [1], [2]\ndef f(n):\n    return n\ng = f"

number, table, function = st.sampled_from(NUMBERS), st.sampled_from(LISTS), st.sampled_from(FUNCTIONS)
expression = st.one_of(
    st.integers(0, 5).map(str),
    number,
    table.map(lambda name: f"len({name})"),
    table.map(lambda name: f"{name}[0]"),
    st.tuples(number, number).map(" + ".join),
    st.tuples(function, number).map(lambda pair: f"{pair[0]}({pair[1]}) % 1000"),
    table.map(lambda name: f"sum(n * 2 for n in {name}) % 1000"),
    number.map(lambda name: f"math.floor({name} / 2)"),
)
statement = st.one_of(
    st.tuples(number, expression).map(" = ".join),
    st.tuples(number, expression).map(lambda pair: f"{pair[0]} += {pair[1]}"),
    st.tuples(table, expression).map(lambda pair: f"{pair[0]} = [{pair[1]}, 3]"),
    st.tuples(table, table).map(" = ".join),
    st.tuples(table, expression).map(lambda pair: f"{pair[0]}.append({pair[1]})"),
    st.tuples(table, expression).map(lambda pair: f"{pair[0]}[0] = {pair[1]}"),
    st.tuples(table, number).map(lambda pair: f"{pair[0]} = [n + {pair[1]} for n in {pair[0]}][:5]"),
    st.tuples(function, expression).map(
        lambda pair: f"def {pair[0]}(n):\n    return n + {pair[1].replace('f(', 'abs(').replace('g(', 'abs(')}"
    ),
    st.tuples(function, expression, number).map(lambda three: f"def {three[0]}(n, k={three[1]}):\n    return n * k + {three[2]}"),
    st.tuples(function, number).map(lambda pair: f"{pair[0]} = lambda n: n - {pair[1]}"),
    st.tuples(number, expression).map(lambda pair: f"for i in range(2):\n    {pair[0]} += i * ({pair[1]})"),
    st.tuples(number, number, expression).map(lambda three: f"if {three[0]} > 2:\n    {three[1]} = {three[2]}\nelse:\n    {three[1]} = 0"),
    st.tuples(number, number).map(lambda pair: f"{pair[0]}, {pair[1]} = {pair[1]}, {pair[0]}"),
    st.just("print(a); b"),
)
TASK = "@env.task\ndef t() -> str:\n    return repr((a, b, c, xs, ys, f(2), g(3)))"


def after(cells: list[str]) -> Any:
    """Return what the task gives after the cells ran."""
    names: dict[str, Any] = {"__name__": "notebook"}
    for cell in cells:
        exec(compile(cell, "cell", "exec"), names)  # noqa: S102 - made above
    return names["t"]()


def aliased(cells: list[str]) -> bool:
    """Whether two names are one list, so that a change of one changes the other: no reader of the text can know."""
    names: dict[str, Any] = {"__name__": "notebook"}
    for cell in cells:
        exec(compile(cell, "cell", "exec"), names)  # noqa: S102 - made above
        if names.get("xs") is names.get("ys") is not None:
            return True
    return False


@given(st.lists(st.lists(statement, min_size=1, max_size=3).map("\n".join), max_size=8), st.lists(st.integers(0, 7), max_size=3))
@settings(deadline=None, max_examples=60)
def test_a_module_computes_what_the_notebook_did(made: list[str], again: list[int]) -> None:
    """Whatever was bound again, changed, or run a second time."""
    cells = [START, *made, *(made[number] for number in again if number < len(made)), TASK]
    if aliased(cells):
        return
    module = write_module([Cell(f"In[{number}]", text) for number, text in enumerate(cells)], title="random")
    sys.modules["flyte"] = flyte_nb
    try:
        found = after([module.text.replace('__name__ == "__main__"', "False")])
    finally:
        del sys.modules["flyte"]

    assert found == after(cells), module.text
    assert module.findings == () or all(each.kind == "note" for each in module.findings)
