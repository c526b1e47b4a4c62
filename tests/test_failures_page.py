"""The page of failures shows the crash table as it is."""

from scripts import failures_table
from tests.cluster.crash_table import ROWS, WAYS


def test_the_page_of_failures_is_current() -> None:
    """`make docs` would change nothing."""
    assert failures_table.PAGE.read_text(encoding="utf8") == failures_table.page()


def test_every_row_is_a_line_and_every_way_is_there() -> None:
    """Nothing that is tested is left out of the page."""
    lines = [line for line in failures_table.page().splitlines() if line.startswith("| ")][2:]

    assert len(lines) == len(ROWS)
    assert {row.how for row in ROWS} == set(WAYS)
