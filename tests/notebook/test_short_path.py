"""The notebooks that follow the quickstart, executed in a real kernel on real worker processes: what they show is so."""

from __future__ import annotations

import re

import pytest

from tests.notebook import guide
from tests.notebook.conftest import mime_types
from tests.notebook.guide import Executed

#: A whole notebook runs before the first test of it, on a machine that others may load.
pytestmark = pytest.mark.timeout(400)

# ------------------------------------------------------------------------------------------------------------- patterns
PATTERNS = """{
    "gathered": most_at_once(gathered), "limited": most_at_once(limited), "limited answers": len(answers),
    "groups": {group.name: group.total for group in grouped.summary().groups},
    "nested": nested.outputs()[0], "nested groups": {group.name: group.total for group in nested.summary().groups if group.name},
    "early": [total, seen, early.phase.value, early.results["phase"].value_counts().to_dict()],
    "waited": [waited.results["phase"].to_list(), answer],
    "moody": [retried.outputs()[0], retried.action.attempts, [each.reason for each in retried.action.past_attempts]],
    "slow": [hits for each in flyte.remote.Run.listall()
             if (hits := [action.cache_hit for action in each.action.children if action.task_name == "cookbook.slow"])],
    "overridden": overridden.actions.iloc[1:].set_index("group")["phase"].to_dict(),
    "error": abs(recursion.outputs()[0] - float(exact)), "calls": len(recursion.actions), "deepest": float(depth.max()),
    "phases": sorted(set(recursion.actions["phase"])),
}"""


@pytest.fixture(scope="module")
def patterns(tmp_path_factory: pytest.TempPathFactory) -> Executed:
    """Return it after a run."""
    return guide.executed("patterns", PATTERNS, tmp_path_factory.mktemp("patterns"))


def test_patterns_of_fanning_out_do_what_they_say(patterns: Executed) -> None:
    """Gather, map, a limit, groups, drivers within drivers."""
    found = patterns.found

    assert found["gathered"] > 20
    assert found["limited"] == 10
    assert "[0, 1, 4, 9, 16, 25]" in patterns.said("map")
    assert "[0, 1, 8, 9, 4, 1]" in patterns.said("map")
    assert "[0, 1, 8, 27, 64, 125]" in patterns.said("map")
    assert found["groups"] == {"first pages": 10, "what they lead to": 10}
    assert found["nested"] == {site: sum(page % 7 for page in range(n)) / n for site, n in {"north": 20, "south": 40, "west": 30}.items()}
    assert found["nested groups"] == {"north": 20, "south": 40, "west": 30}


def test_patterns_of_waiting_stop_what_is_not_waited_for(patterns: Executed) -> None:
    """Results as they come, and a limit on the wait."""
    total, seen, phase, phases = patterns.found["early"]

    assert total >= 50
    assert seen <= phases["succeeded"] < 100
    assert (phase, sum(phases.values())) == ("succeeded", 200)
    assert patterns.found["waited"] == [["aborted", "succeeded"], 2]


def test_patterns_of_settings_take_effect(patterns: Executed) -> None:
    """Retries, the cache, an override, a value for the whole run."""
    found = patterns.found

    assert found["moody"] == [7, 3, ["ConnectionError: come back later"] * 2]
    assert sorted(sum(hits) for hits in found["slow"]) == [2, 5]
    assert found["overridden"] == {"patient": "succeeded", "hasty": "timed_out"}
    assert "'blue'" in patterns.said("context")


def test_patterns_of_recursion_find_the_area(patterns: Executed) -> None:
    """By a few hundred calls, deepest where the curve is wild."""
    assert patterns.found["error"] < 1e-4
    assert 100 < patterns.found["calls"] < 1_000
    assert patterns.found["deepest"] > 10
    assert patterns.found["phases"] == ["succeeded"]
    assert "image/png" in mime_types(patterns.cells["recursion-figure"])


# ---------------------------------------------------------------------------------------------------- when things fail
FAILURES = """{
    "errors": sorted(str(value) for value in bad), "values": len(values), "first": [failure.task_name, dict(failure.inputs())["text"]],
    "phases": {f"{task} {phase}": int(number) for (task, phase), number in mended.actions.groupby(["task", "phase"]).size().items()},
    "sum": float(pd.Series(mended.outputs()[0]).sum()), "nan": int(pd.Series(mended.outputs()[0]).isna().sum()),
    "asked": asked.actions.query("task == 'ask'")[["phase", "attempt"]].value_counts().to_dict().__repr__(),
    "refused": asked.results.query("question == 13")["error"].to_list(),
    "hung": [hung.phase.value, type(hung.action.error).__name__, hung.summary().elapsed_seconds],
    "counted": counted.outputs()[0], "killer": [[each.ending, each.reason] for each in killer.past_attempts],
    "greedy": [type(greedy.action.error).__name__, greedy.action.error.limit_bytes, greedy.action.error.rss_bytes],
    "sleeping": sleeping.results["phase"].value_counts().to_dict(),
    "runs": flyte.runs()["phase"].to_list(),
}"""


@pytest.fixture(scope="module")
def failures(tmp_path_factory: pytest.TempPathFactory) -> Executed:
    """Return it after a run."""
    return guide.executed("when-things-fail", FAILURES, tmp_path_factory.mktemp("failures"))


