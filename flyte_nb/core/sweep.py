"""Decides how a sweep is recognised in the records of a run: a run whose root is `flyte.map_frame`'s.

The root's inputs say what was mapped (the frame, or that it was a stream), and the root's children are its rows in order; so a
table of results can be made from the records alone, while the run goes on and after it was reopened.

Must not know: pandas, or how a sweep is driven.
"""

from __future__ import annotations

from typing import Final

from flyte_nb.core.events import TaskFacts

#: Where the body of a sweep's root is defined.
SWEEP_PLACE: Final = "flyte_nb.sweeps.root:map_frame"


def is_sweep(root: TaskFacts) -> bool:
    """Whether a run with this root is a sweep."""
    return root.place == SWEEP_PLACE


__all__ = ["SWEEP_PLACE", "is_sweep"]
