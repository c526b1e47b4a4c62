"""Decides how the parts are put together: the one object per kernel or script that wires backend, runs and views.

Everything that starts, starts on first use: a workspace without runs has no thread and no cluster.

Must not know: how any part works.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from types import MappingProxyType
from typing import Any, TypeVar

from flyte_nb.authoring import fanout, history
from flyte_nb.authoring.environment import TaskEnvironment
from flyte_nb.authoring.misfits import not_a_task
from flyte_nb.authoring.task import Task
from flyte_nb.backends import make_backend
from flyte_nb.core import ids
from flyte_nb.core.current import CURRENT, Frame
from flyte_nb.core.events import NO_SETTINGS, Inputs, RunSettings
from flyte_nb.core.index import ALL_RUNS, RunEntry, RunFilter
from flyte_nb.core.payloads import Item
from flyte_nb.core.state import RunState
from flyte_nb.core.summary import Starting
from flyte_nb.ending import at_exit, in_ipython_kernel
from flyte_nb.engine import nursery
from flyte_nb.engine.backend import ClusterFacts
from flyte_nb.engine.feeds import ChangeFeed, PrintFeed
from flyte_nb.engine.runner import Runner, RunRefusedError
from flyte_nb.engine.stimuli import ConditionAnswered, RunRequested
from flyte_nb.errors import RuntimeUserError
from flyte_nb.remote import Run
from flyte_nb.remote.filters import wanted_runs
from flyte_nb.remote.front import FrontEnd
from flyte_nb.remote.home import make_home_with, set_home
from flyte_nb.remote.rerun import NO_ORIGIN, Asked, prepare, recover_into, texts
from flyte_nb.remote.updates import deliver_here, deliver_last
from flyte_nb.settings import CLUSTER_SETTINGS, STORE_SETTINGS, Settings, bytes_of, from_environment
from flyte_nb.store.folders import RunFolders
from flyte_nb.store.following import Follower
from flyte_nb.store.kernels import started_by
from flyte_nb.store.opening import Shelf, open_store
from flyte_nb.store.place import FILES
from flyte_nb.store.port import RunStore
from flyte_nb.store.results import CacheShelf, results_of
from flyte_nb.store.retention import Retention
from flyte_nb.store.versions import keeper_of
from flyte_nb.views.terminal import Terminal

T = TypeVar("T")
#: To know the version of a task whose body stays in this process, values of the notebook up to this size are looked at.
MOST_BYTES_IN_KERNEL = 4 * 1024 * 1024


class Workspace:
    """Runs, cluster and settings of this process."""

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or from_environment()
        self._runner: Runner | None = None
        self.shelf = Shelf(self._open_store)
        self.cache = CacheShelf(lambda: results_of(self.shelf.store, bytes_of(self.settings.cache_bytes) or 0))
        self._folders = RunFolders(lambda: self.shelf.folder(FILES))
        self._roots: dict[str, Task[..., Any]] = {}
        self._feed = ChangeFeed()
        self._follower = Follower(self._refresh, self._feed.is_watched, self._feed.tell)
        self._reading = threading.RLock()
        self._front: FrontEnd | None = None
        self._lock = threading.RLock()
        set_home(self)
        fanout.set_enter_run(self.enter_run)

    # ------------------------------------------------------------------ settings and cluster
    def configure(self, **values: Any) -> None:
        """Change settings. A change of the cluster's settings closes an idle cluster.

        Raises:
            RuntimeError: the cluster's settings change while runs are live.
            TypeError, ValueError: a setting does not exist, or its value is out of range.
            ClusterUnreachableError, ClusterMismatchError: the cluster that is named cannot be used; nothing is changed.
        """
        changed = self.settings.with_values(**values)
        adapts = changed.adaptive != self.settings.adaptive
        moved = [name for name in CLUSTER_SETTINGS if getattr(changed, name) != getattr(self.settings, name)]
        if moved and self._runner is not None:
            if self._runner.live_runs():
                live = ", ".join(self._runner.live_runs())
                raise RuntimeError(f"{', '.join(moved)} cannot change while runs are live ({live}): wait for them, or abort them.")
            self.close_cluster()
        if any(getattr(changed, name) != getattr(self.settings, name) for name in STORE_SETTINGS):
            if self.live_runs():
                raise RuntimeError(
                    f"The store cannot change while runs are live ({', '.join(self.live_runs())}): wait for them, or abort them."
                )
            self._close_store()
        before, self.settings = self.settings, changed
        if adapts and self._runner is not None:
            self._runner.adapt(changed.adaptive)
        if "cluster" in values and changed.cluster is not None and changed.cluster != "inline":
            self._reach_cluster(before)

    def _reach_cluster(self, before: Settings) -> None:
        """A cluster that was named is connected to at once: what is wrong with it is said where it was named."""
        try:
            self.start_cluster()
        except BaseException:
            self.close_cluster()
            self.settings = before
            raise

    def _open_store(self) -> RunStore:
        settings = self.settings
        keep = Retention(settings.keep_days, bytes_of(settings.keep_bytes) or 0)
        store = open_store(settings.store, notebook=started_by(), keep=keep, say=self._say)
        history.set_keeper(keeper_of(store))
        return store

    def _close_store(self) -> None:
        self.cache.close()
        history.set_keeper(None)
        self._follower.close()
        self.shelf.close()

    @property
    def runner(self) -> Runner:
        """The engine, made on first use."""
        with self._lock:
            if self._runner is None:
                self._runner = Runner(
                    make_backend(self.settings, self.shelf.passing(), self),
                    sinks=(self.shelf, self._feed, PrintFeed(self._show_print), self._folders),
                    grace_seconds=self.settings.grace_seconds,
                    max_losses=self.settings.system_retries,
                    adaptive=self.settings.adaptive,
                    on_cluster=self._say,
                    results=self.cache,
                    journal=self.shelf,
                )
                at_exit(self._at_exit)
            return self._runner

    def start_cluster(self) -> ClusterFacts:
        """Start the cluster if need be, and wait for it."""
        self.runner.start_cluster()
        facts = self.runner.cluster_facts()
        assert facts is not None  # noqa: S101 - it was started in the line before
        return facts

    def cluster_facts(self) -> ClusterFacts | None:
        """What the cluster is; None before it was started."""
        return self._runner.cluster_facts() if self._runner is not None else None

    def scale(self, workers: int) -> None:
        """Change the number of workers; starts the cluster if need be, and ends that its size follows the load."""
        self.settings = replace(self.settings, adaptive=None)
        self.runner.scale(workers)

    def close_cluster(self) -> None:
        """Abort what is live and give the cluster back; the next run starts another."""
        with self._lock:
            runner, self._runner = self._runner, None
        if runner is not None:
            runner.close()
            nursery.leave(self)

    def load(self) -> tuple[int, int, int]:
        """(workers, slots, slots in use)."""
        return self._runner.load() if self._runner is not None else (0, 0, 0)

    def starting(self) -> Starting | None:
        """How far the start of the cluster is; None if it is there, or nobody wants one."""
        facts = self.cluster_facts() if self.load()[0] == 0 else None
        return facts.starting if facts is not None else None

    # ------------------------------------------------------------------ runs
    def run_task(  # noqa: PLR0913 - what a run may be told
        self,
        task: Task[..., Any],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
        *,
        name: str | None = None,
        driver: str | None = None,
        custom_context: Mapping[str, str] | None = None,
        labels: Mapping[str, str] | None = None,
        max_actions: int | None = None,
        settings: RunSettings = NO_SETTINGS,
        recover: str | None = None,
    ) -> Run:
        """Start a run; returns at once.

        Args:
            task: what to run.
            args: its inputs by position.
            kwargs: its inputs by name.
            name: the run's name; a new one by default.
            driver: where the root's body runs: "kernel" or "cluster". By default async roots run in the kernel, unless
                their environment declares resources; sync ones run on the cluster.
            custom_context: what `ctx().custom_context` holds in all actions.
            labels: kept with the run.
            max_actions: most actions; default from the settings.
            settings: what holds for all its actions; without a folder it gets one of its own.
            recover: an earlier run: what this one calls and what succeeded there does not run again. The root runs.

        Raises:
            RunNotFoundError: there is no run to recover of that name.
            TypeError: not a task, or inputs of the wrong type.
            ValueError: inputs are missing, or the name is taken by a live run.
            NotSerializableError: an input, or something that the task uses, cannot be pickled.
        """
        __tracebackhide__ = True  # to IPython: the reader's lines, not ours
        if not isinstance(task, Task):
            raise TypeError(not_a_task(task))
        try:
            inputs = task.pack_inputs(args, kwargs or {})
        except (TypeError, ValueError, RuntimeUserError) as error:
            raise error.with_traceback(None)  # noqa: B904 - the same error, without the lines that looked at the inputs
        origin = NO_ORIGIN if recover is None else recover_into(recover, (ids.ROOT_ACTION,), self.shelf.get)
        return self._start(task, inputs, Asked(name, driver, custom_context, labels, max_actions, settings, origin))

    def rerun(
        self,
        name: str,
        action: str,
        changes: Mapping[str, Any],
        *,
        recover: bool = False,
        force: Sequence[str] = (),
        options: Mapping[str, Any] = MappingProxyType({}),
    ) -> Run:
        """A new run of an earlier one, or of one of its actions: see `remote.rerun.prepare`; options as of `run_task`."""
        made = prepare(name, action, changes, recover=recover, force=force, find=self.shelf.get, own=self._own_task)
        return self._start(made.task, made.inputs, made.asked(Asked(**options)))

    def _rerun_from_view(self, name: str, row: int) -> str:
        """What the buttons of a live view start: what failed or never ran of a run (row 0), or one action; the new run's name."""
        state = self.shelf.get(name)
        action = self.read(lambda: state.action_name(row)) if state is not None and row else ids.ROOT_ACTION
        return self.rerun(name, action, {}, recover=not row).name

    def _own_task(self, state: RunState, row: int) -> Task[..., Any] | None:
        """The task object of a run's action, if this process or the store has it."""
        if row == 0 and state.name in self._roots:
            return self._roots[state.name]
        blob = state.blobs.get(state.nodes[state.node_ids[row]].task)
        task = None if blob is None else blob.value()
        return task if isinstance(task, Task) else None

    def _start(self, task: Task[..., Any], inputs: Inputs, asked: Asked) -> Run:
        name, settings = asked.name or ids.run_name(os.urandom(10)), asked.settings
        in_kernel = asked.runs_in_kernel(task)
        facts = task.current_facts(MOST_BYTES_IN_KERNEL if in_kernel else None)
        request = RunRequested(
            run=name,
            task=facts,
            blob=b"" if in_kernel else task.pickled(),
            inputs=inputs,
            in_kernel=in_kernel,
            max_actions=asked.max_actions or self.settings.max_actions,
            custom_context=texts(asked.custom_context),
            labels=texts(asked.labels),
            settings=settings if settings.raw_data_path else replace(settings, raw_data_path=self._folders.path_of(name)),
            cache_key=task.cache_keys(name, [inputs])[0] if task.cache.is_enabled() else "",
            origin=asked.origin,
            kept=task.kept(facts.version, MOST_BYTES_IN_KERNEL) if in_kernel and self.shelf.disk is not None else b"",
        )
        if asked.name and self.shelf.store.is_taken(name):
            raise ValueError(f"Run {name} cannot start: a run named {name!r} is in progress in another kernel.")
        front = self.front  # found out before anything can print
        try:
            state = self.runner.request(request, task)
        except RunRefusedError as error:
            raise ValueError(f"Run {request.run} cannot start: {error}.") from None
        self.shelf.store.add(state)
        self._roots[name] = task
        run = Run(state, self)
        try:
            if CURRENT.get() is None:
                front.run_started(run)
        except KeyboardInterrupt:  # nobody has the handle yet
            run.abort("interrupted by the user")
            raise
        return run

    @contextmanager
    def enter_run(self, title: str) -> Iterator[Frame]:
        """A run of its own around a block of plain code: calls made with its frame become actions."""
        opened = threading.Event()
        frames: list[Frame] = []
        ends: list[tuple[asyncio.AbstractEventLoop, asyncio.Future[None]]] = []

        async def fan_out() -> None:
            frame = CURRENT.get()
            loop = asyncio.get_running_loop()
            end: asyncio.Future[None] = loop.create_future()
            ends.append((loop, end))
            if frame is not None:
                frames.append(frame)
            opened.set()
            await end

        environment = TaskEnvironment("notebook")
        run = self.run_task(environment.task(short_name=title)(fan_out))
        opened.wait()
        try:
            yield frames[0]
        except BaseException as error:
            if not isinstance(error, GeneratorExit):
                run.abort(f"the code that maps ended with {type(error).__name__}")
            raise
        finally:
            loop, end = ends[0]
            with contextlib.suppress(RuntimeError):  # the loop is closed already: the run was aborted
                loop.call_soon_threadsafe(_finish, end)
            self.wait_ended(run.name, 10)

    def find(self, name: str) -> Run | None:
        """A run by name."""
        state = self.shelf.get(name)
        return Run(state, self) if state is not None else None

    def runs(self) -> list[Run]:
        """All runs of this process, the latest last."""
        return [Run(state, self) for state in self.shelf.store.states()]

    def entries(self, wanted: RunFilter = ALL_RUNS) -> list[RunEntry]:
        """Runs of all kernels of this project, the latest last."""
        return self.shelf.store.entries(wanted)

    def table_of_runs(self, **conditions: Any) -> Any:
        """The same as a table; conditions as of `remote.filters.wanted_runs`."""
        from flyte_nb.views.frames import runs_frame  # noqa: PLC0415 - pandas only where a table is asked for

        return runs_frame(self.entries(wanted_runs(**conditions)))

    def live_runs(self) -> list[str]:
        """Names of runs that have not ended."""
        return self._runner.live_runs() if self._runner is not None else []

    # ------------------------------------------------------------------ for handles
    def read(self, reader: Callable[[], T]) -> T:
        """Call a reader while nothing changes."""
        if self._runner is not None:
            return self._runner.read(reader)
        with self._reading:
            return reader()

    def _refresh(self, run: str) -> bool:
        with self._reading:
            return self.read(lambda: self.shelf.is_elsewhere(run))

    def abort(self, run: str, row: int, reason: str) -> None:
        """Stop an action and all that it called.

        Raises:
            RuntimeError: it runs in another kernel.
        """
        if run not in self.live_runs() and self.shelf.is_elsewhere(run):
            raise RuntimeError(f"Run {run} goes on in another kernel: abort it there.")
        if self._runner is not None:
            self._runner.abort(run, row, reason)

    def answer(self, run: str, row: int, value: Item) -> None:
        """Answer an open condition."""
        if self._runner is not None:
            self._runner.post(ConditionAnswered(run, row, "", value))

    def wait_ended(self, run: str, timeout: float | None) -> bool:
        """Wait for a run's end; false if the time is over."""
        if run in self.live_runs():
            return self.runner.ended_event(run).wait(timeout)
        return self.shelf.wait_elsewhere(run, timeout)

    def watch(self, run: str, callback: Callable[[], None], every: float) -> Callable[[], None]:
        """Call back when a run has changed."""
        unwatch = self._feed.watch(run, callback, every)
        if self.shelf.is_elsewhere(run):
            self._follower.follow(run)
        return unwatch

    @property
    def front(self) -> FrontEnd:
        """Where runs show themselves, found out on first use."""
        if self._front is None:
            self._front = self._notebook() or Terminal(self.find)
        return self._front

    def _notebook(self) -> FrontEnd | None:
        if "IPython" not in sys.modules:
            return None
        from flyte_nb.notebook.hooks import Notebook  # noqa: PLC0415 - IPython only where it is there anyway
        from flyte_nb.notebook.kernel import current_shell, in_kernel  # noqa: PLC0415 - the same

        shell = current_shell()
        if shell is None or not in_kernel(shell):
            return None
        notebook = Notebook(shell, blocks=lambda: self.settings.block, rerun=self._rerun_from_view)
        notebook.attach()
        return notebook

    def _show_print(self, run: str, row: int, text: str) -> None:
        if self.settings.stdout and self._front is not None:
            self._front.print_log(run, row, text)

    def _say(self, line: str) -> None:
        self.front.say(f"flyte_nb: {line}")

    def display(self, run: Run) -> dict[str, Any] | None:
        """Show a run's view; where there is none, its MIME bundle."""
        if self.front.show(run):
            return None
        from flyte_nb.views.live import bundle_of  # noqa: PLC0415 - widgets only where something is shown

        return dict(bundle_of(run))

    @contextmanager
    def waiting(self, run: Run) -> Iterator[Callable[[], object]]:
        """Around a wait for a run; the yielded function is called now and then."""
        front = self.front
        with front.waiting(run) if isinstance(front, Terminal) else contextlib.nullcontext(lambda: None) as update:
            yield lambda: deliver_here(update)
            deliver_here()

    def frame(self, run: Run, kind: str) -> Any:
        """A run's "actions" or "results"."""
        from flyte_nb.views import liveframe  # noqa: PLC0415 - pandas only where a table is asked for

        return liveframe.live_actions(run) if kind == "actions" else liveframe.live_results(run)

    # ------------------------------------------------------------------ the end
    def wait_for_runs(self) -> None:
        """Wait for all live runs; an interrupt aborts them."""
        try:
            while self.live_runs():
                self._wait_shown(self.live_runs()[0])
        except KeyboardInterrupt:
            for run in self.live_runs():
                self.abort(run, 0, "interrupted by the user")
            raise

    def _wait_shown(self, name: str) -> None:
        """Wait for a run, as `run.wait()` does: with progress, and with the questions that it asks."""
        run = self.find(name)
        with self.waiting(run) if run is not None else contextlib.nullcontext(lambda: None) as tick:
            while not self.wait_ended(name, 0.1):
                tick()

    def _at_exit(self) -> None:
        if self.settings.block and not in_ipython_kernel():
            with contextlib.suppress(KeyboardInterrupt):
                self.wait_for_runs()
        deliver_last()
        self.close()

    def close(self) -> None:
        """Abort what is live and give everything back."""
        self.close_cluster()
        self._folders.close()
        self._close_store()


def _finish(end: asyncio.Future[None]) -> None:
    if not end.done():
        end.set_result(None)


_current: Workspace | None = None
_current_lock = threading.Lock()


def current() -> Workspace:
    """The workspace of this process, made on first use.

    Raises:
        ValueError: a `FLYTE_NB_*` environment variable cannot be read.
    """
    global _current  # noqa: PLW0603 - one a process
    with _current_lock:
        if _current is None:
            _current = Workspace()
        return _current


# A map, and a look for a stored run, may be the first thing that a process does.
fanout.set_enter_run(lambda title: current().enter_run(title))
make_home_with(current)
