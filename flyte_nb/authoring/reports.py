"""Decides what a report is: HTML in tabs, kept with the action whose body wrote it.

The HTML is the user's own and is kept as it is; whoever shows it must shut it off from the page around it.

Must not know: how a report is shown.
"""

from __future__ import annotations

import functools
import html
from collections.abc import Callable, Iterable
from datetime import datetime

from flyte_nb.core.current import CURRENT

MAIN_TAB = "main"
_NOTE = "report"
#: Texts in a timeline are cut to this many characters, opened and closed.
PREVIEW_LIMIT, TEXT_LIMIT = 300, 20_000


class Tab:
    """One page of a report.

    Args:
        name: what it is called.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.content: list[str] = []

    def log(self, content: str) -> None:
        """Add HTML as `content`: a part of a page, not a whole document."""
        self.content.append(content)

    def replace(self, content: str) -> None:
        """Put HTML as `content` in the place of all there is."""
        self.content = [content]

    def get_html(self) -> str:
        """All of it."""
        return "\n".join(self.content)

    def __repr__(self) -> str:
        return f"<tab {self.name}, {len(self.content)} pieces>"


class Report:
    """The report of an action, or of nobody outside of a run.

    Args:
        name: what it is called.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.tabs: dict[str, Tab] = {MAIN_TAB: Tab(MAIN_TAB)}

    def get_tab(self, name: str, create_if_missing: bool = True) -> Tab:  # noqa: FBT001, FBT002 - Flyte's signature
        """A tab by name; it is made, unless `create_if_missing` is false.

        Raises:
            ValueError: there is none, and none is to be made.
        """
        if name not in self.tabs:
            if not create_if_missing:
                raise ValueError(f"Tab {name} does not exist.")
            self.tabs[name] = Tab(name)
        return self.tabs[name]

    def has_content(self) -> bool:
        """Whether anything was written."""
        return any(tab.content for tab in self.tabs.values())

    def pages(self) -> list[tuple[str, str]]:
        """HTML by tab, without an empty main tab."""
        return [(tab.name, tab.get_html()) for tab in self.tabs.values() if tab.content or tab.name != MAIN_TAB]

    def get_final_report(self) -> str:
        """The whole report as one HTML document."""
        return document(self.pages())


def document(pages: Iterable[tuple[str, str]]) -> str:
    """Pages as one HTML document; names are escaped, the pages are HTML already."""
    parts = [f"<section><h2>{html.escape(name)}</h2>\n{page}\n</section>" for name, page in pages]
    return '<!doctype html>\n<html><head><meta charset="utf-8"></head><body>\n' + "\n".join(parts) + "\n</body></html>\n"


class _WithAio:
    """A function that does not block, with the async form that Flyte's has."""

    def __init__(self, function: Callable[..., None]) -> None:
        self._function = function
        functools.update_wrapper(self, function)

    def __call__(self, *args: str | bool, **kwargs: str | bool) -> None:
        """Do it."""
        self._function(*args, **kwargs)

    async def aio(self, *args: str | bool, **kwargs: str | bool) -> None:
        """The same, to be awaited."""
        self._function(*args, **kwargs)


def current_report() -> Report:
    """The report of the action whose body is running; outside of a run one that is kept nowhere."""
    frame = CURRENT.get()
    if frame is None:
        return Report("dummy")
    report: Report = frame.action.note(_NOTE, lambda: Report(frame.action.task or frame.action.run))
    return report


def get_tab(name: str, /, create_if_missing: bool = True) -> Tab:  # noqa: FBT001, FBT002 - Flyte's signature
    """A tab of the current report.

    Args:
        name: what it is called.
        create_if_missing: whether one is made if there is none.

    Raises:
        ValueError: there is none of this name, and none is to be made.
    """
    return current_report().get_tab(name, create_if_missing)


def keep() -> None:
    """Keep the current report, as it is now, with its action; nothing outside of a run, or if nothing was written."""
    frame = CURRENT.get()
    if frame is not None and frame.action.notes is not None and current_report().has_content():
        frame.submitter.write_report(frame, current_report().pages())


@_WithAio
def flush() -> None:
    """Keep the report, as it is now, with its action; it can be read while the body goes on."""
    keep()


@_WithAio
def log(content: str, do_flush: bool = False) -> None:  # noqa: FBT001, FBT002 - Flyte's signature
    """Add HTML to the main tab.

    Args:
        content: a part of a page, as HTML.
        do_flush: keep the report at once, not at the end of the body.
    """
    get_tab(MAIN_TAB).log(content)
    if do_flush:
        keep()


@_WithAio
def replace(content: str, do_flush: bool = False) -> None:  # noqa: FBT001, FBT002 - Flyte's signature
    """Put HTML in the place of what the main tab holds.

    Args:
        content: a part of a page, as HTML.
        do_flush: keep the report at once, not at the end of the body.
    """
    get_tab(MAIN_TAB).replace(content)
    if do_flush:
        keep()


class Timeline:
    """Rows in the order of time, written into a tab of the current report.

    Args:
        tab_name: the tab.
    """

    def __init__(self, tab_name: str = MAIN_TAB) -> None:
        self._tab_name = tab_name

    def heading(self, text: object) -> None:
        """A heading between rows: `text`."""
        get_tab(self._tab_name).log(f"<h3>{html.escape(str(text))}</h3>")

    def row(self, *, icon: str = "•", label: object = "", meta: str = "", detail: str = "", error: object = None) -> None:
        """A row: icon, label, meta in one line, error below. `detail` is HTML (see `abbreviate`), everything else is text."""
        failed = f"<div><strong>{abbreviate(error)}</strong></div>" if error is not None else ""
        head = f"{html.escape(icon)} <strong>{html.escape(str(label))}</strong> {html.escape(meta)}"
        get_tab(self._tab_name).log(f"<div>{head}<div>{detail}</div>{failed}</div>")


def abbreviate(value: object, limit: int = PREVIEW_LIMIT) -> str:
    """A value as escaped HTML; a long one can be opened in its place.

    Args:
        value: what is shown, as `str` shows it.
        limit: how many characters are shown before it is opened.
    """
    text = "" if value is None else str(value)
    if len(text) <= limit:
        return html.escape(text)
    body = html.escape(text[:TEXT_LIMIT])
    if len(text) > TEXT_LIMIT:
        body += f"\n... (+{len(text) - TEXT_LIMIT} more, truncated)"
    return f"<details><summary>{html.escape(text[:limit])}... (+{len(text) - limit})</summary><pre>{body}</pre></details>"


def duration_ms(start_iso: object, end_iso: object) -> str:
    """The time between two instants in ISO form as "12 ms"; empty if it cannot be told.

    Args:
        start_iso: such as "2026-11-23T09:59:00".
        end_iso: such as "2026-11-23T10:00:00".
    """
    if not start_iso or not end_iso:
        return ""
    try:
        delta = datetime.fromisoformat(str(end_iso)) - datetime.fromisoformat(str(start_iso))
    except ValueError:
        return ""
    return f"{delta.total_seconds() * 1000:.0f} ms"
