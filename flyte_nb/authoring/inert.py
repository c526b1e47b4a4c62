"""What a notebook written for a Flyte backend may declare, and what has no meaning without one.

Decides: that these declarations are accepted, kept and otherwise without effect: tasks run in the kernel's own Python
environment, nothing is built, deployed or scheduled. The docstring of each says so once.
Must not know: anything that runs.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, Protocol, Self

from flyte_nb.core.policy import check_action_concurrency

# --------------------------------------------------------------------------------------------------------- images

_MAKING: Final = object()


@dataclass(frozen=True)
class Image:
    """A container image. Kept, without effect: tasks run in the Python environment of the kernel.

    Made by one of the `from_...` methods; each `with_...` method returns a new image with one layer more.

    Attributes:
        base_image: What it starts from.
        name: Its name.
        registry: Where it would be pushed to.
        python_version: The Python in it.
        layers: The `with_...` calls so far: name, arguments, keywords.

    Example:
        >>> flyte.Image.from_debian_base().with_pip_packages("pandas").layers
        (('with_pip_packages', ('pandas',), {}),)
    """

    base_image: str | None = None
    name: str | None = None
    registry: str | None = None
    python_version: tuple[int, int] = sys.version_info[:2]
    layers: tuple[tuple[str, tuple[object, ...], dict[str, object]], ...] = field(default=(), hash=False)
    _made_by: object = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self._made_by is not _MAKING:
            raise TypeError("Direct instantiation of Image not allowed, please use one of the various from_...() methods instead")

    def __reduce__(self) -> tuple[object, ...]:
        return _restored_image, (self.base_image, self.name, self.registry, self.python_version, self.layers)

    @classmethod
    def from_debian_base(
        cls,
        python_version: tuple[int, int] | None = None,
        *,
        registry: str | None = None,
        name: str | None = None,
        **_options: object,
    ) -> Self:
        """Start from Flyte's Debian image."""
        return cls("debian", name, registry, python_version or sys.version_info[:2], _made_by=_MAKING)

    @classmethod
    def from_base(cls, image_uri: str) -> Self:
        """Start from an image of a registry."""
        return cls(image_uri, _made_by=_MAKING)

    @classmethod
    def from_ref_name(cls, name: str = "default") -> Self:
        """Name an image of Flyte's configuration."""
        return cls(name=name, _made_by=_MAKING)

    @classmethod
    def from_dockerfile(cls, file: str | Path, registry: str, name: str, **_options: object) -> Self:
        """Name a Dockerfile; it is not read."""
        return cls(str(file), name, registry, _made_by=_MAKING)

    @classmethod
    def from_uv_script(cls, script: str | Path, *, name: str, registry: str | None = None, **_options: object) -> Self:
        """Name a script with inline dependencies; it is not read."""
        return cls(str(script), name, registry, _made_by=_MAKING)

    @classmethod
    def from_pixi_script(cls, script: str | Path, *, name: str, registry: str | None = None, **_options: object) -> Self:
        """Name a script with inline dependencies; it is not read."""
        return cls(str(script), name, registry, _made_by=_MAKING)

    @property
    def uri(self) -> str:
        """What would name it in a registry."""
        return "/".join(filter(None, (self.registry, self.name))) or self.base_image or ""

    def clone(self, *, registry: str | None = None, name: str | None = None, base_image: str | None = None, **_options: object) -> Self:
        """The same image under another name."""
        return replace(self, registry=registry or self.registry, name=name or self.name, base_image=base_image or self.base_image)

    def with_pip_packages(self, *packages: str, **options: object) -> Self:
        """Add Python packages."""
        return self._with("with_pip_packages", *packages, **options)

    def with_apt_packages(self, *packages: str, **options: object) -> Self:
        """Add system packages."""
        return self._with("with_apt_packages", *packages, **options)

    def with_requirements(self, file: str | Path, **options: object) -> Self:
        """Add the packages of a requirements file."""
        return self._with("with_requirements", file, **options)

    def with_uv_project(self, pyproject_file: str | Path, *args: object, **options: object) -> Self:
        """Add a uv project."""
        return self._with("with_uv_project", pyproject_file, *args, **options)

    def with_poetry_project(self, pyproject_file: str | Path, *args: object, **options: object) -> Self:
        """Add a Poetry project."""
        return self._with("with_poetry_project", pyproject_file, *args, **options)

    def with_pixi_project(self, manifest_file: str | Path, *args: object, **options: object) -> Self:
        """Add a pixi project."""
        return self._with("with_pixi_project", manifest_file, *args, **options)

    def with_commands(self, commands: list[str], **options: object) -> Self:
        """Add shell commands."""
        return self._with("with_commands", commands, **options)

    def with_env_vars(self, env_vars: dict[str, str]) -> Self:
        """Add environment variables."""
        return self._with("with_env_vars", env_vars)

    def with_source_folder(self, src: str | Path, *args: object, **options: object) -> Self:
        """Add a folder."""
        return self._with("with_source_folder", src, *args, **options)

    def with_source_file(self, src: object, *args: object, **options: object) -> Self:
        """Add one or several files."""
        return self._with("with_source_file", src, *args, **options)

    def with_code_bundle(self, *args: object, **options: object) -> Self:
        """Add the code of the project."""
        return self._with("with_code_bundle", *args, **options)

    def with_workdir(self, workdir: str) -> Self:
        """Set the working directory."""
        return self._with("with_workdir", workdir)

    def with_dockerignore(self, path: str | Path) -> Self:
        """Name the files to leave out."""
        return self._with("with_dockerignore", path)

    def with_local_v2(self) -> Self:
        """Add the SDK as it is on this machine."""
        return self._with("with_local_v2")

    def _with(self, method: str, *args: object, **options: object) -> Self:
        return replace(self, layers=(*self.layers, (method, args, options)))


