"""Which interpreters the package is tried on."""

import sys
from pathlib import Path

import pytest

from tests.tooling import pythons

VERSION = "{}.{}".format(*sys.version_info)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the only folder on PATH, and where pyenv would be."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))
    return tmp_path


def put(path: Path, line: str) -> str:
    """Put a program of one line at a path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{line}\n")
    path.chmod(0o755)
    return str(path)


def test_the_one_on_path_is_found(folder: Path) -> None:
    """It is what its name says."""
    program = put(folder / f"python{VERSION}", f'exec "{sys.executable}" "$@"')

    assert pythons.find(VERSION) == program


def test_a_stand_in_is_passed_over_for_the_one_that_pyenv_keeps(folder: Path) -> None:
    """A program of the name that fails, or is another version, does not count."""
    put(folder / f"python{VERSION}", "exit 127")
    put(folder / "pyenv" / "versions" / f"{VERSION}.9" / "bin" / "python", "echo 2.7")
    program = put(folder / "pyenv" / "versions" / f"{VERSION}.1" / "bin" / "python", f'exec "{sys.executable}" "$@"')

    assert pythons.find(VERSION) == program


def test_where_there_is_none_none_is_found(folder: Path) -> None:
    """Nothing else is taken instead."""
    assert pythons.find("3.99") is None
