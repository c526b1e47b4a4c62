"""`%flyte_map TASK ITEMS`: what is mapped, and what is said about a mistake."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
from IPython.core.error import UsageError

from flyte_nb.notebook.mapping import words_of
from tests.unit.notebook.conftest import Cells

SETUP = """
import functools
import pandas as pd
import flyte_nb as flyte
env = flyte.TaskEnvironment("etl")
@env.task
def train(lr: float, depth: int = 3) -> float:
    return lr * depth
def plain(x): return x
frame = pd.DataFrame({"lr": [0.1, 0.2], "depth": [3, 4]})
"""


@pytest.fixture
def loaded(nb: Cells) -> Cells:
    """Return a notebook with a task and a table."""
    nb.run(SETUP)
    return nb


def mapped(nb: Cells) -> tuple[str, Any, dict[str, Any]]:
    """What was mapped last: the task's name, the table as lists by column, the options."""
    task, table, options = nb.workspace.mapped[-1]
    name = getattr(task, "short_name", "a partial")
    return name, pd.DataFrame(table).to_dict("list"), options


def test_a_table_is_mapped_as_it_is(loaded: Cells) -> None:
    """With the options; the run is bound at once, and nothing is waited for."""
    assert loaded.run("%flyte_map train frame --concurrency 4 --group first --out sweep") is None

    assert mapped(loaded) == ("train", {"lr": [0.1, 0.2], "depth": [3, 4]}, {"concurrency": 4, "group_name": "first"})
    assert (loaded["sweep"].results is loaded["frame"], loaded["sweep"].waited) == (True, 0)


@pytest.mark.parametrize(
    "items, column",
    [
        ("range(3)", {"lr": [0, 1, 2]}),
        ("[0.1, 0.2]", {"lr": [0.1, 0.2]}),
        ("(n / 2 for n in range(2))", {"lr": [0.0, 0.5]}),
        ("frame.depth", {"lr": [3, 4]}),
        ('["a b", "c"]', {"lr": ["a b", "c"]}),
        ("[]", {"lr": []}),
        ('frame[frame["lr"] > 0.1]', {"lr": [0.2], "depth": [4]}),
        ('frame.query("lr > 0.1")', {"lr": [0.2], "depth": [4]}),
        ('[{"lr": 1, "depth": 2}]', {"lr": [1], "depth": [2]}),
        ('{"lr": [1, 2]}', {"lr": [1, 2]}),
        ("flyte.grid(lr=[1, 2], depth=[3])", {"lr": [1, 2], "depth": [3, 3]}),
    ],
)
def test_items_are_any_expression(loaded: Cells, items: str, column: dict[str, Any]) -> None:
    """Tables are tables; of other iterables each item goes to the first parameter."""
    loaded.run(f"%flyte_map train {items}")
    assert mapped(loaded)[1] == column


def test_options_may_stand_anywhere(loaded: Cells) -> None:
    """Before, between and after, with `=` and with quotes."""
    loaded.run('%flyte_map --group="my name" train -c 2 [1, 2] -o out')
    assert mapped(loaded) == ("train", {"lr": [1, 2]}, {"concurrency": 2, "group_name": "my name"})
    loaded.run("%flyte_map train [1] --group 'my name'")
    assert mapped(loaded)[2]["group_name"] == "my name"


def test_an_item_goes_to_the_first_parameter_that_is_free(loaded: Cells) -> None:
    """Of a partial."""
    loaded.run("%flyte_map functools.partial(train,0.5) [1, 2]")
    assert mapped(loaded)[1] == {"depth": [1, 2]}
    loaded.run("%flyte_map (functools.partial(train, lr=0.5)) [1, 2]")
    assert mapped(loaded)[1] == {"depth": [1, 2]}


def test_a_series_keeps_its_index(loaded: Cells) -> None:
    """The results are joined to it."""
    loaded.run("%flyte_map train frame.lr.iloc[::-1]")
    assert list(loaded.workspace.mapped[-1][1].index) == [1, 0]


def test_with_block_the_table_is_the_value(loaded: Cells) -> None:
    """After the end."""
    table = loaded.run("%flyte_map train frame --block --out sweep")
    assert table is loaded["frame"]
    assert loaded["sweep"].waited == 1


@pytest.mark.parametrize(
    "line, message",
    [
        ("%flyte_map", "the following arguments are required: task, items"),
        ("%flyte_map train", "the following arguments are required: items"),
        ("%flyte_map trian frame", "there is no name 'trian' here. Did you mean train?"),
        ("%flyte_map train fram", "there is no name 'fram' here. Did you mean frame?"),
        ("%flyte_map plain frame", "plain is no task: put `@env.task` above the function"),
        ("%flyte_map frame train", "frame is no task but a DataFrame. Tasks here: train."),
        ("%flyte_map train 'text'", "is a str, one value"),
        ("%flyte_map train 7", "7 is a int, one value"),
        ("%flyte_map train frame + frame", "'+' is one word too many"),
        ("%flyte_map train [1, 2", "] is missing at the end"),
        ("%flyte_map train 1+", "'1+' is no Python expression"),
        ("%flyte_map train frame --concurency 4", "unknown option --concurency. Did you mean --concurrency?"),
        ("%flyte_map train frame --concurrency many", "invalid int value: 'many'"),
        ("%flyte_map train frame --concurrency -1", "concurrency is 0 or more"),
        ("%flyte_map train frame --out 1st", "'1st' is not a name for a variable"),
        ("%flyte_map (functools.partial(train, 1, 2)) [1]", "train has no parameter that an item could go to"),
    ],
)
def test_mistakes_get_a_clear_usage_error(loaded: Cells, line: str, message: str) -> None:
    """Each names what is wrong, and nothing is started."""
    assert message in loaded.fails(line, UsageError)
    assert loaded.workspace.mapped == []


def test_an_error_of_the_users_expression_is_the_users(loaded: Cells) -> None:
    """It is raised as it is."""
    loaded.fails("%flyte_map train [1/0]", ZeroDivisionError)


@pytest.mark.parametrize(
    "line, words",
    [
        ("", []),
        ("a  b", ["a", "b"]),
        ("f(a, b) [1, (2, 3)]", ["f(a, b)", "[1, (2, 3)]"]),
        ("f('(', \"]\") x", ["f('(', \"]\")", "x"]),
        (r"'a\' b' c", [r"'a\' b'", "c"]),
        ("--group 'a b' 'c d'", ["--group", "a b", "'c d'"]),
    ],
)
def test_a_line_is_split_outside_of_brackets_and_quotes(line: str, words: list[str]) -> None:
    """So that an expression stays one word."""
    assert words_of(line) == words