def _restored_image(base_image: str, name: str, registry: str, python_version: tuple[int, int], layers: tuple[()]) -> Image:
    return Image(base_image, name, registry, python_version, layers, _MAKING)


# ------------------------------------------------------------------------------------------------- pods and links


@dataclass
class PodTemplate:
    """A Kubernetes pod. Kept, without effect: there are no pods.

    Attributes:
        pod_spec: A `V1PodSpec`.
        primary_container_name: Which of its containers runs the task.
        labels, annotations: What the pod gets besides.
    """

    pod_spec: object = None
    primary_container_name: str = "primary"
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None

    @classmethod
    def from_spec(cls, pod_spec: object, *, primary_container_name: str | None = None, **options: dict[str, str] | None) -> Self:
        """Wrap a `V1PodSpec`."""
        return cls(pod_spec, primary_container_name or "primary", **options)

    def allow_fuse(self, privileged: bool = False) -> Self:  # noqa: ARG002, FBT001, FBT002 - Flyte's signature
        """The same template."""
        return replace(self)

    def allow_nested_sandboxing(self) -> Self:
        """The same template."""
        return replace(self)

    def with_termination_grace_period(self, termination_grace_period: int | timedelta) -> Self:  # noqa: ARG002 - Flyte's signature
        """The same template."""
        return replace(self)


class Link(Protocol):
    """A link that Flyte's console shows beside an action. Kept, without effect."""

    name: str
    icon_uri: str | None = ""

    def get_link(
        self,
        run_name: str,
        project: str,
        domain: str,
        context: dict[str, str],
        parent_action_name: str,
        action_name: str,
        pod_name: str,
        **kwargs: object,
    ) -> str:
        """The address for one action."""
        raise NotImplementedError


# ------------------------------------------------------------------------------------------------------- triggers


