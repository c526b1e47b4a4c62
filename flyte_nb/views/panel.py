"""Decides what the live panel under a cell shows: a pure function from a summary to HTML.

The shape follows the reader's attention: what runs and how far it is; then counts per phase; then what failed and
why; then the groups, those with failures first. The HTML is replaced as a whole a few times a second, so it holds
nothing that a reader could open, scroll or select. Everything that a user typed is escaped.

Must not know: widgets, threads, or how a summary is made.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files

from flyte_nb.core.phases import ActionPhase
from flyte_nb.core.summary import FailureLine, GroupSummary, Summary
from flyte_nb.views.markup import cell, escape
from flyte_nb.views.page import cause_count, cause_text, group_name
from flyte_nb.views.wording import (
    GLYPHS,
    PHASE_ORDER,
    clock,
    count,
    duration,
    percent,
    phase_word,
    plural,
    rate,
    time_left,
)

MAX_CAUSES = 5
MAX_GROUPS = 12
#: These are always shown, so that nothing moves when their first action comes; the others from their first one on.
_ALWAYS = (ActionPhase.SUCCEEDED, ActionPhase.FAILED, ActionPhase.RUNNING, ActionPhase.QUEUED)


@cache
def style_sheet() -> str:
    """The panel's style sheet."""
    return (files("flyte_nb.views") / "static" / "panel.css").read_text(encoding="utf8")


def panel_html(summary: Summary) -> str:
    """The panel of a run as it is now."""
    parts = [_head(summary), _bar_line(summary), _chips(summary), _note(summary), _causes(summary), _groups(summary)]
    label = escape(f"Run {summary.task} {summary.run}")
    return f'<div class="fnb tex2jax_ignore mathjax_ignore" role="region" aria-label="{label}">{"".join(parts)}</div>'


def outcome(summary: Summary) -> str:
    """The run's phase in words, with what a bare `succeeded` would hide."""
    word = phase_word(summary.phase).capitalize()
    if summary.phase is ActionPhase.SUCCEEDED and summary.failed:
        return f"{word}, but {plural(summary.failed, 'action')} failed"
    return word


def _head(summary: Summary) -> str:
    mixed = summary.phase is ActionPhase.SUCCEEDED and summary.failed
    look = "mixed" if mixed else summary.phase.value
    glyph = "⚠" if mixed else GLYPHS[summary.phase]
    over = " over" if summary.phase.is_terminal else ""
    return (
        f'<div class="head p-{look}{over}"><span class="g" aria-hidden="true">{glyph}</span>'
        f'<span class="name">{cell(summary.task, 80)}</span><span class="ph">{outcome(summary)}</span>'
        f'<span class="mono dim narrow">{escape(summary.run)}</span><span class="facts">{_facts(summary)}</span></div>'
    )


def _facts(summary: Summary) -> str:
    over = summary.phase.is_terminal
    pace = rate(summary.rate)
    facts = [f'<span class="wide"><b>{pace}</b></span>'] if pace else []
    if not over and summary.slots:
        facts.append(f'<span class="wide"><b>{count(summary.slots_in_use)}</b>/{plural(summary.slots, "slot")}</span>')
    if not over and summary.workers:
        facts.append(f'<span class="wide">{plural(summary.workers, "worker")}</span>')
    if over:
        facts.append(f"<span>took <b>{duration(summary.elapsed_seconds)}</b></span>")
    else:
        facts.append(f"<span><b>{clock(summary.elapsed_seconds)}</b> elapsed</span>")
        facts.append(f"<span>{time_left(summary.eta_seconds, may_grow=summary.more_may_come)}</span>" if summary.ended else "")
    return "".join(facts)


def _bar_line(summary: Summary) -> str:
    done = percent(summary.ended, summary.total)
    words = f"{count(summary.ended)} of {plural(summary.total, 'action')} ended, {_count_words(summary.counts)}"
    return (
        f'<div class="barline"><div class="bar" role="progressbar" aria-valuemin="0" aria-valuemax="100" aria-valuenow="{done}" '
        f'aria-valuetext="{words}" title="{words}">{_segments(summary.counts)}</div>'
        f'<span class="of"><b>{count(summary.ended)}</b> <span class="dim">of {count(summary.total)}</span></span></div>'
    )


