"""Decides what running code can ask about itself: its action, its group, its custom context.

Must not know: how the surroundings were set.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from flyte_nb.authoring.checkpoints import Checkpoint
from flyte_nb.authoring.reports import Report, current_report
from flyte_nb.authoring.storage import own_folder
from flyte_nb.authoring.trace import InStep
from flyte_nb.core.current import CURRENT, Frame

#: Fields of Flyte's clustered tasks: None here.
_CLUSTERED = frozenset(
    {
        "code_bundle",
        "compiled_image_cache",
        "in_driver_literal_conversion",
        "local_rank",
        "local_world_size",
        "master_addr",
        "master_port",
        "nnodes",
        "node_rank",
        "rank",
        "restart_attempt",
        "world_size",
    }
)


@dataclass(frozen=True, slots=True)
class ActionID:
    """Names of an action and its run; project, domain and org are None here, where nothing is divided by them."""

    name: str
    run_name: str | None = None
    project: str | None = None
    domain: str | None = None
    org: str | None = None


@dataclass(frozen=True, slots=True)
class CheckpointPaths:
    """Where the checkpoint of an action lies: the place of the attempt before, and its own. Here they are one."""

    prev_checkpoint_path: str | None = None
    checkpoint_path: str | None = None


@dataclass(frozen=True, slots=True)
class GroupData:
    """The group that is open.

    Attributes:
        name: What it is called.
    """

    name: str


@dataclass(frozen=True, slots=True)
class RawDataPath:
    """The folder for files of a run."""

    path: str

    def get_random_remote_path(self, file_name: str | None = None) -> str:
        """A path that nobody has, below the folder; its parent is made, the file is not."""
        parent = Path(self.path) / secrets.token_hex(16) if file_name else Path(self.path)
        parent.mkdir(parents=True, exist_ok=True)
        return str(parent / (file_name or secrets.token_hex(16)))


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
        """The names of the task's action, also inside a traced function (where `action` is the step)."""
        frame = self._frame
        if frame is None:
            return None
        submitter = frame.submitter
        while isinstance(submitter, InStep):
            submitter = submitter.around
        return ActionID(submitter.action_name(frame), frame.action.run)

    @property
    def group_data(self) -> GroupData | None:
        """The group that is open here; a group is not passed on to what is called in it."""
        frame = self._frame
        return None if frame is None or not frame.group else GroupData(frame.group)

    @property
    def custom_context(self) -> dict[str, str] | None:
        """The custom context."""
        return None if self._frame is None else dict(self._frame.custom_context)

    @property
    def attempt_number(self) -> int:
        """Which attempt this is, from 0 as in Flyte; 0 outside of a run, too."""
        return 0 if self._frame is None else self._frame.action.attempt

    @property
    def run_start_time(self) -> datetime | None:
        """When the run started, UTC."""
        return None if self._frame is None else datetime.fromtimestamp(self._frame.action.run_started_at, UTC)

    @property
    def mode(self) -> str | None:
        """How the run runs: always "local" in Flyte's words."""
        return None if self._frame is None else "local"

    @property
    def version(self) -> str | None:
        """The version that the run was started with; empty if none was given."""
        return None if self._frame is None else self._frame.action.settings.version

    @property
    def raw_data_path(self) -> RawDataPath | None:
        """The folder for files of the run."""
        return None if self._frame is None else RawDataPath(self._frame.action.settings.raw_data_path)

    @property
    def run_base_dir(self) -> str | None:
        """The folder of the run."""
        return None if self._frame is None else self._frame.action.settings.raw_data_path

    @property
    def output_path(self) -> str | None:
        """A folder of the action's own; it need not be there yet."""
        return None if self._frame is None else self._own_path("outputs")

    @property
    def input_path(self) -> str | None:
        """Inputs do not lie in files here."""
        return None

    @property
    def report(self) -> Report | None:
        """The report of the action."""
        return None if self._frame is None else current_report()

    @property
    def checkpoint(self) -> Checkpoint | None:
        """What the action keeps for its next attempt."""
        frame = self._frame
        if frame is None:
            return None
        made: Checkpoint = frame.action.note("checkpoint", lambda: Checkpoint(self._own_path("checkpoints")))
        return made

    @property
    def checkpoint_paths(self) -> CheckpointPaths | None:
        """Where the checkpoint lies."""
        path = self._own_path("checkpoints")
        return CheckpointPaths(path, path) if path else None

    @property
    def data(self) -> dict[str, Any] | None:
        """A place for values that the body's code shares while the attempt runs; also as `ctx()["key"]`."""
        frame = self._frame
        if frame is None:
            return None
        kept: dict[str, Any] = frame.action.note("data", dict)
        return kept

    def __getitem__(self, key: str) -> Any:
        return (self.data or {}).get(key)

    @property
    def disable_run_cache(self) -> bool | None:
        """Whether the run uses no cache."""
        return None if self._frame is None else self._frame.action.settings.disable_cache

    @property
    def interactive_mode(self) -> bool | None:
        """Whether the code came from a notebook's kernel: that is all this package knows."""
        return None if self._frame is None else True

    def _own_path(self, kind: str) -> str:
        frame = self._frame
        return "" if frame is None else str(own_folder(frame, kind))

    def __getattr__(self, name: str) -> None:
        if name in _CLUSTERED:
            return
        raise AttributeError(f"The task context has no field {name!r}.")

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
        >>> bool(flyte.ctx())
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
        >>> with flyte.group("scores"):
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

    Args:
        values: texts by name. Outside of a run they have no effect.

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
