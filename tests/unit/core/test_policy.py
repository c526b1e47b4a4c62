"""Retries, timeouts, cache, reuse and secrets: which values are valid, and what the short forms mean."""

import pickle
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from flyte_nb.core import policy
from flyte_nb.core.policy import Backoff, Cache, RetryStrategy, ReusePolicy, Secret, Timeout

SECOND = timedelta(seconds=1)


class Pinned:
    """A cache policy whose version is its salt."""

    def get_version(self, salt: str, params: policy.VersionParameters) -> str:
        """Return the salt and the function's name."""
        return f"{salt}{getattr(params.func, '__name__', '')}"


class Broken:
    """A cache policy that fails."""

    def get_version(self, salt: str, params: policy.VersionParameters) -> str:
        """Raise."""
        raise OSError(salt, params)


def test_waits_grow_up_to_the_cap() -> None:
    """The n-th wait is base * factor**n, never above cap."""
    backoff = Backoff(base=timedelta(seconds=3), factor=1.5, cap=timedelta(seconds=20))

    assert [backoff.delay(n) for n in range(6)] == [3.0, 4.5, 6.75, 10.125, 15.1875, 20.0]


def test_waits_without_factor_are_constant() -> None:
    """The default factor keeps the base, as a timedelta for Flyte's method."""
    assert [Backoff(base=SECOND / 4).compute_delay(n) for n in range(3)] == [SECOND / 4] * 3


@pytest.mark.parametrize("base,expected", [(SECOND, 60.0), (timedelta(0), 0.0)])
def test_a_wait_too_large_to_compute_is_the_cap(base: timedelta, expected: float) -> None:
    """Overflow does not reach the user; nothing times anything stays nothing."""
    assert Backoff(base=base, factor=10.0, cap=60 * SECOND).delay(5_000) == expected


def test_no_backoff_means_at_once() -> None:
    """A strategy without backoff waits 0 seconds; with one, as it says."""
    assert (RetryStrategy(3).delay(2), RetryStrategy(3, Backoff(SECOND)).delay(2)) == (0.0, 1.0)


@pytest.mark.parametrize(
    "make,fields,error",
    [
        (Backoff, {"base": timedelta(0), "factor": 3.0}, ValueError),
        (Backoff, {"base": -SECOND}, ValueError),
        (Backoff, {"base": SECOND, "factor": 0.1}, ValueError),
        (Backoff, {"base": SECOND, "factor": float("nan")}, ValueError),
        (Backoff, {"base": SECOND, "factor": "2"}, ValueError),
        (Backoff, {"base": SECOND, "cap": -SECOND}, ValueError),
        (Backoff, {"base": 3}, TypeError),
        (Backoff(base=SECOND).compute_delay, {"n": -1}, ValueError),
        (RetryStrategy, {"count": -4}, ValueError),
        (RetryStrategy, {"count": "3"}, ValueError),
        (RetryStrategy, {"count": True}, ValueError),
        (RetryStrategy, {"count": 1, "backoff": 3}, TypeError),
        (Timeout, {"max_runtime": -1}, ValueError),
        (Timeout, {"deadline": "1h"}, TypeError),
        (Timeout, {"deadline": True}, TypeError),
        (policy.timeout_from_request, {"timeout": "1h"}, ValueError),
        (policy.timeout_from_request, {"timeout": 1.5}, ValueError),
        (Cache, {"behavior": "always"}, ValueError),
        (Cache, {"behavior": ""}, ValueError),
        (Cache, {"behavior": 5}, ValueError),
        (Cache, {"behavior": "auto", "policies": []}, ValueError),
        (Cache, {"behavior": "auto", "max_age": -1}, ValueError),
        (policy.cache_from_request, {"cache": 5}, ValueError),
        (policy.cache_from_request, {"cache": None}, ValueError),
        (ReusePolicy, {"scope": "all"}, ValueError),
        (ReusePolicy, {"replicas": (1, 2, 3)}, ValueError),
        (ReusePolicy, {"replicas": "2"}, ValueError),
        (ReusePolicy, {"idle_ttl": 29}, ValueError),
        (ReusePolicy, {"scaledown_ttl": "30"}, ValueError),
        (ReusePolicy, {"concurrency": 0}, ValueError),
        (Secret, {"key": "a b"}, ValueError),
        (Secret, {"key": "a", "mount": Path("elsewhere")}, ValueError),
        (Secret, {"key": "a", "as_env_var": "lower"}, ValueError),
    ],
)
def test_values_that_make_no_sense_are_refused(make: Callable[..., object], fields: dict[str, object], error: type[Exception]) -> None:
    """A bad value fails where it is written, not when a run needs it."""
    with pytest.raises(error):
        make(**fields)


def test_a_bad_value_is_named_with_its_field() -> None:
    """The message says which field, and what came."""
    with pytest.raises(ValueError, match=r"Backoff\.factor must be >= 1\.0, got 0\.5"):
        Backoff(base=SECOND, factor=0.5)


