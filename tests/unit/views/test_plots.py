"""The pictures of a sweep: what is drawn, with which library, and that pandas' own plots go on working."""

from __future__ import annotations

import enum
import importlib.util
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest

import flyte_nb as flyte
from flyte_nb.views import liveframe, plots
from tests.fakes.fake_run import FakeRun, task
from tests.fakes.hostile import HOSTILE

matplotlib = pytest.importorskip("matplotlib")
#: matplotlib keeps the files of its fonts open.
pytestmark = pytest.mark.leaves(descriptors=4)


@pytest.fixture(autouse=True)
def _figures() -> Iterator[None]:
    """No window is opened, and no figure is left."""
    import matplotlib.pyplot as plt  # noqa: PLC0415 - where it is installed

    before = matplotlib.get_backend()
    plt.switch_backend("agg")
    yield
    plt.close("all")
    plt.switch_backend(before)


class Kind(enum.Enum):
    """A parameter that is no number."""

    LINEAR = 1
    TREE = 2


def sweep() -> pd.DataFrame:
    """Twelve rows, of which one failed and one has no score."""
    rows = [{"lr": lr, "depth": depth, "kind": kind} for lr in (1e-4, 1e-2, 1.0) for depth in (3, 5) for kind in Kind]
    table = pd.DataFrame(rows)
    table["score"] = np.arange(12.0)
    table["phase"] = "succeeded"
    table.loc[11, "phase"] = "failed"
    table.loc[0, "score"] = np.nan
    return table


def test_a_heat_map_is_the_pivot_of_the_scores() -> None:
    """A cell is what the aggregate makes of its rows; failures and missing scores are left out, and counted."""
    made = plots.heatmap_of(sweep(), "lr", "depth", "score", "max")

    assert (made.x_labels, made.y_labels) == (["0.0001", "0.01", "1"], ["3", "5"])
    assert made.cells.tolist() == [[1.0, 5.0, 9.0], [3.0, 7.0, 10.0]]
    assert made.title == "max of score (up to 2 rows a cell)"
    assert made.note == "10 of 12 rows (1 without success)"


def test_a_cell_without_rows_is_empty() -> None:
    """And words are in order."""
    table = pd.DataFrame({"a": ["y", "x"], "b": [1, 2], "score": [1.0, 2.0]})
    made = plots.heatmap_of(table, "a", "b", "score", "mean")
    assert (made.x_labels, made.title) == (["x", "y"], "score")
    np.testing.assert_array_equal(made.cells, [[np.nan, 1.0], [2.0, np.nan]])


def test_values_that_cannot_be_compared_have_a_place_too() -> None:
    """Lists, enums, several types in one column."""
    table = pd.DataFrame({"a": [[1], [2], [1]], "b": [1, "x", Kind.TREE], "score": [1.0, 2.0, 3.0]})
    made = plots.heatmap_of(table, "a", "b", "score", "sum")
    assert (made.x_labels, sorted(made.y_labels)) == (["[1]", "[2]"], ["1", "TREE", "x"])


def test_parallel_coordinates_draw_the_best_last() -> None:
    """The columns that differ, wide ones on a logarithm, words at places of their own, the score at the end."""
    made = plots.parallel_of(sweep(), "score", None, minimize=False)

    assert [axis.name for axis in made.axes] == ["lr (log)", "depth", "kind", "score"]
    assert (made.scores[0], made.scores[-1]) == (1.0, 10.0)
    assert [axis.places[-1] for axis in made.axes] == [1.0, 1.0, 0.0, 1.0]
    assert made.axes[2].ticks == [(0.0, "LINEAR"), (1.0, "TREE")]
    assert [label for _, label in made.axes[0].ticks] == ["0.0001", "0.01", "1"]
    assert plots.parallel_of(sweep(), "score", ["kind"], minimize=True).scores[-1] == 1.0


def test_best_so_far_never_gets_worse() -> None:
    """In the order of the rows, or of a column."""
    table = pd.DataFrame({"score": [3.0, np.nan, 1.0, 5.0, 4.0], "at": [5, 4, 3, 2, 1]})
    up = plots.best_so_far_of(table, "score", None, minimize=False)
    assert (up.places.tolist(), up.best.tolist()) == ([1, 3, 4, 5], [3.0, 3.0, 5.0, 5.0])
    assert plots.best_so_far_of(table, "score", "at", minimize=True).best.tolist() == [4.0, 4.0, 1.0, 1.0]


