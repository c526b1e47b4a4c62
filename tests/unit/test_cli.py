"""`python -m flyte_nb` in a terminal: what it prints, and how it ends."""

from __future__ import annotations

import json
import time
from contextlib import closing
from pathlib import Path

import pytest

from flyte_nb import cli
from flyte_nb.core.events import LogWritten
from flyte_nb.store.keys import load_seal
from flyte_nb.store.place import prepare
from flyte_nb.store.sqlite_store import SqliteStore
from tests.fakes.notebook_shapes import DOUBLE, START, write_notebook
from tests.fakes.stored_runs import BEGAN, StoredRun, whole_run


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a store with three runs, which the environment names."""
    folder, key = tmp_path / "store", tmp_path / "key"
    monkeypatch.setenv("FLYTE_NB_HOME", str(folder))
    monkeypatch.setenv("FLYTE_NB_KEY_FILE", str(key))
    prepare(folder)
    with closing(SqliteStore(folder, load_seal(key, folder), notebook="/n/etl.ipynb")) as store:
        whole_run(store, "alpha", labels=(("team", "a"),))
        run = StoredRun(store, "beta", at=time.time())
        run.fail(run.call([(1,)])[0], "<b>bold</b>")
        run.tell(LogWritten("beta", 1, 1, "it said this\n"))
        run.end()
        whole_run(store, "alpine", at=BEGAN + 60)
    return folder


def test_runs_are_listed_newest_first(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As a table, or as JSON for programs; filters are those of `flyte.runs()`."""
    assert cli.main(["--store", str(home), "runs"]) == 0
    table = capsys.readouterr().out
    names = {"beta", "alpine", "alpha"}
    assert [word for line in table.splitlines()[2:] for word in line.split() if word in names] == ["beta", "alpine", "alpha"]
    assert "succeeded, 1 failed" in table
    assert "etl.ipynb" in table

    assert cli.main(["runs", "--json", "--label", "team=a", "--phase", "succeeded", "--task", "main"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert {name: json.loads(line)[name] for name in ("name", "phase", "counts", "labels", "kernel")} == {
        "name": "alpha",
        "phase": "succeeded",
        "counts": {"succeeded": 2, "failed": 1},
        "labels": {"team": "a"},
        "kernel": "gone",
    }
    assert cli.main(["runs", "--since", "1h", "--limit", "5"]) == 0
    assert "beta" in capsys.readouterr().out


def test_a_run_is_shown_with_its_failures_and_actions(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By its name, or the beginning of it."""
    del home
    assert cli.main(["show", "be"]) == 0
    shown = capsys.readouterr().out
    assert "ValueError: <b>bold</b>" in shown
    assert "2 of" not in shown
    assert cli.main(["show", "alpha", "--actions", "2"]) == 0
    assert "and 2 more actions (--actions 4 shows all)" in capsys.readouterr().out
    assert cli.main(["show", "alpha", "--failed"]) == 0
    assert capsys.readouterr().out.count("✕ failed") == 1


def test_the_story_of_an_action_is_told(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What happened in order, its traceback and its prints; the root's by default."""
    with closing(SqliteStore(home, load_seal(home.parent / "key", home))) as store:
        state = store.get("beta")
        assert state is not None
        name = state.action_name(1)
    assert cli.main(["story", "beta", name[:12]]) == 0
    told = capsys.readouterr().out
    assert told.startswith(f"{name} of run beta: etl.score\n")
    assert "attempt 1 failed: ValueError" in told
    assert "Traceback ..." in told
    assert "it said this" in told
    assert cli.main(["story", "alpha"]) == 0
    assert "a0 of run alpha: etl.main" in capsys.readouterr().out


def test_old_runs_are_taken_away(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """First only told, then done; the names go to standard output."""
    assert cli.main(["prune", "--keep", "1", "--dry-run"]) == 0
    assert capsys.readouterr().out.split() == ["alpha", "alpine"]
    assert cli.main(["prune", "--older-than", "52w"]) == 0
    told = capsys.readouterr()
    assert set(told.out.split()) <= {"alpha", "alpine"}
    assert cli.main(["prune", "--all"]) == 0
    assert "taken away" in capsys.readouterr().err
    assert cli.main(["runs"]) == 0
    assert "There is no such run" in capsys.readouterr().out
    assert cli.main(["prune", "--max-size", "1GiB"]) == 0
    assert home.exists()


@pytest.mark.parametrize(
    "line, said",
    [
        ("show gamma", "there is no run 'gamma'"),
        ("show al", "2 runs begin with 'al': alpha, alpine"),
        ("story beta nothing", "there is no action 'nothing' in run beta"),
    ],
)
def test_what_is_not_there_ends_with_one(home: Path, capsys: pytest.CaptureFixture[str], line: str, said: str) -> None:
    """The message says what there is instead."""
    del home
    assert cli.main(line.split()) == 1
    assert said in capsys.readouterr().err


def test_where_nothing_is_kept_nothing_is_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Looking around leaves no folder behind."""
    assert cli.main(["--store", str(tmp_path / "none"), "runs"]) == 1
    assert "no runs are kept here" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()


MISTAKES = ["runs --phase nope", "runs --since whenever", "prune --older-than soon", "prune --max-size huge", "go"]


@pytest.mark.parametrize("line", MISTAKES)
def test_mistakes_end_with_two(home: Path, line: str, capsys: pytest.CaptureFixture[str]) -> None:
    """And with a word about how it is written."""
    del home
    with pytest.raises(SystemExit, match=r"^2$"):
        cli.main(line.split())
    assert "usage" in capsys.readouterr().err


def test_without_a_command_the_help_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """It lists the commands."""
    assert cli.main([]) == 2
    assert "prune" in capsys.readouterr().out


def test_a_stored_notebook_is_exported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """To a file, or to the screen; what is refused is told, and ends with 1. No store is needed."""
    notebook = str(write_notebook(tmp_path / "n.ipynb", (START, DOUBLE)))
    module = tmp_path / "m.py"

    assert cli.main(["export", notebook, str(module), "--strict"]) == 0
    assert capsys.readouterr().out.splitlines() == [f"{module}: 1 task (double)", "Nothing was found that the real SDK cannot run."]
    assert cli.main(["export", notebook]) == 0
    printed = capsys.readouterr()
    assert printed.out == module.read_text()
    assert "1 task (double)" in printed.err
    assert cli.main(["export", notebook, "--tasks", "triple"]) == 1
    assert "no task 'triple'" in capsys.readouterr().err
