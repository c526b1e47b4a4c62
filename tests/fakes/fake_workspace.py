"""A workspace without an engine: a driver's body runs in a thread of its own as soon as the test lets it."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

from flyte_nb.core.caching import CacheLine
from flyte_nb.core.index import RunEntry, entry_of
from flyte_nb.engine.backend import ClusterFacts
from flyte_nb.settings import Settings
from flyte_nb.views.frames import runs_frame
from tests.fakes.fake_run import FakeRun, task


class DriverRun(FakeRun):
    """A run whose root is a real function."""

    def __init__(self, name: str, function: Any) -> None:
        super().__init__(name, root=task(function.__name__))
        self.function = function
        self._result: tuple[Any, ...] = ()
        self.error: BaseException | None = None
        self.waited = 0

    def go(self) -> None:
        """Run the body to its end, in a thread with a loop of its own."""

        def work() -> None:
            try:
                self._result = (asyncio.run(self.function()),)
            except BaseException as error:  # noqa: BLE001 - the test looks at it
                self.error = error

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        if self.error is None:
            self.finish()
        else:
            self.fail(0, type(self.error).__name__, str(self.error))
        self.announce()

    def wait(self, *, quiet: bool = False) -> None:
        """End at once."""
        del quiet
        self.waited += 1
        if not self.done():
            self.go()

    def raise_for_status(self) -> None:
        """Raise what the body raised."""
        if self.error is not None:
            raise self.error

    def outputs(self) -> tuple[Any, ...]:
        """What the body returned."""
        return self._result


class MappedRun:
    """A run of a table."""

    def __init__(self, frame: Any) -> None:
        self.results = frame
        self.waited = 0

    def wait(self) -> None:
        """Count."""
        self.waited += 1

    def raise_for_status(self) -> None:
        """It succeeded."""


class FakeCache:
    """A cache that keeps what its test says, and what was dropped."""

    def __init__(self) -> None:
        self.kept: list[CacheLine] = []
        self.cleared: list[str] = []

    def lines(self) -> list[CacheLine]:
        """As the test says."""
        return self.kept

    def clear(self, task: str = "") -> int:
        """Remember."""
        self.cleared.append(task)
        return len(self.kept)


class FakeWorkspace:
    """Keeps what was asked of it."""

    def __init__(self) -> None:
        self.settings = Settings()
        self.started: list[DriverRun] = []
        self.drivers: list[str | None] = []
        self.recovered: list[str | None] = []
        self.cache = FakeCache()
        self.facts: ClusterFacts | None = None
        self.mapped: list[tuple[Any, Any, dict[str, Any]]] = []
        self.calls: list[tuple[Any, ...]] = []

    @property
    def front(self) -> None:
        """Remember that it was connected."""
        self.calls.append(("front",))

    def configure(self, **values: Any) -> None:
        """Change settings."""
        self.settings = self.settings.with_values(**values)

    def run_task(
        self, what: Any, args: tuple[Any, ...], kwargs: dict[str, Any], *, driver: str | None = None, recover: str | None = None
    ) -> DriverRun:
        """Make a run that waits for `go`."""
        assert not args
        assert not kwargs
        self.drivers.append(driver)
        self.recovered.append(recover)
        self.started.append(DriverRun(f"r{len(self.started)}", what.func))
        return self.started[-1]

    def map_frame(self, what: Any, frame: Any, **options: Any) -> MappedRun:
        """Remember what was mapped; a run that is over."""
        if options["concurrency"] < 0:
            raise ValueError("concurrency is 0 or more")
        self.mapped.append((what, frame, options))
        return MappedRun(frame)

    def entries(self) -> list[RunEntry]:
        """Runs, the latest last."""
        return [entry_of(run.state) for run in self.started]

    def runs(self) -> list[DriverRun]:
        """Runs of this kernel, the latest last."""
        return self.started

    def find(self, name: str) -> DriverRun | None:
        """A run by name."""
        return next((run for run in self.started if run.name == name), None)

    def table_of_runs(self, **conditions: Any) -> Any:
        """Remember the conditions; runs as a table."""
        self.calls.append(("runs", {name: value for name, value in conditions.items() if value}))
        return runs_frame(self.entries())

    def cluster_facts(self) -> ClusterFacts | None:
        """As the test says."""
        return self.facts

    def scale(self, workers: int) -> None:
        """Remember."""
        self.calls.append(("scale", workers))

    def start_cluster(self) -> None:
        """Remember."""
        self.calls.append(("start",))

    def close_cluster(self) -> None:
        """Remember."""
        self.calls.append(("close",))
