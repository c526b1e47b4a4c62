"""What a task says of itself: on which terms its actions run, and what goes in and comes out.

Must not know: calls.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field

from flyte_nb.authoring.signature import Signature
from flyte_nb.core.events import CacheFacts
from flyte_nb.core.policy import Cache, Resources, RetryStrategy, ReusePolicy, Secret, TimeoutType, cache_from_request


@dataclass(frozen=True, kw_only=True)
class TaskPolicy:
    """How a task's actions are run; `timeout` is kept as it was given."""

    retries: RetryStrategy = RetryStrategy(0)
    timeout: TimeoutType | None = 0
    cache: Cache = field(default_factory=lambda: cache_from_request("disable"))
    resources: Resources | None = None
    reusable: ReusePolicy | None = None
    env_vars: Mapping[str, str] | None = None
    secrets: tuple[Secret, ...] = ()
    report: bool = False

    @property
    def concurrency(self) -> int:
        """Most async actions of a task that may run at once on one worker; 0 is no limit."""
        return self.reusable.concurrency if self.reusable is not None else 0

    def cache_facts(self, parameters: tuple[str, ...]) -> CacheFacts:
        """How results are reused, for a task with these parameters."""
        ignored = self.cache.get_ignored_inputs()
        places = tuple(place for place, name in enumerate(parameters) if name in ignored)
        return CacheFacts(str(self.cache.behavior), self.cache.serialize, self.cache.max_age_seconds, places)


class Interface:
    """Inputs by name, each with type and default, and types of outputs by name."""

    def __init__(self, signature: Signature) -> None:
        self.inputs = {each.name: (each.annotation, each.default) for each in signature.parameters}
        self.outputs = dict(signature.outputs)

    def has_outputs(self) -> bool:
        """Whether the task returns something."""
        return bool(self.outputs)

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
