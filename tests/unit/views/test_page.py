"""The static page and its text form: what they say, and that nobody's text becomes markup."""

import re

from flyte_nb.core.phases import ActionPhase
from flyte_nb.views.page import static_page
from flyte_nb.views.text import TextProgress, progress_line, text_page
from tests.fakes.fake_run import FakeRun, task
from tests.fakes.hostile import HOSTILE, text_of


def mixed_run() -> FakeRun:
    """A run with 7 actions in two groups: 4 good, 2 failed of one cause, 1 still running."""
    run = FakeRun("rsweep", root=task("sweep"))
    train, score = task("train", "depth"), task("score", "fold")
    good = run.call(train, [(depth,) for depth in range(4)], group="iteration-1")
    bad = run.call(score, [(fold,) for fold in range(3)], group="iteration-2")
    run.succeed(good, [0.5] * 4)
    run.fail(bad[0], "ValueError", "Input y contains NaN.", traceback="Traceback\n  in train\nValueError: Input y contains NaN.")
    run.fail(bad[1], "ValueError", "Input y contains NaN.")
    run.start([bad[2]])
    run.now += 65
    return run


def finished_run() -> FakeRun:
    """The same run, a while later."""
    run = mixed_run()
    run.succeed([7], [0.7])
    run.finish()
    return run


def test_a_finished_run_tells_its_counts_failures_and_groups() -> None:
    """The headline does not hide failures behind `succeeded`."""
    text = text_of(static_page(finished_run().summary()))

    assert re.search(r"[Ss]ucceeded, but 2 actions failed", text)
    assert "ValueError: Input y contains NaN." in text
    assert "score" in text
    assert "iteration-2" in text
    assert "rsweep" in text


def test_a_root_that_calls_nothing_is_told_without_a_count() -> None:
    """It is an action itself: "0 actions" would read as if nothing had been done."""
    run = FakeRun("ralone", root=task("train"))
    run.finish()

    text = text_of(static_page(run.summary()))
    assert re.search(r"\d s, ended 1970-01-12", text)
    assert "actions" not in text


def test_every_text_of_a_user_is_inert() -> None:
    """Names of tasks, groups and runs, error codes and messages never become markup."""
    for text in HOSTILE:
        name = text.replace("\ud800", "")  # a name is UTF-8, a message can be anything
        run = FakeRun(name, root=task(name))
        rows = run.call(task(f"child{name}", "x"), [(1,), (2,)], group=name)
        run.fail(rows[0], text, text)
        run.drop([rows[1], 0], text)
        text_of(static_page(run.summary()))


def test_a_traceback_is_inert() -> None:
    """Source lines and messages in a traceback are text."""
    for text in HOSTILE:
        assert "First traceback" in text_of(static_page(finished_run().summary(), traceback=text))


def test_the_page_of_a_running_run_says_when_it_was_true() -> None:
    """A notebook that is saved early must not pass for the end."""
    text = text_of(static_page(mixed_run().summary()))

    assert "6 of 7 actions ended, as of 1970-01-12 13:47 UTC" in text
    assert "sweep: running, 2 actions failed" in text


def test_the_page_needs_no_style_sheet_and_no_script() -> None:
    """GitHub strips both."""
    page = static_page(finished_run().summary(), traceback="ValueError: x")

    assert not re.search(r"<(style|script|link|img|svg)", page)
    assert "4m" not in page
    assert "ended 1970-01-12 13:47 UTC" in page


def test_the_page_shows_the_first_traceback_folded() -> None:
    """It is there, under a line that names the action."""
    page = static_page(finished_run().summary(), traceback="Traceback\nValueError: Input y contains NaN.")

    assert "<details><summary>First traceback: score" in page
    assert "<pre>Traceback\nValueError" in page


def test_long_lists_are_cut_and_counted() -> None:
    """A thousand groups and causes leave a page of bounded size that says what is missing."""
    run = FakeRun()
    for number in range(1_000):
        rows = run.call(task("t", "x"), [(number,)], group=f"g{number}")
        run.fail(rows[0], "E", f"message {number}")
    run.finish()
    html = static_page(run.summary())
    text = text_of(html)
    assert len(html) < 60_000
    assert re.search(r"and [\d,]+ more causes", text)
    assert re.search(r"and [\d,]+ more groups", text)
    assert len(text_page(run.summary())) < 4_000


def test_calls_outside_of_groups_are_not_called_a_group() -> None:
    """Without groups the list is one of tasks, and says so."""
    run = FakeRun()
    run.succeed(run.call(task("score", "x"), [(1,), (2,)]), [1, 2])
    run.finish()
    page = static_page(run.summary())

    assert "Actions by task" in page
    assert "Groups" not in page
    assert page.count(">score<") == 1


def test_the_reason_of_an_abort_is_shown() -> None:
    """In both forms."""
    run = FakeRun()
    run.drop([0], "Abort was clicked")
    for text in (text_of(static_page(run.summary())), text_page(run.summary())):
        assert "Abort was clicked" in text


def test_the_text_page_names_failures() -> None:
    """A reader without HTML learns the same."""
    text = text_page(finished_run().summary())

    assert text.splitlines()[0] == "✓ sweep: succeeded, but 2 actions failed"
    assert "  2 x ValueError: Input y contains NaN. (score " in text
    assert "  group iteration-2: 2 of 3 failed" in text


def test_hostile_text_cannot_drive_a_terminal() -> None:
    """Control characters do not get out."""
    for text in HOSTILE:
        name = text.replace("\ud800", "")
        run = FakeRun("r", root=task(name))
        run.fail(run.call(task(name, "x"), [(1,)])[0], text, text)
        shown = text_page(run.summary()) + progress_line(run.summary())
        shown.encode("utf8")
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", shown)


def test_a_progress_line_fits_its_terminal() -> None:
    """A line that wraps could not be written over."""
    summary = mixed_run().summary()

    assert progress_line(summary, 120).startswith("sweep running [#################...] 6/7 2 failed")
    assert len(progress_line(summary, 40)) < 40


class Terminal:
    """Keeps what was written."""

    def __init__(self, *, tty: bool) -> None:
        self.written: list[str] = []
        self._tty = tty

    def write(self, text: str) -> None:
        """Keep it."""
        self.written.append(text)

    def flush(self) -> None:
        """Nothing to do."""

    def isatty(self) -> bool:
        """As told."""
        return self._tty


def test_progress_on_a_terminal_writes_over_itself_and_leaves_the_end() -> None:
    """One line while it runs, no line twice, then the summary."""
    terminal, running = Terminal(tty=True), mixed_run().summary()
    progress = TextProgress(terminal)
    progress.update(running)
    progress.update(running)
    progress.close(finished_run().summary())

    assert len(terminal.written) == 2
    assert terminal.written[0].startswith("\rsweep running")
    assert terminal.written[1].endswith(text_page(finished_run().summary()) + "\n")


def test_progress_is_silent_where_nobody_reads_along() -> None:
    """A pipe or a file gets nothing."""
    pipe = Terminal(tty=False)
    progress = TextProgress(pipe)
    progress.update(mixed_run().summary())
    progress.close(finished_run().summary())

    assert pipe.written == []


def test_a_run_that_failed_says_so_in_words() -> None:
    """The root's own failure is the message."""
    run = FakeRun(root=task("sweep"))
    run.fail(0, "KeyError", "'x'")
    summary = run.summary()

    assert summary.phase is ActionPhase.FAILED
    assert "sweep: failed" in text_of(static_page(summary))
    assert "KeyError: 'x'" in text_of(static_page(summary))
