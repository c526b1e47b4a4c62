"""What a user may ask of the runs of a task: retries, timeouts, cache, reuse, secrets, resources.

Decides: which of these values are valid, what the short forms mean (`retries=3`, `timeout=30`, `cache="on"`), and the
arithmetic that belongs to them.
Must not know: who applies them, or when. Every value is frozen and whole once it is made.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Literal, cast

from flyte_nb.core.caching import Cache, CachePolicy, CacheRequest, VersionParameters, cache_from_request
from flyte_nb.core.durations import Duration, check_duration, seconds
from flyte_nb.core.resources import Resources

__all__ = [
    "Backoff",
    "Cache",
    "CachePolicy",
    "CacheRequest",
    "Resources",
    "RetryStrategy",
    "ReusePolicy",
    "Secret",
    "SecretRequest",
    "Timeout",
    "TimeoutType",
    "VersionParameters",
    "cache_from_request",
    "check_action_concurrency",
    "retries_from_request",
    "secrets_from_request",
    "timeout_from_request",
]

# --------------------------------------------------------------------------------------------------------- retries


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long to wait before a retry: `min(base * factor**n, cap)` before the n-th, counted from 0.

    Attributes:
        base: The first wait.
        factor: What each further wait is multiplied with; 1.0 keeps it constant.
        cap: The longest wait; required if `factor` is above 1.

    Example:
        >>> flyte.Backoff(timedelta(seconds=2), factor=2.0, cap=timedelta(seconds=10)).delay(3)
        10.0
    """

    base: timedelta
    factor: float = 1.0
    cap: timedelta | None = None

    def __post_init__(self) -> None:
        check_duration("Backoff.base", self.base)
        if self.cap is not None:
            check_duration("Backoff.cap", self.cap)
        if not _is_finite(self.factor):
            raise ValueError(f"Backoff.factor must be a finite number, got {self.factor!r}")
        if self.factor < 1.0:
            raise ValueError(f"Backoff.factor must be >= 1.0, got {self.factor}")
        if self.factor > 1.0 and self.cap is None:
            raise ValueError("Backoff.cap is required when factor > 1.0 to prevent unbounded growth")

    def compute_delay(self, n: int) -> timedelta:
        """The wait before the n-th retry, counted from 0."""
        if n < 0:
            raise ValueError(f"Retry index n must be >= 0, got {n}")
        if self.cap is None:  # then the factor is 1
            return self.base
        try:
            return min(self.base * self.factor**n, self.cap)
        except OverflowError:
            return self.cap if self.base else self.base

    def delay(self, n: int) -> float:
        """The wait before the n-th retry, counted from 0, in seconds."""
        return self.compute_delay(n).total_seconds()


@dataclass(frozen=True, slots=True)
class RetryStrategy:
    """How often a failed action is tried again, and at what pace.

    Attributes:
        count: Attempts beyond the first. Lost workers do not count.
        backoff: The waits between attempts; none means at once.

    Example:
        >>> flyte.RetryStrategy(3).delay(0)
        0.0
    """

    count: int
    backoff: Backoff | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.count, int) or isinstance(self.count, bool):
            raise ValueError(f"RetryStrategy.count must be an int (a retry count), got {self.count!r}")  # noqa: TRY004 - Flyte's class
        if self.count < 0:
            raise ValueError(f"RetryStrategy.count must be greater than or equal to 0, got {self.count}")
        if self.backoff is not None and not isinstance(self.backoff, Backoff):
            raise TypeError(f"RetryStrategy.backoff must be a Backoff, got {self.backoff!r}")

    def delay(self, n: int) -> float:
        """The wait before the n-th retry, counted from 0, in seconds."""
        return 0.0 if self.backoff is None else self.backoff.delay(n)


def retries_from_request(retries: int | RetryStrategy) -> RetryStrategy:
    """What `retries=` means: a count or a whole strategy."""
    if isinstance(retries, RetryStrategy):
        return retries
    if not isinstance(retries, int) or isinstance(retries, bool):
        raise ValueError(f"retries must be an int (a retry count) or a flyte.RetryStrategy, got {retries!r}")  # noqa: TRY004 - Flyte's class
    return RetryStrategy(retries)


