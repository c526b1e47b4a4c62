"""Decides what a timeline shows: bars where actions are wide enough to be seen, otherwise how busy each worker was.

Everything is summed up by whole columns, so that a million actions take a fraction of a second. Whatever is summed up,
no bad end is lost: each has a tick at its pixel.

An action that was tried several times is there with each try, on the worker and at the time of that one.

Must not know: what a bar looks like, or messages beyond the answer's own parts.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass

import numpy as np

from flyte_nb.views.columns import FAILED_CODES, SHOWN_CODE, SHOWN_PHASES, Columns, Numbers, lookup
from flyte_nb.views.protocol import Look
from flyte_nb.views.protocol_tabs import MAX_BARS, MAX_LANES, MAX_OVERVIEW, MAX_PIXELS, Bar, Lane, Overview, TimelineAnswer, TimelineRequest
from flyte_nb.views.tries import LOST, Earlier
from flyte_nb.views.wording import one_line, worker_words

#: An action is drawn by itself from so many pixels on.
LEAST_PIXELS = 2.0
#: Sub-lanes that a worker may have; of one with more, everything is told as a share.
MAX_ROWS = 16
#: A span is at least so long, in seconds: below that clocks of two machines do not agree.
LEAST_SPAN = 1e-3
#: A try that was lost with its worker is a bad end too.
_FAILED = lookup((*FAILED_CODES, LOST))
_LOOKS: tuple[Look, ...] = (*SHOWN_PHASES, "aborted")  # type: ignore[arg-type]  # the phases are looks
_RUNS = lookup(tuple(SHOWN_CODE[look] for look in ("running", "paused", "initializing")))
_NAME = 80


@dataclass(frozen=True, slots=True)
class _Window:
    """A span of time that is so many pixels wide."""

    start: float
    end: float
    pixels: int

    @property
    def per_second(self) -> float:
        return self.pixels / (self.end - self.start)

    def pixel(self, at: Numbers) -> Numbers:
        """The pixel of each instant inside the span."""
        place = ((at - self.start) * self.per_second).astype(np.int64)
        return np.clip(place, 0, self.pixels - 1)


@dataclass(frozen=True, slots=True)
class _Tries:
    """Tries at actions that ran within a span, as columns of equal length: the last one of each, then the earlier ones of all.

    There are as many actions as there are `newest` ones.
    """

    columns: Columns
    rows: Numbers
    started: Numbers
    ended: Numbers
    workers: Numbers
    looks: Numbers
    numbers: Numbers
    newest: Numbers

    def chosen(self, mask: Numbers) -> _Tries:
        """Some of them."""
        kept = (self.rows, self.started, self.ended, self.workers, self.looks, self.numbers, self.newest)
        return _Tries(self.columns, *[column[mask] for column in kept])

    @property
    def bad(self) -> Numbers:
        """Which of them ended badly."""
        failed: Numbers = _FAILED[self.looks]
        return failed

    def __len__(self) -> int:
        return len(self.rows)


class Timeline:
    """Makes the lanes of one run; what all spans of time share is worked out once for a version of the run."""

    def __init__(self, columns: Columns, earlier: Earlier) -> None:
        self._columns, self._earlier = columns, earlier
        self._known: tuple[int, float] = (-1, 0.0)
        self._all = _Tries(columns, *[np.empty(0, np.int64)] * 7)
        self._overview: Overview = {"start": 0.0, "end": 0.0, "busy": [], "failed": []}

    def answer(self, request: TimelineRequest, now: float) -> TimelineAnswer:
        """The lanes of a span of time.

        Args:
            request: which span and which lanes; its fields are of the right types, and may be out of range.
            now: UTC seconds; until then goes what runs.
        """
        columns = self._columns
        until = columns.ended_at if columns.ended_at is not None else now
        self._look(until)
        window, actions = _window(columns, request, until), self._all
        ids = np.flatnonzero(np.bincount(actions.workers, minlength=1))
        first, count = min(request["first"], len(ids)), min(request["count"], MAX_LANES)
        shown = ids[first : first + count]
        seen = (actions.started < window.end) & (actions.ended >= window.start)
        inside = actions if seen.all() else actions.chosen(seen)
        return {
            "kind": "timeline",
            "view": request["view"],
            "id": request["id"],
            "version": columns.version,
            "now": now,
            "start": window.start,
            "end": window.end,
            "overview": self._overview,
            "total": len(ids),
            "first": first,
            "lanes": _lanes(columns, inside, shown, window, until),
            "tasks": [one_line(task.short_name, _NAME) for task in columns.tasks],
            "actions": int(np.count_nonzero(inside.newest)),
        }

    def _look(self, until: float) -> None:
        """Gather what ran until an instant, if that is not known."""
        columns = self._columns
        if self._known == (columns.version, until):
            return
        ran = (columns.started > 0) & (columns.attempts > 0)
        ran[0] = False  # the root action is the run
        rows, earlier = np.flatnonzero(ran), self._earlier.columns(columns)
        newest = len(rows)
        places = np.concatenate([rows, earlier[0]])
        parts = [places]
        sources = (columns.started, columns.ended, columns.worker_ids, columns.shown_phases, columns.attempts)
        for source, theirs in zip(sources, earlier[1:6], strict=True):
            part = np.empty(len(places), source.dtype)
            np.take(source, rows, out=part[:newest], mode="clip")
            part[newest:] = theirs
            parts.append(part)
        started, ended = parts[1:3]
        ended[ended == 0] = until
        np.maximum(ended, started, out=ended)
        parts.append(np.ones(len(places), bool))
        parts[-1][newest:] = earlier[6]
        self._all = _Tries(columns, *parts)
        self._overview = _overview(columns, self._all, until)
        self._known = (columns.version, until)


def _window(columns: Columns, request: TimelineRequest, until: float) -> _Window:
    start, end = request["start"], request["end"]
    if not end:
        end = until
        start = end - request["span"] if request["span"] > 0 else columns.started_at
    start = max(columns.started_at, start)
    return _Window(start, max(end, start + LEAST_SPAN), max(1, min(request["pixels"], MAX_PIXELS)))


def _overview(columns: Columns, actions: _Tries, until: float) -> Overview:
    window = _Window(columns.started_at, max(until, columns.started_at + LEAST_SPAN), MAX_OVERVIEW)
    busy = covered(actions.started, actions.ended, np.zeros(len(actions), np.int64), 1, window)[0]
    failed = np.unique(window.pixel(actions.ended[actions.bad]))
    return {"start": window.start, "end": window.end, "busy": np.round(busy, 2).tolist(), "failed": failed.tolist()}


def covered(started: Numbers, ended: Numbers, lanes: Numbers, lane_count: int, window: _Window) -> Numbers:
    """How many of these spans cover each pixel of each lane, on average over the pixel: lanes by pixels.

    The time covered before an instant x is the sum of (x - start) over the spans begun before x, less the same of ends;
    so sums of starts and ends by pixel are enough, whatever the number of spans.
    """
    pixels = window.pixels
    edges = window.start + np.arange(1, pixels + 1) / window.per_second
    before = np.zeros((lane_count, pixels + 1))
    for instants, sign in ((started, 1.0), (ended, -1.0)):
        at = np.clip(instants, window.start, window.end)
        place = lanes * pixels + window.pixel(at)
        numbers = np.bincount(place, minlength=lane_count * pixels).reshape(lane_count, pixels).cumsum(axis=1)
        sums = np.bincount(place, weights=at - window.start, minlength=lane_count * pixels).reshape(lane_count, pixels).cumsum(axis=1)
        before[:, 1:] += sign * (numbers * (edges - window.start) - sums)
    return np.maximum(np.diff(before, axis=1) * window.per_second, 0.0)


def _lanes(columns: Columns, actions: _Tries, shown: Numbers, window: _Window, until: float) -> list[Lane]:
    lane_of = np.full(max(len(columns.workers), 1), -1, np.int64)
    lane_of[shown] = np.arange(len(shown))
    lanes = lane_of[actions.workers]
    if (lanes < 0).any():
        actions, lanes = actions.chosen(lanes >= 0), lanes[lanes >= 0]
    wide = (actions.ended - actions.started) * window.per_second >= LEAST_PIXELS
    rows, counts = sub_lanes(actions.started, actions.ended, lanes, wide if wide.sum() <= MAX_BARS else np.zeros(len(actions), bool))
    drawn = rows >= 0
    rest = actions.chosen(~drawn) if drawn.any() else actions
    busy = covered(rest.started, rest.ended, lanes[~drawn] if drawn.any() else lanes, len(shown), window)
    failed = _ticks(actions, lanes, len(shown), window)
    bars = _bars(actions.chosen(drawn), rows[drawn], lanes[drawn], len(shown), window.start)
    number = np.bincount(lanes[actions.newest], minlength=len(shown))
    running = _RUNS[actions.looks]
    longest = np.zeros(len(shown))
    np.maximum.at(longest, lanes[running], until - actions.started[running])
    return [
        {
            "worker": worker_words(columns.workers[worker]),
            "rows": max(1, counts.get(lane, 1)),
            "bars": bars[lane],
            "busy": np.round(busy[lane] * 100).astype(int).tolist() if busy[lane].any() else [],
            "failed": failed[lane],
            "actions": int(number[lane]),
            "longest": round(float(longest[lane]), 3),
        }
        for lane, worker in enumerate(shown.tolist())
    ]


def sub_lanes(started: Numbers, ended: Numbers, lanes: Numbers, wide: Numbers) -> tuple[Numbers, dict[int, int]]:
    """The sub-lane of each wide span, -1 of the others, and how many each lane has; no two on one sub-lane overlap."""
    rows = np.full(len(started), -1, np.int64)
    counts: dict[int, int] = {}
    free: dict[int, list[int]] = {}
    ends: dict[int, list[tuple[float, int]]] = {}
    chosen = np.flatnonzero(wide)
    for each in chosen[np.argsort(started[chosen], kind="stable")].tolist():
        lane, begin = int(lanes[each]), float(started[each])
        busy, spare = ends.setdefault(lane, []), free.setdefault(lane, [])
        while busy and busy[0][0] <= begin:
            heapq.heappush(spare, heapq.heappop(busy)[1])
        row = heapq.heappop(spare) if spare else len(busy)
        heapq.heappush(busy, (float(ended[each]), row))
        counts[lane] = max(counts.get(lane, 0), row + 1)
        rows[each] = row
    for lane in [lane for lane, number in counts.items() if number > MAX_ROWS]:
        rows[lanes == lane] = -1
        counts[lane] = 1
    return rows, counts


def _bars(actions: _Tries, rows: Numbers, lanes: Numbers, count: int, zero: float) -> list[list[Bar]]:
    columns = actions.columns
    tasks = columns.node_tasks[columns.node_ids[actions.rows]]
    made: list[list[Bar]] = [[] for _ in range(count)]
    parts = (
        rows,
        actions.rows,
        np.round(actions.started - zero, 4),
        np.round(actions.ended - zero, 4),
        tasks,
        actions.looks,
        actions.numbers,
        lanes,
    )
    for row, action, started, ended, task, look, number, lane in zip(*(part.tolist() for part in parts), strict=True):
        made[lane].append((row, action, started, ended, task, _LOOKS[look], number))
    return made


def _ticks(actions: _Tries, lanes: Numbers, count: int, window: _Window) -> list[list[tuple[int, int, int]]]:
    """By lane: pixels with bad ends, the first action of each, and how many there are."""
    bad = np.flatnonzero(actions.bad & (actions.ended <= window.end))
    keys = lanes[bad] * window.pixels + window.pixel(actions.ended[bad])
    places, first, numbers = np.unique(keys, return_index=True, return_counts=True)
    ticks: list[list[tuple[int, int, int]]] = [[] for _ in range(count)]
    for place, each, number in zip(places.tolist(), first.tolist(), numbers.tolist(), strict=True):
        ticks[place // window.pixels].append((place % window.pixels, int(actions.rows[bad[each]]), number))
    return ticks
