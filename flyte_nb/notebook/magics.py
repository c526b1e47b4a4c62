"""Decides nothing: the magics parse, call the workspace, and display.

`%%flyte_task` and `%%flyte_run` stand at the top of a cell; `%flyte_cache`, `%flyte_cluster`, `%flyte_config`, `%flyte_export`,
`%flyte_runs`, `%flyte_top` and `%flyte_view` are lines. A mistake in a line is a `UsageError` with a remedy; an error of the user's code
is raised as it is, so that the cell fails as any other cell would.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from datetime import timedelta
from typing import Any, Protocol

from IPython.core.error import UsageError
from IPython.core.magic import Magics, magics_class
from IPython.display import display

from flyte_nb.authoring.environment import TaskEnvironment
from flyte_nb.authoring.task import Task
from flyte_nb.core.caching import CacheLine
from flyte_nb.core.index import RunEntry
from flyte_nb.core.phases import ActionPhase
from flyte_nb.core.resources import Resources
from flyte_nb.notebook import cells
from flyte_nb.notebook.export import Exported, export
from flyte_nb.notebook.kernel import apply_nest, flag, nest_is_on, yes_or_no
from flyte_nb.notebook.mapping import MapMagics
from flyte_nb.notebook.options import Completer, argument, cell_magic, line_magic, magic_arguments, nearest, read, seconds, variable_name
from flyte_nb.settings import read_setting
from flyte_nb.views.listing import Listing, cache_listing, cluster_listing
from flyte_nb.views.shown import ShownRun
from flyte_nb.views.top import Top
from flyte_nb.views.value import ValueDisplay, ValuedRun
from flyte_nb.views.wording import duration

DEFAULT_ENVIRONMENT = "notebook"
CACHE_MODES = ("auto", "override", "disable")
CACHE_VERBS = ("show", "clear")
CLUSTER_VERBS = ("show", "scale", "adapt", "restart", "close")
NEST_VARIABLE = "FLYTE_NB_NEST"


class NotebookRun(ValuedRun, Protocol):
    """What the magics need of a run."""

    def wait(self) -> object:
        """Wait until the run is over."""
        ...

    def raise_for_status(self) -> None:
        """Raise the run's error, if it has one."""
        ...


class CacheOfResults(Protocol):
    """What the magics need of the cache."""

    def lines(self) -> list[CacheLine]:
        """What is kept of results, a line a task."""
        ...

    def clear(self, task: str = "") -> int:
        """Drop all results, or those of a task; says how many."""
        ...


class NotebookWorkspace(Protocol):
    """What the magics need of the workspace."""

    @property
    def settings(self) -> Any:
        """What `%flyte_config` shows: a dataclass."""
        ...

    @property
    def front(self) -> object:
        """Where runs show themselves; connected to the shell around us on first use."""
        ...

    def configure(self, **values: Any) -> None:
        """Change settings."""
        ...

    def run_task(
        self, task: Any, args: tuple[Any, ...], kwargs: dict[str, Any], *, driver: str | None = None, recover: str | None = None
    ) -> NotebookRun:
        """Start a run; returns at once."""
        ...

    def entries(self) -> Iterable[RunEntry]:
        """Runs of this project, the newest last."""
        ...

    def runs(self) -> Sequence[ShownRun]:
        """Runs of this kernel, the newest last."""
        ...

    def find(self, name: str) -> Any:
        """A run by name, or None."""
        ...

    def table_of_runs(self, **conditions: Any) -> Any:
        """Runs of this project as a table, the newest last."""
        ...

    @property
    def cache(self) -> CacheOfResults:
        """Results that may be reused."""
        ...

    def cluster_facts(self) -> Any:
        """What the cluster is: a dataclass, or None before it was started."""
        ...

    def scale(self, workers: int) -> None:
        """Change the number of workers."""
        ...

    def start_cluster(self) -> object:
        """Start the cluster and wait for it."""
        ...

    def close_cluster(self) -> None:
        """Stop the cluster; the next run starts one."""
        ...


def register(shell: Any, workspace: NotebookWorkspace, map_frame: Callable[..., Any]) -> None:
    """Add the magics to a shell, with Tab completion of their options.

    Args:
        shell: IPython's shell.
        workspace: what the magics call.
        map_frame: what `%flyte_map` calls: `flyte.map_frame`.
    """
    magics, mapping = FlyteMagics(shell, workspace), MapMagics(shell, map_frame)
    shell.register_magics(magics, mapping)
    offered = {**magics.completions(), **mapping.completions()}
    Completer({name: (method.parser, values) for name, (method, values) in offered.items()}, shell.user_ns).attach(shell)
    _connected = workspace.front  # so that also a cell without runs is looked after
    if flag(NEST_VARIABLE):
        apply_nest()


