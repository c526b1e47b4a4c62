"""Decides how a sweep is recognised in the records of a run: a run whose root is `flyte.map_frame`'s.

The root's inputs say what was mapped (the frame, or that it was a stream), and the root's children are its rows in order; so a
table of results can be made from the records alone, while the run goes on and after it was reopened.

Must not know: pandas, or how a sweep is driven.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any, Final

from flyte_nb.core.events import TaskFacts

#: Where the body of a sweep's root is defined.
SWEEP_PLACE: Final = "flyte_nb.sweeps.root:map_frame"
#: What is kept of a stream beside the inputs of its rows: steps of the root with this name, one for each part that was read.
KEPT_ROWS: Final = TaskFacts("trace:kept rows", "kept rows", "kept rows", ("first", "count"), ("o0",), kind="trace")


def is_sweep(root: TaskFacts) -> bool:
    """Whether a run with this root is a sweep."""
    return root.place == SWEEP_PLACE


@dataclass(frozen=True, slots=True)
class Streamed:
    """Stands among a sweep's inputs for a frame that was read little by little, and is kept nowhere.

    Attributes:
        kind: what it was: "polars.LazyFrame".
        labels: the columns that became inputs, by parameter.
        frame_parameter: the parameter that gets batches of rows as they are; empty if none does.
        source: what it can be read from again; None if it cannot.
    """

    kind: str
    labels: dict[str, Hashable]
    frame_parameter: str = ""
    source: Any = None

    def __repr__(self) -> str:
        again = "" if self.source is not None else ", which cannot be read again"
        return f"<rows of a {self.kind}{again}>"


__all__ = ["KEPT_ROWS", "SWEEP_PLACE", "Streamed", "is_sweep"]
