"""Decides what a task is, and what calling it does: an action inside a run, the plain function outside.

Must not know: where actions run.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import secrets
from asyncio import _get_running_loop as running_loop
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Generic, ParamSpec, TypeVar

from flyte_nb import errors
from flyte_nb.authoring import sources
from flyte_nb.authoring.call import Call
from flyte_nb.authoring.checking import plainness
from flyte_nb.authoring.outcomes import error_of
from flyte_nb.authoring.signature import Signature
from flyte_nb.core.current import CURRENT, Frame
from flyte_nb.core.events import Inputs, TaskFacts
from flyte_nb.core.failure import Failure
from flyte_nb.core.payloads import SCALARS, Item, dumps, pack, unpack
from flyte_nb.core.policy import (
    Cache,
    CacheRequest,
    Resources,
    RetryStrategy,
    ReusePolicy,
    Timeout,
    TimeoutType,
    cache_from_request,
    retries_from_request,
    timeout_from_request,
)

P = ParamSpec("P")
R = TypeVar("R")

#: What override() accepts and has no effect here (a Flyte backend uses it).
INERT_OVERRIDES = (
    "queue",
    "interruptible",
    "pod_template",
    "secrets",
    "max_inline_io_bytes",
    "entrypoint",
    "produces_artifacts",
    "links",
    "plugin_config",
)
_FIXED = {"name": "Name", "image": "Image", "docs": "Docs", "interface": "Interface"}


@dataclass(frozen=True, kw_only=True)
class TaskPolicy:
    """How a task's actions are run."""

    retries: RetryStrategy = RetryStrategy(0)
    timeout: Timeout = Timeout()
    cache: Cache = field(default_factory=lambda: cache_from_request("disable"))
    resources: Resources | None = None
    reusable: ReusePolicy | None = None
    env_vars: Mapping[str, str] = field(default_factory=dict)
    report: bool = False


