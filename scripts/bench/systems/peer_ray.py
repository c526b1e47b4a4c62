"""Decides how Ray does the workloads: remote functions and `ray.get`. Measured only where Ray is installed. Must not know: flyte_nb."""

import math
from collections.abc import Callable, Iterable
from typing import Any

import ray

from scripts.bench.bodies import megabyte, noop, sleep_async, sleep_for, spin_for
from scripts.bench.model import Figures, Slots
from scripts.bench.systems import Stopwatch, expect
from scripts.bench.systems.pools import Pool

REMOTE: dict[Callable[..., Any], Any] = {function: ray.remote(function) for function in (noop, sleep_for, spin_for, megabyte)}


@ray.remote
def nested(shape: tuple[int, ...]) -> int:
    """Call as many as the first number says, each of which does so for the rest."""
    count, *rest = shape
    calls = [nested.remote(tuple(rest)) for _ in range(count)] if rest else [REMOTE[noop].remote(number) for number in range(count)]
    return int(sum(ray.get(calls)))


class Waiting:
    """Where coroutines wait: an actor, since Ray's tasks cannot be coroutines."""

    async def sleep(self, seconds: float) -> float:
        """Wait."""
        return await sleep_async(seconds)


class Ray(Pool):
    """A local Ray."""

    def __init__(self, slots: Slots) -> None:
        ray.init(num_cpus=slots.count, include_dashboard=False, log_to_driver=False)
        self._slots = slots
        super().__init__(self._get, ray.shutdown)

    def _get(self, function: Callable[[Any], Any], items: Iterable[Any]) -> list[Any]:
        return list(ray.get([REMOTE[function].remote(item) for item in items]))

    def gather_sleeps(self, count: int, seconds: float) -> Figures:
        """Have one actor on each slot gather its share."""
        actors = [ray.remote(Waiting).options(max_concurrency=count).remote() for _ in range(self._slots.count)]
        with Stopwatch() as watch:
            ray.get([actors[number % len(actors)].sleep.remote(seconds) for number in range(count)])
        for actor in actors:
            ray.kill(actor)
        return watch.figures

    def nested(self, shape: list[int]) -> Figures:
        """Call tasks that call tasks."""
        count, *rest = shape
        with Stopwatch() as watch:
            total = sum(ray.get([nested.remote(tuple(rest)) for _ in range(count)]))
        expect("sum", total, sum(range(shape[-1])) * math.prod(shape[:-1]))
        return watch.figures


def start(slots: Slots) -> Ray:
    """Start Ray."""
    return Ray(slots)