def _count_words(counts: Mapping[ActionPhase, int]) -> str:
    return ", ".join(f"{count(counts[phase])} {phase_word(phase)}" for phase in PHASE_ORDER if counts.get(phase)) or "none called yet"


def _segments(counts: Mapping[ActionPhase, int]) -> str:
    pieces = [
        f'<i class="s-{phase.value}" style="flex-grow:{counts[phase]}" title="{count(counts[phase])} {phase_word(phase)}"></i>'
        for phase in PHASE_ORDER
        if counts.get(phase)
    ]
    return "".join(pieces) or '<i class="s-none" style="flex-grow:1"></i>'


def _chips(summary: Summary) -> str:
    chips = []
    for phase in PHASE_ORDER:
        number = summary.counts.get(phase, 0)
        if not number and (phase not in _ALWAYS or summary.phase.is_terminal):
            continue
        look = f"p-{phase.value}" if number else "zero"
        glyph = f'<span class="g" aria-hidden="true">{GLYPHS[phase]}</span>'
        chips.append(f'<span class="{look}">{glyph} <b>{count(number)}</b> {phase_word(phase)}</span>')
    return f'<div class="chips">{"".join(chips)}</div>'


def _note(summary: Summary) -> str:
    if not summary.message:
        return ""
    bad = " bad" if summary.phase in {ActionPhase.FAILED, ActionPhase.TIMED_OUT} else ""
    return f'<div class="note{bad}">{cell(summary.message, 400)}</div>'


def _causes(summary: Summary) -> str:
    if not summary.failures:
        return ""
    rows = "".join(_cause(line) for line in summary.failures[:MAX_CAUSES])
    causes = cause_count(summary)
    more = causes - MAX_CAUSES
    tail = f'<div class="more">and {plural(more, "more cause")}</div>' if more > 0 else ""
    return (
        f'<div class="part"><b>{plural(summary.failed, "failed action")}, {plural(causes, "cause")}</b>'
        '<table aria-label="Failures"><colgroup><col style="width:76px"><col><col style="width:34%"></colgroup>'
        f"{rows}</table>{tail}</div>"
    )


def _cause(line: FailureLine) -> str:
    where = f'{cell(line.task, 60)} <span class="dim">first in</span> <span class="mono">{cell(line.action, 40)}</span>'
    glyph = GLYPHS[ActionPhase.FAILED]
    return (
        f'<tr class="p-failed"><td><span class="g" aria-hidden="true">{glyph}</span> {count(line.count)} ×</td>'
        f'<td class="mono cause">{cell(cause_text(line.code, line.message), 200)}</td><td>{where}</td></tr>'
    )


def _groups(summary: Summary) -> str:
    if not summary.groups:
        return ""
    rows = "".join(_group(group) for group in summary.groups[:MAX_GROUPS])
    more = summary.groups_total - MAX_GROUPS
    tail = f'<div class="more">and {plural(more, "more group")}</div>' if more > 0 else ""
    return (
        '<div class="part"><table aria-label="Groups"><colgroup><col><col style="width:24%" class="wide"><col class="c-done">'
        '<col class="c-failed"><col class="c-time"></colgroup><thead><tr><th>Group</th><th class="wide"></th>'
        '<th class="num">done</th><th class="num">failed</th><th class="num">time</th></tr></thead>'
        f"<tbody>{rows}</tbody></table>{tail}</div>"
    )


def _group(group: GroupSummary) -> str:
    failed = f'<span class="nf">{GLYPHS[ActionPhase.FAILED]} {count(group.failed)}</span>' if group.failed else '<span class="dim">0</span>'
    name = cell(group_name(group), 80)
    tasks = f' <span class="dim">{cell(", ".join(group.tasks), 60)}</span>' if group.name else ' <span class="dim">no group</span>'
    done = count(group.total) if group.ended == group.total else f'{count(group.ended)}<span class="dim">/{count(group.total)}</span>'
    words = _count_words(group.counts)
    return (
        f'<tr><td>{name}{tasks}</td><td class="wide"><div class="bar sm" role="img" aria-label="{words}" title="{words}">'
        f'{_segments(group.counts)}</div></td><td class="num">{done}</td><td class="num">{failed}</td>'
        f'<td class="num">{duration(group.seconds)}</td></tr>'
    )
