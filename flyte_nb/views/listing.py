"""Decides how small tables read that are not about one run: settings, runs, the cluster.

Must not know: where the facts come from.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from flyte_nb.core.caching import CacheLine
from flyte_nb.core.index import RunEntry
from flyte_nb.core.phases import ActionPhase
from flyte_nb.views.markup import cell, escape, link, table
from flyte_nb.views.wording import clean, count, duration, one_line, outcome, size

_WIDEST = 80
_CODE, _AS_CODE = re.compile(r"`([^`]+)`"), r"<code>\1</code>"  # in a text whose markup is escaped


class Address(str):
    """Where a page is: in a notebook a link to it."""

    __slots__ = ()


@dataclass(frozen=True)
class Listing:
    """A titled table, as HTML in a notebook and as text elsewhere.

    Attributes:
        title: above the table.
        head: column titles.
        rows: cells; numbers are set flush right.
        note: below the table; what is between backticks is code.
    """

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[object]]
    note: str = ""

    def _repr_html_(self) -> str:
        numbers = frozenset(
            position for position in range(len(self.head)) if self.rows and all(isinstance(row[position], int | float) for row in self.rows)
        )
        rows = [[link(value) if isinstance(value, Address) else cell(_text(value)) for value in row] for row in self.rows]
        note = f"<p>{_CODE.sub(_AS_CODE, escape(self.note))}</p>" if self.note else ""
        heading = f"<p><strong>{escape(self.title)}</strong></p>"
        listed = table([escape(title) for title in self.head], rows, numbers=numbers) if self.rows else ""
        return f'<div class="tex2jax_ignore mathjax_ignore">{heading}{listed}{note}</div>'

    def __repr__(self) -> str:
        grid = [
            [one_line(str(title), _WIDEST) for title in self.head],
            *([one_line(_text(value), _WIDEST) for value in row] for row in self.rows),
        ]
        widths = [max(len(row[position]) for row in grid) for position in range(len(self.head))]
        lines = ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in grid]
        return "\n".join([one_line(self.title, 200), *(lines if self.rows else ()), *([clean(self.note)] if self.note else ())])


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return count(value)
    return f"{value:.3g}" if isinstance(value, float) else "" if value is None else str(value)


def runs_listing(runs: Sequence[RunEntry], now: float) -> Listing:
    """Runs, in the order given; `now` in UTC seconds."""
    failed = [sum(run.counts.get(phase, 0) for phase in (ActionPhase.FAILED, ActionPhase.TIMED_OUT)) for run in runs]
    rows = [
        (
            outcome(run.phase, bad),
            run.task,
            run.name,
            f"{count(sum(number for phase, number in run.counts.items() if phase.is_terminal))} of {count(run.actions)}",
            bad,
            f"{datetime.fromtimestamp(run.started_at).astimezone():%Y-%m-%d %H:%M:%S %Z}",
            duration((run.ended_at or now) - run.started_at),
            run.notebook.rpartition("/")[2],
        )
        for run, bad in zip(runs, failed, strict=True)
    ]
    note = "" if rows else "There is no such run in this project."
    return Listing("Runs", ("phase", "task", "run", "actions ended", "failed", "started", "took", "notebook"), rows, note)


def cache_listing(lines: Sequence[CacheLine]) -> Listing:
    """What the cache of results keeps, a line a task."""
    rows = [(each.task, each.results, size(each.size_bytes), each.hits, _instant(each.newest_at), _instant(each.used_at)) for each in lines]
    total = f"{count(sum(each.results for each in lines))} results, {size(sum(each.size_bytes for each in lines))}."
    note = (
        f"{total} `%flyte_cache clear [TASK]` drops them."
        if rows
        else 'Nothing is kept: `@env.task(cache="auto")` keeps results of a task.'
    )
    return Listing("Cache", ("task", "results", "size", "taken", "newest", "last used"), rows, note)


def _instant(at: float) -> str:
    return f"{datetime.fromtimestamp(at).astimezone():%Y-%m-%d %H:%M:%S %Z}" if at else ""


def cluster_listing(facts: Any) -> Listing:
    """The cluster.

    Args:
        facts: a dataclass of names and values, or None if there is no cluster.
    """
    if facts is None:
        return Listing("No cluster runs", (), (), "The first run starts one; `flyte.init(workers=...)` sizes it.")
    rows = [(_words(field.name), _fact(field.name, getattr(facts, field.name))) for field in fields(facts) if field.name != "members"]
    rows += [(f"worker {each.name}", _worker(each)) for each in getattr(facts, "members", ())]
    return Listing("Cluster", ("fact", "value"), [row for row in rows if row[1] is not None and row[1] != ""])


def _worker(facts: Any) -> str:
    """A worker in one line: what it has, and what it does."""
    memory = f"{size(facts.rss_bytes)} of " if facts.rss_bytes and facts.memory_bytes else size(facts.rss_bytes) if facts.rss_bytes else ""
    parts = [
        f"{facts.slots_in_use} of {facts.slots} slots at work",
        f"{count(facts.coroutines)} coroutines" if facts.coroutines else "",
        f"{facts.gpus} GPUs" if facts.gpus else "",
        f"{memory}{size(facts.memory_bytes) if facts.memory_bytes else ''}",
        f"process {facts.pid}",
    ]
    return ", ".join(part for part in parts if part)


def _words(name: str) -> str:
    return name.removesuffix("_bytes").replace("_", " ")


def _fact(name: str, value: object) -> object:
    if name == "dashboard":
        return Address(value)
    return size(value) if name.endswith("_bytes") and isinstance(value, int) else value
