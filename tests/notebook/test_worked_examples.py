"""The notebooks that work through a use, executed in a real kernel on the embedded cluster: what they conclude is so."""

from __future__ import annotations

import math

import pytest

from tests.notebook import guide
from tests.notebook.conftest import mime_types
from tests.notebook.guide import Executed

#: A whole notebook runs before the first test of it, on a machine that others may load.
pytestmark = pytest.mark.timeout(400)

# ------------------------------------------------------------------------------------------------------------------ ETL
ETL = """{
    "phases": [run.phase.value, again.phase.value],
    "ended": {phase.value: number for phase, number in run.state.phase_counts().items() if number},
    "failed": failed.inputs()["path"],
    "second": {f"{task} {phase}": int(number) for (task, phase), number in again.actions.groupby(["task", "phase"]).size().items()},
    "flights": int(table["flights"].sum()),
    "same": [float((table[name] - plain[name]).abs().max()) for plain in [
        flights.dropna(subset=["dep_time", "arr_delay"]).merge(WEATHER, on=["origin", "time_hour"], how="left")
        .assign(rain=lambda rows: rows["precip"] > 0).groupby(KEYS).agg(flights=("arr_delay", "size"), delay=("arr_delay", "sum"))
    ] for name in ("flights", "delay")],
    "weather": float(one.rows["precip"].notna().mean()),
    "worst": days["cancelled"].astype(int).nlargest(2).index.to_list(),
    "cancelled": int(flights["dep_time"].isna().sum() - flights.query("month == 7 and day == 4")["dep_time"].isna().sum()),
    "set aside": int(days["cancelled"].sum()),
    "morning": mean_delay("carrier")[largest].loc[6:9].mean().to_list(),
    "evening": mean_delay("carrier")[largest].loc[17:20].mean().to_list(),
    "rain": (mean_delay("rain")[True] - mean_delay("rain")[False]).dropna().to_list(),
}"""


@pytest.fixture(scope="module")
def etl(tmp_path_factory: pytest.TempPathFactory) -> Executed:
    """Return it after a run."""
    return guide.executed("etl", ETL, tmp_path_factory.mktemp("etl"))


def test_etl_finds_the_broken_file_and_mending_it_costs_four_actions(etl: Executed) -> None:
    """365 days, of which one fails, and its month and the year with it; the second run does only those."""
    found = etl.found

    assert found["phases"] == ["failed", "succeeded"]
    assert found["ended"] == {"succeeded": 364 + 11 + 11, "failed": 2}
    assert found["failed"] == "flights-by-day/2013-07-04.csv"
    assert "no columns carrier, origin, hour, time_hour, dep_time, arr_delay; the first line is 'year;month" in etl.said("wait")
    assert {name: number for name, number in found["second"].items() if name.endswith("succeeded")} == {
        f"{task} succeeded": 1 for task in ("clean_day", "month", "sum_up", "year")
    }
    assert found["second"]["clean_day recovered"] == 30


def test_etl_sums_up_what_pandas_finds_in_the_whole_table(etl: Executed) -> None:
    """Every flight that landed, with its weather; and every one that did not is counted."""
    assert etl.found["flights"] == 327_346
    assert etl.found["same"] == [0, 0]
    assert etl.found["weather"] > 0.95
    assert etl.found["set aside"] == etl.found["cancelled"]
    assert etl.found["worst"] == ["2013-02-08", "2013-02-09"]
    assert etl.left == []


def test_etl_shows_that_one_should_fly_in_the_morning(etl: Executed) -> None:
    """With every carrier, and not in the rain."""
    pairs = list(zip(etl.found["morning"], etl.found["evening"], strict=True))

    assert len(pairs) == 6
    assert all(morning + 5 < evening for morning, evening in pairs)
    assert sum(more > 0 for more in etl.found["rain"]) > 0.9 * len(etl.found["rain"])
    assert "image/png" in mime_types(etl.cells["answer"])


# ------------------------------------------------------------------------------------------------------ batch inference
BATCHES = """{
    "batches": len(results), "wrong": wrong, "error": str(results[wrong[0]]),
    "loads": table.groupby("worker")["loads"].max().to_dict(), "first": int(table["loads"].min()),
    "asked": len(asked), "predicted": len(predicted), "missing": sorted(set(asked.index) - set(predicted.index)),
    "errors": [float(error), float(baseline)],
    "calibration": (points["happened"] - points["predicted"]).abs().to_list(),
}"""


@pytest.fixture(scope="module")
def inference(tmp_path_factory: pytest.TempPathFactory) -> Executed:
    """Return it after a run."""
    return guide.executed("batch-inference", BATCHES, tmp_path_factory.mktemp("inference"))


def test_batches_load_the_model_once_on_each_worker(inference: Executed) -> None:
    """However many batches a worker has had."""
    loads = inference.found["loads"]

    assert 1 <= len(loads) <= 2
    assert set(loads.values()) == {1}
    assert inference.found["first"] == 1


def test_batches_are_all_predicted_but_for_the_flight_that_cannot(inference: Executed) -> None:
    """One batch fails with its reason, and is repaired."""
    found = inference.found

    assert (found["batches"], found["wrong"], found["error"]) == (109, [62], "1 of 500 flights have no distance")
    assert (found["asked"], found["predicted"], found["missing"]) == (54_145, 54_144, [31_337])
    assert inference.left == []


