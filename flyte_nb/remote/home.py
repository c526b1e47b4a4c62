"""Decides what handles need of the workspace that they came from, and where `Run.get` and the like look.

Must not know: what a handle can do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol, TypeVar

from flyte_nb import errors
from flyte_nb.core.index import RunEntry, RunFilter
from flyte_nb.core.payloads import Item
from flyte_nb.core.summary import Starting

T = TypeVar("T")


class Home(Protocol):
    """What a handle needs of its workspace."""

    def read(self, reader: Callable[[], T]) -> T:
        """Call a reader while nothing changes."""
        ...

    def abort(self, run: str, row: int, reason: str) -> None:
        """Stop an action and all that it called."""
        ...

    def answer(self, run: str, row: int, value: Item) -> None:
        """Answer an open condition."""
        ...

    def wait_ended(self, run: str, timeout: float) -> bool:
        """Wait for a run's end; false if the time is over."""
        ...

    def load(self) -> tuple[int, int, int]:
        """(workers, slots, slots in use)."""
        ...

    def starting(self) -> Starting | None:
        """How far the start of the cluster is; None if it is there, or nobody wants one."""
        ...

    def watch(self, run: str, callback: Callable[[], None], every: float) -> Callable[[], None]:
        """Call back when a run has changed, at most once in so many seconds; returns how to end that."""
        ...

    def display(self, run: Any) -> dict[str, Any] | None:  # noqa: ANN401 - a Run
        """Show a run's view; where there is none, its MIME bundle."""
        ...

    def waiting(self, run: Any) -> AbstractContextManager[Callable[[], object]]:  # noqa: ANN401 - a Run
        """Around a wait for a run; what it gives is called now and then."""
        ...

    def frame(self, run: Any, kind: str) -> Any:  # noqa: ANN401 - a pandas.DataFrame, which this module does not import
        """A run's "actions" or "results"."""
        ...

    def rerun(self, name: str, action: str, changes: Mapping[str, Any], *, recover: bool, force: Sequence[str]) -> Any:  # noqa: ANN401 - a Run
        """Start a new run of an action of an earlier one."""
        ...

    def find(self, name: str) -> Any:  # noqa: ANN401 - a Run or None
        """A run by name."""
        ...

    def entries(self, wanted: RunFilter) -> list[RunEntry]:
        """Runs of this project that pass a filter, the latest last."""
        ...


_home: Home | None = None
_make_home: Callable[[], Home] | None = None


def set_home(home: Home | None) -> None:
    """Say where `Run.get` and the like look."""
    global _home  # noqa: PLW0603 - one workspace a process
    _home = home


def make_home_with(make: Callable[[], Home]) -> None:
    """Say what makes the workspace of this process where there is none yet."""
    global _make_home  # noqa: PLW0603 - one workspace a process
    _make_home = make


def the_home() -> Home:
    """The workspace of this process, made on first use.

    Raises:
        InitializationError: nothing was run yet.
    """
    if _home is None and _make_home is not None:
        set_home(_make_home())
    if _home is None:
        raise errors.InitializationError("NoWorkspace", "user", "There is no run yet: start one with flyte.run(task, ...).")
    return _home


def run_named(name: str) -> Any:  # noqa: ANN401 - a Run
    """A run by name.

    Raises:
        RunNotFoundError: there is none in this project.
    """
    run = the_home().find(name)
    if run is None:
        raise errors.RunNotFoundError(name)
    return run
