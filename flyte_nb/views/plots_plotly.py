"""Decides how the pictures of a sweep look in plotly.

Must not know: tables (what is drawn was worked out by `plots`).
"""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go

from flyte_nb.views.markup import escape
from flyte_nb.views.plots import BestSoFar, HeatMap, Parallel

_COLOURS = "Viridis"


def heatmap(made: HeatMap, ax: Any = None) -> Any:
    """Draw a heat map."""
    del ax
    picture = go.Heatmap(z=made.cells, x=_texts(made.x_labels), y=_texts(made.y_labels), colorscale=_COLOURS, texttemplate="%{z:.3g}")
    axes = {"xaxis": {"title": escape(made.x), "type": "category"}, "yaxis": {"title": escape(made.y), "type": "category"}}
    return go.Figure(picture, layout={"title": _title(made.title, made.note), **axes})


def parallel(made: Parallel, ax: Any = None) -> Any:
    """Draw parallel coordinates."""
    del ax
    dimensions = [
        {
            "label": escape(axis.name),
            "values": axis.places,
            "range": [0, 1],
            "tickvals": [place for place, _ in axis.ticks],
            "ticktext": _texts([label for _, label in axis.ticks]),
        }
        for axis in made.axes
    ]
    line = {"color": made.scores, "colorscale": _COLOURS, "showscale": True, "colorbar": {"title": escape(made.score)}}
    best = f"{made.score}, {'smallest' if made.minimize else 'largest'} is best"
    return go.Figure(go.Parcoords(dimensions=dimensions, line=line), layout={"title": _title(best, made.note)})


def best_so_far(made: BestSoFar, ax: Any = None) -> Any:
    """Draw each score, and a step for each new best one."""
    del ax
    each = go.Scatter(x=made.places, y=made.scores, mode="markers", name="each row", marker={"color": "#888888"})
    best = go.Scatter(x=made.places, y=made.best, mode="lines", name="best so far", line={"shape": "hv", "color": "#d95f02"})
    title = _title(f"best {made.score} so far: {made.best[-1]:.4g}", made.note)
    return go.Figure([each, best], layout={"title": title, "xaxis": {"title": made.order}, "yaxis": {"title": escape(made.score)}})


def _title(text: str, note: str) -> str:
    return escape(text) + (f"<br><sub>{escape(note)}</sub>" if note else "")


def _texts(labels: list[str]) -> list[str]:
    """Plotly reads some markup in labels: a name of the user is none."""
    return [escape(label) for label in labels]
