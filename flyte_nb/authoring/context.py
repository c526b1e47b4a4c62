"""Decides what running code can ask about itself: its action, its group, its custom context.

Must not know: how the surroundings were set.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from flyte_nb.core.current import CURRENT, Frame


@dataclass(frozen=True, slots=True)
class ActionID:
    """Names of an action and its run; project, domain and org are empty here."""

    name: str
    run_name: str
    project: str = ""
    domain: str = ""
    org: str = ""


@dataclass(frozen=True, slots=True)
class GroupData:
    """The group that is open."""

    name: str


class TaskContext:
    """What `ctx()` returns: facts about the action whose body is running. Falsy outside of a run, all fields None."""

    def __init__(self, frame: Frame | None) -> None:
        self._frame = frame

    def __bool__(self) -> bool:
        return self._frame is not None

    @property
    def action(self) -> ActionID | None:
        """The action's names."""
        frame = self._frame
        return None if frame is None else ActionID(frame.submitter.action_name(frame), frame.action.run)

    @property
    def task_action(self) -> ActionID | None:
        """The action of the task (the same as `action`)."""
        return self.action

    @property
    def group_data(self) -> GroupData | None:
        """The group that is open here, or else the one that this action was called in."""
        frame = self._frame
        if frame is None or not (frame.group or frame.action.group):
            return None
        return GroupData(frame.group or frame.action.group)

    @property
    def custom_context(self) -> dict[str, str] | None:
        """The custom context."""
        return None if self._frame is None else dict(self._frame.custom_context)

    @property
    def attempt_number(self) -> int | None:
        """Which attempt this is, from 0 as in Flyte."""
        return None if self._frame is None else self._frame.action.attempt

    @property
    def run_start_time(self) -> datetime | None:
        """When the run started, UTC."""
        return None if self._frame is None else datetime.fromtimestamp(self._frame.action.run_started_at, UTC)

    @property
    def mode(self) -> str | None:
        """How the run runs: always "local" in Flyte's words."""
        return None if self._frame is None else "local"

    def is_in_cluster(self) -> bool:
        """Whether this runs on a Flyte cluster: never, here."""
        return False

    def __repr__(self) -> str:
        if self._frame is None:
            return "<no task context: this code does not run inside a run>"
        return f"<task context: run {self._frame.action.run}, attempt {self._frame.action.attempt}>"


def ctx() -> TaskContext:
    """Facts about the action whose body is running; falsy outside of a run.

    Example:
        >>> bool(ctx())
        False
    """
    return TaskContext(CURRENT.get())


@contextmanager
def group(name: str) -> Iterator[None]:
    """Label the actions called in this block. For display and counting only; an inner group replaces the outer one.

    Args:
        name: any text. Outside of a run it has no effect.

    Raises:
        TypeError: the name is no text.

    Example:
        >>> with group("scores"):
        ...     pass
    """
    if not isinstance(name, str):
        raise TypeError(f"group() takes a name, got {type(name).__name__}: {name!r}")
    frame = CURRENT.get()
    if frame is None:
        yield
        return
    token = CURRENT.set(frame.with_group(name))
    try:
        yield
    finally:
        CURRENT.reset(token)


@contextmanager
def custom_context(**values: str) -> Iterator[None]:
    """Add to the custom context of the actions called in this block; they pass it on to theirs.

    Raises:
        TypeError: a value is no text.
    """
    for key, value in values.items():
        if not isinstance(value, str):
            raise TypeError(f"custom_context() takes texts, got {type(value).__name__} for {key!r}")
    frame = CURRENT.get()
    if frame is None:
        yield
        return
    token = CURRENT.set(frame.with_context(**values))
    try:
        yield
    finally:
        CURRENT.reset(token)


def get_custom_context() -> dict[str, str]:
    """The custom context of the running action; empty outside of a run."""
    frame = CURRENT.get()
    return {} if frame is None else dict(frame.custom_context)
