"""What runs of one controller share: orders, timers, paces."""

from __future__ import annotations

from flyte_nb.engine.commands import AnnounceEnd, RefuseRun
from flyte_nb.engine.desk import Desk


def test_orders_are_taken_once_in_their_order() -> None:
    """A turn's orders go out together."""
    desk = Desk(2.0)
    desk.order(AnnounceEnd("a"), RefuseRun("b", "why"))
    desk.order_all([AnnounceEnd("c")])

    assert desk.take_orders() == [AnnounceEnd("a"), RefuseRun("b", "why"), AnnounceEnd("c")]
    assert desk.take_orders() == []


def test_timers_are_due_in_the_order_of_their_instants() -> None:
    """What is due is handed out once; equal instants keep their order; a timer may set one that is due at once."""
    desk, seen = Desk(2.0), list[str]()
    desk.at(5.0, "r", lambda _now: seen.append("late"))
    desk.at(3.0, "r", lambda _now: seen.append("first"))

    def chain(now: float) -> None:
        seen.append("second")
        desk.at(now, "s", lambda _now: seen.append("third"))

    desk.at(3.0, "s", chain)

    for _run, action in desk.due_timers(3.0):
        action(3.0)

    assert (seen, desk.wake_at) == (["first", "second", "third"], 5.0)


def test_a_forgotten_runs_timers_are_dropped() -> None:
    """They call nothing, and what they held is free."""
    desk, seen = Desk(2.0), list[str]()
    desk.at(3.0, "r", lambda _now: seen.append("r"))
    desk.forget("r")
    desk.forget("never seen")

    assert (list(desk.due_timers(9.0)), seen, desk.wake_at) == ([], [], None)


def test_a_pace_is_kept_for_each_task() -> None:
    """What one run learnt of a task the next one uses."""
    desk = Desk(2.0)

    assert desk.pace("env.task") is desk.pace("env.task") is not desk.pace("env.other")


def test_a_worker_that_is_gone_is_named_by_its_id() -> None:
    """People see a name while there is one."""
    assert Desk(2.0).worker_name("tcp://1.2.3.4:5#6") == "tcp://1.2.3.4:5#6"
