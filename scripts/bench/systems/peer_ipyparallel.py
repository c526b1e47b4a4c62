"""Decides how ipyparallel does the workloads: a load-balanced view's `map`. Measured only where it is installed.

Must not know: flyte_nb.
"""

from collections.abc import Callable, Iterable
from typing import Any

import ipyparallel

from scripts.bench.model import Slots
from scripts.bench.systems.pools import Pool


def start(slots: Slots) -> Pool:
    """Start engines."""
    cluster = ipyparallel.Cluster(n=slots.count)
    client = cluster.start_and_connect_sync()
    view = client.load_balanced_view()

    def mapped(function: Callable[[Any], Any], items: Iterable[Any]) -> list[Any]:
        return list(view.map_sync(function, list(items)))

    return Pool(mapped, cluster.stop_cluster_sync)
