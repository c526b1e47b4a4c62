"""Decides how text from a user gets into HTML: escaped, always, through one function.

Must not know: what the pieces mean.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence

from flyte_nb.views.wording import clean, one_line

#: Longest text of one cell; the whole is one look at the action away.
CELL_LIMIT = 300


def escape(text: str) -> str:
    """Any text as HTML text, also safe inside a quoted attribute."""
    return html.escape(clean(text), quote=True)


def cell(text: str, limit: int = CELL_LIMIT) -> str:
    """Any text as one escaped line; a longer one is cut and stands whole in its tip."""
    short = one_line(text, limit)
    if len(short) < limit or not short.endswith("…"):
        return html.escape(short, quote=True)
    return f'<span title="{escape(text[: limit * 10])}">{html.escape(short, quote=True)}</span>'


def link(address: str) -> str:
    """An address as a link that opens beside the notebook; as plain text, if it is none of this server (`/...`) or of the web."""
    if not re.match(r"https?://|/(?![/\\])", address):
        return cell(address)
    return f'<a href="{escape(address)}" target="_blank" rel="noopener">{escape(address)}</a>'


def table(head: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: frozenset[int] = frozenset(), one_line_rows: bool = False) -> str:
    """A plain table.

    Args:
        head: column titles, already escaped.
        rows: cells, already escaped.
        numbers: positions of the columns that are set flush right.
        one_line_rows: cells are not wrapped; a wide table scrolls instead.
    """
    wrap = ";white-space:nowrap" if one_line_rows else ""

    def one(tag: str, position: int, content: str) -> str:
        # Twice: JupyterLab sets every cell right unless a style says otherwise, GitHub drops styles and keeps `align`.
        align = "right" if position in numbers else "left"
        return f'<{tag} align="{align}" style="text-align:{align}{wrap}">{content}</{tag}>'

    titles = "".join(one("th", position, title) for position, title in enumerate(head))
    body = "".join("<tr>" + "".join(one("td", position, content) for position, content in enumerate(row)) + "</tr>" for row in rows)
    return f"<table><thead><tr>{titles}</tr></thead><tbody>{body}</tbody></table>"
