"""Events: frozen facts that travel and compare by value."""

from __future__ import annotations

import dataclasses
import pickle
from array import array
from typing import get_args

import pytest

from flyte_nb.core import events
from flyte_nb.core.events import ActionsCalled, ActionsSucceeded, Event, RunStarted, TaskFacts
from flyte_nb.core.policy import RetryStrategy, Timeout

FACTS = TaskFacts("key", "env.task", "task", ("x",), ("o0",), is_async=True, retries=RetryStrategy(2), timeout=Timeout(30))


@pytest.mark.parametrize("kind", get_args(Event), ids=lambda kind: kind.__name__)
def test_an_event_is_a_frozen_fact_of_one_run(kind: type) -> None:
    """No event can be changed, and each names its run first."""
    parameters = kind.__dataclass_params__  # type: ignore[attr-defined]  # all events are dataclasses
    assert (parameters.frozen, dataclasses.fields(kind)[0].name) == (True, "run")


def test_every_event_is_in_the_union() -> None:
    """A class that looks like an event and is not listed would never be folded."""
    own = {
        value
        for value in vars(events).values()
        if dataclasses.is_dataclass(value) and isinstance(value, type) and value.__module__ == events.__name__
    }
    named = {kind for kind in own if dataclasses.fields(kind) and dataclasses.fields(kind)[0].name == "run"}

    assert named == set(get_args(Event))


@pytest.mark.parametrize(
    "event",
    [
        RunStarted("r", FACTS, (1, "a"), 2.0, (("k", "v"),)),
        ActionsCalled("r", 1, 0, 0, "g", [(1,), (2,)], 3.0),
        ActionsSucceeded("r", range(1, 3), "w", [1, None], array("d", [1.0, 1.0]), array("d", [2.0, 2.5])),
    ],
)
def test_events_travel(event: Event) -> None:
    """A stored or sent event is the same one."""
    assert pickle.loads(pickle.dumps(event)) == event


def test_facts_of_a_task_have_defaults_that_mean_nothing_special() -> None:
    """No retries, no limits, sync, not cached."""
    facts = TaskFacts("key", "env.task", "task")

    assert (facts.retries.count, facts.timeout, facts.is_async, facts.concurrency, facts.cache.behavior) == (
        0,
        Timeout(),
        False,
        0,
        "disable",
    )
