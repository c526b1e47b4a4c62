"""What attempts cost is kept by row, and only as far as anything was measured."""

from __future__ import annotations

from flyte_nb.core.costs import NOT_KNOWN, UNKNOWN, Cost, Costs


def test_nothing_is_kept_before_anything_was_measured() -> None:
    """A run of short actions has no columns of costs."""
    costs = Costs()

    assert (costs.of(5), costs.take(5), len(costs.memory)) == (UNKNOWN, UNKNOWN, 0)


def test_costs_are_kept_by_row() -> None:
    """Rows between those that were measured have none; half of a cost may be known."""
    costs = Costs()
    costs.put([2, 4], [1.5, NOT_KNOWN], [0, 2048])
    costs.put([], [], [])

    assert [costs.of(row) for row in range(6)] == [UNKNOWN, UNKNOWN, Cost(1.5, None), UNKNOWN, Cost(None, 2048 * 1024), UNKNOWN]


def test_the_next_attempt_begins_without_a_cost() -> None:
    """What was taken for the attempt that ended is not that of the next one."""
    costs = Costs()
    costs.put([1], [0.5], [1])

    assert (costs.take(1), costs.of(1)) == (Cost(0.5, 1024), UNKNOWN)