def test_retries_may_be_a_count_or_a_strategy() -> None:
    """Both mean a strategy; a strategy stays itself."""
    strategy = RetryStrategy(2, Backoff(SECOND))

    assert policy.retries_from_request(2) == RetryStrategy(2)
    assert policy.retries_from_request(strategy) is strategy


def test_a_bare_timeout_limits_the_run_time() -> None:
    """Seconds and timedeltas mean `max_runtime`; a Timeout stays itself; None is no limit."""
    whole = Timeout(deadline=7)
    given = [policy.timeout_from_request(each) for each in (30, 30 * SECOND, whole, None, 0)]

    assert given == [Timeout(max_runtime=30 * SECOND)] * 2 + [whole, Timeout(), Timeout(max_runtime=timedelta(0))]
    assert [each.max_runtime_seconds for each in given] == [30.0, 30.0, None, None, None]


def test_timeouts_keep_what_was_written_and_tell_the_seconds() -> None:
    """The fields stay as given, as Flyte's do."""
    timeout = Timeout(max_runtime=30 * SECOND, max_queued_time=10, deadline=timedelta(hours=2))

    assert [str(each) for each in (timeout.max_runtime, timeout.max_queued_time, timeout.deadline)] == ["0:00:30", "10", "2:00:00"]
    assert (timeout.max_runtime_seconds, timeout.max_queued_seconds, timeout.deadline_seconds) == (30.0, 10.0, 7200.0)


@pytest.mark.parametrize(
    "given,meant",
    [
        ("auto", "auto"),
        ("enable", "auto"),
        ("on", "auto"),
        ("True", "auto"),
        ("off", "disable"),
        ("none", "disable"),
        ("override", "override"),
    ],
)
def test_cache_behaviours_have_aliases(given: str, meant: str) -> None:
    """Flyte's other words mean its three behaviours."""
    cache = policy.cache_from_request(given)

    assert (cache.behavior, cache.is_enabled()) == (meant, meant != "disable")


def test_a_cache_stays_itself() -> None:
    """A whole policy is taken as it is, and its loose forms are made tuples."""
    one = Pinned()
    cache = Cache("auto", ignored_inputs="seed", policies=one, max_age=60)

    assert policy.cache_from_request(cache) is cache
    assert (cache.get_ignored_inputs(), cache.policy_list(), cache.max_age_seconds) == (("seed",), (one,), 60.0)
    assert (Cache("auto").get_ignored_inputs(), Cache("auto").policy_list(), Cache("auto").max_age_seconds) == ((), (), None)


def test_the_version_comes_from_the_policies_unless_it_is_given() -> None:
    """Salt and policies change the version; a given one is used as it is; no cache has none."""
    params = policy.VersionParameters(func=test_a_cache_stays_itself)
    salted = [Cache("auto", salt=salt, policies=[Pinned()]).get_version(params) for salt in ("", "a", "a")]

    assert (len(set(salted)), salted[1] == salted[2]) == (2, True)
    assert Cache("auto", version_override="v1").get_version() == "v1"
    assert Cache("disable").get_version() == ""
    assert Cache("auto").get_version(params, default=[Pinned()]) == salted[0]


def test_a_version_that_cannot_be_made_is_an_error() -> None:
    """The failing policy is named; parameters are needed."""
    with pytest.raises(ValueError, match="Failed to generate version for cache policy"):
        Cache("auto", policies=Broken()).get_version(policy.VersionParameters(None))
    with pytest.raises(ValueError, match="Version parameters"):
        Cache("auto").get_version()


def test_reuse_is_normalised() -> None:
    """A count means as many always; seconds become timedeltas."""
    reuse = ReusePolicy(replicas=3, idle_ttl=60)

    assert (reuse.replicas, reuse.min_replicas, reuse.max_replicas) == ((3, 3), 3, 3)
    assert (reuse.idle_ttl, reuse.get_scaledown_ttl()) == (60 * SECOND, 30 * SECOND)
    assert ReusePolicy(replicas=(1, 4)).max_replicas == 4


def test_secrets_name_their_variable() -> None:
    """Group and key in capitals, unless another name or a mount is given."""
    secrets = [
        Secret("api-key"),
        Secret("api-key", group="maps"),
        Secret("k", as_env_var="TOKEN"),
        Secret("k", mount=Path("/etc/flyte/secrets")),
    ]

    assert [secret.as_env_var for secret in secrets] == ["API_KEY", "MAPS_API_KEY", "TOKEN", None]


def test_secrets_may_be_one_or_several() -> None:
    """A key, a secret or a list of both."""
    assert policy.secrets_from_request(None) == ()
    assert policy.secrets_from_request("a") == (Secret("a"),)
    assert policy.secrets_from_request(["a", Secret("b")]) == (Secret("a"), Secret("b"))


@pytest.mark.parametrize(
    "value",
    [
        Backoff(SECOND),
        RetryStrategy(2),
        Timeout(3),
        Cache("on"),
        ReusePolicy(),
        Secret("a", group="b"),
        policy.Resources(cpu="1", gpu="T4:1"),
    ],
)
def test_policies_survive_a_pickle(value: object) -> None:
    """They travel to workers as they are."""
    assert pickle.loads(pickle.dumps(value)) == value
