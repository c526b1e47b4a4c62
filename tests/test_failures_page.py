"""The page of failures shows the crash table as it is."""

from scripts import failures_table
from tests.cluster.crash_table import ROWS, WAYS


def test_the_page_of_failures_is_current() -> None:
    """`make docs` would change nothing."""
    assert failures_table.PAGE.read_text(encoding="utf8") == failures_table.page()


def test_every_row_is_a_cell_and_every_error_a_section() -> None:
    """Nothing that is tested is left out of the page."""
    cells = [cell.strip() for line in failures_table.matrix().splitlines()[2:] for cell in line.strip("|").split("|")[1:]]

    assert sum(cell != "" for cell in cells) == len(ROWS)
    assert {row.how for row in ROWS} == set(WAYS)
    assert len(list(failures_table.sections())) == len({row.code for row in ROWS if row.code})
