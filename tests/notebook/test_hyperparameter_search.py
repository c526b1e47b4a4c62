"""The hyper-parameter search, executed in a real kernel on the embedded cluster: what it concludes is so, and stored so."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import flyte_nb as flyte
from scripts.store_outputs import environment
from tests.notebook import guide
from tests.notebook.conftest import mime_types, said
from tests.notebook.guide import Executed

NAME = "hyperparameter-search"
#: Added at the end, so that numbers are compared as numbers.
PROBE = """{
    "first": first.to_dict(),
    "second": second.to_dict(),
    "parameters": run.results[["log2_c", "log2_gamma"]].to_numpy().tolist() == grid.to_numpy().tolist(),
    "scores": run.results["score"].to_list(),
    "best": [int(best.log2_c), int(best.log2_gamma), float(best.score)],
    "worth": worth,
    "rounds": rounds[["n", "models"]].to_numpy().tolist(),
    "left": left,
    "halved": score,
    "work": work,
    "program": program.outputs()[0],
    "vectors": [evaluate(0, -2)["vectors"], evaluate(10, -2)["vectors"]],
}"""


@pytest.fixture(scope="module")
def search(tmp_path_factory: pytest.TempPathFactory) -> Executed:
    """Return it after a run."""
    return guide.executed(NAME, PROBE, tmp_path_factory.mktemp("search"))


@pytest.mark.timeout(600)
def test_the_search_is_aborted_half_way_and_resumed(search: Executed) -> None:
    """What had succeeded is recovered, the rest is computed, and nothing twice; the table is the grid with the scores."""
    first, second = search.found["first"], search.found["second"]

    assert first["succeeded"] >= 200
    assert first["aborted"] > 0
    assert sum(first.values()) == 400
    assert second == {"recovered": first["succeeded"], "succeeded": first["aborted"]}
    assert search.found["parameters"]
    assert len(search.found["scores"]) == 400


def test_the_best_model_is_good_on_digits_that_it_has_not_seen(search: Executed) -> None:
    """The best of the table, within what another release of scikit-learn may change."""
    _, log2_gamma, score = search.found["best"]

    assert score == max(search.found["scores"]) > 0.96
    assert -6 <= log2_gamma <= 0
    assert 0.9 < search.found["worth"] <= score


def test_the_picture_is_what_the_text_says_of_it(search: Executed) -> None:
    """A plateau, an edge at large gammas, and a diagonal one where both are small."""
    score = {
        (log2_c, log2_gamma): search.found["scores"][place]
        for place, (log2_c, log2_gamma) in enumerate((c, gamma) for c in range(-5, 15) for gamma in range(-16, 4))
    }

    assert "image/png" in mime_types(search.cells["plot"])
    assert min(score[c, gamma] for c in range(5, 15) for gamma in range(-5, 0)) > 0.94
    assert max(score[c, 3] for c in range(-5, 15)) < 0.3
    assert max(score[c, -10 - c] for c in range(7)) < 0.5
    assert min(score[c, -7 - c] for c in range(7)) > 0.9


def test_halving_finds_as_good_a_model_with_a_twentieth_of_the_work(search: Executed) -> None:
    """Rounds of 64, 32, ... models on 50, 100, ... digits; the one that is left is on the plateau."""
    assert search.found["rounds"] == [[50 << place, 64 >> place] for place in range(5)]
    assert search.found["work"] == pytest.approx(5 * 64 * 50 / (400 * 800))
    assert search.found["halved"] > max(search.found["scores"]) - 0.015


def test_a_driver_of_ones_own_gives_the_same_scores(search: Executed) -> None:
    """In the order of the table."""
    assert search.found["program"] == search.found["scores"]
    assert search.said("driver").rstrip().endswith("The same 400 scores: True")


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_exported_module_gives_the_same_scores(search: Executed, tmp_path: Path) -> None:
    """Started as a program, with this package in the place of the SDK; tests/notebook/test_exports.py runs the SDK."""
    exported = flyte.export(tmp_path / "search.py", notebook=guide.FOLDER / f"{NAME}.ipynb")
    assert "The real SDK can run it." in repr(exported)
    text = (tmp_path / "search.py").read_text(encoding="utf8").replace("import flyte\n", "import flyte_nb as flyte\n")
    (tmp_path / "search.py").write_text(text, encoding="utf8")
    done = subprocess.run(
        [sys.executable, "search.py"],
        cwd=tmp_path,
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert ast.literal_eval(done.stdout.strip().splitlines()[-1]) == search.found["scores"]


def test_the_stored_copy_says_what_a_run_says(search: Executed) -> None:
    """The same in every cell, but for how many had succeeded when the abort arrived."""
    stored = guide.by_id(guide.read(NAME))

    for cell in ("grid", "table", "best", "compare"):
        assert said(stored[cell]).replace("recovered", "succeeded") == search.said(cell).replace("recovered", "succeeded")
    assert "⊘ map_frame-evaluate: aborted" in said(stored["run"])
    assert "✓ map_frame-evaluate: succeeded" in said(stored["resume"])
