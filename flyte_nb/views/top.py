"""Decides what `%flyte_top` shows: the runs that go on, the latest that ended, and the cluster's workers, in one small table.

It stays up to date while a run of this kernel goes on, and leaves the last state behind; the newest table goes on with
the next run that is shown.

Must not know: where runs and workers come from.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from typing import Any

from flyte_nb.core.summary import Summary
from flyte_nb.views.listing import Listing
from flyte_nb.views.live import Bundle, NotebookPublisher, Publisher
from flyte_nb.views.painter import PAINTER, Painter
from flyte_nb.views.shown import ShownRun
from flyte_nb.views.wording import clock, count, duration, one_line, outcome, rate, size, time_left

#: Runs and workers that are listed; the rest is counted.
MAX_RUNS, MAX_WORKERS = 12, 32


class Top:
    """Runs and workers as one cell shows them.

    Args:
        runs: gives the runs of this kernel, the newest last.
        cluster: gives what the cluster is (`engine.backend.ClusterFacts`), or None.
        publisher: where bundles go.
        painter: what keeps the table up to date.
    """

    def __init__(
        self,
        runs: Callable[[], Sequence[ShownRun]],
        cluster: Callable[[], Any],
        *,
        publisher: Publisher | None = None,
        painter: Painter | None = None,
    ) -> None:
        self._runs, self._cluster = runs, cluster
        self._publisher = publisher or NotebookPublisher()
        self._painter = painter or PAINTER
        self._display_id = f"flyte-nb-top-{uuid.uuid4().hex[:12]}"
        self._shown: Bundle = {}

    def show(self) -> None:
        """Display the table in the current cell, and keep it up to date while a run goes on, also one that starts later."""
        over = self._is_over()
        self._shown = self.bundle()
        self._publisher.show(self._shown, self._display_id)
        self._painter.rest(self)
        if not over:
            self._painter.add(self)

    def paint(self) -> bool:
        """Send the table if it changed; returns whether no run goes on any more."""
        over = self._is_over()
        bundle = self.bundle()
        if bundle != self._shown:
            self._shown = bundle
            self._publisher.update(bundle, self._display_id)
        return over

    def _is_over(self) -> bool:
        return all(run.done() for run in self._runs())

    def bundle(self) -> Bundle:
        """Both tables, as HTML and as text."""
        runs, workers = self.runs_table(), self.workers_table()
        return {
            "text/html": runs._repr_html_() + workers._repr_html_(),
            "text/plain": f"{runs!r}\n\n{workers!r}",
        }

    def runs_table(self) -> Listing:
        """Runs that go on, then the latest that ended."""
        runs = self._runs()
        going = [run for run in runs if not run.done()]
        chosen = [*going[::-1], *[run for run in runs if run.done()][::-1]][: max(MAX_RUNS, len(going))]
        rows = [_run_row(run.summary(brief=True)) for run in chosen]
        more = len(runs) - len(chosen)
        note = f"and {count(more)} more; `%flyte_runs` lists them" if more else "" if rows else "No run was started in this kernel."
        return Listing("Runs", ("phase", "task", "run", "actions ended", "failed", "rate", "took", "left"), rows, note)

    def workers_table(self) -> Listing:
        """Workers, the busiest first."""
        facts = self._cluster()
        if facts is None:
            return Listing("No cluster runs", (), (), "The first run starts one.")
        members = sorted(facts.members, key=lambda each: (-each.slots_in_use, each.name))
        rows = [
            (
                one_line(str(each.name), 60),
                str(each.pid),
                f"{count(each.slots_in_use)} of {count(each.slots)}",
                each.coroutines,
                size(each.rss_bytes) if each.rss_bytes else "",
                size(each.memory_bytes) if each.memory_bytes else "",
            )
            for each in members[:MAX_WORKERS]
        ]
        more = len(members) - len(rows)
        note = f"and {count(more)} more" if more > 0 else ""
        return Listing(
            f"Workers: {count(facts.workers)}", ("worker", "process", "slots at work", "coroutines", "memory", "limit"), rows, note
        )


def _run_row(summary: Summary) -> tuple[object, ...]:
    over = summary.phase.is_terminal
    return (
        outcome(summary.phase, summary.failed),
        summary.task,
        summary.run,
        f"{count(summary.ended)} of {count(summary.total)}",
        summary.failed,
        rate(summary.rate),
        duration(summary.elapsed_seconds) if over else clock(summary.elapsed_seconds),
        "" if over or not summary.ended else time_left(summary.eta_seconds, may_grow=summary.more_may_come),
    )
