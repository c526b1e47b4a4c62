"""A page of a large table is the same part of the whole order, found without making the whole."""

from __future__ import annotations

import numpy as np
import pytest

from flyte_nb.views.columns import Numbers
from flyte_nb.views.selection import window

ROWS = np.arange(7, 30_007)
RANDOM = np.random.default_rng(7)
NONE = np.full(len(ROWS), np.nan)
FEW = RANDOM.integers(0, 5, len(ROWS)).astype(float)
MANY = RANDOM.random(len(ROWS))
KEYS: dict[str, list[Numbers]] = {
    "different": [MANY],
    "mostly equal": [FEW],
    "all equal": [np.zeros(len(ROWS))],
    "two": [FEW, MANY],
    "two, downwards": [-FEW, -MANY],
    "some without": [np.where(MANY < 0.5, FEW, np.nan)],
    "most without": [np.where(MANY < 0.001, FEW, np.nan)],
    "most without, and two": [np.where(MANY < 0.001, FEW, np.nan), MANY],
    "all without": [NONE],
    "endless": [np.where(MANY < 0.4, np.inf, -np.inf)],
}


@pytest.mark.parametrize("keys", KEYS.values(), ids=KEYS.keys())
@pytest.mark.parametrize("offset", [0, 20, 35, 4_000, 20_000, 29_990, 40_000])
def test_a_page_is_a_part_of_the_whole_order(keys: list[Numbers], offset: int) -> None:
    """Equal rows stay in the order of calls; those without a value come last."""
    whole = ROWS[np.lexsort(keys[::-1])]

    assert window(ROWS, keys, offset, 40).tolist() == whole[offset : offset + 40].tolist()
