"""Decides what parameters are drawn from: each distribution is its quantile function, applied to uniform draws in [0, 1).

So a draw depends on nothing but its own uniform number: the same seed gives the same table with any version of numpy, and
a longer table begins with the shorter one.

Must not know: where the uniform numbers come from, or tables.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from flyte_nb.sweeps.cells import values_of

if TYPE_CHECKING:  # numpy comes with pandas, and `import flyte_nb` must not pay for it
    import numpy as np

    Draws = np.ndarray[Any, np.dtype[np.float64]]

#: The smallest uniform draw that a normal distribution is asked for: 0 itself would be minus infinity.
_LEAST = 2.0**-54


@runtime_checkable
class Distribution(Protocol):
    """What `flyte.sample` draws from."""

    def at(self, draws: Draws) -> Sequence[Any]:
        """The values at uniform draws in [0, 1)."""
        ...


@dataclass(frozen=True, slots=True)
class Uniform:
    """See `uniform`."""

    low: float
    high: float

    def __post_init__(self) -> None:
        _check_order("uniform", self.low, self.high)

    def at(self, draws: Draws) -> Sequence[float]:
        """The values at uniform draws."""
        made: Sequence[float] = (self.low + (self.high - self.low) * draws).tolist()
        return made


@dataclass(frozen=True, slots=True)
class LogUniform:
    """See `loguniform`."""

    low: float
    high: float

    def __post_init__(self) -> None:
        _check_order("loguniform", self.low, self.high)
        if self.low <= 0:
            raise ValueError(f"loguniform(low, high) takes numbers above 0, got low={self.low!r}")

    def at(self, draws: Draws) -> Sequence[float]:
        """The values at uniform draws."""
        low, high = math.log(self.low), math.log(self.high)
        # The logarithm and back may step over a border by a rounding.
        return [min(max(math.exp(low + (high - low) * draw), self.low), self.high) for draw in draws.tolist()]


@dataclass(frozen=True, slots=True)
class Normal:
    """See `normal` and `lognormal`."""

    mean: float
    deviation: float
    is_exponent: bool = False

    def __post_init__(self) -> None:
        name = "lognormal" if self.is_exponent else "normal"
        _check_numbers(name, self.mean, self.deviation)
        if self.deviation < 0:
            raise ValueError(f"{name}(mean, deviation) takes a deviation of 0 or more, got {self.deviation!r}")

    def at(self, draws: Draws) -> Sequence[float]:
        """The values at uniform draws."""
        standard = NormalDist().inv_cdf
        made = [self.mean + self.deviation * standard(max(draw, _LEAST)) for draw in draws.tolist()]
        return [math.exp(value) for value in made] if self.is_exponent else made


@dataclass(frozen=True, slots=True)
class RandInt:
    """See `randint`."""

    low: int
    high: int

    def __post_init__(self) -> None:
        for name, value in (("low", self.low), ("high", self.high)):
            if isinstance(value, bool) or not isinstance(value, int):
                raise TypeError(f"randint(low, high) takes whole numbers, got {name}={value!r}")
        if self.low >= self.high:
            raise ValueError(f"randint(low, high) draws low <= x < high, as range() does: there is none from {self.low} to {self.high}")

    def at(self, draws: Draws) -> Sequence[int]:
        """The values at uniform draws."""
        count = self.high - self.low
        return [self.low + min(int(draw * count), count - 1) for draw in draws.tolist()]


@dataclass(frozen=True, slots=True)
class Choice:
    """See `choice`."""

    values: tuple[Any, ...]
    weights: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        if not self.values:
            raise ValueError("choice(values) has nothing to choose from")
        if self.weights is None:
            return
        if len(self.weights) != len(self.values):
            raise ValueError(f"choice() takes a weight for each value, got {len(self.weights)} for {len(self.values)}")
        _check_numbers("choice", *self.weights)
        if min(self.weights) < 0 or not sum(self.weights) > 0:
            raise ValueError(f"choice() takes weights of 0 or more, not all of them 0, got {list(self.weights)}")

    def at(self, draws: Draws) -> Sequence[Any]:
        """The values at uniform draws."""
        import numpy as np  # noqa: PLC0415 - see above

        if self.weights is None:
            return [self.values[min(int(draw * len(self.values)), len(self.values) - 1)] for draw in draws.tolist()]
        edges = np.cumsum(self.weights) / sum(self.weights)
        last = max(position for position, weight in enumerate(self.weights) if weight)  # rounding must not draw what has no weight
        return [self.values[min(place, last)] for place in np.searchsorted(edges, draws, side="right").tolist()]


def uniform(low: float, high: float) -> Uniform:
    """Every number between two borders is equally likely.

    Args:
        low: the lower border.
        high: the upper one.

    Raises:
        ValueError: `low` is above `high`, or one is not finite.

    Example:
        >>> from flyte_nb import sample, uniform
        >>> sample(1000, 0, dropout=uniform(0.1, 0.5))["dropout"].between(0.1, 0.5).all().item()
        True
    """
    return Uniform(low, high)


def loguniform(low: float, high: float) -> LogUniform:
    """Every order of magnitude between two borders is equally likely: for rates and strengths.

    Args:
        low: the lower border, above 0.
        high: the upper one.

    Raises:
        ValueError: `low` is not above 0, or above `high`.

    Example:
        >>> from flyte_nb import loguniform, sample
        >>> drawn = sample(1000, 0, lr=loguniform(1e-5, 1e-1))["lr"]
        >>> 400 < (drawn < 1e-3).sum().item() < 600
        True
    """
    return LogUniform(low, high)


def normal(mean: float = 0.0, deviation: float = 1.0) -> Normal:
    """The normal distribution.

    Args:
        mean: its middle.
        deviation: its standard deviation.

    Raises:
        ValueError: the deviation is negative.

    Example:
        >>> from flyte_nb import normal, sample
        >>> 9.9 < sample(1000, 0, height=normal(10, 1))["height"].mean().item() < 10.1
        True
    """
    return Normal(mean, deviation)


def lognormal(mean: float = 0.0, deviation: float = 1.0) -> Normal:
    """Numbers above 0 whose logarithm is normal.

    Args:
        mean: the middle of the logarithm.
        deviation: the standard deviation of the logarithm.

    Raises:
        ValueError: the deviation is negative.

    Example:
        >>> from flyte_nb import lognormal, sample
        >>> 0.9 < sample(1000, 0, scale=lognormal(0, 0.5))["scale"].median().item() < 1.1
        True
    """
    return Normal(mean, deviation, is_exponent=True)


def randint(low: int, high: int) -> RandInt:
    """Whole numbers as of `range(low, high)`, equally likely.

    Args:
        low: the first.
        high: the end, which is not drawn itself.

    Raises:
        TypeError: no whole numbers.
        ValueError: there is none between the two.

    Example:
        >>> from flyte_nb import randint, sample
        >>> sorted(set(sample(1000, 0, depth=randint(3, 6))["depth"].tolist()))
        [3, 4, 5]
    """
    return RandInt(low, high)


def choice(values: Any, weights: Sequence[float] | None = None) -> Choice:
    """One of some values.

    Args:
        values: any iterable; an Enum class is its members, a text is one value.
        weights: how likely each is, of any sum; equally by default.

    Raises:
        ValueError: there are none, or the weights do not fit.

    Example:
        >>> from flyte_nb import choice, sample
        >>> drawn = sample(1000, 0, kernel=choice(["rbf", "poly"], weights=[9, 1]))["kernel"]
        >>> 850 < (drawn == "rbf").sum().item() < 950
        True
    """
    return Choice(tuple(values_of(values)), None if weights is None else tuple(weights))


def distribution_of(given: object) -> Distribution:
    """What was given to `flyte.sample`: a distribution of ours, a frozen one of scipy, values to choose from, or one value."""
    if isinstance(given, Distribution):
        return given
    if hasattr(given, "ppf"):
        return _Foreign(given)
    return Choice(tuple(values_of(given)))


@dataclass(frozen=True, slots=True)
class _Foreign:
    """A distribution of scipy, which calls its quantile function `ppf`."""

    frozen: Any

    def at(self, draws: Draws) -> Sequence[Any]:
        """The values at uniform draws."""
        import numpy as np  # noqa: PLC0415 - see above

        # Whole numbers come as floats.
        made = np.asarray(self.frozen.ppf(np.maximum(draws, _LEAST)))
        is_whole = hasattr(getattr(self.frozen, "dist", self.frozen), "pmf")
        drawn: list[Any] = (made.astype(np.int64) if is_whole else made).tolist()
        return drawn


def _check_order(name: str, low: float, high: float) -> None:
    _check_numbers(name, low, high)
    if low > high:
        raise ValueError(f"{name}(low, high) takes the lower border first, got {low!r}, {high!r}")


def _check_numbers(name: str, *values: float) -> None:
    for value in values:
        if isinstance(value, bool) or not hasattr(value, "__float__"):
            raise TypeError(f"{name}() takes numbers, got {value!r}")
        if not math.isfinite(value):
            raise ValueError(f"{name}() takes finite numbers, got {value!r}")
