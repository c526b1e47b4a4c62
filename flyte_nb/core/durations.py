"""Spans of time as users give them: a timedelta, or an int of seconds.

Decides: which are valid, and how many seconds they are.
Must not know: what they limit.
"""

from datetime import timedelta
from typing import cast

Duration = timedelta | int


def seconds(duration: Duration) -> float:
    """A duration in seconds."""
    return duration.total_seconds() if isinstance(duration, timedelta) else float(duration)


def check_duration(name: str, value: object, *, seconds_too: bool = False) -> None:
    """Refuse what is no duration, or a negative one, naming the field.

    Args:
        name: The field, as in "Backoff.base".
        value: What was given for it.
        seconds_too: Whether an int of seconds will do.
    """
    is_seconds = seconds_too and isinstance(value, int) and not isinstance(value, bool)
    if not (isinstance(value, timedelta) or is_seconds):
        wanted = "a timedelta or an int (seconds)" if seconds_too else "a timedelta"
        raise TypeError(f"{name} must be {wanted}, got {value!r}")
    if seconds(cast(Duration, value)) < 0:
        raise ValueError(f"{name} must be >= 0, got {value}")
