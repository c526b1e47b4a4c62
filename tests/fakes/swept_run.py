"""A sweep that has ended, of any size, for tests of what a view shows of it: many inputs and outputs, failures, tries, prints.

Made of events, without an engine: what reads it is the real thing.
"""

from __future__ import annotations

from array import array

from flyte_nb.core.events import ActionsCalled, ActionsSucceeded, AttemptFailed, LogWritten, TaskDeclared
from flyte_nb.core.failure import Failure
from flyte_nb.core.payloads import Item, pack
from tests.fakes.fake_run import FakeRun, task

WORKERS, BATCH = 8, 500
#: Seconds that an action takes, and between two batches of one worker.
SECONDS, GAP = 0.02, 0.05
TRACEBACK = """Traceback (most recent call last):
  File "Cell In[4]", line 23, in train
    model.fit(data.loc[mask, features], y)
  File "/x/site-packages/sklearn/utils/validation.py", line 169, in _assert_all_finite
    raise ValueError(msg_err)
ValueError: Input y contains NaN.
"""


def swept(count: int, columns: int = 30, *, name: str = "swept") -> FakeRun:
    """Return a run of so many actions on eight workers, half of whose columns are inputs, and half are outputs.

    Of each batch the first action has failed twice, the first time to be tried again, and printed.
    """
    run = FakeRun(name, at=1_750_000_000.0)
    inputs, outputs = columns // 2, columns - columns // 2
    train = task("train", *[f"x{place}" for place in range(inputs)])
    run.state.apply(TaskDeclared(run.name, train))
    kinds: list[Item] = [pack({f"metric_{place}": (turn * 7 + place) % 101 / 7 for place in range(outputs)}) for turn in range(97)]
    for number, lo in enumerate(range(1, count + 1, BATCH)):
        rows = range(lo, min(lo + BATCH, count + 1))
        began = run.state.started_at + (number // WORKERS) * (BATCH * SECONDS + GAP)
        given = [tuple((row * (place + 3)) % 89 for place in range(inputs)) for row in rows]
        run.state.apply(ActionsCalled(run.name, lo, 0, 1, f"batch-{number % 40}", given, run.state.started_at))
        _batch(run, rows, f"worker-{number % WORKERS}", began, kinds)
    run.now = max(run.state.ended_ats)
    run.succeed([0], [None], seconds=0.0)
    return run


def _batch(run: FakeRun, rows: range, worker: str, began: float, kinds: list[Item]) -> None:
    first, rest = rows[0], rows[1:]
    run.now = began
    run.start([first], worker)
    run.state.apply(AttemptFailed(run.name, first, Failure("user", "OSError", "disk", worker=worker), began, began + SECONDS / 2, began))
    run.now = began + SECONDS / 2
    run.start([first], worker)
    run.state.apply(LogWritten(run.name, first, 2, "fold 2: 145,928 train rows\n" * 20))
    run.measure(first, 0.01, 600_000)
    run.fail(first, "ValueError", "Input y contains NaN.", traceback=TRACEBACK)
    started = array("d", [began + SECONDS * (place + 1) for place in range(len(rest))])
    ended = array("d", [at + SECONDS * 0.9 for at in started])
    if rest:
        made = [kinds[row % len(kinds)] for row in rest]
        run.state.apply(ActionsSucceeded(run.name, rest, worker, made, started, ended))
