"""Events are read back as they were, and reading them runs nobody's code."""

from __future__ import annotations

import base64
import pickle
from array import array
from datetime import timedelta
from typing import get_args

import pytest

from flyte_nb.core import events as facts
from flyte_nb.core.events import FORMAT_VERSION, Event
from flyte_nb.core.failure import Failure
from flyte_nb.core.payloads import Blob, Item, pack
from flyte_nb.core.phases import ActionPhase
from flyte_nb.core.policy import Backoff, Resources, RetryStrategy, Timeout
from flyte_nb.core.resources import GPU
from flyte_nb.store import codec
from flyte_nb.store.codec import Written
from flyte_nb.store.refusals import StoredValueError

TASK = facts.TaskFacts(
    "k",
    "etl.f",
    "f",
    parameters=("x", "y"),
    is_async=True,
    retries=RetryStrategy(3, Backoff(timedelta(seconds=2), 2.0, timedelta(minutes=1))),
    timeout=Timeout(timedelta(seconds=30), max_queued_time=5),
    resources=Resources(cpu=(1, 2), memory="4Gi", gpu=GPU("T4", 1)),
    cache=facts.CacheFacts("auto", serialize=True, max_age_seconds=60.0, ignored=(1,)),
)
FAILURE = Failure("user", "ValueError", "no\nreally", "builtins.ValueError", "Traceback", b"\x80pickled", "w1", retryable=False)
TIMES = array("d", (1.5, 2.5))
ALL_EVENTS: list[Event] = [
    facts.RunStarted("r", TASK, (1, pack([1])), 1.5, (("k", "v"),), (("team", "a"),), facts.RunSettings(version="2"), "r0", "recover"),
    facts.TaskDeclared("r", TASK),
    facts.ActionsCalled("r", 1, 0, 1, "group", [(1, "a"), (None, b"b")], 2.0),
    facts.ActionsCalled("r", 3, 0, 1, "", [(pack({"a": 1}), 2.5), (True, "\ud800")], 2.0, [3, 4], "step"),
    facts.AttemptsStarted("r", range(1, 3), "w1", TIMES),
    facts.AttemptsStarted("r", [5, 2], "w1", TIMES),
    facts.AttemptsMeasured("r", [2, 1], array("f", (0.5, -1.0)), array("I", (0, 2**32 - 1))),
    facts.ActionsSucceeded("r", range(1, 3), "w1", [1, pack({2})], TIMES, TIMES),
    facts.ActionsReused("r", [4], ["x"], 3.0),
    facts.ActionsRecovered("r", [5], [None], 3.0),
    facts.ActionPaused("r", 6, 3.0),
    facts.AttemptFailed("r", 7, FAILURE, 1.0, 2.0, 3.0),
    facts.ActionFailed("r", 8, ActionPhase.TIMED_OUT, FAILURE, 1.0, 2.0),
    facts.AttemptsLost("r", [9], "gone", 3.0),
    facts.ActionsAborted("r", range(9), "why", 3.0),
    facts.StopsOverdue("r", [10], 3.0),
    facts.LogWritten("r", 11, 1, "printed \N{SNOWMAN}"),
    facts.ReportWritten("r", 12, (("main", "<p>"),)),
]


def keep(value: Blob | bytes) -> Written:
    """All values lie in the log."""
    return (value if isinstance(value, bytes) else value.data,)


def restore(written: Written) -> Item:
    """A value that lies in the log."""
    return Blob(written[0])


def there_and_back(recorded: list[Event]) -> list[Event]:
    """Written and read."""
    return codec.decode(codec.encode(recorded, keep), FORMAT_VERSION, restore)


def test_every_event_is_read_back_as_it_was() -> None:
    """All kinds, with all kinds of fields."""
    assert {type(event) for event in ALL_EVENTS} == set(get_args(facts.Event))
    assert there_and_back(ALL_EVENTS) == ALL_EVENTS