def test_batches_are_predicted_as_well_as_the_notebook_says(inference: Executed) -> None:
    """Each prediction is with its own flight, half as wrong as the median, and right on average."""
    error, baseline = inference.found["errors"]

    assert error < 0.6 * baseline
    assert sorted(inference.found["calibration"])[25] < 3
    assert "image/png" in mime_types(inference.cells["answer"])


# ---------------------------------------------------------------------------------------------------------- A/B testing
VARIANTS = """{
    "groups": sorted(group.total for group in run.summary().groups),
    "shape": list(scores.shape), "alone": experiment(*IN_USE, split=7), "of the run": float(scores.loc[IN_USE, 7]),
    "plain": report["plain p"].to_list(), "corrected": report["corrected p"].to_list(), "adjusted": report["adjusted p"].to_list(),
    "better": [list(variant) for variant in better.index], "fooled": len(fooled), "order": [list(variant) for variant in report.index],
}"""


@pytest.fixture(scope="module")
def variants(tmp_path_factory: pytest.TempPathFactory) -> Executed:
    """Return it after a run."""
    return guide.executed("ab-testing", VARIANTS, tmp_path_factory.mktemp("variants"))


def test_variants_are_tried_on_the_same_splits(variants: Executed) -> None:
    """480 experiments in a group for each variant; one by itself gives what the run gave."""
    assert variants.found["groups"] == [20] * 24
    assert variants.found["shape"] == [24, 20]
    assert math.isclose(variants.found["alone"], variants.found["of the run"])


def test_variants_are_compared_by_a_test_that_knows_how_many_there_are(variants: Executed) -> None:
    """Holm's procedure, step by step; and no correction makes a difference surer."""
    found = variants.found
    adjusted = 0.0
    for rank, (corrected, told) in enumerate(sorted(zip(found["corrected"], found["adjusted"], strict=True))):
        adjusted = max(adjusted, min(1.0, corrected * (23 - rank)))
        assert math.isclose(told, adjusted)

    assert len(found["plain"]) == 23
    assert all(plain <= corrected for plain, corrected in zip(found["plain"], found["corrected"], strict=True))


def test_variants_that_look_at_neighbours_are_better(variants: Executed) -> None:
    """What the notebook concludes: a few are better beyond chance, fewer than a plain test would say, and all with one model."""
    better = variants.found["better"]

    assert 1 <= len(better) <= 8
    assert {model for _scaler, _components, model in better} == {"neighbours"}
    assert variants.found["order"][: len(better)] == better
    assert variants.found["fooled"] >= 1
    assert f"{len(better)} of 23 variants are better" in variants.said("verdict")
    assert "image/png" in mime_types(variants.cells["figure"])


# ---------------------------------------------------------------------------------------------------------- Monte Carlo
PRICES = """{
    "formula": float(black_scholes), "price": float(estimates(batches).iloc[-1]["price"]),
    "half": estimates(batches)["half width"].to_list(), "paths": float(batches["paths"].sum()), "holds": float(holds.mean()),
    "alone": simulate(123, "european"), "of the run": run.results.query("batch == 123")[["paths", "mean", "squares"]].iloc[0].to_dict(),
    "asian": asian.phase.value, "asian batches": len(finished(asian)),
    "asian half": float(estimates(finished(asian)).iloc[-1]["half width"]),
    "asian price": float(estimates(finished(asian)).iloc[-1]["price"]),
}"""


@pytest.fixture(scope="module")
def prices(tmp_path_factory: pytest.TempPathFactory) -> Executed:
    """Return it after a run."""
    return guide.executed("monte-carlo", PRICES, tmp_path_factory.mktemp("prices"))


def test_prices_agree_with_the_formula(prices: Executed) -> None:
    """Within the interval, which is as wide as it should be, and nineteen of twenty intervals hold the price."""
    found = prices.found

    assert math.isclose(found["formula"], 7.1281, abs_tol=1e-4)
    assert abs(found["price"] - found["formula"]) < found["half"][-1]
    assert found["paths"] == 20_000_000
    assert 0.92 < found["holds"] < 0.98


def test_prices_become_as_precise_as_they_should(prices: Executed) -> None:
    """Half as wide with four times the paths."""
    half = prices.found["half"]

    assert math.isclose(half[99] / half[399], 2, rel_tol=0.02)
    assert "image/png" in mime_types(prices.cells["live"])


def test_prices_do_not_depend_on_who_computes_them(prices: Executed) -> None:
    """A batch gives the same in the kernel."""
    assert prices.found["alone"] == prices.found["of the run"]


def test_prices_of_the_other_option_stop_when_they_are_precise_enough(prices: Executed) -> None:
    """The run is aborted early, and what was done by then is the answer."""
    found = prices.found

    assert found["asian"] == "aborted"
    assert 30 < found["asian batches"] < 2_000
    assert found["asian half"] < 0.01
    assert 3 < found["asian price"] < 4


# ---------------------------------------------------------------------------------------------------------- stored copies
@pytest.mark.parametrize(
    "fixture, name", [("etl", "etl"), ("inference", "batch-inference"), ("variants", "ab-testing"), ("prices", "monte-carlo")]
)
def test_the_stored_copy_shows_the_same_outcomes(fixture: str, name: str, request: pytest.FixtureRequest) -> None:
    """A reader on GitHub sees in each cell what became of its runs, as somebody does who runs it today."""
    executed: Executed = request.getfixturevalue(fixture)

    assert guide.outcomes(guide.by_id(guide.read(name))) == guide.outcomes(executed.cells)
    assert any(guide.outcomes(executed.cells).values())
