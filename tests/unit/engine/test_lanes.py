"""The queue of one task's actions, and how many of them travel together."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flyte_nb.engine.lanes import MAX_ROWS, PROBE_ROWS, WINDOW_PROBE_ROWS, WINDOW_ROWS, Lane, Pace, async_rows, sync_rows


def lane(rows: int = 0, *, seconds: float | None = None, step: float | None = None, concurrency: int = 0, calls: bool = False) -> Lane:
    """A lane with rows from 1 on, and what was learnt of its task."""
    made = Lane("r", 1, 1, is_async=True, custom_context=(), concurrency=concurrency, pace=Pace(seconds, step, calls_others=calls))
    if rows:
        made.put(range(1, rows + 1))
    return made


# ------------------------------------------------------------------ the queue
def test_rows_come_out_in_the_order_in_which_they_went_in() -> None:
    """Adjacent calls are one range, however they came."""
    queue = lane(3)
    queue.put(range(4, 6))

    assert (queue.take(4), queue.take(4), queue.take(4)) == (range(1, 5), range(5, 6), ())
    assert queue.count == 0


def test_pieces_that_are_not_adjacent_are_taken_together() -> None:
    """A chunk may be made of several pieces; it is then a list."""
    queue = lane(2)
    queue.put([7])
    queue.put(range(9, 12))

    assert queue.take(4) == [1, 2, 7, 9]
    assert queue.take(4) == range(10, 12)


def test_what_comes_back_goes_first() -> None:
    """Rows that were handed back, or are tried again, do not wait behind the others; no rows are no piece."""
    queue = lane(2)
    queue.put_front([9])
    queue.put_front([])

    assert (queue.count, queue.take(2)) == (3, [9, 1])


def test_suspects_are_taken_by_halves_and_before_the_others() -> None:
    """Rows whose worker died are not mixed with others, however much was asked for."""
    queue = lane(1)
    queue.put_apart([5, 6, 7])
    queue.put_apart([])

    assert queue.count == 4
    assert (queue.take(1), queue.take(9), queue.take(9)) == ([5, 6], [7], range(1, 2))


def test_unwanted_rows_are_dropped_and_others_taken_in_their_place() -> None:
    """A chunk is as large as was asked for if there are as many wanted rows."""
    queue = lane(9)

    assert queue.take(3, lambda row: row % 2 == 0) == [2, 4, 6]
    assert queue.take(3, lambda row: row % 2 == 0) == range(8, 9)
    assert (queue.count, queue.take(3, lambda _row: True)) == (0, ())


def test_unwanted_suspects_are_dropped() -> None:
    """A half of which nobody is wanted is passed over; a wanted one is still taken apart."""
    queue = lane(2)
    queue.put_apart([5, 6, 7, 8])

    assert queue.take(9, lambda row: row not in {5, 6, 8}) == [7]
    queue.put_apart([5])
    assert queue.take(9, lambda row: row != 5) == range(1, 3)


def test_a_cleared_lane_is_empty() -> None:
    """Nothing is left, suspects included."""
    queue = lane(5)
    queue.put_apart([9])
    queue.clear()

    assert (queue.count, queue.take(9)) == (0, ())


PIECES = st.lists(st.lists(st.integers(0, 50), max_size=6) | st.builds(range, st.integers(0, 20), st.integers(20, 30)), max_size=8)


@given(PIECES, st.lists(st.integers(1, 7), max_size=40), st.sets(st.integers(0, 50)))
def test_a_lane_loses_and_doubles_nothing(pieces: list[list[int] | range], sizes: list[int], unwanted: set[int]) -> None:
    """Whatever is put in, in whatever way, comes out once, if it is wanted; the count is always right."""
    queue, put = lane(), [row for piece in pieces for row in piece]
    for number, piece in enumerate(pieces):
        (queue.put, queue.put_front, queue.put_apart)[number % 3](piece)
    taken: list[int] = []
    for number, most in enumerate(sizes + [9] * 60):
        wanted = (lambda row: row not in unwanted) if number % 2 or number >= len(sizes) else None
        taken += queue.take(most, wanted)

    assert queue.count == 0
    assert sorted(row for row in taken if row not in unwanted) == sorted(row for row in put if row not in unwanted)


# ------------------------------------------------------------------ the pace
def test_the_first_measurement_is_taken_as_it_is() -> None:
    """Nothing is known before; no actions are no measurement."""
    pace = Pace()
    pace.learn(0, 5.0)
    pace.learn_steps(0, 5.0)
    assert (pace.seconds, pace.step_seconds) == (None, None)

    pace.learn(10, 1.0)
    pace.learn_steps(4, 2.0)
    assert (pace.seconds, pace.step_seconds) == (0.1, 0.5)


def test_a_later_measurement_is_mixed_in() -> None:
    """Half of what was known, half of what is new."""
    pace = Pace(seconds=0.2, step_seconds=0.2)
    pace.learn(1, 0.1)
    pace.learn_steps(2, 0.2)

    assert pace.seconds == pace.step_seconds == pytest.approx(0.15)


def test_one_long_action_at_most_doubles_the_estimate() -> None:
    """An exception says little about the next ones."""
    pace = Pace(seconds=0.01)
    pace.learn(1, 60.0)

    assert pace.seconds == pytest.approx(0.02, rel=0.01)


# ------------------------------------------------------------------ sizes of chunks
@pytest.mark.parametrize(
    "queued,slots,seconds,size",
    [
        (1_000, 2, None, PROBE_ROWS),
        (3, 2, None, 1),
        (1_000, 2, 0.01, 10),
        (1_000, 2, 1.0, 1),
        (100_000, 2, 0.0, MAX_ROWS),
        (12, 2, 0.001, 3),
        (12, 2, 0.0001, 10),
        (12, 0, 0.001, 12),
    ],
)
def test_a_sync_chunk_lasts_as_long_as_it_should_and_is_fair(queued: int, slots: int, seconds: float | None, size: int) -> None:
    """Small while nothing is known; then about a tenth of a second, not more than its share if that is worth a chunk, at least one."""
    assert sync_rows(lane(queued, seconds=seconds), slots) == size


def test_actions_that_wait_for_children_travel_alone() -> None:
    """One that waits would hold up the others of its chunk."""
    assert sync_rows(lane(1_000, seconds=0.0001, calls=True), 2) == 1


@pytest.mark.parametrize(
    "queued,workers,in_flight,step,size",
    [
        (1_000, 2, 0, None, WINDOW_PROBE_ROWS),
        (1_000, 2, 30, None, 2),
        (1_000, 2, WINDOW_PROBE_ROWS, None, 0),
        (10, 2, 0, None, 5),
        (10_000, 2, 0, 0.00001, MAX_ROWS),
        (10_000, 2, WINDOW_ROWS - 7, 0.00001, 7),
        (10_000, 2, 1, 0.05, 3),
        (10_000, 2, 0, 10.0, 2),
        (10_000, 2, 99, 10.0, 0),
        (10, 0, 0, None, 10),
    ],
)
def test_an_async_window_follows_from_how_long_the_code_computes(
    queued: int, workers: int, in_flight: int, step: float | None, size: int
) -> None:
    """Code that mostly waits is handed out by the thousand, code that computes a few at a time."""
    assert async_rows(lane(queued, step=step), workers, in_flight) == size


@pytest.mark.parametrize("step", [None, 0.00001])
def test_a_concurrency_is_kept_from_the_first_chunk_on(step: float | None) -> None:
    """No worker has more of the task than it says, also while nothing is known of the task."""
    assert (async_rows(lane(100, step=step, concurrency=3), 2, 0), async_rows(lane(100, step=step, concurrency=3), 2, 2)) == (3, 1)
