"""Which actions have ended: each told once, in the order of their ends, at a byte an action."""

from __future__ import annotations

import random

from flyte_nb.core.state import RunState
from flyte_nb.views.ended import EndedRows
from tests.fakes.fake_run import FakeRun, task

TRAIN, CHECK = task("train", "x"), task("check", "x")


def told(ended: EndedRows) -> list[int]:
    """What is told now."""
    return [int(row) for row in ended.more()]


def test_each_end_is_told_once_in_the_order_of_the_ends() -> None:
    """What ended earlier comes first, whatever its row; the next look tells only what is new."""
    run = FakeRun()
    rows = run.call(TRAIN, [(n,) for n in range(6)])
    ended = EndedRows(run)

    assert told(ended) == []
    run.succeed([rows[4]], [None], seconds=1)
    run.succeed([rows[0], rows[2]], [None, None], seconds=2)
    run.fail(rows[1])  # after half a second
    assert told(ended) == [rows[1], rows[4], rows[0], rows[2]]
    assert told(ended) == []
    run.drop([rows[3], rows[5]])
    assert told(ended) == [rows[3], rows[5]]
    run.finish()
    assert told(ended) == []


def test_only_the_wanted_nodes_are_told_of() -> None:
    """A node that appears later is asked about too."""
    run = FakeRun()
    wanted = EndedRows(run, lambda state, node: state.tasks[state.nodes[node].task] == CHECK)
    run.succeed(run.call(TRAIN, [(1,)]), [None])
    assert told(wanted) == []
    rows = run.call(CHECK, [(1,), (2,)], group="late")
    run.succeed(rows, [None, None])
    assert told(wanted) == list(rows)


def test_any_order_of_ends_and_looks_tells_all_of_them_once() -> None:
    """Ends at random, looks at random, more rows than one slice holds of what is open."""
    chance = random.Random(7)  # noqa: S311 - no secret
    run = FakeRun()
    open_rows = list(run.call(TRAIN, [(n,) for n in range(2_000)]))
    ended, seen = EndedRows(run), list[int]()
    while open_rows:
        part = [open_rows.pop(chance.randrange(len(open_rows))) for _ in range(min(len(open_rows), chance.randrange(1, 300)))]
        run.succeed(part, [None] * len(part))
        run.now += 1
        seen += told(ended)
        if chance.random() < 0.3 and len(seen) < 4_000:
            open_rows += run.call(TRAIN, [(n,) for n in range(100)])
    assert sorted(seen) == list(range(1, run.state.count))


def test_a_run_that_is_over_is_told_like_one_that_goes_on() -> None:
    """The whole of it at once, in the order of the ends."""
    run = FakeRun()
    rows = run.call(TRAIN, [(n,) for n in range(3)])
    for seconds, row in ((3, rows[0]), (1, rows[1]), (2, rows[2])):
        run.succeed([row], [None], seconds=seconds)
    run.finish()

    assert told(EndedRows(run)) == [rows[1], rows[2], rows[0]]


def test_the_root_is_no_row() -> None:
    """A run without actions tells of none."""
    run = FakeRun()
    run.finish()

    def phase(state: RunState) -> str:
        return state.phase

    assert run.read(phase) == "succeeded"
    assert told(EndedRows(run)) == []