def test_three_of_a_hundred_fail_and_recovering_takes_over_the_rest(failures: Executed) -> None:
    """The errors are values and are traced to their inputs; after the repair no download is made again."""
    found = failures.found
    odd = ("", "12,5", "n/a")

    assert (found["values"], len(found["errors"])) == (100, 3)
    assert [error.rpartition(": ")[2] for error in found["errors"]] == [repr(text) for text in odd]
    assert found["first"][0] == "fragile.parse"
    assert found["first"][1] in odd
    assert "    return float(text)" in failures.said("why")
    assert found["phases"] == {"download recovered": 100, "parse succeeded": 100, "read succeeded": 100, "read_all succeeded": 1}
    assert found["sum"] == sum(record / 4 for record in range(100) if record not in {17, 42, 77}) + 12.5
    assert found["nan"] == 2


def test_retries_are_made_where_they_are_of_use(failures: Executed) -> None:
    """Five questions take three attempts, one is given up at once, the others are answered at the first."""
    asked = re.findall(r"\('(\w+)', (\d)\): (\d+)", failures.found["asked"])

    assert {(phase, int(attempt)): int(number) for phase, attempt, number in asked} == {
        ("succeeded", 1): 44,
        ("succeeded", 3): 5,
        ("failed", 1): 1,
    }
    assert failures.found["refused"] == ["NonRecoverableError: there is no such question"]
    assert failures.said("attempts").count("ConnectionError: the service is busy") == 2


def test_what_hangs_dies_or_takes_too_much_is_ended_and_named(failures: Executed) -> None:
    """A time limit, a killed worker, memory, an abort."""
    found = failures.found
    ((ending, reason),) = found["killer"]
    name, limit, used = found["greedy"]

    assert found["hung"][:2] == ["timed_out", "MaxRuntimeExceededError"]
    assert found["hung"][2] < 1 + 2 + 2  # the limit, the grace, and what P5 allows
    assert found["counted"] == 190
    assert (ending, "SIGKILL" in reason) == ("lost", True)
    assert (name, limit) == ("OOMError", 400 * 2**20)
    assert used > 0.8 * limit
    assert found["sleeping"] == {"aborted": 975, "succeeded": 25}


def test_every_run_of_it_has_come_to_an_end(failures: Executed) -> None:
    """The table at the end."""
    assert failures.found["runs"] == ["succeeded", "succeeded", "succeeded", "timed_out", "succeeded", "failed", "aborted"]
    assert "text/html" in mime_types(failures.cells["end"])


# ------------------------------------------------------------------------------------------------------------ scale out
SCALE = """{
    "values": [each.outputs()[0] for each in timed.values()],
    "workers": [each.actions.iloc[1:]["worker"].nunique() for each in timed.values()],
    "alone": sum(estimate(seed) for seed in range(100)) / 100,
    "requests": [len(requests), sum(requests)],
    "many": [many.outputs()[0], int(many.summary().total), many.results.nlargest(1, "output")[["n", "output"]].iloc[0].to_list()],
    "at once": [most_at_once(narrow), most_at_once(wide)],
    "gpu": type(gpu.action.error).__name__,
    "after": sorted(flyte.map(hold, range(3))),
}"""


@pytest.fixture(scope="module")
def scaled(tmp_path_factory: pytest.TempPathFactory) -> Executed:
    """Return it after a run."""
    return guide.executed("scale-out", SCALE, tmp_path_factory.mktemp("scaled"))


def test_the_same_code_gives_the_same_on_every_cluster(scaled: Executed) -> None:
    """One worker, two, and those of a cluster that somebody else has started; and then on the embedded one again."""
    found = scaled.found

    assert found["values"] == [found["alone"]] * 3
    assert found["workers"] == [1, 2, 2]
    assert "connected to the cluster tcp://127.0.0.1:" in scaled.said("other")
    assert "distributed" not in scaled.said("other") + scaled.said("back")
    assert found["after"] == [0, 1, 2]


def test_a_hundred_thousand_actions_are_rows_of_one_run(scaled: Executed) -> None:
    """The number with the longest way down to 1 below 100,000 is known."""
    assert scaled.found["many"] == [77_031, 100_000, [77_031, 350]]
    assert scaled.found["requests"] == [1_000, sum(range(1_000))]
    assert "100,000 actions" in scaled.said("many")


def test_actions_get_what_they_ask_for_or_are_refused(scaled: Executed) -> None:
    """Two of four slots each: two at once; what nobody has is said."""
    assert scaled.found["at once"] == [4, 2]
    assert scaled.found["gpu"] == "ResourcesUnavailableError"
    assert "image/png" in mime_types(scaled.cells["answer"])


# ---------------------------------------------------------------------------------------------------------- stored copies
@pytest.mark.parametrize("fixture, name", [("patterns", "patterns"), ("failures", "when-things-fail"), ("scaled", "scale-out")])
def test_the_stored_copy_shows_the_same_outcomes(fixture: str, name: str, request: pytest.FixtureRequest) -> None:
    """A reader on GitHub sees in each cell what became of its runs, as somebody does who runs it today."""
    executed: Executed = request.getfixturevalue(fixture)

    assert guide.outcomes(guide.by_id(guide.read(name))) == guide.outcomes(executed.cells)
    assert any(guide.outcomes(executed.cells).values())
