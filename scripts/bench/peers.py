"""Decides which further systems can be measured when they are installed, and in which cases they take part.

Must not know: how they do their work.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec

from scripts.bench.cases import DASK_INF, IDEAL, OURS
from scripts.bench.model import Case, Comparison
from scripts.bench.sizes import Sizes


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """A system that the project does not install.

    Attributes:
        label: how the table calls it.
        package: what has to be importable, and is to be installed.
        workloads: what it can do; it takes part wherever raw Dask does one of them.
        aims: bars whose aim is held against it.
    """

    label: str
    package: str
    workloads: frozenset[str]
    aims: frozenset[str] = frozenset()


PEERS = {
    "ray": Peer(
        label="Ray", package="ray", workloads=frozenset({"map_noop", "map_sleep", "map_tail", "map_megabytes", "gather_sleeps", "nested"})
    ),
    "ipyparallel": Peer(
        label="ipyparallel", package="ipyparallel", workloads=frozenset({"map_noop", "map_sleep", "map_tail", "map_megabytes"})
    ),
    "parsl": Peer(label="Parsl", package="parsl", workloads=frozenset({"map_noop", "map_sleep", "map_tail", "map_megabytes"})),
    "flyte": Peer(
        label="Flyte SDK, local mode, in-process", package="flyte", workloads=frozenset({"gather_sleeps", "nested"}), aims=frozenset({"B4"})
    ),
}


def chosen(names: Sequence[str]) -> list[str]:
    """Check names of peers.

    Raises:
        ValueError: there is no such peer, or it is not installed; the message says how to install it.
    """
    unknown = set(names) - PEERS.keys()
    if unknown:
        raise ValueError(f"There is no peer {', '.join(sorted(unknown))}; peers are: {', '.join(PEERS)}.")
    missing = sorted(PEERS[name].package for name in names if find_spec(PEERS[name].package) is None)
    if missing:
        raise ValueError(f"Not installed: {', '.join(missing)}. Install with: .venv/bin/python -m pip install {' '.join(missing)}")
    return list(names)


def with_peers(cases: Sequence[Case], names: Sequence[str], sizes: Sizes) -> Iterator[Case]:
    """Yield the cases with the peers in those where they can take part, next to raw Dask and with the same to do."""
    for case in cases:
        for name in names:
            case = _with_peer(case, name, sizes)  # noqa: PLW2901 - the same case with one more in it
        yield case


def _with_peer(case: Case, name: str, sizes: Sizes) -> Case:
    peer = PEERS[name]
    model = next((contender for contender in case.contenders if contender.name == DASK_INF), None)
    if model is None or model.workload not in peer.workloads:
        return case
    if model.workload == "gather_sleeps":  # they need no stand-in: unlike Dask's, their coroutines wait side by side
        ours = next(contender for contender in case.contenders if contender.name == OURS)
        model = replace(model, arguments=ours.arguments, scale=1.0, note="")
    contender = replace(model, name=peer.label, system=name, most_repeats=max(1, sizes.peer_repeats))
    against_ideal = any(contender.name == IDEAL for contender in case.contenders)
    aim = 1.0 if case.key in peer.aims else None
    comparison = (
        Comparison(subject=peer.label, reference=IDEAL) if against_ideal else Comparison(subject=OURS, reference=peer.label, aim=aim)
    )
    return replace(case, contenders=(*case.contenders, contender), comparisons=(*case.comparisons, comparison))