def test_what_repeats_is_compressed_and_what_does_not_is_left() -> None:
    """A hundred thousand calls take a few bytes each; random bytes cost no time."""
    calls: list[Event] = [facts.ActionsCalled("r", 1, 0, 1, "", [(number,) for number in range(100_000)], 2.0)]
    assert len(codec.encode(calls, keep)) < 300_000
    noise: list[Event] = [facts.ActionsCalled("r", 1, 0, 1, "", [(bytes(range(256)) * 40,)], 2.0)]
    assert codec.decode(codec.encode(noise, keep), FORMAT_VERSION, restore) == noise


def test_reading_refuses_every_class() -> None:
    """A log is plain values: whatever else it names is not looked up."""
    for evil in (pickle.dumps(Failure), pickle.dumps(print), pickle.dumps(timedelta(1))):
        with pytest.raises(StoredValueError, match="no place in a log"):
            codec.decode(b"-" + evil, FORMAT_VERSION, restore)


@pytest.mark.parametrize("body", [b"", b"z", b"-", b"-abc", b"zabc", b"-" + pickle.dumps([1]), b"-" + pickle.dumps([("Unknown", {})])])
def test_damage_is_told_as_such(body: bytes) -> None:
    """Whatever is wrong with it."""
    with pytest.raises(StoredValueError, match="damaged"):
        codec.decode(body, FORMAT_VERSION, restore)


def test_a_later_format_is_refused() -> None:
    """By its number, before it is looked at."""
    with pytest.raises(StoredValueError, match="later version"):
        codec.decode(b"?", FORMAT_VERSION + 1, restore)


def test_fields_that_a_version_does_not_know_yet_have_their_defaults() -> None:
    """What an earlier version wrote lacks them."""
    body = b"-" + pickle.dumps(
        [("RunStarted", {"run": "r", "task": ("o", "TaskFacts", {"key": "k", "name": "e.f", "short_name": "f"}), "inputs": [], "at": 1.0})]
    )
    assert codec.decode(body, 1, restore) == [facts.RunStarted("r", facts.TaskFacts("k", "e.f", "f"), (), 1.0)]


#: Written by the version that had format 1.
FORMAT_1 = (
    "engBjZKxTsMwEIbr1EmhKoLH6NSBF2irIhjMRFmrykqvJUpqR/ZZhQGJpelyK+/JyIjdlEKAAU/2Wf7/7/7zS/w6ilr7NetT986pKUqDsHjuU9s4RcwQR2lz"
    "YppO7/3mWqZow20OT8Ry4kqugRIYrGWmqGsftMH5vsZDxe0oyVTp0M4okngzfKvdXEW9IHcFaSHNf/2i/PJg2IbBsuHG/LGUxsMgGEsMiT1Wbud9zsYpZlrZ"
    "iSyKhlG8zIxFwSjxD0GhaNW9+kq8MtqVxFZH+r5gWxFt4WcX52NEWJdo/wjO6I0nKSac+aYrSjba5GCIbYIIMUlsMTmp83gfBtSLA+rUpSnAokHLazUjmIh8"
    "qF9aHe1wH7DoSOrYen6/1CkG5QWbdT4Krr3PFm61xe+DP/KHL+L5DUirFfGVVnUOowO9q2DwARS0w/0="
)


def test_a_log_of_the_first_format_is_still_read() -> None:
    """It knew nothing of what attempts cost; all else is as it was written."""
    began = array("d", (1.5,))

    assert codec.decode(base64.b64decode(FORMAT_1), 1, restore) == [
        facts.RunStarted("r", facts.TaskFacts("k", "e.main", "main"), (), 1.0),
        facts.TaskDeclared("r", facts.TaskFacts("k2", "e.f", "f", ("x",))),
        facts.ActionsCalled("r", 1, 0, 1, "g", [(1,), (2,)], 1.0),
        facts.AttemptsStarted("r", [1], "w", began),
        facts.ActionsSucceeded("r", range(1, 2), "w", [7], began, array("d", (2.5,))),
        facts.AttemptsLost("r", [2], "gone", 3.0),
    ]
