"""Decides which names are public, on which page each stands, and what is worth telling of it.

Must not know: how a page looks.
"""

import inspect
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, is_dataclass
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any, get_origin

import flyte_nb
from flyte_nb import durable, errors, io, models, plots, remote, report
from scripts.reference.docstrings import Doc, comment_above, parse

EXAMPLES = Path(__file__).parent / "examples"


@dataclass(frozen=True)
class Area:
    """A page: its file, its title, what it says first, and the public names on it, by the name that users write."""

    file: str
    title: str
    intro: str
    module: ModuleType = flyte_nb
    members: tuple[str, ...] = ()

    @property
    def prefix(self) -> str:
        """What users write before a name."""
        return self.module.__name__.replace("flyte_nb", "flyte")


_INERT = (
    "Flyte's names for what this package does not do: they are accepted, so that the same code runs here and there, and have no effect."
)

_REMOTE = "Handles of runs and actions. Methods marked “also `.aio`” have an async form: `await run.wait.aio()`."

#: Names of the package itself by page, in the order in which they are met; submodules are a page each.
AREAS = (
    Area(
        "tasks.md",
        "Tasks",
        "What is written: environments, tasks, and what a task's body may use.",
        members=(
            *("TaskEnvironment", "Environment", "Task", "TaskTemplate", "AsyncFunctionTaskTemplate", "group", "trace", "ctx"),
            *("custom_context", "get_custom_context", "Checkpoint", "latest_checkpoint", "new_condition"),
        ),
    ),
    Area(
        "settings-of-tasks.md",
        "Settings of tasks",
        "What is said of a task besides its code: when its results are reused, how often and how long it is tried, what it needs.",
        members=(
            *("Cache", "CachePolicy", "CacheRequest", "RetryStrategy", "Backoff", "Timeout", "TimeoutType", "Resources", "Device"),
            *("DeviceClass", "GPU", "TPU", "AMD_GPU", "HABANA_GAUDI", "Neuron", "APPLE_SILICON", "Secret", "SecretRequest", "ReusePolicy"),
        ),
    ),
    Area(
        "runs.md",
        "Runs",
        "How runs are started, listed and repeated, and how the cluster is chosen. What a run gives you is in [remote.md](remote.md).",
        members=("run", "with_runcontext", "map", "rerun", "runs", "init", "ActionPhase", "version", "logger", "system_logger"),
    ),
    Area(
        "sweeps.md",
        "Sweeps and tables",
        "Tables in, tables out; more is told in [sweeps.md](../sweeps.md).",
        members=("map_frame", "grid", "sample", "uniform", "loguniform", "normal", "lognormal", "randint", "choice", "best", "form"),
    ),
    Area("moving.md", "Moving to Flyte", "More is told in [moving-to-flyte.md](../moving-to-flyte.md).", members=("export",)),
    Area(
        "kept-for-flyte.md",
        "Kept for Flyte",
        _INERT,
        members=(
            *("Image", "PodTemplate", "Trigger", "Cron", "FixedRate", "OnArtifact", "TriggerTime", "TriggeredArtifact"),
            *("TriggeredPartition", "Link", "Documentation", "ConditionWebhook", "deploy", "build", "build_images", "ImageBuild"),
            *("init_from_config", "init_from_api_key", "init_in_cluster", "init_passthrough", "current_project", "current_domain"),
            "is_control_plane_available",
        ),
    ),
    Area("models.md", "flyte.models", "Facts that a task's body gets from `flyte.ctx()`.", models),
    Area(
        "remote.md",
        "flyte.remote",
        _REMOTE,
        remote,
    ),
    Area("io.md", "flyte.io", "Files, folders and tables that travel by reference.", io),
    Area("plots.md", "flyte.plots", "Pictures of a sweep, of any table; `run.results.plot` has them as methods.", plots),
    Area("report.md", "flyte.report", "HTML that a task with `report=True` shows beside its action.", report),
    Area("durable.md", "flyte.durable", "Time that is the same in each attempt of an action.", durable),
    Area("errors.md", "flyte.errors", "What is caught. The tree, and what to do next, is in [errors.md](../errors.md).", errors),
)
#: What makes its own instances: users meet them, and do not call the class.
MADE_ELSEWHERE = {
    *("Task", "TaskTemplate", "AsyncFunctionTaskTemplate", "CachePolicy", "Link", "Image", "ImageBuild", "ActionPhase"),
    *("Run", "RunDetails", "Action", "ActionDetails", "ActionInputs", "ActionOutputs", "ActionMetadata", "Condition", "TaskContext"),
    *("ActionID", "GroupData", "AbortInfo", "ErrorInfo", "PhaseTransitionInfo"),
}
#: Methods that other parts of the package call: public to them, not to users.
INTERNAL_MEMBERS = {
    "Task": {
        *("cache_keys", "cache_version", "current_facts", "facts", "invoke", "kept", "pack_inputs", "pack_output", "pickled", "policy"),
        *("signature", "within"),
    },
    "Run": {"read", "action_at", "action_named"},
}


