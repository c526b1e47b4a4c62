"""Decides what the same work costs in one process without any system: bare coroutines on one loop.

Nothing is tracked, isolated or spread over processes; it is the floor that fan-outs are held against. Must not know: flyte_nb.
"""

import asyncio
import gc
import time

from scripts.bench.bodies import sleep_async
from scripts.bench.model import SECONDS, Figures, Slots
from scripts.bench.systems import System, expect


class PlainAsyncio(System):
    """One loop."""

    def gather_noop(self, count: int, *, collector: bool = True) -> Figures:
        """Gather coroutines that each await a plain future, resolved in the same process.

        Args:
            count: how many.
            collector: False turns the garbage collector off meanwhile: a stricter floor, since flyte_nb raises the collector's
                threshold while a run is live.
        """

        async def wait(future: asyncio.Future[int]) -> int:
            return await future

        async def main() -> float:
            loop = asyncio.get_running_loop()
            futures: list[asyncio.Future[int]] = [loop.create_future() for _ in range(count)]
            started = time.perf_counter()
            for number, future in enumerate(futures):
                loop.call_soon(future.set_result, number)
            results = await asyncio.gather(*[wait(future) for future in futures])
            seconds = time.perf_counter() - started
            expect("sum", sum(results), count * (count - 1) // 2)
            return seconds

        if not collector:
            gc.disable()
        try:
            return {SECONDS: asyncio.run(main())}
        finally:
            gc.enable()

    def gather_sleeps(self, count: int, seconds: float) -> Figures:
        """Gather sleeps."""

        async def main() -> float:
            started = time.perf_counter()
            await asyncio.gather(*[sleep_async(seconds) for _ in range(count)])
            return time.perf_counter() - started

        return {SECONDS: asyncio.run(main())}


def start(slots: Slots) -> PlainAsyncio:
    """Start nothing: there is one process, whatever the slots."""
    del slots
    return PlainAsyncio()
