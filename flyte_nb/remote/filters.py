"""Decides which of several runs or actions a list shows, and in what order.

Must not know: runs and actions; it reads their attributes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from flyte_nb.core.index import RunFilter
from flyte_nb.core.phases import ActionPhase

T = TypeVar("T")
_MOMENTS = {"created_at": "created_at", "updated_at": "end_time"}
_START = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class TimeFilter:
    """A span of time; an end that is None is open.

    Attributes:
        after: The first moment, UTC if it has no zone.
        before: The first moment that is out, UTC if it has no zone.
    """

    after: datetime | None = None
    before: datetime | None = None

    def holds(self, moment: datetime | None) -> bool:
        """Whether a moment lies in it."""
        if moment is None:
            return False
        return (self.after is None or moment >= _aware(self.after)) and (self.before is None or moment < _aware(self.before))


def wanted_runs(
    phase: ActionPhase | str | tuple[ActionPhase | str, ...] | None = None,
    *,
    task: str | None = None,
    since: datetime | timedelta | str | None = None,
    before: datetime | timedelta | str | None = None,
    notebook: str | None = None,
    labels: Mapping[str, str] | None = None,
    limit: int | None = None,
) -> RunFilter:
    """Which runs are to be listed; what is left out is no condition.

    Args:
        phase: one, or several of which one must hold.
        task: the root task's name, or its part after the dot.
        since: started at that moment or later: a datetime, how long ago (a timedelta, or a text such as "90m", "2h", "7d"), or a
            date as text ("2026-11-23").
        before: started before that moment.
        notebook: the path of the notebook or script, or its last part.
        labels: all of these.
        limit: only the latest.

    Raises:
        ValueError: there is no such phase, or a moment cannot be read.
    """
    asked = (phase,) if isinstance(phase, str) else phase
    return RunFilter(
        phases=frozenset(phases(asked) or ()),
        task=task or "",
        since=_moment(since),
        before=_moment(before),
        notebook=notebook or "",
        labels=tuple((labels or {}).items()),
        limit=limit,
    )


def _moment(said: datetime | timedelta | str | None) -> float | None:
    """UTC seconds."""
    if said is None:
        return None
    if isinstance(said, datetime):
        return _aware(said).timestamp()
    if isinstance(said, timedelta):
        return (datetime.now(UTC) - said).timestamp()
    span = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([smhdw])\s*", said)
    if span is not None:
        return (datetime.now(UTC) - timedelta(**{_UNITS[span[2]]: float(span[1])})).timestamp()
    try:
        return datetime.fromisoformat(said).astimezone().timestamp()
    except ValueError:
        raise ValueError(f'{said!r} is no moment: say how long ago ("90m", "2h", "7d") or when ("2026-11-23").') from None


_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def phases(asked: tuple[ActionPhase | str, ...] | None) -> set[ActionPhase] | None:
    """Phases by value or name; None is any.

    Raises:
        ValueError: there is no such phase.
    """
    return None if not asked else {each if isinstance(each, ActionPhase) else ActionPhase(each.lower()) for each in asked}


def selected(found: Iterable[T], sort_by: tuple[str, str] | None, filters: Mapping[str, Any]) -> Iterable[T]:
    """Those that pass the time filters, sorted if asked for.

    Raises:
        ValueError: they cannot be sorted by that.
    """
    for name, attribute in _MOMENTS.items():
        span = filters.get(name)
        if span is not None:
            found = [each for each in found if span.holds(getattr(each, attribute))]
    if sort_by is None:
        return found
    attribute, order = sort_by
    kept = list(found)
    if kept and not hasattr(kept[0], attribute):
        raise ValueError(f"Cannot sort by {attribute!r}: there is no such attribute.")
    return sorted(kept, key=lambda each: getattr(each, attribute) or _START, reverse=order == "desc")
