"""Decides nothing: `flyte.plots`, the pictures of a sweep as functions of any table; `run.results.plot` has them as methods.

pandas and the plotting library are loaded with the first picture.
"""

from __future__ import annotations

from typing import Any


def heatmap(
    results: Any,  # noqa: ANN401 - a run, or a table
    x: str,
    y: str,
    by: str = "score",
    *,
    agg: str = "mean",
    ax: Any = None,  # noqa: ANN401 - matplotlib's axes, which are not imported here
    backend: str | None = None,
) -> Any:  # noqa: ANN401 - axes or a figure
    """Draw a score over two parameters.

    Args:
        results: a run, `run.results`, or a DataFrame.
        x: column from left to right.
        y: column from bottom to top.
        by: column of the score.
        agg: what is made of several rows with the same x and y, "mean", "max", "min", "median", "std", "sum", "count", "first" or "last".
        ax: matplotlib's axes to draw on; a new figure by default.
        backend: "matplotlib" or "plotly"; by default what pandas draws with (its option `plotting.backend`).

    Returns:
        matplotlib's axes, or plotly's figure.

    Raises:
        KeyError: there is no such column; the nearest names are in the message.
        TypeError: the score holds something else than numbers.
        ValueError: no row has a score, or an argument is out of range.
        ImportError: the plotting library is not installed.

    Example:
        >>> table = flyte.grid(lr=[0.1, 0.01], depth=[3, 5])
        >>> table["score"] = table.lr * table.depth
        >>> axes = flyte.plots.heatmap(table, x="lr", y="depth")
        >>> axes.get_xlabel(), axes.get_ylabel(), axes.get_title()
        ('lr', 'depth', 'score')
    """
    from flyte_nb.views import plots  # noqa: PLC0415 - pandas only where something is drawn

    return plots.heatmap(results, x, y, by, agg=agg, ax=ax, backend=backend)


def parallel(
    results: Any,  # noqa: ANN401 - a run, or a table
    by: str = "score",
    *,
    columns: list[str] | None = None,
    minimize: bool = False,
    ax: Any = None,  # noqa: ANN401 - as above
    backend: str | None = None,
) -> Any:  # noqa: ANN401 - as above
    """Draw each row as a line across its parameters, coloured by its score; the best one stands out.

    Args:
        results: a run, `run.results`, or a DataFrame.
        by: column of the score; it is the last axis.
        columns: the other axes; by default the columns to the left of the score whose values differ, at most eight.
        minimize: the smallest is the best.
        ax: as of `heatmap`.
        backend: as of `heatmap`.

    Returns:
        matplotlib's axes, or plotly's figure. Numbers above 0 that span more than a factor of 100 have a logarithmic axis; words
        and truth values have a place each. Of more than 2,000 rows the best are drawn.

    Raises:
        KeyError, TypeError, ValueError, ImportError: as of `heatmap`.

    Example:
        >>> table = flyte.grid(lr=[1.0, 0.001], depth=[3, 5], kind="tree")
        >>> table["loss"] = table.lr / table.depth
        >>> axes = flyte.plots.parallel(table, by="loss", minimize=True)
        >>> [label.get_text() for label in axes.get_xticklabels()]
        ['lr (log)', 'depth', 'loss (log)']
    """
    from flyte_nb.views import plots  # noqa: PLC0415 - as above

    return plots.parallel(results, by, columns=columns, minimize=minimize, ax=ax, backend=backend)


def best_so_far(
    results: Any,  # noqa: ANN401 - a run, or a table
    by: str = "score",
    *,
    minimize: bool = False,
    order: str | None = None,
    ax: Any = None,  # noqa: ANN401 - as above
    backend: str | None = None,
) -> Any:  # noqa: ANN401 - as above
    """Draw the score of each row and the best one up to it.

    Args:
        results: a run, `run.results`, or a DataFrame.
        by: column of the score.
        minimize: the smallest is the best.
        order: column that the rows are put in order by; by default they are drawn in the order in which they stand.
        ax: as of `heatmap`.
        backend: as of `heatmap`.

    Returns:
        matplotlib's axes, or plotly's figure.

    Raises:
        KeyError, TypeError, ValueError, ImportError: as of `heatmap`.

    Example:
        >>> table = flyte.grid(x=range(5))
        >>> table["score"] = [3, 1, 4, 1, 5]
        >>> flyte.plots.best_so_far(table).get_title()
        'best score so far: 5'
    """
    from flyte_nb.views import plots  # noqa: PLC0415 - as above

    return plots.best_so_far(results, by, minimize=minimize, order=order, ax=ax, backend=backend)


__all__ = ["best_so_far", "heatmap", "parallel"]
