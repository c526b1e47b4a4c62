"""What is in the pages of the documentation: their headings, links and code."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
#: Every page, by its path in the repository.
PAGES = tuple(
    path.relative_to(ROOT).as_posix()
    for folder, pattern in ((".", "*.md"), ("docs", "**/*.md"), ("binder", "*.md"))
    for path in sorted((ROOT / folder).glob(pattern))
)
_FENCE = re.compile(r"^(```+)(\S*)[^\n]*\n(.*?)^\1\s*$", re.DOTALL | re.MULTILINE)
#: Code that readers need not see: a page of someone who has a run in his hands starts one there.
_FIRST = re.compile(r"<!-- executed first:\n(.*?)-->\s*\Z", re.DOTALL)
_NOT_RUN = re.compile(r"<!-- not executed: (.+?) -->\s*\Z", re.DOTALL)
_LINK = re.compile(r"(?<!\\)\[[^\]]*\]\(([^()\s]+)\)")


@dataclass(frozen=True)
class Block:
    """A block of code of a page: its language, its text, and why it is not executed, if it is not."""

    language: str
    text: str
    not_run: str = ""


def text_of(page: str) -> str:
    """Return a page's text."""
    return (ROOT / page).read_text(encoding="utf8")


def blocks(page: str) -> Iterator[Block]:
    """Yield the blocks of code of a page."""
    text = text_of(page)
    for found in _FENCE.finditer(text):
        before = text[: found.start()]
        if first := _FIRST.search(before):
            yield Block("python", first[1])
        reason = _NOT_RUN.search(before)
        yield Block(found[2], found[3], reason[1] if reason else "")


def _prose(page: str) -> str:
    return _FENCE.sub("", text_of(page))


def anchors(page: str) -> set[str]:
    """Return the anchors that GitHub gives a page's headings."""
    seen: Counter[str] = Counter()
    found = set()
    for title in re.findall(r"^#+ (.+?)\s*$", _prose(page), re.MULTILINE):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title).replace("`", "").replace("*", "").lower()
        slug = re.sub(r"[^\w\- ]", "", plain).strip().replace(" ", "-")
        found.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
        seen[slug] += 1
    return found


def links(page: str) -> list[str]:
    """Return where a page's links lead, those out of the repository left out."""
    prose = re.sub(r"`[^`\n]*`", "", _prose(page))
    return [link for link in _LINK.findall(prose) if "://" not in link and not link.startswith("mailto:")]


def dead_links(page: str) -> list[str]:
    """Return a page's links that lead to no file, or to no heading of it."""
    found = []
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = (ROOT / page).parent / path if path else ROOT / page
        is_dead = not target.exists()
        if not is_dead and anchor and target.suffix == ".md":
            is_dead = anchor not in anchors(target.resolve().relative_to(ROOT).as_posix())
        found += [link] if is_dead else []
    return found
