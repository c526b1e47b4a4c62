"""Decides which of several runs or actions a list shows, and in what order.

Must not know: runs and actions; it reads their attributes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

from flyte_nb.core.phases import ActionPhase

T = TypeVar("T")
_MOMENTS = {"created_at": "created_at", "updated_at": "end_time"}
_START = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class TimeFilter:
    """A span of time; an end that is None is open."""

    after: datetime | None = None
    before: datetime | None = None

    def holds(self, moment: datetime | None) -> bool:
        """Whether a moment lies in it."""
        if moment is None:
            return False
        return (self.after is None or moment >= _aware(self.after)) and (self.before is None or moment < _aware(self.before))


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
