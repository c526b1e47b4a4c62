"""Decides how the pictures of a sweep look in matplotlib.

Must not know: tables (what is drawn was worked out by `plots`).
"""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize

from flyte_nb.views.plots import BestSoFar, HeatMap, Parallel

#: A cell of a heat map shows its number up to so many cells.
MOST_NUMBERED = 200
_COLOURS = "viridis"
_ACCENT, _MUTED = "#d95f02", "#888888"


def heatmap(made: HeatMap, ax: Any = None) -> Any:
    """Draw a heat map; a cell without a score is left empty."""
    rows, columns = made.cells.shape
    if ax is None:
        wide, high = (0.6, 0.4) if made.cells.size <= MOST_NUMBERED else (0.3, 0.22)
        size = (min(14.0, max(4.5, 2.5 + wide * columns)), min(10.0, max(3.0, 1.6 + high * rows)))
        _, ax = plt.subplots(figsize=size, layout="constrained")
    image = ax.imshow(made.cells, cmap=_COLOURS, aspect="auto", origin="lower")
    ax.set_xticks(range(columns), list(map(_plain, made.x_labels)), rotation=45 if max(map(len, made.x_labels)) > 4 else 0)  # noqa: PLR2004 - what fits
    ax.set_yticks(range(rows), list(map(_plain, made.y_labels)))
    ax.set(xlabel=_plain(made.x), ylabel=_plain(made.y))
    _title(ax, made.title, made.note)
    ax.figure.colorbar(image, ax=ax)
    if made.cells.size <= MOST_NUMBERED:
        for (row, column), value in np.ndenumerate(made.cells):
            if np.isfinite(value):
                dark = image.norm(value) < 0.6  # noqa: PLR2004 - where viridis turns light
                ax.text(column, row, f"{value:.3g}", ha="center", va="center", fontsize=8, color="white" if dark else "black")
    return ax


def parallel(made: Parallel, ax: Any = None) -> Any:
    """Draw parallel coordinates: the better a row, the later its line is drawn, and the best one stands out."""
    places = np.array([axis.places for axis in made.axes]).T
    count = len(made.axes)
    if ax is None:
        _, ax = plt.subplots(figsize=(max(6.0, 1.7 * count), 4.2), layout="constrained")
    scale = ScalarMappable(Normalize(float(made.scores.min()), float(made.scores.max())), _COLOURS)
    lines = [np.column_stack([np.arange(count), row]) for row in places]
    width, alpha = (1.2, 0.75) if len(lines) < 200 else (0.8, 0.4)  # noqa: PLR2004 - many lines hide each other
    ax.add_collection(LineCollection(lines[:-1], colors=scale.to_rgba(made.scores[:-1]), linewidths=width, alpha=alpha))
    ax.plot(np.arange(count), places[-1], color=_ACCENT, linewidth=2.4, marker="o", markersize=4, label="best")
    for number, axis in enumerate(made.axes):
        ax.axvline(number, color=_MUTED, linewidth=0.8, zorder=0)
        for place, label in axis.ticks:
            box = {"boxstyle": "round,pad=0.15", "facecolor": ax.get_facecolor(), "edgecolor": "none", "alpha": 0.8}
            ax.annotate(_plain(label), (number, place), xytext=(4, 0), textcoords="offset points", fontsize=8, va="center", bbox=box)
    ax.set_xticks(range(count), [_plain(axis.name) for axis in made.axes])
    ax.set(xlim=(-0.15, count - 0.6), ylim=(-0.06, 1.06), yticks=[])
    for side in ("left", "right", "top", "bottom"):
        ax.spines[side].set_visible(False)
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.08), frameon=False)
    ax.figure.colorbar(scale, ax=ax, label=_plain(made.score))
    _title(ax, f"{made.score}, {'smallest' if made.minimize else 'largest'} is best", made.note)
    return ax


def best_so_far(made: BestSoFar, ax: Any = None) -> Any:
    """Draw each score, and a step for each new best one."""
    if ax is None:
        _, ax = plt.subplots(figsize=(7.5, 3.6), layout="constrained")
    ax.plot(made.places, made.scores, ".", color=_MUTED, alpha=0.6, label="each row")
    ax.step(made.places, made.best, where="post", color=_ACCENT, linewidth=2, label="best so far")
    ax.set(xlabel=_plain(made.order), ylabel=_plain(made.score))
    ax.legend(frameon=False)
    _title(ax, f"best {made.score} so far: {made.best[-1]:.4g}", made.note)
    return ax


def _title(ax: Any, text: str, note: str) -> None:
    ax.set_title(_plain(text) + (f"\n{note}" if note else ""), fontsize=10)


def _plain(text: str) -> str:
    """A name of the user is no formula, whatever stands in it."""
    return text.replace("$", r"\$")
