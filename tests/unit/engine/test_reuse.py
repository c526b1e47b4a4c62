"""The cache in the controller: known results answer at once, new ones are kept, errors are not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from flyte_nb.core.caching import CachedResult, Sought, Wanted
from flyte_nb.core.events import CacheFacts, RunSettings
from flyte_nb.engine.commands import AnswerFailure, AnswerOutputs, Command, SendChunk
from flyte_nb.engine.reuse import Reuse
from flyte_nb.engine.stimuli import ResultsSought, RunRequested, TaskOffered
from flyte_nb.store.results import MemoryResults
from tests.fakes.bench import LEAF, ROOT, USER_ERROR, Bench

CACHED = replace(LEAF, cache=CacheFacts("auto"))


@pytest.fixture
def results(bench: Bench) -> MemoryResults:
    """A cache for the bench's controller."""
    made = MemoryResults()
    bench.controller.desk.reuse = Reuse(made)
    return made


def call(run: Bench, keys: Sequence[str], task: object = CACHED, *, name: str = "r") -> list[Command]:
    """The root calls a task, with these cache keys."""
    called = replace(run.called(len(keys), CACHED, run=name), cache_keys=keys)
    return run.send(TaskOffered(name, task, b"leaf"), called)  # type: ignore[arg-type]  # a TaskFacts


def chunks(commands: Sequence[Command]) -> list[SendChunk]:
    """The chunks that were sent."""
    return [command for command in commands if isinstance(command, SendChunk)]


def answers(commands: Sequence[Command]) -> list[object]:
    """The outputs that were told."""
    return [output for command in commands if isinstance(command, AnswerOutputs) for output in command.outputs]


def test_a_known_result_answers_at_once(run: Bench, results: MemoryResults) -> None:
    """The action succeeds without an attempt, and no worker hears of it; others run."""
    results.put("k1", CachedResult("known", run.now, "earlier"))

    commands = call(run, ["k1", "k2"])

    assert answers(commands) == ["known"]
    assert [chunk.rows for chunk in chunks(commands)] == [[2]]
    assert (run.phases(), run.state().reused, run.state().attempts[1]) == (["running", "succeeded", "queued"], {1}, 0)


def test_a_new_result_is_kept_and_an_error_is_not(run: Bench, results: MemoryResults) -> None:
    """What succeeds is known from then on; what fails is tried anew."""
    sent = chunks(call(run, ["good", "bad"]))[0]
    run.succeed(sent.chunk, [0], finished=False, output="out")
    run.fail(sent.chunk, 1)

    assert results.get("good") == CachedResult("out", run.now, "r", "env.leaf")
    assert results.get("bad") is None
    assert answers(call(run, ["good"])) == ["out"]


@pytest.mark.parametrize(
    "task, settings, read, kept",
    [
        (CACHED, RunSettings(), True, True),
        (replace(LEAF, cache=CacheFacts("override")), RunSettings(), False, True),
        (CACHED, RunSettings(disable_cache=True), False, False),
        (CACHED, RunSettings(overwrite_cache=True), False, True),
    ],
    ids=["auto", "override", "disabled run", "overwriting run"],
)
def test_behaviour_and_settings_say_whether_results_are_read_and_kept(
    bench: Bench,
    results: MemoryResults,
    task: object,
    settings: RunSettings,
    *,
    read: bool,
    kept: bool,
) -> None:
    """Override computes and stores; a run may leave the cache alone, or write it only."""
    bench.join()
    bench.send(RunRequested("r", ROOT, b"", ("in",), in_kernel=True, max_actions=10, settings=settings))
    bench.begin(bench.driver)
    results.put("k", CachedResult("old", bench.now, "earlier"))

    commands = call(bench, ["k"], task)
    for sent in chunks(commands):
        bench.succeed(sent.chunk, [0], output="new")

    found = results.get("k")
    assert (answers(commands) == ["old"]) is read
    assert (found is not None and found.output == "new") is (kept and not read)


