"""What the README's tables are drawn from, and what is refused."""

import json
from pathlib import Path
from typing import Any

import pytest

from scripts import readme_tables
from scripts.readme_tables import NOTEBOOKS, SPEED

MINE = "https://github.com/me/mine"
PAGE = f"git clone https://github.com/a/b\n{NOTEBOOKS[0]}\nwhat was there\n{NOTEBOOKS[1]}\n{SPEED[0]}\n{SPEED[1]}\nend\n"


def write(folder: Path, name: str, first: str) -> None:
    """Put a notebook with a first cell into a folder."""
    (folder / f"{name}.ipynb").write_text(json.dumps({"cells": [{"cell_type": "markdown", "source": [first]}]}))


def measured(**other: object) -> list[dict[str, Any]]:
    """Return a row for every figure that is told."""
    rows = [
        {"key": key, "title": title, "who": "flyte_nb", "against": against, "measure": "ratio", "figure": 0.5, "broken": ""}
        for key, title, against, _workload, _beside in readme_tables.TOLD
    ]
    return [row | other for row in rows]


def test_the_short_path_comes_first_and_the_rest_by_name(tmp_path: Path) -> None:
    """In the order in which they are read."""
    for name in ("zebra", "scale-out", "etl", "quickstart"):
        write(tmp_path, name, "# T\n\nText.")

    assert [path.stem for path in readme_tables.notebooks(tmp_path)] == ["quickstart", "scale-out", "etl", "zebra"]


def test_a_title_tells_what_is_shown_or_else_the_first_sentence(tmp_path: Path) -> None:
    """A bar does not end the table's cell."""
    write(tmp_path, "a", "# ETL: 336,776 flights, a|b\n\nMore. Text.")
    write(tmp_path, "b", "# Quickstart\n\nYou define\ntasks. Then\nmore.")

    assert readme_tables.heading(tmp_path / "a.ipynb") == ("ETL", "336,776 flights, a\\|b")
    assert readme_tables.heading(tmp_path / "b.ipynb") == ("Quickstart", "You define tasks")


def test_a_notebook_without_a_title_is_refused(tmp_path: Path) -> None:
    """The message says what it must begin with."""
    write(tmp_path, "a", "no title")

    with pytest.raises(ValueError, match=r"a\.ipynb must begin with a cell that has a title"):
        readme_tables.heading(tmp_path / "a.ipynb")


def test_the_address_goes_into_every_link(tmp_path: Path) -> None:
    """Launch links of a name with a blank or a slash too; what stood there is gone."""
    write(tmp_path, "two words", "# T\n\nText.")

    drawn = readme_tables.redrawn(PAGE + "https://mybinder.org/v2/gh/x/y/HEAD?labpath=z\n", tmp_path, MINE, measured())

    assert "https://mybinder.org/v2/gh/me/mine/HEAD?labpath=notebooks%2Ftwo%20words.ipynb" in drawn
    assert "https://mybinder.org/v2/gh/me/mine/HEAD?labpath=z" in drawn
    assert drawn.startswith(f"git clone {MINE}\n")
    assert "what was there" not in drawn
    assert readme_tables.redrawn(drawn, tmp_path, MINE, measured()) == drawn


@pytest.mark.parametrize("wrong", ["https://gitlab.com/a/b", "git@github.com:a/b", "https://github.com/a"])
def test_an_address_that_binder_cannot_serve_so_is_refused(wrong: str) -> None:
    """The message names the place where it stands."""
    with pytest.raises(ValueError, match=r"project\.urls\.Repository in pyproject\.toml"):
        readme_tables.binder(wrong)


def test_ratios_are_said_as_one_says_them() -> None:
    """What another round would not show is no difference."""
    said = [readme_tables.in_words(ratio) for ratio in (0.011, 0.35, 0.97, 1.03, 1.76)]

    assert said == ["**91 × faster**", "**2.9 × faster**", "the same time", "the same time", "1.8 times the time"]


@pytest.mark.parametrize("wrong", [{"broken": "it broke"}, {"against": "another"}, {"who": "another"}])
def test_a_figure_that_was_not_measured_is_not_told(wrong: dict[str, str]) -> None:
    """The message names the bar."""
    with pytest.raises(ValueError, match="no row of B1b"):
        readme_tables.speed(measured(**wrong))


def test_a_page_without_the_markers_is_refused(tmp_path: Path) -> None:
    """The message names the first that is missing."""
    write(tmp_path, "a", "# T\n\nText.")

    with pytest.raises(ValueError, match="end of speed"):
        readme_tables.redrawn(PAGE.replace(SPEED[1], ""), tmp_path, MINE, measured())
