"""Decides how a round is drawn: every bar as a line that figures should stay left of, and the large fan-out of no-ops by system.

Must not know: how figures were measured.
"""

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from scripts.bench.table import Row

MET, MISSED, QUIET = "#2a7d4f", "#b3261e", "#5f6b7a"
ROW_INCHES, WIDTH_INCHES = 0.24, 10.0


def draw(rows: Sequence[Row], path: Path) -> None:
    """Draw a round; the ending of the path says in which format."""
    barred = [row for row in rows if row.most and row.figure is not None]
    fans = [row for row in rows if row.key == "B1b" and row.other_seconds and row.against]
    # Text stays text, and the same figures give the same file.
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "bench", "font.size": 8}):
        figure = Figure(figsize=(WIDTH_INCHES, 1.6 + ROW_INCHES * (len(barred) + len(fans) + 1)), layout="constrained")
        heights = [max(len(barred), 1), max(len(fans) + 1, 1)]
        upper, lower = figure.subplots(2, 1, height_ratios=heights)
        _draw_bars(upper, barred)
        _draw_fans(lower, fans)
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)


def _draw_bars(axes: Axes, rows: Sequence[Row]) -> None:
    shares = [max((row.figure or 0.0) / (row.most or 1.0), 0.01) for row in rows]
    labels = [f"{row.key}  {row.title}: {row.who}" for row in rows]
    places = list(range(len(rows)))
    axes.barh(places, shares, color=[MISSED if row.verdict == "missed" else MET for row in rows], height=0.6)
    for place, row in zip(places, rows, strict=True):
        if row.aim is not None and row.most:
            axes.plot([row.aim / row.most] * 2, [place - 0.4, place + 0.4], color=QUIET, linewidth=1.5)
    axes.axvline(1.0, color="black", linewidth=1)
    axes.set_xscale("log")
    axes.set_yticks(places, labels)
    axes.invert_yaxis()
    axes.set_xlabel("share of what the bar allows (1 is the bar; grey marks: aims)")


def _draw_fans(axes: Axes, rows: Sequence[Row]) -> None:
    seconds = {row.against: row.other_seconds or 0.0 for row in rows} | {row.who: row.who_seconds or 0.0 for row in rows}
    ordered = sorted(seconds, key=lambda name: seconds[name])
    axes.barh(ordered, [seconds[name] for name in ordered], color=[MET if "flyte_nb" in name else QUIET for name in ordered], height=0.6)
    axes.set_xscale("log")
    axes.invert_yaxis()
    axes.set_xlabel(f"seconds for {rows[0].title}" if rows else "B1b was not measured")
