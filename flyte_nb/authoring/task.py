"""Decides what a task is, and what calling it does: an action inside a run, the plain function outside.

Must not know: where actions run.
"""

from __future__ import annotations

import asyncio
import functools
import hashlib
import inspect
import secrets
from asyncio import _get_running_loop as running_loop
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from typing import Any, Generic, ParamSpec, TypeVar, cast, overload

from flyte_nb import errors
from flyte_nb.authoring import environ, history, reports, sources
from flyte_nb.authoring.call import Call
from flyte_nb.authoring.checking import plainness
from flyte_nb.authoring.outcomes import thrown_at
from flyte_nb.authoring.schema import schema_of
from flyte_nb.authoring.signature import Signature
from flyte_nb.authoring.terms import INERT, Interface, TaskPolicy, inline_types
from flyte_nb.authoring.versions import CodePolicy, Limited, TooLargeError, code_parts, version_of
from flyte_nb.core.caching import VersionParameters
from flyte_nb.core.current import CURRENT, Frame
from flyte_nb.core.events import Inputs, RunSettings, TaskFacts
from flyte_nb.core.failure import Failure
from flyte_nb.core.hashing import IDENTITY, digest_code
from flyte_nb.core.names import hash_of_inputs
from flyte_nb.core.payloads import SCALARS, Item, dump_into, dumps, pack, unpack
from flyte_nb.core.policy import (
    Cache,
    CacheRequest,
    Resources,
    RetryStrategy,
    ReusePolicy,
    Secret,
    SecretRequest,
    TimeoutType,
    timeout_from_request,
)

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

_FIXED = {"name": "Name", "image": "Image", "docs": "Docs", "interface": "Interface"}


#: Stands for the run of a version that came with the pickled task.
_SHIPPED = "*"
#: Stands for the run of a version that could not be made; what stands beside it is the error's message.
_FAILED = "!"