def test_a_result_that_is_too_old_is_made_anew(run: Bench, results: MemoryResults) -> None:
    """`max_age` is looked at when a result would be taken."""
    aged = replace(LEAF, cache=CacheFacts("auto", max_age_seconds=60))
    results.put("k", CachedResult("old", run.now, "earlier"))
    run.after(61)

    assert answers(call(run, ["k"], aged)) == []


@pytest.mark.usefixtures("results")
def test_of_serialised_calls_one_runs_and_all_get_its_result(run: Bench) -> None:
    """Equal calls wait for the first one."""
    serial = replace(LEAF, cache=CacheFacts("auto", serialize=True))

    sent = chunks(call(run, ["k", "k", "k"], serial))
    told = answers(run.succeed(sent[0].chunk, [0], output="out"))

    assert [list(chunk.rows) for chunk in sent] == [[1]]
    assert (told, run.phases(), run.state().reused) == (["out"] * 3, ["running"] + ["succeeded"] * 3, {2, 3})


@pytest.mark.usefixtures("results")
def test_when_the_first_of_serialised_calls_fails_the_next_one_runs(run: Bench) -> None:
    """A failure is nobody else's result."""
    serial = replace(LEAF, cache=CacheFacts("auto", serialize=True))
    sent = chunks(call(run, ["k", "k"], serial))

    after_failure = run.fail(sent[0].chunk, 0)
    again = chunks(after_failure)
    told = answers(run.succeed(again[0].chunk, [0], output="out"))

    assert [command.failure for command in after_failure if isinstance(command, AnswerFailure)] == [replace(USER_ERROR, worker="name-w1")]
    assert ([list(chunk.rows) for chunk in again], told) == ([[2]], ["out"])


@pytest.mark.usefixtures("results")
def test_a_serialised_call_that_was_stopped_is_not_waited_for(run: Bench) -> None:
    """What was aborted while it waited stays aborted; the next one takes the result."""
    serial = replace(LEAF, cache=CacheFacts("auto", serialize=True))
    sent = chunks(call(run, ["k", "k", "k"], serial))
    run.abort(2)
    run.succeed(sent[0].chunk, [0], output="out")

    assert run.phases() == ["running", "succeeded", "aborted", "succeeded"]


def test_a_known_root_ends_its_run_at_once(bench: Bench, results: MemoryResults) -> None:
    """A run whose root's result is known starts nothing."""
    root = replace(ROOT, cache=CacheFacts("auto"))
    results.put("k", CachedResult("known", bench.now, "earlier"))

    bench.send(RunRequested("r", root, b"", ("in",), in_kernel=True, max_actions=10, cache_key="k"))

    assert (bench.phases(), bench.state().output(0), chunks(bench.orders)) == (["succeeded"], "known", [])


class SlowResults:
    """A cache that answers when its test says so: see `told`."""

    def __init__(self) -> None:
        self.wanted: list[Wanted] = []
        self.kept: list[tuple[str, CachedResult]] = []
        self.released: list[str] = []

    def listen(self, later: Callable[[Sought], None]) -> None:
        """The test tells."""

    def seek(self, wanted: Sequence[Wanted]) -> Sought:
        """Leave everything open."""
        self.wanted += wanted
        return Sought({})

    def keep(self, results: Sequence[tuple[str, CachedResult]]) -> None:
        """Remember."""
        self.kept += results

    def release(self, keys: Sequence[str]) -> None:
        """Remember."""
        self.released += keys


@pytest.fixture
def slow(bench: Bench) -> SlowResults:
    """A slow cache for the bench's controller."""
    made = SlowResults()
    bench.controller.desk.reuse = Reuse(made)
    return made