class _Sentinel:
    """A value that only a trigger on a Flyte backend fills."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __repr__(self) -> str:
        return f"flyte.{self._name}"

    def __reduce__(self) -> str:
        return self._name


TriggerTime: Final = _Sentinel("TriggerTime")
"""Stands for the time at which a trigger fires. Kept, without effect."""

TriggeredArtifact: Final = _Sentinel("TriggeredArtifact")
"""Stands for the artifact that fires a trigger. Kept, without effect."""


@dataclass(frozen=True)
class TriggeredPartition:
    """Stands for one partition key of the artifact that fires a trigger. Kept, without effect.

    Attributes:
        key: The key.
    """

    key: str


@dataclass(frozen=True)
class Cron:
    """A schedule as a cron expression. Kept, without effect: nothing is scheduled.

    Attributes:
        expression: Such as "0 * * * *".
        timezone: Such as "UTC".
    """

    expression: str
    timezone: str = "UTC"

    @property
    def timezone_expression(self) -> str:
        """The expression with its timezone, as Flyte writes it."""
        return f"CRON_TZ={self.timezone} {self.expression}"

    def __str__(self) -> str:
        return f"Cron Trigger: {self.timezone_expression}"


@dataclass(frozen=True)
class FixedRate:
    """A schedule at fixed distances. Kept, without effect: nothing is scheduled.

    Attributes:
        interval_minutes: The distance, in minutes.
        start_time: The first time.
    """

    interval_minutes: int
    start_time: datetime | None = None


@dataclass(frozen=True)
class OnArtifact:
    """A trigger's cause: a new version of an artifact. Kept, without effect.

    Attributes:
        name: The artifact.
        version: One version of it only.
        partitions: Only these partitions.
        partition_kwargs: The same as keywords.
    """

    name: str
    version: str | None = None
    partitions: Mapping[str, str] | None = field(default=None, hash=False)

    def __init__(
        self,
        name: str,
        version: str | None = None,
        partitions: Mapping[str, str] | None = None,
        **partition_kwargs: str,
    ) -> None:
        if not name:
            raise ValueError("OnArtifact requires a non-empty artifact name")
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "version", version)
        object.__setattr__(self, "partitions", {**(partitions or {}), **partition_kwargs} or None)


@dataclass(frozen=True)
class Trigger:
    """What would start a task by itself. Kept, without effect: nothing is scheduled.

    Attributes:
        name: Its name.
        automation: When: `Cron`, `FixedRate` or `OnArtifact`.
        description: What it is for.
        auto_activate: Whether it is on when it is deployed.
        inputs: The inputs of its runs.
        env_vars, interruptible, overwrite_cache, queue, max_action_concurrency, labels, annotations, notifications, custom_context: What
            Flyte gives its runs.

    Raises:
        ValueError: The name is empty, or `max_action_concurrency` is 1 or negative.
        TypeError: The automation is none of the three.
    """

    name: str
    automation: Cron | FixedRate | OnArtifact | None = None
    description: str = ""
    auto_activate: bool = True
    inputs: Mapping[str, object] | None = None
    env_vars: Mapping[str, str] | None = None
    interruptible: bool | None = None
    overwrite_cache: bool = False
    queue: str | None = None
    max_action_concurrency: int | None = None
    labels: Mapping[str, str] | None = None
    annotations: Mapping[str, str] | None = None
    notifications: object = None
    custom_context: Mapping[str, str] | None = None

    def __post_init__(self) -> None:
        if not self.name:
            raise ValueError("Trigger name cannot be empty")
        if self.automation is not None and not isinstance(self.automation, Cron | FixedRate | OnArtifact):
            raise TypeError(f"Trigger.automation must be a Cron, FixedRate or OnArtifact, got {self.automation!r}")
        check_action_concurrency(self.max_action_concurrency)

    @classmethod
    def minutely(cls, trigger_time_input_key: str | None = None, **options: object) -> Self:
        """Every minute."""
        return cls._scheduled("minutely", "* * * * *", trigger_time_input_key, options)

    @classmethod
    def hourly(cls, trigger_time_input_key: str | None = None, **options: object) -> Self:
        """Every hour."""
        return cls._scheduled("hourly", "0 * * * *", trigger_time_input_key, options)

    @classmethod
    def daily(cls, trigger_time_input_key: str | None = None, **options: object) -> Self:
        """Every day at midnight."""
        return cls._scheduled("daily", "0 0 * * *", trigger_time_input_key, options)

    @classmethod
    def weekly(cls, trigger_time_input_key: str | None = None, **options: object) -> Self:
        """Every Sunday at midnight."""
        return cls._scheduled("weekly", "0 0 * * 0", trigger_time_input_key, options)

    @classmethod
    def monthly(cls, trigger_time_input_key: str | None = None, **options: object) -> Self:
        """On the first of every month at midnight."""
        return cls._scheduled("monthly", "0 0 1 * *", trigger_time_input_key, options)

    @classmethod
    def _scheduled(cls, name: str, expression: str, time_input: str | None, options: Mapping[str, object]) -> Self:
        given = options.get("inputs")
        inputs = {} if time_input is None else {time_input: TriggerTime}
        inputs |= given if isinstance(given, dict) else {}
        fields: dict[str, Any] = {"name": name, "automation": Cron(expression), **options, "inputs": inputs}
        return cls(**fields)
