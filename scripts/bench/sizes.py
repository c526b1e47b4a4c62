"""Decides how much is measured: in a round as it comes, in a full one, and in a quick one.

Must not know: bars.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is measured.

    Attributes:
        repeats: of quick workloads; `long_repeats` of those that take seconds.
        peer_repeats: of peers that take seconds and that no bar is held against; 0 leaves them out.
        noops: actions of the large fan-outs; `dask_noops` stand for them where a peer needs minutes.
        million: actions of the largest run, and a tenth of it is what that is held against.
    """

    name: str
    repeats: int
    long_repeats: int
    peer_repeats: int
    noops: int = 100_000
    dask_noops: int = 10_000
    sleeps: int = 2_000
    async_sleeps: int = 10_000
    shapes: tuple[tuple[int, ...], ...] = ((50, 50), (10, 10, 10))
    tail: int = 5_000
    megabytes: int = 1_000
    warm: int = 50
    million: int = 1_000_000
    computing: int = 64
    drivers: int = 300


DEFAULT = Sizes("default", repeats=5, long_repeats=3, peer_repeats=1)
FULL = Sizes("full", repeats=7, long_repeats=5, peer_repeats=5, dask_noops=100_000)
QUICK = Sizes(
    "quick",
    repeats=2,
    long_repeats=1,
    peer_repeats=0,
    dask_noops=2_000,
    sleeps=400,
    tail=1_000,
    megabytes=200,
    computing=32,
)
