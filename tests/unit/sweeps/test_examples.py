"""The examples in the docstrings do what they show."""

from __future__ import annotations

import doctest

import pytest

from flyte_nb.sweeps import cells, distributions, grids, mapping


@pytest.mark.parametrize("module", [cells, distributions, grids, mapping], ids=lambda module: module.__name__)
def test_examples_are_true(module: object) -> None:
    """As `python -m doctest` would find."""
    assert doctest.testmod(module, optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE).failed == 0  # type: ignore[arg-type]  # a module
