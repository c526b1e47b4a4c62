"""Decides what a run leaves in a saved notebook: plain HTML that is true without a kernel, a script or a style sheet.

GitHub, nbconvert, papermill and a notebook opened years later show this text. It therefore carries no style sheet
and no script, says when it was true, and repeats in words what a colour would say. Everything that a user typed is
escaped.

Must not know: widgets, kernels, or how a summary is made.
"""

from __future__ import annotations

from datetime import UTC, datetime

from flyte_nb.core.phases import ActionPhase
from flyte_nb.core.summary import MAX_CAUSES as MAX_LISTED
from flyte_nb.core.summary import GroupSummary, Summary
from flyte_nb.views.markup import cell, escape, table
from flyte_nb.views.wording import GLYPHS, PHASE_ORDER, clean, count, duration, one_line, phase_word, plural

#: Rows of a table in a saved notebook; the rest is counted, not listed.
MAX_CAUSES = 20
MAX_GROUPS = 50
MAX_TRACEBACK = 8_000


def static_page(summary: Summary, *, traceback: str = "") -> str:
    """The HTML of a run as it is now.

    Args:
        summary: the run.
        traceback: the task's own traceback of the first failure.
    """
    parts = [_title(summary), _counts(summary)]
    if summary.message:
        parts.append(f"<p>{cell(summary.message, 600)}</p>")
    parts += [_causes(summary), _traceback(summary, traceback), _groups(summary)]
    return '<div class="tex2jax_ignore mathjax_ignore">' + "".join(part for part in parts if part) + "</div>"


def headline(summary: Summary) -> str:
    """Name and outcome in words (not escaped): `sweep: succeeded, but 27 actions failed`."""
    phase = phase_word(summary.phase)
    if summary.phase is ActionPhase.SUCCEEDED and summary.failed:
        phase += f", but {plural(summary.failed, 'action')} failed"
    elif summary.failed:
        phase += f", {plural(summary.failed, 'action')} failed"
    return f"{GLYPHS[summary.phase]} {one_line(summary.task, 80)}: {phase}"


def when(summary: Summary) -> str:
    """How much and how long, with the moment that this is true for (not escaped)."""
    moment = datetime.fromtimestamp(summary.started_at + summary.elapsed_seconds, UTC)
    stamp = f"{moment:%Y-%m-%d %H:%M} UTC"
    took = duration(summary.elapsed_seconds)
    if summary.phase.is_terminal:
        how_much = f"{plural(summary.total, 'action')} in " if summary.total else ""  # a root that calls nothing is no "0 actions"
        return f"{how_much}{took}, ended {stamp}, run {clean(summary.run)}"
    return f"{count(summary.ended)} of {plural(summary.total, 'action')} ended, as of {stamp} ({took} in), run {clean(summary.run)}"


def _title(summary: Summary) -> str:
    return f"<p><strong>{escape(headline(summary))}</strong><br>{escape(when(summary))}</p>"


def _counts(summary: Summary) -> str:
    shown = [phase for phase in PHASE_ORDER if summary.counts.get(phase)]
    if not shown:
        return ""
    head = [f"{GLYPHS[phase]} {phase_word(phase)}" for phase in shown]
    return table(head, [[count(summary.counts[phase]) for phase in shown]], numbers=frozenset(range(len(shown))))


def _causes(summary: Summary) -> str:
    if not summary.failures:
        return ""
    rows = [
        [
            count(line.count),
            f"<code>{cell(cause_text(line.code, line.message))}</code>",
            f"{cell(line.task, 80)}, first in <code>{cell(line.action, 40)}</code>",
        ]
        for line in summary.failures[:MAX_CAUSES]
    ]
    causes = cause_count(summary)
    more = causes - len(rows)
    tail = f"<p>and {plural(more, 'more cause')}</p>" if more > 0 else ""
    title = f"<p><strong>Failures, {plural(causes, 'cause')}</strong></p>"
    return title + table(["times", "error", "where"], rows, numbers=frozenset({0})) + tail


def cause_count(summary: Summary) -> int:
    """How many causes of failures there are, the run's own left out (it has a line of its own)."""
    known = len(summary.failures)
    return summary.failure_causes_total if known >= MAX_LISTED else known


def cause_text(code: str, message: str) -> str:
    """A cause of failure in one line: `ValueError: Input y contains NaN.`."""
    return f"{code}: {message}" if message.strip() else code


def _traceback(summary: Summary, traceback: str) -> str:
    if not traceback.strip():
        return ""
    first = summary.failures[0] if summary.failures else None
    where = f"{first.task} {first.action}" if first else summary.task
    text = traceback.strip("\n")
    if len(text) > MAX_TRACEBACK:
        text = "[...]\n" + text[-MAX_TRACEBACK:]
    return f"<details><summary>First traceback: {cell(where, 120)}</summary><pre>{escape(text)}</pre></details>"


def group_name(group: GroupSummary) -> str:
    """What a group is called: its own name, or the tasks that were called outside of groups."""
    return group.name or ", ".join(group.tasks)


def _groups(summary: Summary) -> str:
    if not summary.groups:
        return ""
    bad = sum(1 for group in summary.groups if group.failed)
    shown = summary.groups[:MAX_GROUPS]
    rows = [
        [
            cell(group_name(group), 80),
            cell(", ".join(group.tasks), 80),
            count(group.total),
            count(group.counts.get(ActionPhase.SUCCEEDED, 0) + group.counts.get(ActionPhase.RECOVERED, 0)),
            f"{GLYPHS[ActionPhase.FAILED]} {count(group.failed)}" if group.failed else "0",
            duration(group.seconds),
        ]
        for group in shown
    ]
    more = summary.groups_total - len(shown)
    tail = f"<p>and {plural(more, 'more group')}</p>" if more > 0 else ""
    title = f"Groups: {count(summary.groups_total)}" + (f", {count(bad)} with failures" if bad else "")
    head = ["group", "tasks", "actions", "succeeded", "failed", "time"]
    if not any(group.name for group in summary.groups):  # then a line is what one caller called, and its tasks are its name
        title, head, rows = "Actions by task", ["task", *head[2:]], [row[1:] for row in rows]
    numbers = frozenset(range(len(head) - 4, len(head)))
    return f"<details><summary>{title}</summary>{table(head, rows, numbers=numbers)}{tail}</details>"
