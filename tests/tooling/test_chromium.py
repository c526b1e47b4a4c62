"""Which Chromium is chosen, and what is said when there is none; no browser is started."""

from pathlib import Path

import pytest

from tests.tooling import chromium
from tests.tooling.chromium import ChromiumMissingError


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the only folder on PATH, on a machine where Playwright has no browser and $CHROMIUM is not set."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CHROMIUM", raising=False)
    monkeypatch.setattr(chromium, "playwrights_own", lambda: None)
    return tmp_path


def put(path: Path, *, starts: bool = True) -> str:
    """Put a program that answers `--version`, or fails to start, at a path."""
    path.write_text(f"#!/bin/sh\nexit {int(not starts)}\n")
    path.chmod(0o755)
    return str(path)


def test_the_named_one_comes_before_path(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """$CHROMIUM wins."""
    put(folder / "chromium")
    monkeypatch.setenv("CHROMIUM", put(folder / "mine"))

    assert chromium.find() == str(folder / "mine")


def test_a_named_one_that_does_not_start_is_an_error(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong $CHROMIUM is never replaced by another browser in silence, nor by an installed one."""
    put(folder / "chromium")
    monkeypatch.setenv("CHROMIUM", put(folder / "broken", starts=False))

    with pytest.raises(ChromiumMissingError, match="broken', which does not start"):
        chromium.get()


def test_a_stand_in_on_path_is_passed_over(folder: Path) -> None:
    """A `chromium` that only tells how to install one is not a browser."""
    put(folder / "chromium", starts=False)
    real = put(folder / "google-chrome")

    assert chromium.find() == real


def test_playwrights_own_is_used_when_path_has_none(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Playwright's download comes after PATH."""
    own = put(folder / "playwright-chrome")
    monkeypatch.setattr(chromium, "playwrights_own", lambda: own)

    assert chromium.find() == own


def test_the_ways_to_install_are_tried_in_order(folder: Path) -> None:
    """A way that fails is followed by the next, and the browser that it brought is used."""
    tried = []

    def fails() -> bool:
        tried.append("fails")
        return False

    def works() -> bool:
        tried.append("works")
        put(folder / "chromium")
        return True

    assert chromium.get([fails, works]) == str(folder / "chromium")
    assert tried == ["fails", "works"]


@pytest.mark.usefixtures("folder")
def test_with_no_way_left_it_says_how_to_get_one() -> None:
    """The message names three ways."""
    with pytest.raises(ChromiumMissingError, match=r"(?s)apt-get install chromium.*playwright install.*CHROMIUM="):
        chromium.get([])
