"""Runs of a script: prints with their action's name, progress while somebody waits."""

import io

import pytest

from flyte_nb.views.terminal import Terminal
from flyte_nb.views.text import print_label
from tests.fakes.fake_run import FakeRun, task


class Screen(io.StringIO):
    """A terminal."""

    def isatty(self) -> bool:
        """A person reads along."""
        return True


def test_prints_are_labelled(capsys: pytest.CaptureFixture[str]) -> None:
    """Those of unknown runs are left alone."""
    run = FakeRun()
    (row,) = run.call(task("fetch", "x"), [(1,)])
    terminal = Terminal({run.name: run}.get)
    terminal.print_log(run.name, row, "a\nb\n")
    terminal.print_log("r-other", 0, "c\n")
    name = run.state.action_name(row)[:8]

    assert capsys.readouterr().out == f"[fetch {name}] a\n[fetch {name}] b\n"


def test_it_shows_no_view_and_says_things_beside_the_output(capsys: pytest.CaptureFixture[str]) -> None:
    """Standard output is the script's own."""
    terminal = Terminal(lambda _name: None)
    terminal.run_started(FakeRun())
    terminal.say("started a cluster")

    assert not terminal.show(FakeRun())
    assert capsys.readouterr() == ("", "started a cluster\n")


def test_progress_is_shown_while_somebody_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """One line, then the end."""
    screen = Screen()
    monkeypatch.setattr("sys.stderr", screen)
    run = FakeRun()
    with Terminal(lambda _name: None).waiting(run) as update:
        update()
        run.finish()

    assert screen.getvalue().startswith("\rmain running")
    assert "main: succeeded" in screen.getvalue()


def test_nothing_is_shown_where_nobody_reads_along(monkeypatch: pytest.MonkeyPatch) -> None:
    """A log file stays short."""
    log = io.StringIO()
    monkeypatch.setattr("sys.stderr", log)
    with Terminal(lambda _name: None).waiting(FakeRun()) as update:
        update()

    assert log.getvalue() == ""


def test_a_print_far_into_a_large_run_does_not_hold_it_up() -> None:
    """The name of a late sibling costs those of all before it: until it is cheap, the row stands for it."""
    run = FakeRun()
    rows = run.call(task("\x1b[2Jtrain", "x"), [(number,) for number in range(2_500)])

    assert print_label(run.state, rows[-1]) == "[\ufffd[2Jtrain #2500] "
    assert print_label(run.state, rows[0]) == f"[\ufffd[2Jtrain {run.state.action_name(rows[0])[:8]}] "
    print_label(run.state, rows[-1])
    assert print_label(run.state, rows[-1]).endswith(f"{run.state.action_name(rows[-1])[:8]}] ")
