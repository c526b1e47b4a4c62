"""Decides which rich forms an output has, and makes one of them fit to be shown shut off from the page.

An output may be a table, an image, a figure or HTML; an action may have written a report. All of it is a user's, or
comes from data that a user read, so none of it may touch the notebook page: images are sent as data, and HTML as a
document of its own for a frame without rights (`sandbox=""`), under a policy that loads nothing and runs nothing.

Must not know: the frame, or which action the output is of.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from typing import Any, TypedDict

from flyte_nb.views.markup import escape
from flyte_nb.views.wording import one_line

#: Bytes of a rich form that are sent.
MAX_BYTES = 4_000_000
#: Nothing is loaded and nothing runs: styles of its own and images that it carries are all that a document may have.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:; media-src data:"
_BY_METHOD: tuple[tuple[str, str], ...] = (
    ("_repr_png_", "png"),
    ("_repr_jpeg_", "jpeg"),
    ("_repr_svg_", "svg"),
    ("_repr_html_", "html"),
)


class RichForm(TypedDict):
    """One rich form; see `protocol_tabs.RichAnswer`."""

    mime: str
    data: str
    text: str
    error: str


def kinds_of(value: Any) -> list[str]:
    """The rich forms that a value has, the one to show first in front; nothing of it is run."""
    kinds = [kind for method, kind in _BY_METHOD if callable(getattr(type(value), method, None))]
    if _is_figure(value) and "png" not in kinds:
        kinds.insert(0, "png")
    return kinds


def rich_form(value: Any, kind: str) -> RichForm:
    """One rich form of a value; `error` says why there is none."""
    try:
        made = _make(value, kind)
    except Exception as error:  # noqa: BLE001 - a user's method may raise anything
        return _failed(kind, f"it could not be drawn: {type(error).__name__}")
    if made is None:
        return _failed(kind, "it has no such form")
    size = len(made["data"]) or len(made["text"])
    return _failed(kind, f"it is too large to be shown here ({size:,} bytes)") if size > MAX_BYTES else made


def _make(value: Any, kind: str) -> RichForm | None:
    if kind not in kinds_of(value):
        return None
    if kind == "png" and _is_figure(value):
        return _image("png", _figure_png(value))
    made = getattr(value, next(method for method, form in _BY_METHOD if form == kind))()
    if isinstance(made, tuple):  # with metadata
        made = made[0]
    if made is None:
        return None
    if kind in {"png", "jpeg"}:
        return _image(kind, made)
    return _document(str(made))


def report_form(tabs: Mapping[str, str]) -> RichForm:
    """A report as one document, its tabs one after the other."""
    if not tabs:
        return _failed("report", "there is none")
    made = _document("<hr>".join(f"<h2>{escape(name)}</h2>{page}" if len(tabs) > 1 else page for name, page in tabs.items()))
    size = len(made["text"])
    return _failed("report", f"it is too large to be shown here ({size:,} characters)") if size > MAX_BYTES else made


def _document(html: str) -> RichForm:
    """HTML or SVG as a document of its own, for a frame without rights."""
    head = f'<meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{POLICY}">'
    text = f"<!doctype html><html><head>{head}</head><body>{html.encode('utf8', 'replace').decode('utf8')}</body></html>"
    return {"mime": "text/html", "data": "", "text": text, "error": ""}


def _image(kind: str, data: bytes | str) -> RichForm:
    encoded = data if isinstance(data, str) else base64.b64encode(data).decode("ascii")
    base64.b64decode(encoded, validate=True)  # IPython allows both; anything else is no image
    return {"mime": f"image/{kind}", "data": encoded, "text": "", "error": ""}


def _failed(kind: str, why: str) -> RichForm:
    return {"mime": "", "data": "", "text": "", "error": f"{one_line(kind, 20)}: {why}"}


def _is_figure(value: Any) -> bool:
    """A matplotlib figure: it draws itself as an image only with IPython's help."""
    return any(base.__name__ == "Figure" and base.__module__.startswith("matplotlib") for base in type(value).__mro__)


def _figure_png(figure: Any) -> bytes:
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", bbox_inches="tight")
    return drawn.getvalue()
