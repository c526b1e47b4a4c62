"""Columns and parameters by their names."""

from __future__ import annotations

import re
from typing import Any

import pytest

from flyte_nb.authoring.signature import Signature
from flyte_nb.sweeps.matching import Match, Offered, match_columns


def train(rate: float, depth: int, seed: int = 0) -> float:
    """A task's function."""
    return rate * depth * seed


SIGNATURE = Signature.of(train, task_name="docs.train")


def match(columns: list[Any], *levels: Any, rename: Any = None, bound: tuple[str, ...] = ()) -> list[Match]:
    """What the parameters of `train` take."""
    return match_columns(SIGNATURE, Offered(columns, levels), rename, bound)


def test_parameters_take_columns_of_their_names_and_leave_the_others() -> None:
    """In the order of the parameters; a default stays."""
    assert match(["note", "depth", "rate"]) == [Match("rate", "rate"), Match("depth", "depth")]


def test_a_named_level_of_the_index_is_as_good_as_a_column() -> None:
    """A column goes first."""
    assert match(["rate"], "depth", "rate") == [Match("rate", "rate"), Match("depth", "depth", is_level=True)]


def test_renamed_columns_go_where_they_are_sent() -> None:
    """Labels may be anything that a frame has."""
    found = match([0, ("a", "b"), "depth"], rename={0: "rate", ("a", "b"): "depth"})

    assert found == [Match("rate", 0), Match("depth", ("a", "b"))]


def test_a_column_that_was_renamed_has_its_old_name_no_more() -> None:
    """Two columns can change places."""
    assert match(["rate", "depth"], rename={"rate": "depth", "depth": "rate"}) == [Match("rate", "depth"), Match("depth", "rate")]
    with pytest.raises(ValueError, match="'rate'"):
        match(["rate"], rename={"rate": "depth"})


def test_what_a_partial_binds_needs_no_column() -> None:
    """And may not have one."""
    assert match(["rate"], bound=("depth",)) == [Match("rate", "rate")]
    with pytest.raises(ValueError, match="'depth' is bound by the partial"):
        match(["rate", "depth"], bound=("depth",))


@pytest.mark.parametrize(
    "columns, rename, words",
    [
        (["Rate", "depth"], None, "parameter 'rate' (did you mean column 'Rate'?) has no column and no default."),
        (["Rate", "depth"], None, "say rename={'Rate': 'rate'}"),
        (["learning rate"], None, "parameters 'rate' (did you mean column 'learning rate'?), 'depth' have no column"),
        ([], None, "The frame's columns are none."),
        (["rate", "rate", "depth"], None, "the frame has 2 columns named 'rate', which parameter 'rate' takes"),
        (["rate", "depth"], {"dept": "depth"}, "the frame has no column 'dept'; did you mean 'depth'?"),
        (["rate", "tree depth"], {"depth": "tree depth"}, "it maps columns to parameters: write {'tree depth': 'depth'}"),
        (["rate", "d"], {"d": "deepth"}, "the task has no parameter 'deepth'; did you mean 'depth'?"),
        (["a", "b", "depth"], {"a": "rate", "b": "rate"}, "columns 'a' and 'b' are both to be parameter 'rate'"),
        ([f"c{n}" for n in range(50)], None, "and 30 more"),
    ],
)
def test_what_does_not_match_is_told_with_what_was_meant(columns: list[Any], rename: Any, words: str) -> None:
    """Each message names the task, what is wrong, and what to write instead."""
    with pytest.raises(ValueError, match=re.escape(words)) as caught:
        match(columns, rename=rename)

    assert "docs.train" in str(caught.value)


def test_a_rename_that_is_no_mapping_is_refused() -> None:
    """A list of pairs, say."""
    with pytest.raises(TypeError, match="takes a dict from column to parameter, got list"):
        match(["rate", "depth"], rename=[("rate", "depth")])
