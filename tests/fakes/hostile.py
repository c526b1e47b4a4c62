"""Texts that try to become markup, script or terminal commands, and a check that HTML is inert."""

from __future__ import annotations

from html.parser import HTMLParser

HOSTILE = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '"><svg onload=alert(1)>',
    "' onmouseover='alert(1)",
    "</td></table><iframe src=//evil.example>",
    "</title></style></textarea><script>alert(1)</script>",
    "<style>*{display:none}</style>",
    "<a href='javascript:alert(1)'>x</a>",
    "<math><mi xlink:href='javascript:alert(1)'>",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "<!--<script>alert(1)//-->",
    "<scr\x00ipt>alert(1)</scr\x00ipt>",
    "\ud800<script>alert(1)</script>",
    "\x1b]0;title\x07\x1b[2J",
    "abc\u202egnp.exe",
    "$\\href{javascript:alert(1)}{x}$",
    "{{constructor.constructor('alert(1)')()}}",
    "line\r\n<b>two</b>\u2028three",
    "<" * 5_000,
)

INERT_TAGS = {
    *("div", "span", "p", "b", "strong", "br", "i", "code", "pre", "details", "summary"),
    *("table", "thead", "tbody", "tr", "th", "td", "colgroup", "col"),
}
INERT_ATTRIBUTES = {
    *("class", "style", "title", "role", "align", "aria-label", "aria-hidden"),
    *("aria-valuemin", "aria-valuemax", "aria-valuenow", "aria-valuetext"),
}


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.text: list[str] = []
        self.depth: list[str] = []
        self.faults: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in INERT_TAGS:
            self.faults.append(f"tag {tag}")
        self.faults += [f"attribute {tag}.{name}" for name, _ in attrs if name not in INERT_ATTRIBUTES]
        self.faults += [f"style {value}" for name, value in attrs if name == "style" and ("url" in (value or "") or "(" in (value or ""))]
        if tag not in {"br", "col"}:
            self.depth.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self.depth or self.depth.pop() != tag:
            self.faults.append(f"unbalanced {tag}")

    def handle_comment(self, data: str) -> None:
        self.faults.append(f"comment {data}")

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def text_of(html: str) -> str:
    """The text that a reader sees; fails unless the HTML is balanced, inert and can be sent."""
    html.encode("utf8")
    reader = _Reader()
    reader.feed(html)
    reader.close()
    assert not reader.faults, reader.faults
    assert not reader.depth, reader.depth
    return "".join(reader.text)
