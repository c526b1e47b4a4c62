"""Rich output: images as data, everything else as a document without rights, and errors in words."""

from __future__ import annotations

import base64
from html.parser import HTMLParser
from typing import Any

import pandas as pd
import pytest

from flyte_nb.views.rich import MAX_BYTES, POLICY, kinds_of, report_form, rich_form
from tests.fakes.hostile import HOSTILE

PIXEL = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==")


class Shown:
    """Has the rich forms that it is told to have."""

    def __init__(self, made: Any) -> None:
        self.made = made

    def _repr_html_(self) -> Any:
        if isinstance(self.made, Exception):
            raise self.made
        return self.made


class Picture:
    """An image."""

    def __init__(self, data: Any = PIXEL) -> None:
        self.data = data

    def _repr_png_(self) -> Any:
        return self.data


class _Head(HTMLParser):
    """Finds what stands before the body."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def test_the_forms_of_a_value_are_known_without_running_it() -> None:
    """Only the class is looked at."""
    assert kinds_of(Shown(RuntimeError())) == ["html"]
    assert kinds_of(Picture()) == ["png"]
    assert kinds_of(pd.DataFrame()) == ["html"]
    assert kinds_of(1) == []


def test_an_image_is_sent_as_data() -> None:
    """Bytes or base64, as IPython allows; anything else is an error in words."""
    encoded = base64.b64encode(PIXEL).decode()

    assert rich_form(Picture(), "png") == {"mime": "image/png", "data": encoded, "text": "", "error": ""}
    assert rich_form(Picture(encoded), "png")["data"] == encoded
    assert rich_form(Picture("<script>"), "png")["error"].startswith("png: it could not be drawn")
    assert rich_form(Picture((PIXEL, {"width": 1})), "png")["data"] == encoded


@pytest.mark.parametrize("text", HOSTILE)
def test_html_is_a_document_under_a_policy(text: str) -> None:
    """The policy stands before anything of the user's, whatever that is, and allows neither scripts nor requests."""
    made = rich_form(Shown(text), "html")
    reader = _Head()
    reader.feed(made["text"])

    assert [tag for tag, _ in reader.tags[:4]] == ["html", "head", "meta", "meta"]
    assert reader.tags[3][1] == {"http-equiv": "Content-Security-Policy", "content": POLICY}
    assert "script" not in POLICY
    assert "http:" not in POLICY
    made["text"].encode("utf8")


def test_what_cannot_be_shown_says_so() -> None:
    """A method that raises, one that gives nothing, a form that the value does not have, and too much of it."""
    assert rich_form(Shown(ValueError("x")), "html")["error"] == "html: it could not be drawn: ValueError"
    assert rich_form(Shown(None), "html")["error"] == "html: it has no such form"
    assert rich_form(Picture(), "html")["error"] == "html: it has no such form"
    assert "too large" in rich_form(Shown("x" * (MAX_BYTES + 1)), "html")["error"]


def test_a_report_is_one_document() -> None:
    """Tabs follow each other under their names; no report is an error in words."""
    made = report_form({"main": "<p>a</p>", "<b>more": "<p>b</p>"})

    assert "<h2>&lt;b&gt;more</h2><p>b</p>" in made["text"]
    assert report_form({})["error"] == "report: there is none"


@pytest.mark.leaves(descriptors=4)  # matplotlib keeps its fonts open
def test_a_figure_is_drawn_as_an_image() -> None:
    """A matplotlib figure has no method for it outside of IPython; it is drawn all the same."""
    figure_module = pytest.importorskip("matplotlib.figure")
    figure = figure_module.Figure()
    figure.add_subplot().plot([1, 2])

    assert kinds_of(figure)[0] == "png"
    assert base64.b64decode(rich_form(figure, "png")["data"]).startswith(b"\x89PNG")