def _is_finite(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


# -------------------------------------------------------------------------------------------------------- timeouts


@dataclass(frozen=True, slots=True)
class Timeout:
    """Time limits of an action. None and 0 mean no limit; an int counts seconds.

    Attributes:
        max_runtime: How long one attempt may run.
        max_queued_time: How long one attempt may wait for its start.
        deadline: How long all attempts together may take.

    Example:
        >>> flyte.Timeout(max_runtime=timedelta(minutes=1), deadline=300).max_runtime_seconds
        60.0
    """

    max_runtime: Duration | None = None
    max_queued_time: Duration | None = None
    deadline: Duration | None = None

    def __post_init__(self) -> None:
        for name in ("max_runtime", "max_queued_time", "deadline"):
            value = getattr(self, name)
            if value is not None:
                check_duration(f"Timeout.{name}", value, seconds_too=True)

    @property
    def max_runtime_seconds(self) -> float | None:
        """`max_runtime` in seconds, None without a limit."""
        return _limit_seconds(self.max_runtime)

    @property
    def max_queued_seconds(self) -> float | None:
        """`max_queued_time` in seconds, None without a limit."""
        return _limit_seconds(self.max_queued_time)

    @property
    def deadline_seconds(self) -> float | None:
        """`deadline` in seconds, None without a limit."""
        return _limit_seconds(self.deadline)


#: What `timeout=` takes: a `Timeout`, or the longest time of one attempt, as seconds or a timedelta.
TimeoutType = Timeout | int | timedelta


def check_action_concurrency(limit: int | None) -> None:
    """Whether a limit on the actions of a run makes sense: 0 or None is none.

    Raises:
        ValueError: it is negative, or 1.
    """
    if limit is not None and (limit < 0 or limit == 1):
        raise ValueError(
            f"max_action_concurrency must be 0 (platform default) or at least 2, got {limit}. A value of 1 would deadlock the run: "
            "the parent action holds a concurrency slot while waiting for its child actions to run."
        )


def timeout_from_request(timeout: object) -> Timeout:
    """What `timeout=` means (`TimeoutType` or None): seconds or a timedelta of `max_runtime`, or all the limits."""
    if isinstance(timeout, Timeout):
        return timeout
    if timeout is None:
        return Timeout()
    if isinstance(timeout, bool) or not isinstance(timeout, int | timedelta):
        hint = "write seconds, such as timeout=30, or timedelta(minutes=5)"
        raise ValueError(f"Timeout must be an instance of Timeout, int, or timedelta, got {timeout!r}: {hint}.")  # noqa: TRY004 - Flyte's class
    return Timeout(max_runtime=timeout if isinstance(timeout, timedelta) else timedelta(seconds=timeout))


def _limit_seconds(limit: Duration | None) -> float | None:
    return seconds(limit) or None if limit is not None else None


# ---------------------------------------------------------------------------------------------- reuse and secrets

_MIN_TTL = timedelta(seconds=30)  # Flyte's limit


@dataclass(frozen=True, slots=True)
class ReusePolicy:
    """How an environment's workers are kept warm. Here they always are; only `concurrency` has an effect.

    Attributes:
        replicas: How many, or (min, max).
        idle_ttl: How long an idle environment is kept; an int counts seconds.
        concurrency: How many async actions of a task one worker runs at a time. (Without a policy, thousands.)
        scaledown_ttl: How long an idle replica is kept; an int counts seconds.
        scope: Shared by all runs ("global") or not ("run").

    Example:
        >>> flyte.ReusePolicy(replicas=2, concurrency=10).concurrency
        10
    """

    replicas: int | tuple[int, int] = 2
    idle_ttl: Duration = 30
    concurrency: int = 1
    scaledown_ttl: Duration = 30
    scope: Literal["global", "run"] = "global"

    def __post_init__(self) -> None:
        if self.scope not in ("global", "run"):
            raise ValueError('scope must be "global" or "run"')
        object.__setattr__(self, "replicas", _replicas(self.replicas))
        if not isinstance(self.concurrency, int) or isinstance(self.concurrency, bool):
            raise ValueError(f"concurrency must be an int, got {self.concurrency!r}")  # noqa: TRY004 - Flyte's class
        if self.concurrency < 1:
            raise ValueError(f"concurrency must be at least 1, got {self.concurrency}")
        for name in ("idle_ttl", "scaledown_ttl"):
            ttl = getattr(self, name)
            if not isinstance(ttl, int | timedelta):
                raise ValueError(f"{name} must be an int (seconds) or a timedelta")  # noqa: TRY004 - Flyte's class
            ttl = ttl if isinstance(ttl, timedelta) else timedelta(seconds=ttl)
            if ttl < _MIN_TTL:
                raise ValueError(f"{name} must be at least 30 seconds")
            object.__setattr__(self, name, ttl)

    @property
    def min_replicas(self) -> int:
        """The lower end of `replicas`."""
        return cast(tuple[int, int], self.replicas)[0]

    @property
    def max_replicas(self) -> int:
        """The upper end of `replicas`."""
        return cast(tuple[int, int], self.replicas)[1]

    def get_scaledown_ttl(self) -> timedelta:
        """`scaledown_ttl` as a timedelta."""
        return cast(timedelta, self.scaledown_ttl)


def _replicas(asked: object) -> tuple[int, int]:
    both = asked if isinstance(asked, tuple) else (asked, asked)
    if len(both) != 2 or not isinstance(asked, int | tuple):  # noqa: PLR2004 - min and max
        raise ValueError("replicas must be an int or a tuple of two ints")
    for label, value in zip(("min", "max"), both, strict=True):
        if not isinstance(value, int) or isinstance(value, bool):
            raise ValueError(f"replicas {label} must be an int, got {value!r}")  # noqa: TRY004 - Flyte's class
        if value < 0:
            raise ValueError(f"replicas {label} must be greater than or equal to 0, got {value}")
    low, high = both
    if low > high:
        raise ValueError(f"replicas min ({low}) must be less than or equal to max ({high})")
    return low, high


_SECRET_MOUNT = "/etc/flyte/secrets"  # noqa: S105 - a path, Flyte's only one
_ENV_VAR = re.compile(r"[A-Z_][A-Z0-9_]*")


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret that a task reads from an environment variable.

    Attributes:
        key: Its name in the secret store.
        group: The group of the name.
        mount: Where it is mounted as a file; taken for Flyte, without effect here.
        as_env_var: The variable; by default GROUP_KEY in capitals, "-" as "_".

    Example:
        >>> flyte.Secret("api-key", group="maps").as_env_var
        'MAPS_API_KEY'
    """

    key: str
    group: str | None = None
    mount: Path | None = None
    as_env_var: str | None = None

    def __post_init__(self) -> None:
        if self.mount and str(self.mount) != _SECRET_MOUNT:
            raise ValueError(f"Only {_SECRET_MOUNT} is supported as secret mount path today.")
        if not self.mount and not self.as_env_var:
            name = f"{self.group}_{self.key}" if self.group else self.key
            object.__setattr__(self, "as_env_var", name.replace("-", "_").upper())
        if self.as_env_var is not None and not _ENV_VAR.fullmatch(self.as_env_var):
            raise ValueError(f"Invalid environment variable name: {self.as_env_var}, must match ^{_ENV_VAR.pattern}$")


#: What `secrets=` takes: the key of a secret, a `Secret`, or several of these.
SecretRequest = str | Secret | Sequence[str | Secret]


def secrets_from_request(secrets: SecretRequest | None) -> tuple[Secret, ...]:
    """What `secrets=` means: one or several, by key or whole."""
    if secrets is None:
        return ()
    each = (secrets,) if isinstance(secrets, str | Secret) else secrets
    return tuple(secret if isinstance(secret, Secret) else Secret(secret) for secret in each)
