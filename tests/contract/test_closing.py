"""Closing a workspace gives everything back: threads, processes, descriptors."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import threading
from collections.abc import Iterator

import pytest

import flyte_nb as flyte
from flyte_nb.workspace import Workspace
from tests.fakes.spaces import Spaces, current, finished, make_space, output
from tests.leaks import LeakCheck, Resources

env = flyte.TaskEnvironment("closing")


@env.task
async def nap(seconds: float) -> float:
    """Sleep on the loop."""
    await asyncio.sleep(seconds)
    return seconds


@env.task
def triple(x: int) -> int:
    """Three times a number."""
    return 3 * x


@env.task
async def main(n: int) -> int:
    """Use everything: async and sync actions, a sync call that blocks a loop, prints."""
    print("main")  # noqa: T201 - prints are routed
    naps = await asyncio.gather(*(nap(0.01) for _ in range(n)))
    triples = await asyncio.gather(*(triple.aio(x) for x in range(n)), blocking(1))
    return len(naps) + int(sum(triples))


@env.task
async def blocking(x: int) -> int:
    """An async body that blocks its loop for a child."""
    return triple(x)


@contextlib.contextmanager
def own_space(kind: str) -> Iterator[Workspace]:
    """A workspace that is closed at the end, with one worker."""
    space = make_space(kind, 1)
    try:
        with current(space):
            yield space
    finally:
        space.close()


def engine_threads() -> list[str]:
    """Names of our threads, daemons included."""
    return sorted(thread.name for thread in threading.enumerate() if thread.name.startswith("flyte_nb"))


def test_closing_leaves_nothing_behind(kind: str, spaces: Spaces) -> None:
    """What a workspace with a used cluster opened is all closed afterwards; a first one only warms libraries up."""
    spaces.close_all()  # a worker of theirs that comes back late would be taken for a leak
    with own_space(kind):
        assert output(flyte.run(main, 20)) == 20 + 3 * 190 + 3
    gc.collect()
    check = LeakCheck(deadline_seconds=10)
    before, threads = Resources.now(), engine_threads()

    with own_space(kind):
        assert output(flyte.run(main, 20)) == 20 + 3 * 190 + 3

    assert check.leaks(before, descriptors=2) == []
    assert set(engine_threads()) - set(threads) == set()
    for workers in (1, 2):  # the next test is watched for leaks, so it must not be the one that starts them
        spaces.get(kind, workers)


def test_closing_ends_what_is_live(kind: str) -> None:
    """Runs that go on are aborted and say why; their driver's thread ends."""
    with own_space(kind) as space:
        run = flyte.run(main, 5)
        slow = flyte.run(nap, 60.0)
        finished(run)
        space.close()

        assert slow.phase is flyte.ActionPhase.ABORTED
        with pytest.raises(flyte.errors.ActionAbortedError, match="workspace was closed"):
            slow.raise_for_status()


def test_a_workspace_that_was_closed_starts_again(kind: str) -> None:
    """The next run gets another cluster; what ran before can still be read."""
    with own_space(kind) as space:
        first = finished(flyte.run(main, 5))
        space.close()
        second = flyte.run(main, 5)

        assert output(second) == output(first)


def test_a_cluster_that_cannot_start_aborts_its_runs_and_the_next_run_tries_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reason is told; when what was wrong is mended, runs run."""
    from flyte_nb.engine.inline_backend import InlineBackend  # noqa: PLC0415 - one test's business

    with own_space("inline") as space:
        start = InlineBackend.start

        async def fail(_self: object, _listener: object) -> None:
            raise OSError("no room")

        monkeypatch.setattr(InlineBackend, "start", fail)
        broken = flyte.run(main, 3)
        finished(broken)
        monkeypatch.setattr(InlineBackend, "start", start)

        assert broken.phase is flyte.ActionPhase.ABORTED
        assert "the cluster could not be started: OSError: no room" in broken.summary().message
        assert output(flyte.run(main, 3)) == 3 + 9 + 3
        assert space.live_runs() == []
