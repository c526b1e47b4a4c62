"""Reports of tasks: shut off from the page around them, whatever they hold."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from flyte_nb.views.reports import MAX_CHARACTERS, MAX_REPORTS, ReportDocument, frame, listed, page
from tests.fakes.hostile import HOSTILE


class Elements(HTMLParser):
    """What a page holds outside of its frames."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep it."""
        self.found.append((tag, dict(attrs)))


@pytest.mark.parametrize("hostile", HOSTILE)
def test_nothing_of_a_report_gets_out_of_its_frame(hostile: str) -> None:
    """Content, names of tabs and titles: one element, which has an origin of its own."""
    ((tag, attributes),) = Elements(frame({hostile: hostile, "b": "x"}, hostile)).found

    assert tag == "iframe"
    assert attributes["sandbox"] == "allow-scripts"
    assert hostile.encode("utf8", "replace").decode("utf8") in (attributes["srcdoc"] or "")


def test_one_tab_is_the_page_and_several_are_switched_without_a_script() -> None:
    """The first one is chosen; names are text."""
    assert page({"main": "<h1>x</h1>"}).endswith("<body><h1>x</h1></body></html>")
    several = page({"main": "one", "<b>": "two"})

    assert re.findall(r"<label[^>]*>(.*?)</label>", several) == ["main", "&lt;b&gt;"]
    assert several.count("checked>") == 1
    assert "<script" not in several


def test_the_reports_of_a_run_are_listed_and_the_roots_is_open() -> None:
    """Large ones, and those over the limit, are told of."""
    reports = {row: {"main": "x"} for row in range(MAX_REPORTS + 2)}
    reports[1] = {"main": "x" * (MAX_CHARACTERS + 1)}
    html = listed(reports, {row: f"task {row}" for row in reports})

    assert html.count("<iframe") == MAX_REPORTS - 1
    assert html.count("<details open>") == 1
    assert "too large to be shown here" in html
    assert "2 more reports" in html


def test_a_document_is_text_that_shows_itself_in_a_frame() -> None:
    """An empty one shows nothing."""
    made = ReportDocument.of({"main": "<b>x</b>"}, "chart")
    ((tag, attributes),) = Elements(made._repr_html_() or "").found

    assert (tag, attributes["srcdoc"], attributes["title"]) == ("iframe", str(made), "chart")
    assert (str(ReportDocument.of({}, "chart")), ReportDocument.of({}, "chart")._repr_html_()) == ("", None)
