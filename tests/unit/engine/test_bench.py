"""The bench itself: it drives a controller, and it notices wrong books."""

from __future__ import annotations

import pytest

from tests.fakes.bench import Bench, chunks


def test_a_run_can_be_driven_to_its_end(run: Bench) -> None:
    """Calls become a chunk, its report ends them, the driver's report ends the run."""
    assert chunks(run.call(2)) == [("w1", [1, 2])]

    run.succeed(2, range(2))
    run.succeed(run.driver, range(1))

    assert run.phases() == ["succeeded"] * 3


def test_an_action_that_nobody_holds_is_noticed() -> None:
    """An open action that no chunk holds and no lane queues breaks the books."""
    bench = Bench()
    bench.join()
    bench.start()
    bench.call(1)
    bench.record().tokens[1] = 0

    with pytest.raises(AssertionError, match="row 1: held=0 queued=False retried=False"):
        bench.check()


def test_a_wrong_count_of_a_worker_is_noticed() -> None:
    """A worker that counts actions which it does not have breaks the books."""
    bench = Bench()
    bench.join()
    bench.controller.placement.agents["w1"].async_rows = 1

    with pytest.raises(AssertionError, match="counts 1 async rows"):
        bench.check()


def test_a_state_that_differs_from_its_log_is_noticed() -> None:
    """A change that went past the log breaks the books."""
    bench = Bench()
    bench.start()
    bench.state().called_at[0] += 1

    with pytest.raises(AssertionError):
        bench.check()
