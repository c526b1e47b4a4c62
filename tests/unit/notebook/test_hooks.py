"""How runs and cells meet: shown once a cell, prints under the right one, waited for where nobody looks."""

import asyncio
import contextvars
import io
from typing import Any

import pytest

from flyte_nb.notebook import hooks, output
from flyte_nb.notebook.hooks import HINT, MAX_VIEWS_PER_CELL, Notebook
from flyte_nb.notebook.output import MAX_LINES, CellOutput
from tests.fakes.fake_run import FakeRun, task
from tests.unit.notebook.test_kernel import Kernel, request


class Events:
    """A shell's events."""

    def __init__(self) -> None:
        self.registered: list[tuple[str, Any]] = []

    def register(self, event: str, callback: Any) -> None:
        """Add."""
        self.registered.append((event, callback))

    def unregister(self, event: str, callback: Any) -> None:
        """Take away."""
        self.registered.remove((event, callback))


class KernelShell:
    """A shell in a kernel whose cells a person runs, or nobody."""

    def __init__(self, *, person: bool) -> None:
        self.kernel = Kernel(request(allow_stdin=person))
        self.events = Events()
        self.user_ns: dict[str, Any] = {}


class Result:
    """What IPython tells of a cell."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error_in_exec = error


class WaitedRun(FakeRun):
    """A run that ends when it is waited for."""

    waits = 0

    def wait(self, *, quiet: bool = False) -> None:
        """End."""
        del quiet
        self.waits += 1
        self.finish()


class Views:
    """Stands for `RunView`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.made: list[tuple[str, bool]] = []
        self.shown: list[str] = []
        views = self

        class View:
            def __init__(self, run: Any, *, widget: bool, rerun: object, painter: object) -> None:
                del painter, rerun
                self.name = run.name
                views.made.append((run.name, widget))

            def show(self) -> None:
                views.shown.append(self.name)

        monkeypatch.setattr(hooks, "RunView", View)


class Painter:
    """Counts."""

    painted = 0

    def paint_all(self) -> None:
        """Count."""
        self.painted += 1


def connected(*, person: bool, blocks: bool = True) -> tuple[Notebook, Painter]:
    """A notebook with fakes around it."""
    painter = Painter()
    return Notebook(KernelShell(person=person), blocks=lambda: blocks, painter=painter), painter  # type: ignore[arg-type]  # a fake painter


def test_a_started_run_is_shown_once_in_its_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    """`run = flyte.run(...)` and `run` on the next line are one view; a later cell gets one of its own."""
    views = Views(monkeypatch)
    notebook, _ = connected(person=True)
    run = WaitedRun()
    notebook.run_started(run)
    assert notebook.show(run)
    assert views.shown == [run.name]

    notebook.after_cell(Result())
    notebook.show(run)
    assert views.shown == [run.name, run.name]


def test_widgets_are_for_front_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Papermill gets static output."""
    monkeypatch.delenv("FLYTE_NB_STATIC", raising=False)
    views = Views(monkeypatch)
    for person in (True, False):
        connected(person=person)[0].show(WaitedRun())

    assert [widget for _, widget in views.made] == [True, False]


def test_a_cell_that_starts_many_runs_shows_the_first_ones(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """And says so once."""
    views = Views(monkeypatch)
    notebook, _ = connected(person=True)
    for number in range(MAX_VIEWS_PER_CELL + 3):
        notebook.run_started(WaitedRun(f"r{number}"))

    assert len(views.shown) == MAX_VIEWS_PER_CELL
    assert capsys.readouterr().out.count("starts more than") == 1


@pytest.mark.parametrize(
    "person, blocks, waits",
    [(False, True, 1), (True, True, 0), (False, False, 0)],
)
def test_the_end_of_a_cell_waits_only_where_nobody_looks(
    monkeypatch: pytest.MonkeyPatch,
    person: bool,  # noqa: FBT001 - parametrised
    blocks: bool,  # noqa: FBT001 - parametrised
    waits: int,
) -> None:
    """So that no run is cut off; and then the final views are sent before the cell ends."""
    Views(monkeypatch)
    notebook, painter = connected(person=person, blocks=blocks)
    run = WaitedRun()
    notebook.run_started(run)
    notebook.after_cell(Result())
    notebook.after_cell(Result())

    assert run.waits == waits
    assert bool(painter.painted) == bool(waits)


def test_a_terminal_neither_shows_nor_waits() -> None:
    """A person sits there, and what was printed cannot be updated."""
    shell = KernelShell(person=False)
    del shell.kernel
    notebook = Notebook(shell, blocks=lambda: True, painter=Painter())  # type: ignore[arg-type]  # a fake painter
    run = WaitedRun()
    notebook.run_started(run)
    notebook.after_cell(Result())

    assert not notebook.show(run)
    assert run.waits == 0


def test_it_registers_at_the_shell_and_takes_it_back() -> None:
    """One callback."""
    shell = KernelShell(person=True)
    notebook = Notebook(shell, blocks=lambda: True)
    notebook.attach()
    assert shell.events.registered == [("post_run_cell", notebook.after_cell)]
    notebook.detach()
    assert shell.events.registered == []


def run_nested() -> BaseException:
    """The error of `asyncio.run` in a running loop."""

    async def main() -> None:
        inner = nothing()
        try:
            asyncio.run(inner)
        finally:
            inner.close()

    async def nothing() -> None: ...

    with pytest.raises(RuntimeError) as caught:
        asyncio.run(main())
    return caught.value


def run_until_complete_nested() -> BaseException:
    """The error of `run_until_complete` in a running loop."""

    async def main() -> None:
        asyncio.get_running_loop().run_until_complete(asyncio.get_running_loop().create_future())

    with pytest.raises(RuntimeError) as caught:
        asyncio.run(main())
    return caught.value


@pytest.mark.parametrize("make", [run_nested, run_until_complete_nested])
def test_a_nested_loop_s_error_gets_a_hint(make: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """One line, under the error."""
    connected(person=True)[0].after_cell(Result(make()))

    assert capsys.readouterr().err == HINT + "\n"


async def users_own() -> None:
    """Raises what asyncio would."""
    raise RuntimeError("asyncio.run() cannot be called from a running event loop")


def test_other_errors_get_none(capsys: pytest.CaptureFixture[str]) -> None:
    """Also not one with the same words that was not asyncio's own in this cell."""
    notebook, _ = connected(person=True)
    with pytest.raises(RuntimeError) as caught:
        asyncio.run(users_own())
    notebook.after_cell(Result(caught.value))
    notebook.after_cell(Result(ValueError("x")))
    notebook.after_cell(Result())
    notebook.after_cell(None)

    assert capsys.readouterr().err == ""