@magics_class
class FlyteMagics(Magics):
    """The magics of flyte_nb."""

    def __init__(self, shell: Any, workspace: NotebookWorkspace) -> None:
        super().__init__(shell)
        self._shell = shell
        self._workspace = workspace
        self._environments: dict[str, TaskEnvironment] = {}

    def completions(self) -> dict[str, tuple[Any, dict[str, Callable[[Mapping[str, Any]], Iterable[str]]]]]:
        """By magic: its method, and what may follow its options (or "", the magic itself)."""

        def environments(user_ns: Mapping[str, Any]) -> list[str]:
            return [value.name for value in user_ns.values() if isinstance(value, TaskEnvironment)]

        def tasks(user_ns: Mapping[str, Any]) -> list[str]:
            return [name for name, value in user_ns.items() if isinstance(value, Task)]

        return {
            "%%flyte_task": (self.flyte_task, {"--env": environments, "--cache": lambda _: CACHE_MODES}),
            "%%flyte_run": (self.flyte_run, {}),
            "%flyte_cluster": (self.flyte_cluster, {"": lambda _: CLUSTER_VERBS}),
            "%flyte_cache": (self.flyte_cache, {"": lambda _: CACHE_VERBS, "clear": lambda _: self._cached_tasks()}),
            "%flyte_config": (self.flyte_config, {"": lambda _: self._setting_names(), "nest": lambda _: ("on",)}),
            "%flyte_export": (self.flyte_export, {"--tasks": tasks, "--driver": tasks}),
            "%flyte_runs": (self.flyte_runs, {"--phase": lambda _: [phase.value for phase in ActionPhase]}),
            "%flyte_top": (self.flyte_top, {}),
            "%flyte_view": (self.flyte_view, {"": lambda _: self._run_names()}),
        }

    # ------------------------------------------------------------------ cells
    @magic_arguments()
    @argument("--env", default=DEFAULT_ENVIRONMENT, metavar="NAME", help="Environment that the task belongs to; made if there is none.")
    @argument("--retries", type=int, default=0, metavar="N", help="Attempts beyond the first. Default 0.")
    @argument("--timeout", type=seconds, default=0, metavar="SECONDS", help="Longest time of one attempt. Default: no limit.")
    @argument("--cache", choices=CACHE_MODES, metavar="MODE", help="auto, override or disable. Default: the environment's.")
    @argument("--cpu", metavar="CORES", help="Cores that an action needs, such as 2 or 500m.")
    @argument("--memory", metavar="SIZE", help="Memory that an action needs, such as 512Mi.")
    @argument("--short-name", metavar="NAME", help="Shown instead of the function's name.")
    @argument("-o", "--out", type=variable_name, metavar="NAME", help="Bind the task to this name too.")
    @cell_magic
    def flyte_task(self, line: str, cell: str) -> None:
        """Make the function in this cell a task, as `@env.task` does.

        Imports, constants and helpers may stand in the cell too; the last function at the top level is the task.
        """
        __tracebackhide__ = True
        options = read(self.flyte_task, line, "%%flyte_task")
        declare = _checked(lambda: self._declaration(options))
        name, function = cells.define(self._shell, cell)
        if isinstance(function, Task):
            if line.strip():
                raise UsageError(
                    f"%%flyte_task: `{name}` is a task already (it has a decorator of its own), so the options of this line "
                    "would be lost. Remove the decorator, or write the options there."
                )
            task: Any = function
        else:
            task = _checked(lambda: declare(function))
        self._shell.user_ns.update({name: task} | ({options.out: task} if options.out else {}))
        print(_about(task))  # noqa: T201 - the cell's one line of output

    def _declaration(self, options: Any) -> Callable[[Any], Any]:
        declare = self._environment(options.env).task(
            short_name=options.short_name,
            cache=options.cache,
            retries=options.retries,
            timeout=timedelta(seconds=options.timeout) if options.timeout else 0,
        )
        if options.cpu is None and options.memory is None:
            return declare
        resources = Resources(cpu=options.cpu, memory=options.memory)
        return lambda function: declare(function).override(resources=resources)

    def _environment(self, name: str) -> TaskEnvironment:
        """The notebook's own environment of this name, or one that is made once."""
        own = [value for value in self._shell.user_ns.values() if isinstance(value, TaskEnvironment) and value.name == name]
        if own:
            return own[-1]
        if name not in self._environments:
            self._environments[name] = TaskEnvironment(name)
        return self._environments[name]

    @magic_arguments()
    @argument("-b", "--block", dest="block", action="store_true", help="Wait for the end; an error of the run fails the cell.")
    @argument("-a", "--noblock", dest="block", action="store_false", help="Return at once (default); the view below stays live.")
    @argument("-o", "--out", type=variable_name, metavar="NAME", help="Bind the Run to this name, at once.")
    @argument("--group", metavar="NAME", help="Group that the calls of this cell belong to.")
    @argument("--recover", metavar="RUN", help="Name of an earlier run of this cell: what succeeded in it is not run again.")
    @cell_magic
    def flyte_run(self, line: str, cell: str) -> Any:
        """Run this cell as the driver of a run: task calls in it become actions; `await` works at the top level.

        Names that the cell assigns appear in the notebook when it has succeeded. The value of a last expression is
        the run's output.
        """
        __tracebackhide__ = True
        options = read(self.flyte_run, line, "%%flyte_run")
        name = options.out or f"cell_{cells.cell_number(self._shell)}"
        function = cells.driver(self._shell, cell).as_function(name, group=options.group)
        task = TaskEnvironment(DEFAULT_ENVIRONMENT).task(function)
        run = self._workspace.run_task(task, (), {}, driver="kernel", recover=options.recover)
        if options.out:
            self._shell.user_ns[options.out] = run
        if not options.block:
            ValueDisplay(run).show_when_done()
            return None
        run.wait()
        run.raise_for_status()
        return next(iter(run.outputs()), None)

    # ------------------------------------------------------------------ lines
    @magic_arguments()
    @argument("file", help="The module, such as pipeline.py.")
    @argument("--tasks", metavar="NAMES", help="Tasks, with commas between them. Default: all.")
    @argument("--driver", metavar="NAME", help="What the module starts: a task, or the --out name of a %%%%flyte_run cell.")
    @argument("--strict", action="store_true", help="Write nothing if the real SDK cannot run it.")
    @argument("--force", action="store_true", help="Write over a file that was not exported, or was edited since.")
    @line_magic
    def flyte_export(self, line: str) -> Exported:
        """Write the tasks of this notebook as a plain module with `import flyte`, and list what the real SDK cannot run of it."""
        __tracebackhide__ = True
        asked = read(self.flyte_export, line, "%flyte_export")
        chosen = {name: getattr(asked, name) for name in ("tasks", "driver", "strict", "force")}
        exported: Exported = _checked(lambda: export(asked.file, read=read_line, **chosen))
        return exported

    @magic_arguments()
    @argument("verb", nargs="?", choices=CLUSTER_VERBS, default="show", help="show (default), scale N, adapt MIN MAX, restart, or close.")
    @argument("workers", nargs="*", type=int, help="For scale: the number of workers. For adapt: the least and the most.")
    @line_magic
    def flyte_cluster(self, line: str) -> Listing | None:
        """Show the cluster, or change it."""
        __tracebackhide__ = True
        options = read(self.flyte_cluster, line, "%flyte_cluster")
        if len(options.workers) != {"scale": 1, "adapt": 2}.get(options.verb, 0):
            raise UsageError(
                "%flyte_cluster: write `%flyte_cluster scale 4` for 4 workers, `%flyte_cluster adapt 1 8` for as many as there is work "
                "for; the other verbs take no number."
            )
        if options.verb in {"close", "restart"}:
            self._workspace.close_cluster()
        if options.verb == "restart":
            self._workspace.start_cluster()
        if options.verb == "scale":
            self._workspace.scale(*options.workers)
        if options.verb == "adapt":
            _checked(lambda: self._workspace.configure(adaptive=tuple(options.workers)))
        if options.verb == "close":
            print("The cluster is closed; the next run starts one.")  # noqa: T201 - the line's output
            return None
        return cluster_listing(self._workspace.cluster_facts())

    @magic_arguments()
    @argument("name", nargs="?", help="The setting; without it all are listed.")
    @argument("value", nargs="?", help="Its new value; without it the setting is shown.")
    @line_magic
    def flyte_config(self, line: str) -> Listing | None:
        """Show or change settings: `%flyte_config`, `%flyte_config nest on`, `%flyte_config max_actions 5000000`."""
        __tracebackhide__ = True
        options = read(self.flyte_config, line, "%flyte_config")
        if options.name is None:
            return Listing("Settings", ("setting", "value"), [(name, self._setting(name)) for name in self._setting_names()])
        if options.name not in self._setting_names():
            names = ", ".join(self._setting_names())
            raise UsageError(
                f"%flyte_config: unknown setting {options.name!r}. {nearest(options.name, self._setting_names())} Settings: {names}."
            )
        if options.value is not None:
            self._set(options.name, options.value)
        print(f"{options.name} = {self._setting(options.name)}")  # noqa: T201 - the line's output
        return None

    def _run_names(self) -> list[str]:
        return [entry.name for entry in self._workspace.entries()]

    def _cached_tasks(self) -> list[str]:
        return [line.task for line in self._workspace.cache.lines()]

    def _setting_names(self) -> list[str]:
        return sorted({*(field.name for field in fields(self._workspace.settings)), "nest"})

    def _setting(self, name: str) -> str:
        value = nest_is_on() if name == "nest" else getattr(self._workspace.settings, name)
        return ("on" if value else "off") if isinstance(value, bool) else str(value)

    def _set(self, name: str, word: str) -> None:
        if name != "nest":
            _checked(lambda: self._workspace.configure(**{name: read_setting(name, word)}))
        elif (wanted := yes_or_no(word)) is None:
            raise UsageError(f"%flyte_config: nest is on or off, not {word!r}.")
        elif wanted:
            apply_nest()
        elif nest_is_on():
            raise UsageError("%flyte_config: nested loops cannot be taken back; restart the kernel to turn them off.")

    @magic_arguments()
    @argument("verb", nargs="?", choices=CACHE_VERBS, default="show", help="show (default), or clear.")
    @argument("task", nargs="?", default="", help="For clear: drop the results of this task only (its full name).")
    @line_magic
    def flyte_cache(self, line: str) -> Listing | None:
        """Show what is kept of results that may be reused, by task, or drop it: `%flyte_cache clear`, `%flyte_cache clear etl.fetch`."""
        __tracebackhide__ = True
        options = read(self.flyte_cache, line, "%flyte_cache")
        lines = self._workspace.cache.lines()
        if options.verb == "show":
            return cache_listing([each for each in lines if options.task in {"", each.task}])
        names = [each.task for each in lines]
        if options.task and options.task not in names:
            raise UsageError(f"%flyte_cache: nothing is kept of a task {options.task!r}. {nearest(options.task, names)}".rstrip())
        count = self._workspace.cache.clear(options.task)
        print(f"{count:,} results dropped.")  # noqa: T201 - the line's output
        return None

    @magic_arguments()
    @argument("--phase", action="append", help="Only runs in this phase; may be given several times.")
    @argument("--task", metavar="NAME", help="Only runs of this root task.")
    @argument("--since", metavar="WHEN", help="Only runs started since: how long ago (90m, 2h, 7d), or a date.")
    @argument("--notebook", metavar="NAME", help="Only runs that this notebook or script started.")
    @argument("--label", action="append", default=[], metavar="NAME=VALUE", help="Only runs with this label; may be given several times.")
    @argument("--limit", type=int, default=50, metavar="N", help="Only the latest. Default 50.")
    @line_magic
    def flyte_runs(self, line: str) -> Any:
        """List the runs of this project as a table, the newest first; `flyte.runs()` is the same in Python."""
        __tracebackhide__ = True
        asked = read(self.flyte_runs, line, "%flyte_runs")
        conditions = {
            "phase": tuple(asked.phase) if asked.phase else None,
            "labels": dict(each.partition("=")[::2] for each in asked.label),
            **{name: getattr(asked, name) for name in ("task", "since", "notebook", "limit")},
        }
        return _checked(lambda: self._workspace.table_of_runs(**conditions))[::-1]

    @magic_arguments()
    @line_magic
    def flyte_top(self, line: str) -> None:
        """Show the runs of this kernel and the workers of its cluster, up to date while a run goes on."""
        __tracebackhide__ = True
        read(self.flyte_top, line, "%flyte_top")
        Top(self._workspace.runs, self._workspace.cluster_facts).show()

    @magic_arguments()
    @argument("run", help="A variable that holds a run, or the name of a run.")
    @line_magic
    def flyte_view(self, line: str) -> None:
        """Show a run here too."""
        __tracebackhide__ = True
        word = read(self.flyte_view, line, "%flyte_view").run
        run = self._shell.user_ns.get(word) or self._workspace.find(word)
        if not hasattr(run, "summary"):
            hint = nearest(word, self._run_names())
            raise UsageError(f"%flyte_view: there is no run {word!r}. {hint} `%flyte_runs` lists them.".replace("  ", " "))
        display(run)  # type: ignore[no-untyped-call]  # IPython's


def read_line(name: str, line: str) -> Any:
    """What the line of a cell magic says, given the magic's name without its percent signs.

    Raises:
        UsageError: it has a mistake.
    """
    return read(getattr(FlyteMagics, name), line, f"%%{name}")


def _checked(make: Callable[[], Any]) -> Any:
    """A value made from what the user wrote; what does not fit is a mistake in the line."""
    try:
        return make()
    except (OverflowError, RuntimeError, TypeError, ValueError) as error:
        raise UsageError(str(error)) from error


def _about(task: Any) -> str:
    """What was defined, in one line."""
    policy = [
        f"retries {task.retries.count}" if task.retries.count else "",
        f"timeout {duration(task.facts.timeout.max_runtime_seconds)}" if task.facts.timeout.max_runtime_seconds else "",
        f"cache {task.cache.behavior}" if task.cache.behavior != "disable" else "",
    ]
    extra = ", ".join(part for part in policy if part)
    return repr(task)[1:-1] + (f" ({extra})" if extra else "")