class Task(Generic[P, R]):
    """A function declared with `@env.task`: what actions run.

    Inside a run, calling it asks for an action: an async task returns an awaitable, a sync task blocks and returns the
    value. Outside of a run it is the plain function. Use `@env.task` to make one.
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
        self._variables: dict[str, str] = dict(policy.env_vars or {})
        self._version: tuple[str, str] | None = None
        self._kept = ("", b"")
        self._has_surroundings = bool(self._variables) or policy.report
        self._inline = inline_types(policy)
        self.facts = self._facts(policy, self.short_name)
        functools.update_wrapper(self, func, updated=())

    def _facts(self, policy: TaskPolicy, short_name: str) -> TaskFacts:
        signature = self.signature
        parameters = tuple(parameter.name for parameter in signature.parameters)
        return TaskFacts(
            key=secrets.token_hex(8),
            name=self.name,
            short_name=short_name,
            parameters=parameters,
            outputs=tuple(signature.outputs),
            is_async=inspect.iscoroutinefunction(self.func),
            on_cluster=policy.resources is not None,
            retries=policy.retries,
            timeout=timeout_from_request(policy.timeout or None),
            resources=policy.resources or Resources(),
            concurrency=policy.concurrency,
            code=digest_code(self.func.__code__),
            place=f"{self.func.__module__}:{self.func.__qualname__}",
            cache=policy.cache_facts(parameters),
            secrets=policy.secret_variables(),
        )

    # ------------------------------------------------------------------ what people read
    @property
    def retries(self) -> RetryStrategy:
        """How often an action is tried again."""
        return self.policy.retries

    @property
    def timeout(self) -> TimeoutType | None:
        """Time limits of an action, as they were given."""
        return self.policy.timeout

    @property
    def interface(self) -> Interface:
        """Inputs and outputs."""
        return Interface(self.signature)

    native_interface = interface

    @property
    def json_schema(self) -> dict[str, Any]:
        """Its inputs as a JSON schema."""
        return schema_of(self.interface.inputs, inspect.Parameter.empty)

    @property
    def cache(self) -> Cache:
        """Whether results are reused."""
        return self.policy.cache

    @property
    def resources(self) -> Resources | None:
        """What an action needs of its worker."""
        return self.policy.resources

    @property
    def env_vars(self) -> Mapping[str, str] | None:
        """Environment variables that are set around the body."""
        return self.policy.env_vars

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """Secrets that are environment variables around the body."""
        return self.policy.secrets

    @property
    def report(self) -> bool:
        """Whether what the body writes to its report is kept when it ends."""
        return self.policy.report

    @property
    def source_file(self) -> str:
        """Where the function was defined."""
        return self.func.__code__.co_filename

    @property
    def reusable(self) -> ReusePolicy | None:
        """How its environment's workers are kept warm in Flyte."""
        return self.policy.reusable

    @property
    def parent_env_name(self) -> str:
        """The name of its environment."""
        return self.name.rpartition(".")[0]

    def __getattr__(self, name: str) -> Any:
        # Only what is no other attribute comes here: Flyte's settings without effect.
        if name in INERT:
            return self.__dict__["policy"].inert.get(name, INERT[name])
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

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
            later: Any = self._call_later(args, kwargs)
            later.__qualname__ = self.name  # what Python's warning says of a coroutine that nobody awaits
            return cast(R, later)  # a coroutine, as the function's own
        return Call(self, args, kwargs, loop)  # type: ignore[return-value]  # passes for a coroutine

    async def _call_later(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """A call made where no loop of ours runs: it is submitted on the loop that drives it."""
        call = Call(self, args, kwargs, asyncio.get_running_loop())
        return await call

    @overload
    def aio(self: Task[P, Coroutine[Any, Any, T]], *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, T]: ...

    @overload
    def aio(self: Task[P, R], *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, R]: ...

    def aio(self, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, Any]:
        """The awaitable form of a call, for sync and async tasks."""
        loop = running_loop()
        if CURRENT.get() is None or loop is None or not hasattr(loop, "takes_calls"):
            return self._aio_later(args, kwargs)
        return Call(self, args, kwargs, loop)  # a loop of ours; it passes for a coroutine

    async def _aio_later(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        if CURRENT.get() is not None:
            return await self._call_later(args, kwargs)
        value = self.func(*args, **kwargs)
        return await value if inspect.isawaitable(value) else value

    def forward(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the plain function, inside a run too: no action, no checks, no copies."""
        return self.func(*args, **kwargs)

    def _call_blocking(self, frame: Frame, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> R:
        stream = frame.submitter.stream(self, frame)
        try:
            try:
                stream.submit([self.pack_inputs(args, kwargs)])
            except errors.BaseRuntimeError:
                raise
            except Exception as error:  # Flyte's rule for blocking calls: a user error with the class as its code
                raise errors.RuntimeUserError(type(error).__name__, str(error)) from error
            stream.wait_result(0)
            _ok, value, where = stream.result(0)
        finally:
            stream.close()
        if isinstance(value, Failure):
            raise thrown_at(value, where)
        return unpack(value)  # type: ignore[return-value]  # checked against the annotation on the worker

    # ------------------------------------------------------------------ for the engine
    def pack_inputs(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Inputs:
        """Check the arguments of a call and turn them into items.

        Raises:
            ValueError: an argument is missing, or there are too many.
            TypeError: a name is unknown, or a value is of the wrong type.
            NotSerializableError: a value cannot be pickled.
            InlineIOMaxBytesBreached: they are larger than the task's `max_inline_io_bytes`, if that was set.
        """
        values = self.signature.bind(args, kwargs)
        for value in values:
            if type(value) not in self._inline:
                return self._packed(values)
        return values  # type: ignore[return-value]  # the loop above is the narrowing

    def _packed(self, values: tuple[object, ...]) -> Inputs:
        items = []
        for parameter, value in zip(self.signature.parameters, values, strict=True):
            try:
                items.append(pack(value, plain=plainness(value)))
            except Exception as error:
                raise errors.NotSerializableError(parameter.name, type(value).__name__, self.name, reason=str(error)) from error
        self.policy.check_inline("Inputs", self.name, items, values)
        return tuple(items)

    def invoke(self, items: Inputs) -> object:
        """Call the body with inputs; a value, or a coroutine."""
        values = tuple([item if type(item) in SCALARS else unpack(item) for item in items])
        if self._has_surroundings:
            return self._invoke_in_surroundings(values)
        body: Callable[..., Any] = self.func
        if self.signature.keyword_only:
            args, kwargs = self.signature.call_arguments(values)
            return body(*args, **kwargs)
        return body(*values)

    def _invoke_in_surroundings(self, values: tuple[object, ...]) -> object:
        args, kwargs = self.signature.call_arguments(values)
        body: Callable[..., Any] = self.func

        async def later() -> object:
            with self._surroundings():
                return await body(*args, **kwargs)

        if self.facts.is_async:
            return later()
        with self._surroundings():
            return body(*args, **kwargs)

    @contextmanager
    def _surroundings(self) -> Iterator[None]:
        """Environment variables while the body runs; its report is kept when it ends, in whatever way."""
        with environ.variables(self._variables) if self._variables else nullcontext():
            try:
                yield
            finally:
                if self.policy.report:
                    reports.keep()

    def within(self, settings: RunSettings) -> Task[P, R]:
        """The task as a run's settings want it: the run's environment variables go over the task's own."""
        if not settings.env_vars:
            return self
        return self._variant(_variables={**self._variables, **dict(settings.env_vars)}, _has_surroundings=True)

    def current_facts(self, most_bytes: int | None = None) -> TaskFacts:
        """The facts, with the version of the code as it is now.

        A pickled task brings its version along: a worker does not see what the notebook sees.

        Args:
            most_bytes: if the code uses a value that takes more, this version is taken for another one each time.
        """
        if self.facts.version:
            return self.facts
        try:
            parts = code_parts(self.func, most_bytes)
        except TooLargeError:
            return replace(self.facts, version=f"once-{secrets.token_hex(8)}")
        version = version_of(parts)
        history.remember(self.name, version, parts)
        return replace(self.facts, version=version)

    def version_story(self) -> history.VersionStory:
        """How the code of this task, with all that it uses, changed from run to run; printed, it reads as a text.

        A change of the version is why results of the cache are no longer taken, and why a recovery runs the task again.
        """
        fixed = self.cache.version_override
        note = f"The cache does not follow the code: its version is given as {fixed!r}." if fixed and self.cache.is_enabled() else ""
        return history.story(self.name, code_parts(self.func), note)

    def cache_keys(self, run: str, inputs: Sequence[Inputs]) -> list[str]:
        """What results of these calls are kept under: task, interface, version of the code, inputs.

        Raises:
            ValueError: a cache policy failed.
        """
        start = f"{self.name}|{self.interface.fingerprint()}|{self.cache_version(run)}|"
        return [_digest(start + hash_of_inputs(each, self.facts.cache.ignored)) for each in inputs]

    def cache_version(self, run: str) -> str:
        """The version that results are kept under; worked out once a run, as a helper may change between runs.

        A pickled task brings its version along: a worker does not see what the notebook sees.
        """
        if self._version is None or self._version[0] not in {run, _SHIPPED, _FAILED}:
            self._version = (run, self._fresh_version())
        if self._version[0] == _FAILED:
            raise ValueError(self._version[1])
        return self._version[1]

    def _version_to_ship(self) -> tuple[str, str]:
        try:
            return _SHIPPED, self._fresh_version()
        except ValueError as error:  # it is the call's error, and not that of whoever pickles the task
            return _FAILED, str(error)

    def _fresh_version(self) -> str:
        parameters = VersionParameters(self.func, getattr(self.parent_env, "image", None))
        return self.policy.cache.get_version(parameters, [CodePolicy()])

    def pack_output(self, value: object) -> Item:
        """Check what the body returned and turn it into an item.

        Raises:
            RuntimeDataValidationError: it does not fit the return annotation.
            NotSerializableError: it cannot be pickled.
            InlineIOMaxBytesBreached: it is larger than the task's `max_inline_io_bytes`, if that was set.
        """
        checked = self.signature.check_output(value)
        if type(checked) in self._inline:
            return checked  # type: ignore[return-value]  # the test above is the narrowing
        try:
            item = pack(checked, plain=plainness(checked))
        except Exception as error:
            kind = type(value).__name__
            raise errors.NotSerializableError("o0", kind, self.name, reason=str(error), is_output=True) from error
        self.policy.check_inline("Outputs", self.name, (item,), (checked,))
        return item

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

    def kept(self, version: str, most_bytes: int) -> bytes:
        """The task as bytes for a later kernel; nothing if it cannot be pickled, or takes more than this.

        Args:
            version: that of its code now; while it stays, so do the bytes.
            most_bytes: what they may take.
        """
        if self._kept[0] != version:
            target = Limited(most_bytes)
            try:
                dump_into(self, target)
                self._kept = (version, target.getvalue())
            except Exception:  # noqa: BLE001 - a lock, or all of a notebook's data: then it has to be defined anew there
                self._kept = (version, b"")
        return self._kept[1]

    def __getstate__(self) -> dict[str, Any]:
        state = dict(self.__dict__)
        state["facts"], state["_kept"] = self.current_facts(), ("", b"")
        state["parent_env"] = None  # the environment knows all its tasks; a worker needs this one
        state["policy"] = self.policy.to_travel()
        state.pop("__wrapped__", None)
        state[IDENTITY] = (self.name, self.facts.code)
        if self.policy.cache.is_enabled():
            shipped = self._version is not None and self._version[0] in {_SHIPPED, _FAILED}
            state["_version"] = self._version if shipped else self._version_to_ship()
        state["_sources"] = sources.sources_of(self.func)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        sources.remember(state.pop("_sources"))
        state.pop(IDENTITY)
        self.__dict__.update(state)
        self.__wrapped__ = self.func

    # ------------------------------------------------------------------ variants
    def override(  # noqa: PLR0913 - Flyte's signature
        self,
        *,
        short_name: str | None = None,
        resources: Resources | None = None,
        cache: CacheRequest | None = None,
        retries: int | RetryStrategy = 0,
        timeout: TimeoutType | None = None,
        reusable: ReusePolicy | str | None = None,
        env_vars: Mapping[str, str] | None = None,
        secrets: SecretRequest | None = None,
        report: bool | None = None,
        **inert: Any,
    ) -> Task[P, R]:
        """The same task with other settings. A falsy value keeps what the task has (Flyte 2's rule).

        short_name, cache, retries, timeout and report are as of `env.task`, resources, env_vars and secrets as of
        `TaskEnvironment`; reusable may be "off" too. The inert settings have no effect here.

        Raises:
            ValueError: a setting that cannot be changed (name, image, docs, interface), or resources and env_vars of a
                reusable task without `reusable="off"`.
            TypeError: an unknown setting.
        """
        for key in inert:
            if key in _FIXED:
                raise ValueError(f"{_FIXED[key]} cannot be overridden")
            if key not in INERT:
                raise TypeError(f"AsyncFunctionTaskTemplate.__init__() got an unexpected keyword argument '{key}'")  # Flyte's words
        changed = self.policy.overridden(
            resources=resources,
            cache=cache,
            retries=retries,
            timeout=timeout,
            reusable=reusable,
            env_vars=env_vars,
            secrets=secrets,
            report=report,
            inert=inert,
        )
        variables = dict(changed.env_vars or {})
        return self._variant(
            policy=changed,
            short_name=short_name or self.short_name,
            facts=self._facts(changed, short_name or self.short_name),
            _variables=variables,
            _version=None,
            _kept=("", b""),
            _has_surroundings=bool(variables) or changed.report,
            _inline=inline_types(changed),
        )

    def _variant(self, **changes: object) -> Task[P, R]:
        """The same task with other attributes."""
        other: Task[P, R] = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        other.__dict__.update(changes)
        return other


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode("utf8", "surrogatepass"), digest_size=20).hexdigest()
