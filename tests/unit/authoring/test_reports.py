"""Reports: tabs of HTML, kept with the action whose body writes them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from flyte_nb import report
from flyte_nb.core.current import CURRENT, ActionFacts, Frame
from tests.fakes.no_submitter import NoSubmitter


@pytest.fixture
def submitter() -> Iterator[NoSubmitter]:
    """Where reports of the body that the test is go."""
    made = NoSubmitter()
    token = CURRENT.set(Frame(ActionFacts("run", 1, 1, "", 0, 0.0), made))
    yield made
    CURRENT.reset(token)


def test_tabs_are_kept_when_they_are_flushed(submitter: NoSubmitter) -> None:
    """All of them, each time; a tab is asked for by name and is the same one."""
    report.log("<p>1</p>")
    report.get_tab("loss").log("a")
    report.get_tab("loss").log("b")
    report.flush()
    report.replace("<p>2</p>", do_flush=True)

    assert submitter.reports == [{"main": "<p>1</p>", "loss": "a\nb"}, {"main": "<p>2</p>", "loss": "a\nb"}]


def test_the_async_forms_do_the_same(submitter: NoSubmitter) -> None:
    """As Flyte's are awaited."""

    async def body() -> None:
        await report.log.aio("1")
        await report.replace.aio("2", do_flush=True)
        await report.flush.aio()

    asyncio.run(body())

    assert submitter.reports == [{"main": "2"}] * 2


def test_nothing_is_kept_of_an_empty_report(submitter: NoSubmitter) -> None:
    """A flush of nothing is nothing; an unused main tab is not shown."""
    report.flush()
    report.get_tab("other").log("x")
    report.flush()

    assert submitter.reports == [{"other": "x"}]


def test_a_tab_that_must_exist_must_exist(submitter: NoSubmitter) -> None:
    """The error names it."""
    with pytest.raises(ValueError, match="missing"):
        report.get_tab("missing", create_if_missing=False)

    assert submitter.reports == []


def test_outside_of_a_run_a_report_goes_nowhere() -> None:
    """Code that reports can be called in a unit test."""
    report.log("x", do_flush=True)

    assert report.current_report().has_content() is False


def test_the_whole_report_is_one_document_with_escaped_names() -> None:
    """Pages are HTML, names of tabs are text."""
    made = report.Report("r")
    made.get_tab("<b>").log("<i>page</i>")

    final = made.get_final_report()

    assert ("&lt;b&gt;" in final, "<i>page</i>" in final, "<b>" in final) == (True, True, False)


def test_a_timeline_escapes_what_it_is_given(submitter: NoSubmitter) -> None:
    """Labels, errors and long values are text; a long one can be opened."""
    timeline = report.Timeline("log")
    timeline.heading("<h>")
    timeline.row(label="<l>", error="<e>", detail=report.abbreviate("<v>" * 200))

    text = report.get_tab("log").get_html()

    assert [mark in text for mark in ("<h>", "<l>", "<e>", "<v>")] == [False] * 4
    assert "<details>" in text
    assert submitter.reports == []


def test_a_time_between_two_instants_is_in_milliseconds() -> None:
    """Nothing where it cannot be told."""
    assert report.duration_ms("2020-01-01T00:00:00", "2020-01-01T00:00:01.5") == "1500 ms"
    assert (report.duration_ms("", "x"), report.duration_ms("x", "y")) == ("", "")
