"""When a task's earlier result may stand for a new one.

Decides: which cache settings are valid, what their short forms mean, and how the parts of a version become one.
Must not know: where results are stored, or how a function's code is read.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType
from typing import Literal, Protocol, cast, get_args, runtime_checkable

from flyte_nb.core.durations import Duration, seconds
from flyte_nb.core.payloads import Item

CacheBehavior = Literal["auto", "override", "disable"]

_ALIASES: MappingProxyType[str, CacheBehavior] = MappingProxyType(
    {
        **dict.fromkeys(("enable", "enabled", "on", "true", "yes"), "auto"),
        **dict.fromkeys(("off", "false", "no", "none"), "disable"),
    }
)


@dataclass(frozen=True, slots=True)
class VersionParameters:
    """What a cache policy may look at.

    Attributes:
        func: The task's function.
        image: The image of its environment.
        code_bundle: Always None here; kept for policies written for Flyte.
    """

    func: Callable[..., object] | None
    image: object = None
    code_bundle: None = None


@runtime_checkable
class CachePolicy(Protocol):
    """Says which version of a task's code the cache holds results of."""

    def get_version(self, salt: str, params: VersionParameters) -> str:
        """A string that changes when old results are no longer good.

        Args:
            salt: That of the `Cache`.
            params: The function (`params.func`) and the image of its environment.
        """


@dataclass(frozen=True, slots=True)
class Cache:
    """When a task's earlier result is used instead of running it.

    Attributes:
        behavior: "auto" reads and stores, "override" computes and stores, "disable" does neither. Flyte's aliases
            ("on", "off", ...) are taken.
        version_override: The version, instead of one made by policies.
        serialize: Of several equal calls at one time, run one and give its result to all.
        ignored_inputs: Parameters that do not count.
        salt: Goes into the version: a way to start afresh.
        policies: What makes the version; None means the default, the code of the function and of what it calls.
        max_age: How old a result may be; an int counts seconds.

    Example:
        >>> flyte.Cache("on", ignored_inputs="verbose").get_ignored_inputs()
        ('verbose',)
    """

    behavior: CacheBehavior | str
    version_override: str | None = None
    serialize: bool = False
    ignored_inputs: tuple[str, ...] | str = ()
    salt: str = ""
    policies: Sequence[CachePolicy] | CachePolicy | None = None
    max_age: Duration | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "behavior", _behavior(self.behavior))
        if self.max_age is not None:
            object.__setattr__(self, "max_age", _max_age(self.max_age))
        if self.policies is not None and not self.policy_list() and self.version_override is None and self.is_enabled():
            raise ValueError("If version is not defined then at least one cache policy needs to be set")

    def is_enabled(self) -> bool:
        """Whether results are stored at all."""
        return self.behavior != "disable"

    def get_ignored_inputs(self) -> tuple[str, ...]:
        """The parameters that do not count, always as a tuple."""
        return (self.ignored_inputs,) if isinstance(self.ignored_inputs, str) else tuple(self.ignored_inputs)

    def policy_list(self) -> tuple[CachePolicy, ...]:
        """The policies that were set, always as a tuple; empty means the default."""
        if self.policies is None:
            return ()
        return tuple(self.policies) if isinstance(self.policies, Sequence) else (self.policies,)

    @property
    def max_age_seconds(self) -> float | None:
        """`max_age` in seconds, None without a limit."""
        return None if self.max_age is None else seconds(self.max_age)

    def get_version(self, params: VersionParameters | None = None, default: Iterable[CachePolicy] = ()) -> str:
        """The version that results are stored under; "" if none are.

        Args:
            params: What the policies look at; not needed with `version_override`.
            default: The policies to use if none were set.
        """
        if not self.is_enabled():
            return ""
        if self.version_override is not None:
            return self.version_override
        if params is None:
            raise ValueError("Version parameters must be provided when version_override is not set.")
        versions = ""
        for policy in self.policy_list() or tuple(default):
            try:
                versions += policy.get_version(self.salt, params)
            except Exception as error:
                raise ValueError(f"Failed to generate version for cache policy {policy}.") from error
        return hashlib.sha256(versions.encode()).hexdigest()


def _max_age(asked: object) -> timedelta:
    if isinstance(asked, bool) or not isinstance(asked, int | timedelta):
        raise TypeError("max_age must be an int (seconds), timedelta, or None")
    age = asked if isinstance(asked, timedelta) else timedelta(seconds=asked)
    if age < timedelta(0):
        raise ValueError("max_age must be nonnegative")
    return age


def _behavior(asked: object) -> CacheBehavior:
    for behavior in get_args(CacheBehavior):
        if asked == behavior:
            return cast(CacheBehavior, behavior)
    alias = _ALIASES.get(asked.lower()) if isinstance(asked, str) else None
    if alias is None:
        raise ValueError(
            f"Invalid cache behavior: {asked!r}. Must be one of {list(get_args(CacheBehavior))} (aliases accepted: {sorted(_ALIASES)})."
        )
    return alias


#: What `cache=` takes: "auto", "override", "disable", or a `Cache`.
CacheRequest = str | Cache


def cache_from_request(cache: object) -> Cache:
    """What `cache=` means: a behaviour or the whole policy (`CacheRequest`); ValueError for anything else."""
    return cache if isinstance(cache, Cache) else Cache(cache)  # type: ignore[arg-type]  # Cache says what it does not take


@dataclass(frozen=True, slots=True)
class CachedResult:
    """A result that may stand for new ones: the output, when it was made, by which run, and of which task."""

    output: Item
    at: float
    run: str
    task: str = ""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A result that is asked for, unless it was made before `oldest_at` (UTC seconds)."""

    key: str
    task: str
    oldest_at: float = 0.0


@dataclass(frozen=True, slots=True)
class Sought:
    """What came of asking: results that are there, and keys that are for the one that asked to compute."""

    found: Mapping[str, CachedResult]
    granted: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class CacheLine:
    """What is kept of one task's results: how many, how large, how often they were taken, and from when to when (UTC seconds)."""

    task: str
    results: int
    size_bytes: int
    hits: int
    oldest_at: float
    newest_at: float
    used_at: float


class ResultCache(Protocol):
    """Keeps results by key, for all kernels that share it. Called by the controller, on its thread: be quick.

    Of those who ask for a key at one time, one is granted it; the others are told when there is a result, or when the key
    has become free: it was released, or the process that had it is gone.
    """

    def listen(self, later: Callable[[Sought], None]) -> None:
        """Say who is told of what `seek` left open; on any thread."""

    def seek(self, wanted: Sequence[Wanted]) -> Sought:
        """What is known at once; each key that is left open is told of later, once."""

    def keep(self, results: Sequence[tuple[str, CachedResult]]) -> None:
        """Keep results, and give their keys back; a result that was there is replaced."""

    def release(self, keys: Sequence[str]) -> None:
        """Give keys back without a result."""
