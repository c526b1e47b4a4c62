"""Decides what a `TaskEnvironment` is: a named bundle of settings that its tasks share.

Must not know: what a task's call does.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, ParamSpec, TypeVar, overload

from flyte_nb.authoring.inert import Image, PodTemplate
from flyte_nb.authoring.task import Task
from flyte_nb.authoring.terms import INERT, MAX_INLINE_IO_BYTES, TaskPolicy
from flyte_nb.core.policy import (
    Cache,
    CacheRequest,
    Resources,
    RetryStrategy,
    ReusePolicy,
    Secret,
    SecretRequest,
    TimeoutType,
    cache_from_request,
    retries_from_request,
    secrets_from_request,
    timeout_from_request,
)

P = ParamSpec("P")
R = TypeVar("R")

_NAME = re.compile(r"[a-z0-9]+([_-][a-z0-9]+)*")
_DESCRIPTION_LIMIT = 255
#: What clone_with() does not take (Flyte's rule); a clone has what its model has.
_NOT_CLONED = frozenset({"name", "pod_template", "plugin_config", "queue"})


@dataclass
class TaskEnvironment:
    """A named bundle of settings that tasks share; `@env.task` makes tasks.

    `image`, `pod_template`, `include`, `queue`, `interruptible`, `plugin_config`, `description` and `depends_on` are
    kept for a Flyte backend and have no effect here. Making an environment of the same name again is fine: that is what
    running a cell twice does.

    Args:
        name: in kebab-case or snake_case.
        depends_on: environments whose tasks are called; without effect here, where every task can call every other.
        pod_template: without effect here, as are the four that follow below it and `image`.
        description: text for Flyte's console, 255 characters of it.
        interruptible: whether cheap machines will do.
        include: files that an image gets.
        service_account: who a Flyte backend runs the tasks as.
        plugin_config, queue: as above.
        image: tasks run in the Python environment of the kernel, or of the cluster that was named.
        secrets: a name, a `Secret`, or several: they are set around the bodies, from the variables of the notebook.
        env_vars: environment variables that are set around the bodies of its tasks.
        resources: what each action needs; also: an async root then runs on the cluster, not in the kernel.
        cache: "disable" (default), "auto", "override", or a `Cache`.
        reusable: of it, `concurrency` bounds how many async actions of a task run at once on a worker.

    Raises:
        ValueError: the name has another form, or settings exclude each other.
        TypeError: a setting is of the wrong type.

    Example:
        >>> env = flyte.TaskEnvironment("etl", resources=flyte.Resources(cpu=1))
        >>> env.name
        'etl'
    """

    name: str
    depends_on: list[TaskEnvironment] = field(default_factory=list)
    pod_template: object = None
    description: str | None = None
    secrets: SecretRequest | None = None
    env_vars: dict[str, str] | None = None
    resources: Resources | None = None
    interruptible: bool = False
    image: str | Image | None = "auto"
    include: Sequence[str] = ()
    service_account: str | None = None
    cache: CacheRequest = "disable"
    reusable: ReusePolicy | None = None
    plugin_config: object = None
    queue: str | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not _NAME.fullmatch(self.name):
            raise ValueError(f"Environment name '{self.name}' must be in snake_case or kebab-case format.")
        self._check_types()
        if self.reusable is not None and self.plugin_config is not None:
            raise ValueError("Cannot set plugin_config when environment is reusable.")
        if self.description is not None:
            self.description = self.description[:_DESCRIPTION_LIMIT]
        if isinstance(self.include, str):
            raise TypeError(f"Expected include to be a sequence of str paths, got a bare str ({self.include!r}).")
        cache_from_request(self.cache)
        secrets_from_request(self.secrets)
        self._tasks: dict[str, Task[..., Any]] = {}

    def _check_types(self) -> None:
        expected: dict[str, tuple[object, type | tuple[type, ...]]] = {
            "image": (self.image, (str, Image)),
            "resources": (self.resources, Resources),
            "env_vars": (self.env_vars, dict),
            "cache": (self.cache, (str, Cache)),
            "reusable": (self.reusable, ReusePolicy),
            "secrets": (self.secrets, (str, Secret, list, tuple)),
            "pod_template": (self.pod_template, (str, PodTemplate)),
        }
        words = {"env_vars": "Dict[str, str]", "secrets": "SecretRequest"}
        for setting, (value, types) in expected.items():
            if value is not None and not isinstance(value, types):
                wanted = words.get(setting) or " or ".join(kind.__name__ for kind in (types if isinstance(types, tuple) else (types,)))
                raise TypeError(f"Expected {setting} to be of type {wanted}, got {type(value)}")
        for dependency in self.depends_on:
            if not isinstance(dependency, TaskEnvironment):
                raise TypeError(f"Expected depends_on to be of type List[Environment], got {type(dependency)}")

    @property
    def tasks(self) -> dict[str, Task[..., Any]]:
        """Its tasks by full name."""
        return self._tasks

    @overload
    def task(self, _func: Callable[P, R]) -> Task[P, R]: ...

    @overload
    def task(
        self,
        _func: None = None,
        *,
        short_name: str | None = None,
        cache: CacheRequest | None = None,
        retries: int | RetryStrategy = 0,
        timeout: TimeoutType | None = 0,
        docs: str | None = None,
        pod_template: object = None,
        report: bool = False,
        interruptible: bool | None = None,
        max_inline_io_bytes: int = MAX_INLINE_IO_BYTES,
        queue: str | None = None,
        triggers: Any = (),
        links: Any = (),
        task_resolver: object = None,
        entrypoint: bool = False,
        produces_artifacts: bool = False,
        service_account: str | None = None,
    ) -> Callable[[Callable[P, R]], Task[P, R]]: ...

    def task(  # noqa: PLR0913 - Flyte's signature
        self,
        _func: Callable[P, R] | None = None,
        *,
        short_name: str | None = None,
        cache: CacheRequest | None = None,
        retries: int | RetryStrategy = 0,
        timeout: TimeoutType | None = 0,
        docs: str | None = None,
        pod_template: object = None,
        report: bool = False,
        interruptible: bool | None = None,
        max_inline_io_bytes: int = MAX_INLINE_IO_BYTES,
        queue: str | None = None,
        triggers: Any = (),
        links: Any = (),
        task_resolver: object = None,
        entrypoint: bool = False,
        produces_artifacts: bool = False,
        service_account: str | None = None,
    ) -> Task[P, R] | Callable[[Callable[P, R]], Task[P, R]]:
        """Declare a task. Takes a function, async or not; use with or without arguments.

        Args:
            short_name: shown instead of the function's name.
            cache: "auto", "override", "disable" or a `Cache`; default is the environment's.
            retries: attempts beyond the first, or a `RetryStrategy`. Default 0.
            timeout: seconds, a timedelta or a `Timeout`. Default: no limit.
            docs: default is the function's docstring.
            report: the task writes a report.
            max_inline_io_bytes: if changed, inputs and outputs that are larger are refused; Flyte's default is no limit here.
            pod_template: kept for a Flyte backend, without effect here, as are the next eight.
            interruptible: as above.
            queue: as above.
            triggers: as above.
            links: as above.
            task_resolver: as above.
            entrypoint: as above.
            produces_artifacts: as above.
            service_account: as above.

        Raises:
            ValueError: the function takes `*args` or `**kwargs`, or a setting is out of range.
            TypeError: it is no function, or an unknown setting.

        Example:
            >>> env = flyte.TaskEnvironment("etl")
            >>> @env.task(retries=2)
            ... async def fetch(user_id: int) -> dict: ...
            >>> fetch.name
            'etl.fetch'
        """
        if self.reusable is not None and pod_template is not None:
            raise ValueError("Cannot set pod_template when environment is reusable.")
        given = {
            "entrypoint": entrypoint,
            "image": self.image,
            "interruptible": self.interruptible if interruptible is None else interruptible,
            "links": links if isinstance(links, tuple) else (links,),
            "max_inline_io_bytes": max_inline_io_bytes,
            "plugin_config": self.plugin_config,
            "pod_template": pod_template or self.pod_template,
            "produces_artifacts": produces_artifacts,
            "queue": queue or self.queue,
            "service_account": service_account or self.service_account,
            "task_resolver": task_resolver,
            "triggers": triggers if isinstance(triggers, tuple) else (triggers,),
        }
        inert = {name: value for name, value in given.items() if value is not None and value != INERT[name]}
        retried = retries_from_request(retries)
        timeout_from_request(timeout)
        cached = cache_from_request(cache or self.cache)

        def declare(func: Callable[P, R]) -> Task[P, R]:
            if isinstance(func, Task) or not callable(func) or not hasattr(func, "__code__"):
                raise TypeError(f"@env.task takes a function, got {func!r}")
            policy = TaskPolicy(
                retries=retried,
                timeout=timeout,
                cache=cached,
                resources=self.resources,
                reusable=self.reusable,
                env_vars=dict(self.env_vars) if self.env_vars is not None else None,
                secrets=secrets_from_request(self.secrets),
                report=report,
                inert=inert,
            )
            self._check_reuse(func)
            made = Task(func, environment=self.name, policy=policy, short_name=short_name, docs=docs, parent_env=self)
            self._tasks[made.name] = made
            return made

        return declare if _func is None else declare(_func)

    def _check_reuse(self, func: Callable[..., object]) -> None:
        if self.reusable is not None and self.reusable.concurrency > 1 and not inspect.iscoroutinefunction(func):
            raise ValueError(
                "Reusable environments with concurrency greater than 1 are only supported for async tasks. "
                "Please use an async function or set concurrency to 1."
            )

    def clone_with(self, name: str, **changes: Any) -> TaskEnvironment:
        """The same settings under another name, without the tasks.

        Args:
            name: the other name.
            changes: settings that are to be others; None keeps what there is.

        Raises:
            TypeError: an unknown setting.
        """
        known = {each.name for each in fields(self)} - _NOT_CLONED
        unknown = set(changes) - known
        if unknown:
            raise TypeError(f"Unexpected keyword arguments: {sorted(unknown)}")
        return replace(self, name=name, **{key: value for key, value in changes.items() if value is not None})

    def add_dependency(self, *environments: TaskEnvironment) -> None:
        """Say that tasks of these environments are called; for a Flyte backend."""
        for environment in environments:
            if not isinstance(environment, TaskEnvironment):
                raise TypeError(f"Expected Environment, got {type(environment)}")
            if environment.name == self.name:
                raise ValueError("Cannot add self as a dependency")
        self.depends_on.extend(environments)

    @classmethod
    def from_task(cls, name: str, *tasks: Task[..., Any], depends_on: list[TaskEnvironment] | None = None) -> TaskEnvironment:
        """An environment around tasks that have none.

        Args:
            name: the environment's name.
            tasks: what it holds.
            depends_on: without effect here.

        Raises:
            ValueError: a task has an environment already.
        """
        if any(task.parent_env is not None for task in tasks):
            raise ValueError("Tasks cannot assigned to multiple environments.")  # Flyte's words
        environment = cls(name, depends_on=list(depends_on or ()))
        for task in tasks:
            environment._tasks[task.name] = task
        return environment

    def __call__(self) -> TaskEnvironment:
        """Itself: a task's `parent_env` is called in Flyte, where it is a weak reference."""
        return self

    def _flyte_nb_used_code(self) -> tuple[()]:
        """That code reads its environment does not make its version depend on all tasks: see `authoring.versions`."""
        return ()

    def __repr__(self) -> str:
        return f"<environment {self.name}, {len(self._tasks)} tasks>"
