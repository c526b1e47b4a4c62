"""Texts that try to become markup, script or terminal commands, and a check that HTML is inert."""

from __future__ import annotations

from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import html5lib

#: Scripts, handlers and everything else that a browser might run or load.
MARKUP = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '"><svg onload=alert(1)>',
    "<svg><script>alert(1)</script></svg>",
    "<svg><animate onbegin=alert(1) attributeName=x></svg>",
    "<svg><use href='data:image/svg+xml,<svg id=x onload=alert(1)>#x'></svg>",
    '<svg></p><style><a id="</style><img src=1 onerror=alert(1)>">',
    "<math><mtext><table><mglyph><style><!--</style><img title='--&gt;&lt;img src=1 onerror=alert(1)&gt;'>",
    "<math><mi xlink:href='javascript:alert(1)'>",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'>",
    "<template><script>alert(1)</script></template>",
    "' onmouseover='alert(1)",
    '" autofocus onfocus=alert(1) x="',
    "` onmouseover=alert(1) `",
    "<input autofocus onfocus=alert(1)>",
    "<details open ontoggle=alert(1)>",
    "<video><source onerror=alert(1)></video>",
    "<body onload=alert(1)>",
    "<iframe srcdoc='<script>parent.alert(1)</script>'></iframe>",
    "</td></table><iframe src=//evil.example>",
    "</title></style></textarea></script><script>alert(1)</script>",
    "<style>*{display:none}</style>",
    "<style>@import '//evil.example/x.css';</style>",
    "<link rel=stylesheet href=//evil.example/x.css>",
    "<base href=//evil.example/>",
    "<meta http-equiv=refresh content='0;url=javascript:alert(1)'>",
    "<object data=//evil.example/x></object><embed src=//evil.example/x>",
    "<form action=javascript:alert(1)><button>x</button></form>",
    "<a href='javascript:alert(1)'>x</a>",
    "<a href='&#106;avascript:alert(1)'>x</a>",
    "<div style='background:url(//evil.example/x)'>",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "&#60;script&#62;alert(1)&#60;/script&#62;",
    "<!--<script>alert(1)//-->",
    "<![CDATA[<script>alert(1)</script>]]>",
    "<?xml version='1.0'?><x:script xmlns:x='http://www.w3.org/1999/xhtml'>alert(1)</x:script>",
    "<scr\x00ipt>alert(1)</scr\x00ipt>",
    "\ud800<script>alert(1)</script>",
    "\uff1cscript\uff1ealert(1)\uff1c/script\uff1e",
    "+ADw-script+AD4-alert(1)+ADw-/script+AD4-",
    "<" * 5_000,
)
#: What other readers of a notebook might run: formulas, templates, Markdown, spreadsheets.
LANGUAGES = (
    "$\\href{javascript:alert(1)}{x}$",
    "\\(\\unicode{<img src=x onerror=alert(1)>}\\)",
    "{{constructor.constructor('alert(1)')()}}",
    "${alert(1)}",
    "[x](javascript:alert(1))",
    "=cmd|' /C calc'!A0",
    "__proto__",
    "constructor",
)
#: Orders to a terminal, and characters that show something else than what is there.
TRICKS = (
    "\x1b]0;title\x07\x1b[2J",
    "\x1b]8;;http://evil.example\x1b\\click\x1b]8;;\x1b\\",
    "\x1b]52;c;ZXZpbA==\x07",
    "\x1bP+q544e\x1b\\",
    "\x9b31m\x9d0;x\x9c",
    "safe\r\x1b[Kevil",
    "safe\x08\x08\x08\x08evil",
    "abc\u202egnp.exe",
    "a\u2066b\u2067c\u2068d\u2069",
    "\u200fright\u200eleft\u061c",
    "line\r\n<b>two</b>\u2028three\u2029four",
    "z" + "\u0300" * 50,
    "\ufeff\ufff9x\ufffay\ufffb\u206a",
    "\ud83d half a pair",
    "tab\tand\vvertical\fform",
)
HOSTILE = MARKUP + LANGUAGES + TRICKS

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
    assert not list(_faults_for_a_browser(html))
    return "".join(reader.text)


def _faults_for_a_browser(html: str) -> Iterator[str]:
    """What the HTML standard's own algorithm makes of it beyond inert elements: browsers mend markup in surprising ways."""
    fragment: Any = html5lib.parseFragment(html, namespaceHTMLElements=False)
    for element in fragment.iter():
        if element is not fragment and element.tag not in INERT_TAGS | {"tbody"}:
            yield f"element {element.tag}"
        yield from (f"attribute {element.tag}.{name}" for name in element.attrib if name not in INERT_ATTRIBUTES)


#: Characters that no view may send: they drive terminals, turn the reading order, or cannot be encoded.
FORBIDDEN = frozenset(
    [chr(code) for code in (*range(9), *range(0x0B, 0x20), *range(0x7F, 0xA0))]
    + [chr(code) for code in (0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x2070), 0xFEFF, *range(0xFFF9, 0xFFFC))]
    + [chr(code) for code in range(0xD800, 0xE000)]
)


def assert_plain(text: str) -> None:
    """Fails if a text holds a character that steers the reader's terminal or eye, or that cannot be sent."""
    found = FORBIDDEN.intersection(text)
    assert not found, sorted(map(hex, map(ord, found)))
