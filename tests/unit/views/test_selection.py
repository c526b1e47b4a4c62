"""A page of a large table is the same part of the whole order, found without making the whole."""

from __future__ import annotations

import numpy as np
import pytest

from flyte_nb.views.columns import Numbers
from flyte_nb.views.protocol import Query, RowsAnswer
from flyte_nb.views.query import RunQueries
from flyte_nb.views.selection import window
from tests.fakes.fake_run import FakeRun, task

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


def test_what_failed_stands_by_its_causes() -> None:
    """The most frequent first, each under a heading that says how many; every page is a part of the whole."""
    run = FakeRun()
    rows = run.call(task("train", "depth"), [(depth,) for depth in range(9)])
    for row in rows:
        run.fail(row, "ValueError" if row % 3 else "KeyError", "it" if row % 3 else "other")
    run.succeed([0], [0])
    reader = RunQueries(run)

    def page(offset: int, count: int) -> RowsAnswer:
        query: Query = {"looks": ["failed"], "causes": True}
        return reader.rows(
            {"kind": "rows", "view": "v", "id": 1, "follow": False, "query": query, "columns": [], "offset": offset, "count": count}
        )

    whole = page(0, 60)
    said = [(row.get("heading"), row.get("below")) if "heading" in row else row["row"] for row in whole["rows"]]

    assert said == [("ValueError: it", 6), 1, 2, 4, 5, 7, 8, ("KeyError: other", 3), 3, 6, 9]
    assert (whole["total"], whole["headings"], whole["searched"], whole["order"]) == (11, 2, 9, "by cause")
    assert [row for offset in range(0, 12, 4) for row in page(offset, 4)["rows"]] == whole["rows"]
