"""What the live view's header says of a run."""

from dataclasses import replace

from flyte_nb.core.events import ActionsReused
from flyte_nb.core.summary import Starting
from flyte_nb.views.header import MAX_CAUSES, causes_of, fixed_of, head_of, outcome, shown_counts
from flyte_nb.views.protocol import PROTOCOL, Head
from tests.fakes.fake_run import FakeRun, task
from tests.fakes.hostile import HOSTILE


def head(run: FakeRun, **more: bool) -> Head:
    """The header of a run."""
    return head_of(run.summary(brief=True), version=run.state.version, reused=len(run.state.reused), now=run.now, **more)


def mixed_run() -> FakeRun:
    """A run with 6 actions: 3 good ones, 1 failed, 1 running, 1 queued."""
    run = FakeRun("rsweep", root=task("sweep"))
    rows = run.call(task("train", "depth"), [(depth,) for depth in range(6)])
    run.succeed(rows[:3], [0.5] * 3)
    run.fail(rows[3], "ValueError", "Input y contains NaN.")
    run.start([rows[4]])
    run.now += 65
    return run


def test_a_running_run_tells_counts_and_clock() -> None:
    """Everything that the header draws."""
    run = mixed_run()

    seen = head(run, can_rerun=True)

    assert seen["counts"] == {"succeeded": 3, "failed": 1, "running": 1, "queued": 1}
    assert (seen["total"], seen["ended"], seen["failed"], seen["results"], seen["seconds"]) == (6, 4, 1, 3, 65.0)
    assert (seen["phase"], seen["words"], seen["mixed"], seen["over"]) == ("running", "Running", False, False)
    assert (seen["workers"], seen["slots"], seen["busy"]) == (2, 2, 1)
    assert (seen["can_abort"], seen["aborting"], seen["can_rerun"]) == (True, False, False)
    assert fixed_of(run.summary()) == {"protocol": PROTOCOL, "run": "rsweep", "task": "sweep", "started_at": 1_000_000.0}


def test_the_end_with_failures_is_not_called_a_success_alone() -> None:
    """Words, glyph and button say so."""
    run = mixed_run()
    run.succeed([5, 6], [0, 0])
    run.finish()

    seen = head(run, can_rerun=True)

    assert (seen["words"], seen["mixed"], seen["over"], seen["can_rerun"]) == ("Succeeded, but 1 action failed", True, True, True)
    assert (seen["can_abort"], seen["left"], seen["note"]) == (False, "", "")
    assert outcome(run.summary()) == seen["words"]


def test_a_run_that_went_well_offers_nothing_to_repeat() -> None:
    """Re-run failed would find nothing."""
    run = FakeRun()
    run.finish()

    assert head(run, can_rerun=True)["can_rerun"] is False


def test_results_from_the_cache_are_counted_apart() -> None:
    """They cost nothing, and who reads the counts wants to know."""
    run = FakeRun()
    rows = run.call(task("t", "x"), [(n,) for n in range(4)])
    run.state.apply(ActionsReused(run.name, rows[:3], [1, 2, 3], run.now))
    run.succeed(rows[3:], [4])

    assert head(run)["counts"] == {"succeeded": 1, "cached": 3}
    assert head(run)["results"] == 4


def test_what_is_too_short_to_be_reported_as_running_counts_as_running() -> None:
    """While slots are busy, `0 running` would be wrong."""
    run = FakeRun()
    run.call(task("t", "x"), [(n,) for n in range(5)])

    assert shown_counts(run.summary()) == {"running": 1, "queued": 4}
    run.start([1])
    assert shown_counts(run.summary()) == {"running": 1, "queued": 4}


def test_an_abort_that_was_asked_for_is_told_to_all_views() -> None:
    """The button says so until the end."""
    run = mixed_run()
    assert (head(run, aborting=True)["can_abort"], head(run, aborting=True)["aborting"]) == (False, True)

    run.drop([5, 6, 0], "Abort was clicked")
    assert (head(run, aborting=True)["aborting"], head(run)["message"]) == (False, "Abort was clicked")


def test_time_left_is_told_once_something_has_ended() -> None:
    """Before that nobody expects it; a lower bound says that it is one, also when it is short."""
    run = FakeRun()
    rows = run.call(task("t", "x"), [(n,) for n in range(60)])
    assert head(run)["left"] == ""
    run.succeed(rows[:1], [0])
    run.now += 1
    assert head(run)["left"] == "time left unknown"
    for row in rows[1:20]:
        run.succeed([row], [0])
        run.now += 1

    assert (head(run)["left"], head(run)["left_short"]) == ("under 1 min left, more may come", "1+ min left")


def test_causes_are_the_most_frequent_and_keyed_by_their_first_row() -> None:
    """The list is capped and says how many there are."""
    run = FakeRun()
    rows = run.call(task("t", "x"), [(n,) for n in range(MAX_CAUSES + 10)])
    for row in rows[:-3]:
        run.fail(row, "E", f"message {row}")
    for row in rows[-3:]:
        run.fail(row, "E", "often")

    seen = causes_of(run.state)

    assert (seen["total"], seen["failed"], len(seen["causes"])) == (MAX_CAUSES + 8, MAX_CAUSES + 10, MAX_CAUSES)
    assert seen["causes"][0] == {
        "key": str(rows[-3]),
        "look": "failed",
        "count": 3,
        "text": "E: often",
        "task": "t",
        "action": "",
        "row": rows[-3],
    }


def test_texts_of_users_can_be_sent_and_are_one_line() -> None:
    """A lone surrogate would take the whole message with it, a line break the layout."""
    for text in HOSTILE:
        name = text.replace("\ud800", "")
        run = FakeRun("r", root=task(name))
        run.fail(run.call(task(name, "x"), [(1,)])[0], text, text)
        run.drop([0], text)
        for sent in (str(head(run)), str(fixed_of(run.summary())), str(causes_of(run.state))):
            sent.encode("utf8")
            assert "\n" not in sent
            assert "\x1b" not in sent


def test_a_cluster_that_starts_tells_its_steps() -> None:
    """The scheduler, how many workers of how many, and what waits for them."""
    run = FakeRun()
    run.call(task("t", "x"), [(n,) for n in range(5)])

    def told(starting: Starting | None) -> Head:
        return head_of(replace(run.summary(), workers=0, slots=0, slots_in_use=0, starting=starting), version=1)

    begun, going = told(Starting(scheduler=False, workers=0, expected=8)), told(Starting(scheduler=True, workers=3, expected=8))

    assert begun["words"] == going["words"] == "Starting the cluster"
    assert [step["look"] for step in begun["steps"]] == ["running", "queued", "queued"]
    assert [(step["look"], step["title"], step["text"]) for step in going["steps"]] == [
        ("succeeded", "Scheduler", "ready"),
        ("running", "Workers", "3 of 8 ready"),
        ("queued", "First action", "starts on the first free slot; 5 are queued"),
    ]
    assert (told(None)["steps"], told(None)["words"]) == ([], "Running")


def test_a_run_behind_another_one_is_not_called_running() -> None:
    """All slots do something else: its actions do not run, and it says what it waits for."""
    run = FakeRun()
    run.call(task("t", "x"), [(n,) for n in range(5)])
    run.now += 10
    waits = head_of(replace(run.summary(), slots=2, slots_in_use=2), version=1)

    assert (waits["words"], waits["note"]) == ("Queued behind another run", "Other runs use all 2 slots.")
    assert waits["counts"] == {"queued": 5}
    run.start([1])
    assert head_of(replace(run.summary(), slots=2, slots_in_use=2), version=1)["words"] == "Running"