def told(run: Bench, *, found: dict[str, str] | None = None, granted: Sequence[str] = (), at: float = 0.0) -> list[Command]:
    """The cache has answered."""
    results = {key: CachedResult(output, at or run.now, "other", "env.leaf") for key, output in (found or {}).items()}
    return run.send(ResultsSought(Sought(results, granted)))


def rows(commands: Sequence[Command]) -> list[int]:
    """What was sent to workers."""
    return [row for chunk in chunks(commands) for row in chunk.rows]


def test_equal_calls_are_computed_once(run: Bench, results: MemoryResults) -> None:
    """Those that come while one runs wait for its result, in whatever run they are."""
    sent = chunks(call(run, ["k", "k"]))
    later = call(run, ["k"])
    done = answers(run.succeed(sent[0].chunk, [0], output="out"))

    assert (rows(later), done, run.phases()) == ([], ["out"] * 3, ["running"] + ["succeeded"] * 3)
    assert results.get("k") == CachedResult("out", run.now, "r", "env.leaf")


def test_nothing_runs_before_the_cache_has_answered(run: Bench, slow: SlowResults) -> None:
    """Each key is asked for once; what is found is handed to all, what is granted is run once."""
    early = call(run, ["a", "b", "a", "c"])
    answered = told(run, found={"a": "known"})
    granted = told(run, granted=["b", "c"])

    assert (rows(early), [each.key for each in slow.wanted]) == ([], ["a", "b", "c"])
    assert (answers(answered), rows(answered)) == (["known", "known"], [])
    assert sorted(rows(granted)) == [2, 4]
    for sent in chunks(granted):
        run.succeed(sent.chunk, range(len(sent.rows)))
    assert sorted(key for key, _result in slow.kept) == ["b", "c"]


def test_a_key_that_another_kernel_computes_is_waited_for(run: Bench, slow: SlowResults) -> None:
    """Until it has a result, or is granted because that kernel died."""
    call(run, ["k"])
    assert run.phases() == ["running", "queued"]

    assert answers(told(run, found={"k": "theirs"})) == ["theirs"]
    assert (slow.kept, slow.released) == ([], [])


def test_a_granted_key_that_nobody_wants_any_more_is_given_back(run: Bench, slow: SlowResults) -> None:
    """Its call was aborted while it waited."""
    call(run, ["k"])
    run.abort(1)

    assert rows(told(run, granted=["k"])) == []
    assert slow.released == ["k"]


def test_a_key_whose_calls_all_failed_is_given_back(run: Bench, slow: SlowResults) -> None:
    """One after the other is tried, and the key is kept meanwhile."""
    call(run, ["k", "k"])
    (first,) = chunks(told(run, granted=["k"]))
    (second,) = chunks(run.fail(first.chunk))
    assert slow.released == []
    run.fail(second.chunk)

    assert (slow.released, slow.kept) == (["k"], [])


def test_a_result_that_is_too_old_for_one_of_those_who_wait_is_asked_for_again(run: Bench, slow: SlowResults) -> None:
    """Another one, with a longer memory, takes it."""
    aged = replace(LEAF, key="aged", cache=CacheFacts("auto", max_age_seconds=60))
    call(run, ["k"])
    called = replace(run.called(1, aged), cache_keys=["k"])
    run.send(TaskOffered("r", aged, b"aged"), called)

    assert answers(told(run, found={"k": "old"}, at=run.now - 100)) == ["old"]
    assert [(each.key, each.oldest_at) for each in slow.wanted] == [("k", 0.0), ("k", run.now - 60)]
    assert rows(told(run, granted=["k"])) == [2]
    run.succeed(run.record().tokens[2], [0])


def test_a_run_that_a_defect_ended_gives_its_keys_back(run: Bench, slow: SlowResults) -> None:
    """Others would wait for ever."""
    call(run, ["k"])
    told(run, granted=["k"])
    run.controller.runs["r"].give_up(RuntimeError("ours"), run.now)
    run.send()

    assert slow.released == ["k"]
