"""The quickstart, executed in a real kernel on the embedded cluster: it says what its text promises. And its stored copy says the same."""

from __future__ import annotations

from typing import Any

import pytest

from tests.notebook import guide
from tests.notebook.conftest import said
from tests.notebook.guide import Cells, Executed

#: A whole notebook runs before the first test of it, on a machine that others may load.
pytestmark = pytest.mark.timeout(400)

PROBE = """{
    "phase": run.phase.value,
    "counts": {phase.value: number for phase, number in run.state.phase_counts().items() if number},
    "groups": {group.name: group.total for group in run.summary().groups},
    "baseline": score(list(X), without="")["accuracy"],
    "accuracy": steps["accuracy"].to_dict(),
    "order": order,
    "dropped": list(steps["dropped"]),
    "workers": sorted(set(run.actions["worker"])),
    "failures": failures["feature"].to_list(),
    "zeros": (X == 0).sum()[lambda number: number > 0].index.to_list(),
    "inputs": failed.inputs(),
    "traceback": failed.traceback,
    "errors": sum(isinstance(each, Exception) for each in separations),
    "better": len(better),
}"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Executed:
    """Return the quickstart after a run from top to bottom."""
    return guide.executed("quickstart", PROBE, tmp_path_factory.mktemp("quickstart"))


@pytest.fixture(scope="module")
def executed(run: Executed) -> Cells:
    """Return its cells."""
    return run.cells


@pytest.fixture(scope="module")
def found(run: Executed) -> dict[str, Any]:
    """Return what the probe told."""
    return run.found


@pytest.fixture(scope="module")
def stored() -> Cells:
    """Return the cells as they are stored in the repository."""
    return guide.by_id(guide.read("quickstart"))


def test_hundreds_of_actions_run_on_all_workers_in_a_group_for_each_round(found: dict[str, Any]) -> None:
    """From 30 features down to one: 30 + 29 + ... + 2 actions, on every worker of the embedded cluster."""
    rounds = {f"{features} features": features for features in range(30, 1, -1)}

    assert (found["phase"], found["counts"]) == ("succeeded", {"succeeded": sum(rounds.values())})
    assert found["groups"] == rounds
    assert len(found["workers"]) >= 2
    assert "kernel" in found["workers"]


def test_a_few_features_do_as_well_as_all(found: dict[str, Any]) -> None:
    """What the notebook concludes, within what another release of scikit-learn may change."""
    accuracy = {int(left): value for left, value in found["accuracy"].items()}

    assert sorted(accuracy) == list(range(1, 30))
    assert max(accuracy[left] for left in range(1, 11)) > found["baseline"] - 0.005
    assert accuracy[1] < accuracy[5] - 0.02
    assert [*found["dropped"], found["order"][-1]] == found["order"]


def test_the_view_and_the_tables_say_it(executed: Cells) -> None:
    """The run's view, what the next cell prints, and the two tables."""
    assert "✓ eliminate: succeeded\n464 actions" in said(executed["run"])
    assert said(executed["wait"]).startswith("464 actions; the last five features: ")
    assert "first 20 of 465 rows; eliminate succeeded: ✓ 464 succeeded" in said(executed["actions"])
    assert "dropped  accuracy  spread" in said(executed["answer"])


def test_the_failing_actions_are_named_with_input_and_line(executed: Cells, found: dict[str, Any]) -> None:
    """Those with a zero fail, the others do not; the first one tells its input and the user's own line."""
    assert "✓ 24 succeeded  ✕ 6 failed" in said(executed["logs"])
    assert "6 x ValueError: " in said(executed["logs"])
    assert found["failures"] == found["zeros"]
    assert found["inputs"]["feature"] in found["zeros"]
    assert "logarithms = values.map(math.log)" in found["traceback"]
    assert found["traceback"].splitlines()[-1].startswith("ValueError: ")


def test_the_mended_cell_succeeds(executed: Cells, found: dict[str, Any]) -> None:
    """The workers run the new code, and none of the values is an error any more."""
    assert "30 actions" in said(executed["again"])
    assert "✓ 30 succeeded" in said(executed["again"])
    assert found["errors"] == 0
    assert 15 < found["better"] <= 30


def test_the_stored_copy_tells_the_same(executed: Cells, stored: Cells) -> None:
    """A reader on GitHub sees a whole run: each cell that says something now has said it there, without a widget."""
    assert {name for name, cell in stored.items() if cell.outputs} == {name for name, cell in executed.items() if cell.outputs}
    assert said(stored["wait"]).startswith("464 actions; the last five features: ")
    assert "✓ 464 succeeded" in said(stored["run"])
    assert "✓ 24 succeeded  ✕ 6 failed" in said(stored["logs"])
