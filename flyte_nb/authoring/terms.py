"""What a task says of itself: on which terms its actions run, and what goes in and comes out.

Must not know: calls.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from flyte_nb import errors
from flyte_nb.authoring.signature import Signature
from flyte_nb.core.events import CacheFacts
from flyte_nb.core.payloads import SCALARS, Blob, Item
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
)

#: Flyte's default limit of inputs and outputs.
MAX_INLINE_IO_BYTES = 10 * 1024 * 1024
#: Settings of a Flyte task that have no effect here, with Flyte's defaults. They are kept, and are attributes of the task.
INERT: Mapping[str, object] = MappingProxyType(
    {
        "debuggable": True,
        "entrypoint": False,
        "image": "auto",
        "interruptible": False,
        "links": (),
        "max_inline_io_bytes": MAX_INLINE_IO_BYTES,
        "plugin_config": None,
        "pod_template": None,
        "produces_artifacts": False,
        "queue": None,
        "service_account": None,
        "task_resolver": None,
        "task_type": "python",
        "task_type_version": 0,
        "triggers": (),
    }
)


@dataclass(frozen=True, kw_only=True)
class TaskPolicy:
    """How a task's actions are run; `timeout` is kept as it was given.

    Of the settings in `inert` one has an effect: `max_inline_io_bytes`, if it was set.
    """

    retries: RetryStrategy = RetryStrategy(0)
    timeout: TimeoutType | None = 0
    cache: Cache = field(default_factory=lambda: cache_from_request("disable"))
    resources: Resources | None = None
    reusable: ReusePolicy | None = None
    env_vars: Mapping[str, str] | None = None
    secrets: tuple[Secret, ...] = ()
    report: bool = False
    inert: Mapping[str, object] = field(default_factory=dict)

    def overridden(  # noqa: PLR0913 - the keywords of `Task.override`
        self,
        *,
        resources: Resources | None,
        cache: CacheRequest | None,
        retries: int | RetryStrategy,
        timeout: TimeoutType | None,
        reusable: ReusePolicy | str | None,
        env_vars: Mapping[str, str] | None,
        secrets: SecretRequest | None,
        report: bool | None,
        inert: Mapping[str, object],
    ) -> TaskPolicy:
        """Other terms; a falsy value keeps what there is (Flyte 2's rule).

        Raises:
            ValueError: resources, environment variables or secrets of a reusable task without `reusable="off"`.
        """
        if self.reusable is not None and reusable != "off":
            for name, value in (("resources", resources), ("env", env_vars), ("secrets", secrets)):
                if value is not None:
                    raise ValueError(
                        f"Cannot override {name} when reusable is set. Reusable tasks will use the parent env's {name}. "
                        f"You can disable reusability and override {name} if needed. (set reusable='off')"
                    )
        return replace(
            self,
            retries=retries_from_request(retries) if retries else self.retries,
            timeout=timeout or self.timeout,
            cache=cache_from_request(cache) if cache else self.cache,
            resources=resources or self.resources,
            reusable=None if reusable == "off" else (reusable if isinstance(reusable, ReusePolicy) else self.reusable),
            env_vars=env_vars or self.env_vars,
            secrets=secrets_from_request(secrets) if secrets else self.secrets,
            report=self.report if report is None else report,
            inert={**self.inert, **{name: value for name, value in inert.items() if value or value is False}},
        )

    def to_travel(self) -> TaskPolicy:
        """What a worker needs: images, pods and triggers stay at home."""
        limit = self.inline_limit
        return replace(self, inert={} if limit is None else {"max_inline_io_bytes": limit})

    def secret_variables(self) -> tuple[str, ...]:
        """Names of the environment variables that its secrets come in; a variable of the task's own goes before."""
        names = (each.as_env_var for each in self.secrets)
        return tuple(dict.fromkeys(name for name in names if name and name not in (self.env_vars or {})))

    @property
    def inline_limit(self) -> int | None:
        """Bytes that the inputs, and the output, of an action may have; None without a limit of the task's own.

        Flyte's default of 10 MiB is not enforced: large values travel by reference here.
        """
        limit = self.inert.get("max_inline_io_bytes")
        return limit if isinstance(limit, int) else None

    def check_inline(self, what: str, task: str, items: Sequence[Item], values: Sequence[object]) -> None:
        """Hold inputs or outputs against the limit; tables, which a Flyte backend keeps apart, do not count.

        Raises:
            InlineIOMaxBytesBreached: they are larger.
        """
        limit = self.inline_limit
        if limit is None:
            return
        size = sum(_inline_bytes(item) for item, value in zip(items, values, strict=True) if not _is_table(value))
        if size > limit:
            raise errors.InlineIOMaxBytesBreached(
                f"{what} of task '{task}' exceed max_bytes limit of {limit:,} bytes, actual size: {size:,}. "
                "Raise max_inline_io_bytes, or pass a flyte.io.File."
            )

    @property
    def concurrency(self) -> int:
        """Most async actions of a task that may run at once on one worker; 0 is no limit."""
        return self.reusable.concurrency if self.reusable is not None else 0

    def cache_facts(self, parameters: tuple[str, ...]) -> CacheFacts:
        """How results are reused, for a task with these parameters."""
        ignored = self.cache.get_ignored_inputs()
        places = tuple(place for place, name in enumerate(parameters) if name in ignored)
        return CacheFacts(str(self.cache.behavior), self.cache.serialize, self.cache.max_age_seconds, places)


#: Without a limit these need no look; with one, texts and bytes do.
_LONG = frozenset({str, bytes})


def inline_types(policy: TaskPolicy) -> frozenset[type]:
    """Types of values that travel as themselves, and need no look at their size."""
    return SCALARS if policy.inline_limit is None else SCALARS - _LONG


def _inline_bytes(item: Item) -> int:
    if isinstance(item, Blob):
        return item.size_bytes
    return len(item.encode("utf8", "surrogatepass")) if isinstance(item, str) else len(item) if isinstance(item, bytes) else 8


def _is_table(value: object) -> bool:
    return type(value).__module__.partition(".")[0] in {"pandas", "polars", "pyarrow"}


class Interface:
    """Inputs by name, each with type and default, and types of outputs by name."""

    def __init__(self, signature: Signature) -> None:
        self.inputs = {each.name: (each.annotation, each.default) for each in signature.parameters}
        self.outputs = dict(signature.outputs)

    def has_outputs(self) -> bool:
        """Whether the task returns something."""
        return bool(self.outputs)

    def required_inputs(self) -> list[str]:
        """Names of inputs without a default."""
        return [name for name, (_kind, default) in self.inputs.items() if default is inspect.Parameter.empty]

    def num_required_inputs(self) -> int:
        """How many inputs have no default."""
        return len(self.required_inputs())

    def get_input_types(self) -> dict[str, object]:
        """Types of inputs by name."""
        return {name: kind for name, (kind, _default) in self.inputs.items()}

    def __repr__(self) -> str:
        empty = inspect.Parameter.empty
        taken = []
        for name, (kind, default) in self.inputs.items():
            text = name if kind is empty else f"{name}: {inspect.formatannotation(kind)}"
            taken.append(text if default is empty else f"{text} = {default!r}")
        given = [f"{name}: {inspect.formatannotation(kind)}" for name, kind in self.outputs.items()]
        return f"({', '.join(taken)}) -> ({', '.join(given)}):"

    def fingerprint(self) -> str:
        """Names and types, without defaults: what tells one interface from another."""
        taken = [f"{name}: {inspect.formatannotation(kind)}" for name, (kind, _default) in self.inputs.items()]
        given = [f"{name}: {inspect.formatannotation(kind)}" for name, kind in self.outputs.items()]
        return f"({', '.join(taken)}) -> ({', '.join(given)})"
