"""The detail of one action: what went in, what came out, why it failed, each try, and what it printed."""

from __future__ import annotations

from typing import Any

from flyte_nb.core.events import AttemptFailed, AttemptsLost, LogWritten, TaskFacts
from flyte_nb.core.failure import Failure
from flyte_nb.core.policy import RetryStrategy
from flyte_nb.views.protocol import LOG_CHARACTERS, VALUE_CHARACTERS, DetailAnswer
from flyte_nb.views.query import RunQueries
from flyte_nb.views.tracebacks import frames_of
from tests.fakes.fake_run import FakeRun, task

TRAIN = TaskFacts("train", "env.train", "train", ("lr", "data"), retries=RetryStrategy(2))

TRACEBACK = """Traceback (most recent call last):
  File "Cell In[4]", line 23, in train
    model.fit(data)
    ^^^^^^^^^^^^^^^
  File "/x/site-packages/sklearn/base.py", line 7, in wrapper
    return fit(*args)
ValueError: Input y contains NaN.
"""


def detail(run: FakeRun, row: int, **changes: Any) -> DetailAnswer:
    """Return what is told of a row."""
    request = {"kind": "detail", "view": "v", "id": 1, "follow": False, "row": row, "log_from": 0, "full": False, **changes}
    return RunQueries(run).detail(request)  # type: ignore[arg-type]  # built from parts


def test_a_failed_action_on_its_third_try() -> None:
    """Words, path, tries with what ended each and whether it counted, and the error with the user's lines."""
    run = FakeRun()
    row = run.call(TRAIN, [(0.1, [1, 2])], group="fold-1")[0]
    run.start([row], "w1")
    run.state.apply(AttemptFailed(run.name, row, Failure("user", "OSError", "disk", worker="w1"), run.now, run.now + 1, run.now + 1))
    run.now += 2
    run.start([row], "w2")
    run.measure(row, -1.0, 2 * 1024 * 1024)
    run.state.apply(AttemptsLost(run.name, [row], "out of memory", run.now + 1))
    run.now += 2
    run.start([row], "w3")
    run.measure(row, 1.75, 612 * 1024)
    run.fail(row, "ValueError", "Input y contains NaN.", traceback=TRACEBACK)
    told = detail(run, row)

    assert told["words"] == "failed on try 3 of 3"
    assert told["path"] == ["main", "fold-1", "train"]
    assert [(one["number"], one["look"], one["ended_by"], one["counted"], one["worker"]) for one in told["attempts"]] == [
        (3, "failed", "ValueError: Input y contains NaN.", True, "w3"),
        (2, "aborted", "out of memory", False, "w2"),
        (1, "failed", "OSError: disk", True, "w1"),
    ]
    assert [(one["cpu_seconds"], one["memory_bytes"]) for one in told["attempts"]] == [
        (1.75, 612 * 1024**2),
        (None, 2 * 1024**3),
        (None, None),
    ]
    assert (told["cpu_seconds"], told["memory_bytes"]) == (1.75, 612 * 1024**2)
    assert told["error"] is not None
    assert (told["error"]["fault"], told["error"]["code"]) == ("user", "ValueError")
    assert [(frame["file"], frame["own"], frame["line"]) for frame in told["error"]["frames"]] == [
        ("Cell In[4]", True, 23),
        ("/x/site-packages/sklearn/base.py", False, 7),
    ]
    assert [(value["name"], value["type"], value["text"]) for value in told["inputs"]] == [
        ("lr", "float", "0.1"),
        ("data", "list of 2", "[1, 2]"),
    ]
    assert told["can_rerun"]
    assert not told["can_abort"]


def test_a_running_action_counts_from_its_start() -> None:
    """No end, no output, and it can be aborted."""
    run = FakeRun()
    row = run.call(TRAIN, [(0.1, 1)])[0]
    run.start([row])
    told = detail(run, row)

    assert told["since"] == run.now
    assert told["seconds"] is None
    assert told["can_abort"]
    assert told["outputs"] == []
    assert [one["ended_by"] for one in told["attempts"]] == [""]


def test_declared_outputs_have_names() -> None:
    """A tuple of declared outputs is told by name, anything else as one value."""
    run = FakeRun()
    pair = run.call(task("pair", outputs=("o0", "o1")), [()])
    single = run.call(task("single"), [()])
    run.succeed(pair, [(1, "x")])
    run.succeed(single, [{"a": 1}])

    assert [(value["name"], value["text"]) for value in detail(run, pair[0])["outputs"]] == [("o0", "1"), ("o1", "x")]
    assert [(value["name"], value["text"]) for value in detail(run, single[0])["outputs"]] == [("", "{'a': 1}")]


def test_long_texts_are_cut_unless_all_is_asked_for() -> None:
    """`more` says that something is missing; `full` brings it."""
    run = FakeRun()
    row = run.call(task("long", "x"), [("y" * 10_000,)])[0]

    assert (len(detail(run, row)["inputs"][0]["text"]), detail(run, row)["inputs"][0]["more"]) == (VALUE_CHARACTERS, True)
    assert (len(detail(run, row, full=True)["inputs"][0]["text"]), detail(run, row, full=True)["inputs"][0]["more"]) == (10_000, False)


def test_a_log_is_followed_from_where_the_view_is() -> None:
    """The end of a long log at first, then what came since; colours and returned carriages are taken out."""
    run = FakeRun()
    row = run.call(task("talk"), [()])[0]
    run.start([row])
    run.state.apply(LogWritten(run.name, row, 1, "\x1b[31mred\x1b[0m 10%\r20%\n"))
    first = detail(run, row)["log"]
    run.state.apply(LogWritten(run.name, row, 1, "more\n"))

    assert first == {"start": 0, "text": "red 10%\n20%\n", "total": 12, "lines": 2, "more": False}
    assert detail(run, row, log_from=12)["log"]["text"] == "more\n"
    run.state.apply(LogWritten(run.name, row, 1, "z" * (LOG_CHARACTERS + 5)))
    long = detail(run, row)["log"]
    assert (len(long["text"]), long["start"], long["more"]) == (LOG_CHARACTERS, 22, True)
    assert detail(run, row, full=True)["log"]["start"] == 0


def test_an_aborted_action_tells_why() -> None:
    """The reason stands where an error would."""
    run = FakeRun()
    rows = run.call(TRAIN, [(0.1, 1)])
    run.drop(rows, "the run was aborted")
    error = detail(run, rows[0])["error"]

    assert error is not None
    assert (error["fault"], error["message"]) == ("abort", "the run was aborted")


def test_a_row_that_is_not_there_is_gone() -> None:
    """In words, not as an exception."""
    assert detail(FakeRun(), 77)["gone"] == "This run has no action in row 77."


def test_a_traceback_of_another_form_has_no_frames() -> None:
    """Then its text is shown as it is; of a chain, the frames are those of the error itself."""
    assert frames_of("something else\n  File nowhere") == []
    assert [frame.line for frame in frames_of(TRACEBACK + "\nDuring handling ...\n\n" + TRACEBACK.replace("23", "99"))] == [99, 7]