@dataclass(frozen=True)
class Member:
    """A method or property of a public class."""

    name: str
    value: Any
    doc: Doc
    has_aio: bool

    @property
    def is_property(self) -> bool:
        """Whether it is read, not called."""
        return isinstance(self.value, property | cached_property)


@dataclass(frozen=True)
class Name:
    """A public name."""

    area: Area
    name: str

    @property
    def full(self) -> str:
        """What users write."""
        return f"{self.area.prefix}.{self.name}"

    @property
    def value(self) -> Any:  # noqa: ANN401 - whatever is public
        """What it stands for."""
        return getattr(self.area.module, self.name)

    @property
    def same_as(self) -> str:
        """The name that it is another one for; empty if there is none."""
        if not isinstance(self.value, type):
            return ""
        own = self.value.__name__
        others = (f"flyte.{own}", f"{self.area.prefix}.{own}")
        known = {each.full for each in all_names()}
        return next((other for other in others if other != self.full and other in known), "")

    @property
    def doc(self) -> Doc:
        """What its docstring says; of something that is called, also what its `__call__` says."""
        value = self.value
        if isinstance(value, type) or inspect.isroutine(value):
            return _with_inherited(value)
        kind = type(value)
        if kind.__module__.startswith("flyte_nb"):
            text = re.sub(r"^`flyte\.\w+`: (\w)", lambda found: found[1].upper(), inspect.getdoc(value) or "")
            own, called = parse(text), parse(getattr(kind.__call__, "__doc__", "") if callable(value) else "")
            return Doc(
                own.summary,
                own.text,
                called.arguments | own.arguments,
                own.returns or called.returns,
                called.errors | own.errors,
                own.example or called.example,
            )
        return parse(comment_above(self.area.module, self.name))

    @property
    def example(self) -> str:
        """A doctest: of the docstring, or of the examples beside this file."""
        return self.doc.example or examples(self.area).get(self.full.removeprefix("flyte."), "")

    @property
    def signature(self) -> inspect.Signature | None:
        """How it is called; None where users do not call it."""
        value = self.value
        if self.name in MADE_ELSEWHERE or not callable(value) or get_origin(value) is not None or is_union(value):
            return None
        try:
            return signature_of(value)
        except ValueError:  # a class that adds nothing to one of Python's
            return None

    def members(self) -> Iterator[Member]:
        """Yield the methods and properties that users have, by name."""
        if not isinstance(self.value, type) or self.same_as or issubclass(self.value, BaseException):
            return
        attributes = {each.name for each in fields(self.value)} if is_dataclass(self.value) else set()
        hidden = INTERNAL_MEMBERS.get(self.value.__name__, set()) | attributes
        for name in sorted(dir(self.value)):
            owner = next((cls for cls in self.value.__mro__ if name in cls.__dict__), object)
            value = inspect.getattr_static(self.value, name)
            if not name.startswith("_") and owner.__module__.startswith("flyte_nb") and name not in hidden and _is_code(value):
                plain = getattr(value, "_method", getattr(value, "__func__", value))
                yield Member(name, plain, parse(inspect.getdoc(value)), has_aio=hasattr(value, "_method"))


