"""What is said of the most likely mistakes is what the page of mistakes shows."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from scripts import mistakes_table
from tests.cluster.mistakes_table import MISTAKES, Mistake

ROOT = Path(__file__).parents[2]
SECONDS = 100
ALL = [mistake for mistakes in MISTAKES.values() for mistake in mistakes]


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return what each mistake's cell said, in a notebook of their own on an embedded cluster."""
    folder = tmp_path_factory.mktemp("mistakes")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("FLYTE_NB_")} | {
        "PYTHONPATH": str(ROOT),
        "FLYTE_NB_STORE": ":memory:",
        "FLYTE_NB_WORKERS": "2",
        "FLYTE_NB_STDOUT": "0",
        "IPYTHONDIR": str(folder),
    }
    done = subprocess.run(
        [sys.executable, "-m", "tests.cluster.say_mistakes"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )

    assert done.returncode == 0, done.stderr[-3000:]
    answers: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    return answers


@pytest.mark.parametrize("mistake", ALL, ids=lambda mistake: mistake.title)
def test_a_mistake_is_answered_as_the_page_says(mistake: Mistake, said: dict[str, str]) -> None:
    """The class and the message, or what the cell shows; no internals beside it."""
    pattern = ".*".join(re.escape(part) for part in mistake.says.split("..."))

    assert re.fullmatch(f"(?s).*?{pattern}.*?" if mistake.says.startswith("...") else f"(?s){pattern}", said[mistake.title]), said[
        mistake.title
    ]


def test_there_are_enough_and_each_once() -> None:
    """Twenty at least."""
    titles = [mistake.title for mistake in ALL]

    assert len(titles) == len(set(titles)) >= 20


def test_the_page_of_mistakes_is_current() -> None:
    """`make docs` would change nothing."""
    assert mistakes_table.PAGE.read_text(encoding="utf8") == mistakes_table.page()