def test_prints_of_actions_appear_in_the_cell_that_started_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each line with its task and action, whatever thread and cell it comes from."""
    Views(monkeypatch)
    cell = contextvars.ContextVar("cell", default="none")
    seen: list[tuple[str, str]] = []

    class Stream(io.StringIO):
        def write(self, text: str) -> int:
            seen.append((cell.get(), text))
            return len(text)

    monkeypatch.setattr("sys.stdout", Stream())
    notebook, _ = connected(person=True)
    run = WaitedRun()
    rows = run.call(task("fetch", "x"), [(1,)])

    def first_cell() -> None:
        cell.set("In[1]")
        notebook.run_started(run)

    contextvars.copy_context().run(first_cell)
    notebook.print_log(run.name, rows[0], "a\nb\n")
    name = run.state.action_name(rows[0])[:8]

    assert seen == [("In[1]", f"[fetch {name}] a\n[fetch {name}] b\n")]


def test_a_print_that_comes_before_its_run_is_known_is_not_lost(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A quick driver prints before its starter has heard of the run."""
    Views(monkeypatch)
    notebook, _ = connected(person=True)
    notebook.print_log("rquick", 0, "early\n")
    notebook.run_started(WaitedRun("rquick"))

    assert capsys.readouterr().out == "[main a0] early\n"


def test_what_the_user_is_told_appears_in_the_latest_run_s_cell(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """At once, and without a label; before the first run, where it is said."""
    Views(monkeypatch)
    notebook, _ = connected(person=True)
    notebook.say("before")
    notebook.run_started(WaitedRun())
    notebook.say("started a cluster")

    assert capsys.readouterr().out == "before\nstarted a cluster\n"


def test_prints_of_unknown_runs_are_not_kept_for_long() -> None:
    """A run of another kernel, or one that ended long ago."""
    notebook, _ = connected(person=True)
    notebook.print_log("r-other", 0, "text")
    notebook.after_cell(Result())

    assert notebook._early == {}


def test_lines_are_shown_when_they_are_whole(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Print writes a text and its line end apart, and other actions print meanwhile; the end of the run ends all lines."""
    Views(monkeypatch)
    notebook, _ = connected(person=True)
    run = WaitedRun()
    notebook.run_started(run)
    notebook.print_log(run.name, 0, "one")
    notebook.print_log(run.name, 0, "\n")
    notebook.print_log(run.name, 0, "no end")
    assert capsys.readouterr().out == "[main a0] one\n"

    run.announce()
    assert capsys.readouterr().out == ""
    run.finish()
    run.announce()
    assert capsys.readouterr().out == "[main a0] no end\n"


def test_runs_that_are_over_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand runs leave nothing behind."""
    Views(monkeypatch)
    notebook, _ = connected(person=True)
    for number in range(3):
        run = WaitedRun(f"r{number}")
        notebook.run_started(run)
        run.finish()
    notebook.after_cell(Result())

    assert notebook._outputs == {}


def test_a_flood_of_prints_is_cut_and_says_where_the_rest_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """A notebook that is flooded cannot be read."""
    stream = io.StringIO()
    monkeypatch.setattr("sys.stdout", stream)
    shown = CellOutput()
    for _ in range(3):
        shown.print_log("[t] ", "line\n" * MAX_LINES)

    assert shown.is_full
    assert len(stream.getvalue().splitlines()) == MAX_LINES + 1
    assert stream.getvalue().endswith("run.action(name).logs]\n")


def test_a_long_line_counts_by_its_length(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines alone are no bound."""
    stream = io.StringIO()
    monkeypatch.setattr("sys.stdout", stream)
    monkeypatch.setattr(output, "MAX_CHARACTERS", 10)
    shown = CellOutput()
    shown.print_log("", "0123456789\n")
    shown.print_log("", "more\n")

    assert shown.is_full
    assert "more\n" not in stream.getvalue()


def test_prints_that_cannot_be_encoded_or_shown_do_no_harm(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lone surrogates, and a stream that was closed."""
    stream = io.TextIOWrapper(io.BytesIO(), encoding="utf8", write_through=True)
    monkeypatch.setattr("sys.stdout", stream)
    shown = CellOutput()
    shown.print_log("", "a\ud800b\n")
    assert "a?b" in stream.buffer.getvalue().decode()

    stream.close()
    shown.print_log("", "late\n")
    assert shown.is_full