class Task(Generic[P, R]):
    """A function declared with `@env.task`: what actions run.

    Inside a run, calling it asks for an action: an async task returns an awaitable, a sync task blocks and returns the
    value. Outside of a run it is the plain function. Use `@env.task` to make one.

    Example:
        >>> import flyte_nb as flyte
        >>> env = flyte.TaskEnvironment("docs")
        >>> @env.task
        ... def double(x: int) -> int:
        ...     return 2 * x
        >>> double(4)
        8
    """

    def __init__(
        self,
        func: Callable[P, R],
        *,
        environment: str,
        policy: TaskPolicy,
        short_name: str | None = None,
        docs: str | None = None,
        parent_env: object = None,
    ) -> None:
        self.func = func
        self.name = f"{environment}.{func.__name__}"
        self.short_name = short_name or func.__name__
        self.policy = policy
        self.docs = docs or inspect.getdoc(func)
        self.parent_env = parent_env
        self.signature = Signature.of(func, task_name=self.name)
        self.facts = self._facts()
        functools.update_wrapper(self, func, updated=())

    def _facts(self) -> TaskFacts:
        policy, signature = self.policy, self.signature
        return TaskFacts(
            key=secrets.token_hex(8),
            name=self.name,
            short_name=self.short_name,
            parameters=tuple(parameter.name for parameter in signature.parameters),
            outputs=tuple(signature.outputs),
            is_async=inspect.iscoroutinefunction(self.func),
            on_cluster=policy.resources is not None,
            retries=policy.retries,
            timeout=policy.timeout,
            resources=policy.resources or Resources(),
            concurrency=policy.reusable.concurrency if policy.reusable is not None and policy.reusable.concurrency > 1 else 0,
        )

    # ------------------------------------------------------------------ what people read
    @property
    def retries(self) -> RetryStrategy:
        """How often an action is tried again."""
        return self.policy.retries

    @property
    def timeout(self) -> Timeout:
        """Time limits of an action."""
        return self.policy.timeout

    @property
    def cache(self) -> Cache:
        """Whether results are reused."""
        return self.policy.cache

    @property
    def resources(self) -> Resources | None:
        """What an action needs of its worker."""
        return self.policy.resources

    @property
    def env_vars(self) -> Mapping[str, str]:
        """Environment variables that are set around the body."""
        return self.policy.env_vars

    @property
    def source_file(self) -> str:
        """Where the function was defined."""
        return self.func.__code__.co_filename

    def __repr__(self) -> str:
        return f"<task {self.name}{inspect.signature(self.func)}>"

    # ------------------------------------------------------------------ calling
    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Ask for an action (inside a run), or call the function (outside)."""
        frame = CURRENT.get()
        if frame is None:
            return self.func(*args, **kwargs)
        if not self.facts.is_async:
            return self._call_blocking(frame, args, kwargs)
        loop = running_loop()
        if loop is None or not hasattr(loop, "takes_calls"):
            return self._call_later(args, kwargs)  # type: ignore[return-value]  # a coroutine, as the function's own
        return Call(self, args, kwargs, loop)  # type: ignore[return-value]  # passes for a coroutine

    async def _call_later(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """A call made where no loop of ours runs: it is submitted on the loop that drives it."""
        call = Call(self, args, kwargs, asyncio.get_running_loop())
        return await call

    def aio(self, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, Any]:
        """The awaitable form of a call, for sync and async tasks."""
        loop = running_loop()
        if CURRENT.get() is None or not hasattr(loop, "takes_calls"):
            return self._aio_later(args, kwargs)
        return Call(self, args, kwargs, loop)  # type: ignore[return-value]  # passes for a coroutine

    async def _aio_later(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        if CURRENT.get() is not None:
            return await self._call_later(args, kwargs)
        value = self.func(*args, **kwargs)
        return await value if inspect.isawaitable(value) else value

    def forward(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the plain function, inside a run too: no action, no checks, no copies."""
        return self.func(*args, **kwargs)

    def _call_blocking(self, frame: Frame, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> R:
        try:
            inputs = self.pack_inputs(args, kwargs)
        except errors.BaseRuntimeError:
            raise
        except Exception as error:  # Flyte's rule for blocking calls: a user error with the class as its code
            raise errors.RuntimeUserError(type(error).__name__, str(error)) from error
        stream = frame.submitter.stream(self, frame)
        try:
            stream.submit([inputs])
            stream.wait_result(0)
            ok, value, where = stream.result(0)
        finally:
            stream.close()
        if isinstance(value, Failure):
            raise error_of(value, where)
        return unpack(value)  # type: ignore[return-value]  # checked against the annotation on the worker

    # ------------------------------------------------------------------ for the engine
    def pack_inputs(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Inputs:
        """Check the arguments of a call and turn them into items.

        Raises:
            ValueError: an argument is missing, or there are too many.
            TypeError: a name is unknown, or a value is of the wrong type.
            NotSerializableError: a value cannot be pickled.
        """
        values = self.signature.bind(args, kwargs)
        for value in values:
            if type(value) not in SCALARS:
                return self._packed(values)
        return values  # type: ignore[return-value]  # the loop above is the narrowing

    def _packed(self, values: tuple[object, ...]) -> Inputs:
        items = []
        for parameter, value in zip(self.signature.parameters, values, strict=True):
            try:
                items.append(pack(value, plain=plainness(value)))
            except Exception as error:
                raise errors.NotSerializableError(parameter.name, type(value).__name__, self.name, reason=str(error)) from error
        return tuple(items)

    def invoke(self, items: Inputs) -> object:
        """Call the body with inputs; a value, or a coroutine."""
        values = tuple([item if type(item) in SCALARS else unpack(item) for item in items])
        if self.signature.keyword_only:
            args, kwargs = self.signature.call_arguments(values)
            return self.func(*args, **kwargs)  # type: ignore[arg-type]  # bound by the signature
        return self.func(*values)  # type: ignore[arg-type]  # bound by the signature

    def pack_output(self, value: object) -> Item:
        """Check what the body returned and turn it into an item.

        Raises:
            RuntimeDataValidationError: it does not fit the return annotation.
            NotSerializableError: it cannot be pickled.
        """
        checked = self.signature.check_output(value)
        if type(checked) in SCALARS:
            return checked  # type: ignore[return-value]  # the test above is the narrowing
        try:
            return pack(checked, plain=plainness(checked))
        except Exception as error:
            kind = type(value).__name__
            raise errors.NotSerializableError("o0", kind, self.name, reason=str(error), is_output=True) from error

    def pickled(self) -> bytes:
        """The task as bytes that a worker can load.

        Raises:
            NotSerializableError: it uses something that cannot be pickled.
        """
        try:
            return dumps(self)
        except Exception as error:
            culprit = sources.unpicklable_global(self.func)
            raise errors.NotSerializableError(*culprit, self.name, reason=str(error)) from error

    def __getstate__(self) -> dict[str, Any]:
        state = dict(self.__dict__)
        state["parent_env"] = None  # the environment knows all its tasks; a worker needs this one
        state.pop("__wrapped__", None)
        state["_sources"] = sources.sources_of(self.func)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        sources.remember(state.pop("_sources"))
        self.__dict__.update(state)
        self.__wrapped__ = self.func

    # ------------------------------------------------------------------ variants
    def override(
        self,
        *,
        short_name: str | None = None,
        resources: Resources | None = None,
        cache: CacheRequest | None = None,
        retries: int | RetryStrategy = 0,
        timeout: TimeoutType | None = None,
        reusable: ReusePolicy | str | None = None,
        env_vars: Mapping[str, str] | None = None,
        **inert: Any,
    ) -> Task[P, R]:
        """The same task with other settings. A falsy value keeps what the task has (Flyte 2's rule).

        Raises:
            ValueError: a setting that cannot be changed (name, image, docs, interface), or resources and env_vars of a
                reusable task without `reusable="off"`.
            TypeError: an unknown setting.
        """
        for key in inert:
            if key in _FIXED:
                raise ValueError(f"{_FIXED[key]} cannot be overridden")
            if key not in INERT_OVERRIDES:
                raise TypeError(f"override() got an unexpected keyword argument '{key}'")
        policy = self.policy
        if policy.reusable is not None and reusable != "off":
            for name, value in (("resources", resources), ("env_vars", env_vars), ("secrets", inert.get("secrets"))):
                if value is not None:
                    raise ValueError(
                        f"Cannot override {name} when reusable is set. Reusable tasks will use the parent env's {name}. "
                        "You can disable reusability and override resources if needed. (set reusable='off')"
                    )
        changed = replace(
            policy,
            retries=retries_from_request(retries) if retries else policy.retries,
            timeout=timeout_from_request(timeout) if timeout else policy.timeout,
            cache=cache_from_request(cache) if cache else policy.cache,
            resources=resources or policy.resources,
            reusable=None if reusable == "off" else (reusable if isinstance(reusable, ReusePolicy) else policy.reusable),
            env_vars=env_vars or policy.env_vars,
        )
        other: Task[P, R] = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        other.policy = changed
        other.short_name = short_name or self.short_name
        other.facts = other._facts()
        return other