def is_union(value: object) -> bool:
    """Whether it is a type such as `int | None`."""
    return "Union" in type(value).__name__


def _is_code(value: object) -> bool:
    return callable(value) or isinstance(value, property | cached_property | classmethod | staticmethod) or hasattr(value, "_method")


def _with_inherited(value: Callable[..., object]) -> Doc:
    """Return what a class or function says; arguments that a class takes over from another are told there."""
    doc = parse(inspect.getdoc(value))
    for base in value.__mro__[1:] if isinstance(value, type) else ():
        if base.__module__.startswith("flyte_nb"):
            doc.arguments.update({name: text for name, text in parse(base.__doc__).arguments.items() if name not in doc.arguments})
    return doc


def signature_of(value: Callable[..., object]) -> inspect.Signature:
    """Return a signature without `self`, and without what is private."""
    found = inspect.signature(value)
    kept = [each for each in found.parameters.values() if not each.name.startswith("_") and each.name not in {"self", "cls"}]
    return found.replace(parameters=kept)


def all_names() -> list[Name]:
    """Return every public name, page by page."""
    return [Name(area, name) for area in areas() for name in (area.members or sorted(getattr(area.module, "__all__", ()), key=str.lower))]


def areas() -> list[Area]:
    """Return all pages."""
    rest = unlisted()
    return [*AREAS, *([Area("more.md", "More", "What has no page of its own.", members=rest)] if rest else [])]


def unlisted() -> tuple[str, ...]:
    """Return the names of the package that no page lists; they have a page together."""
    listed = {name for area in AREAS for name in area.members} | {area.module.__name__.rpartition(".")[2] for area in AREAS}
    return tuple(sorted(set(flyte_nb.__all__) - listed, key=str.lower))


def examples(area: Area) -> dict[str, str]:
    """Return the examples of an area's names that stand beside this file."""
    return examples_in(area.file)


def examples_in(file: str) -> dict[str, str]:
    """Return the examples that stand beside this file for a page, by what they belong to."""
    path = EXAMPLES / f"{Path(file).stem}.txt"
    if not path.exists():
        return {}
    parts = re.split(r"^== (.+)\n", path.read_text(encoding="utf8"), flags=re.MULTILINE)
    return {name.strip(): body.strip() for name, body in zip(parts[1::2], parts[2::2], strict=True)}


def gaps(name: Name) -> list[str]:
    """Return what is not told of a name that should be."""
    if name.same_as:
        return []
    found = [] if name.doc.summary else ["no docstring (a value: a comment `#: ...` above it)"]
    found += [
        f"argument {each} is not described"
        for each in (name.signature.parameters if name.signature else {})
        if each not in name.doc.arguments
    ]
    found += [] if name.example else ["no example, neither in its docstring nor in scripts/reference/examples/"]
    found += ["an example that is not executed (+SKIP)"] if "+SKIP" in name.example else []
    members = {member.name: member for member in name.members()}
    for member in members.values():
        found += [] if member.doc.summary else [f"{member.name} has no docstring"]
        if not member.is_property and name.area.file != "kept-for-flyte.md":
            found += [f"argument {each} of {member.name} is not described" for each in _untold(member, members)]
    return found


def _untold(member: Member, members: dict[str, Member]) -> Iterator[str]:
    """Yield the arguments that a method does not tell of; "See `other`" is told there."""
    seen = re.search(r"[Ss]ee `(\w+)`", member.doc.summary)
    other = members.get(seen[1]) if seen else None
    told = " ".join(" ".join([each.doc.summary, each.doc.text, *each.doc.arguments]) for each in (member, other) if each)
    for each in signature_of(member.value).parameters.values():
        if each.kind not in {each.VAR_POSITIONAL, each.VAR_KEYWORD} and not re.search(rf"\b{each.name}\b", told):
            yield each.name
