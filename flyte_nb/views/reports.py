"""Decides how the HTML of a task's report is shown: shut off from the page around it, live and in a saved notebook.

A report is HTML that a task wrote, scripts of its charts included, so it is not made harmless but put apart: into an
`iframe` with `sandbox`, which has an origin of its own. It can touch neither the notebook, nor its cookies, nor its
kernel. All around it is ours and escaped.

Must not know: widgets, or when a report was written.
"""

from __future__ import annotations

import html
from collections.abc import Mapping

from flyte_nb.views.markup import cell, escape
from flyte_nb.views.wording import encodable, plural

#: Reports that are shown with a run, and characters of them altogether; the rest is one look at its action away.
MAX_REPORTS, MAX_CHARACTERS = 20, 2_000_000
FRAME_HEIGHT = 360
#: Scripts run (charts need them), in an origin of their own: without `allow-same-origin` they reach nothing of the page.
SANDBOX = "allow-scripts"

_STYLE = (
    "body{font:13px/1.45 system-ui,sans-serif;margin:8px;color:#111;background:#fff}"
    "nav{border-bottom:1px solid #ccc;margin-bottom:8px}nav label{display:inline-block;padding:4px 10px;cursor:pointer}"
    "input.tab{position:absolute;opacity:0}section{display:none}"
)


def frame(tabs: Mapping[str, str], title: str) -> str:
    """A report as an element of a page: an `iframe` that holds all of it.

    Args:
        tabs: HTML by name of the tab, as the task wrote it.
        title: what it is the report of, as text.
    """
    return _framed(page(tabs), title)


def page(tabs: Mapping[str, str]) -> str:
    """A report as a document of its own; several tabs are switched without a script."""
    if len(tabs) == 1:
        style, body = _STYLE.replace("section{display:none}", ""), next(iter(tabs.values()))
    else:
        chosen = "".join(f"#t{number}:checked~#s{number}{{display:block}}" for number in range(len(tabs)))
        chosen += "".join(
            f"#t{number}:checked~nav label[for=t{number}]{{font-weight:600;border-bottom:2px solid}}" for number in range(len(tabs))
        )
        style = _STYLE + chosen + "".join(f"#t{number}:focus~nav label[for=t{number}]{{outline:1px dotted}}" for number in range(len(tabs)))
        inputs = "".join(
            f'<input class="tab" type="radio" name="tab" id="t{number}"{" checked" * (not number)}>' for number in range(len(tabs))
        )
        labels = "".join(f'<label for="t{number}">{escape(name)}</label>' for number, name in enumerate(tabs))
        sections = "".join(f'<section id="s{number}">{content}</section>' for number, content in enumerate(tabs.values()))
        body = f"{inputs}<nav>{labels}</nav>{sections}"
    return encodable(f'<!doctype html><html><head><meta charset="utf-8"><style>{style}</style></head><body>{body}</body></html>')


def listed(reports: Mapping[int, Mapping[str, str]], titles: Mapping[int, str]) -> str:
    """The reports of a run's actions, each to be opened; the root's (or the only one) is open.

    Args:
        reports: tabs by row.
        titles: what each is the report of, by row, as text.
    """
    parts, characters = [], 0
    shown = sorted(reports)[:MAX_REPORTS]
    for row in shown:
        tabs = reports[row]
        size = sum(map(len, tabs.values()))
        characters += size
        text = cell(titles[row], 120) + (f", {plural(len(tabs), 'tab')}" if len(tabs) > 1 else "")
        if characters > MAX_CHARACTERS:
            parts.append(f"<p>Report of {text}: {size:,} characters, too large to be shown here. {_ELSEWHERE}</p>")
            characters -= size
            continue
        is_open = " open" if row == 0 or len(reports) == 1 else ""
        parts.append(f"<details{is_open}><summary>Report of {text}</summary>{frame(tabs, 'Report of ' + titles[row])}</details>")
    if len(reports) > len(shown):
        parts.append(f"<p>{plural(len(reports) - len(shown), 'more report')}. {_ELSEWHERE}</p>")
    return "".join(parts)


_ELSEWHERE = "Each action has its own: <code>run.action(name).report</code>."


class ReportDocument(str):
    """A report as text: a whole HTML document. Displayed in a notebook, it is shown shut off from the page."""

    __slots__ = ("_title",)
    _title: str

    @classmethod
    def of(cls, tabs: Mapping[str, str], title: str) -> ReportDocument:
        """The document of some tabs; empty without any."""
        made = cls(page(tabs) if tabs else "")
        made._title = title
        return made

    def _repr_html_(self) -> str | None:
        return _framed(self, self._title) if self else None


def _framed(document: str, title: str) -> str:
    return (
        f'<iframe sandbox="{SANDBOX}" referrerpolicy="no-referrer" title="{escape(title)}" '
        f'style="width:100%;height:{FRAME_HEIGHT}px;border:1px solid #8884;background:#fff;resize:vertical" '
        f'srcdoc="{html.escape(document, quote=True)}"></iframe>'
    )