def test_matplotlib_draws_on_axes_and_returns_them() -> None:
    """New ones, or those that are given."""
    import matplotlib.pyplot as plt  # noqa: PLC0415 - where it is installed

    _, ax = plt.subplots()
    assert flyte.plots.heatmap(sweep(), "lr", "depth", ax=ax) is ax
    assert ax.get_xlabel() == "lr"
    assert len(flyte.plots.parallel(sweep()).collections) == 1
    drawn = flyte.plots.best_so_far(sweep(), minimize=True)
    assert drawn is not ax
    assert [line.get_label() for line in drawn.lines] == ["each row", "best so far"]
    drawn.figure.canvas.draw()


def test_plotly_draws_where_it_is_asked_for_and_where_pandas_does() -> None:
    """By argument, or by pandas' option."""
    go = pytest.importorskip("plotly.graph_objects")

    assert isinstance(flyte.plots.heatmap(sweep(), "lr", "depth", backend="plotly"), go.Figure)
    with pd.option_context("plotting.backend", "plotly"):
        figure = flyte.plots.parallel(sweep())
        assert figure.data[0].dimensions[-1].label == "score"
        assert flyte.plots.best_so_far(sweep()).data[1].line.shape == "hv"
        with pytest.raises(ValueError, match="matplotlib"):
            flyte.plots.best_so_far(sweep(), ax=object())


@pytest.mark.filterwarnings("ignore:Glyph")  # letters that the font does not have are boxes
@pytest.mark.parametrize("backend", ["matplotlib", "plotly"])
def test_names_of_the_user_are_text(backend: str) -> None:
    """Neither formula nor markup, whatever they are called; drawing does not fail for them."""
    pytest.importorskip(backend)
    words = [*HOSTILE, r"$\frac{1}{$"]
    table = pd.DataFrame({"a$x": pd.Series(words, dtype=object), "b": [float(n) for n in range(len(words))]})
    table["<b>$s"] = table["b"] * 2
    for made in (
        flyte.plots.heatmap(table, "a$x", "b", "<b>$s", backend=backend),
        flyte.plots.parallel(table, "<b>$s", backend=backend),
        flyte.plots.best_so_far(table, "<b>$s", backend=backend),
    ):
        if backend == "matplotlib":
            made.figure.canvas.draw()
        else:
            assert "<b>" not in made.to_json()


def test_run_results_have_them_beside_pandas_own() -> None:
    """`run.results.plot` is pandas' accessor and more; without a run it is the same."""
    run = FakeRun()
    run.succeed(run.call(task("t", "x", "y"), [(1, 2), (2, 2), (1, 3)]), [{"score": n} for n in (1.0, 2.0, 3.0)])
    frame: Any = liveframe.live_results(run)

    assert frame.plot.heatmap("x", "y").get_ylabel() == "y"
    assert frame.plot.best_so_far(by="score") is not None
    assert frame.plot.parallel() is not None
    assert len(frame.plot(x="x", y="score").lines) == 1
    assert len(frame.plot.line(x="x", y="score").lines) == 1
    assert len(frame.plot.scatter(x="x", y="score").collections) == 1
    assert not hasattr(pd.DataFrame().plot, "heatmap")


def test_what_cannot_be_drawn_is_said() -> None:
    """Unknown columns, nothing to draw, an aggregate that is none."""
    with pytest.raises(KeyError, match="Did you mean 'depth'"):
        flyte.plots.heatmap(sweep(), "lr", "dept")
    with pytest.raises(ValueError, match="twice"):
        flyte.plots.heatmap(sweep(), "lr", "lr")
    with pytest.raises(ValueError, match="agg must be one of 'mean'"):
        flyte.plots.heatmap(sweep(), "lr", "depth", agg="mode")
    with pytest.raises(ValueError, match="nothing to draw"):
        flyte.plots.best_so_far(sweep().assign(phase="failed"))
    with pytest.raises(ValueError, match="name some"):
        flyte.plots.parallel(sweep()[["score"]])
    with pytest.raises(ValueError, match="'matplotlib' or 'plotly'"):
        flyte.plots.best_so_far(sweep(), backend="bokeh")


def test_a_library_that_is_missing_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """And names the other one, if it is there."""
    found: dict[str, Any] = {"plotly": object()}
    monkeypatch.setattr(importlib.util, "find_spec", found.get)
    with pytest.raises(ImportError, match="pip install matplotlib, or give backend='plotly', which is there"):
        flyte.plots.best_so_far(sweep(), backend="matplotlib")


def test_importing_the_package_loads_no_plotting_library() -> None:
    """They are loaded with the first picture."""
    module = sys.modules["flyte_nb.plots"]
    assert not hasattr(module, "plt")
