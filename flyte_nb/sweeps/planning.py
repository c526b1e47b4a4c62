"""Decides what a sweep calls: the frame that was given, as bound inputs.

Must not know: runs.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import pandas as pd

from flyte_nb.authoring.fanout import checked_concurrency, group_of
from flyte_nb.authoring.task import Task
from flyte_nb.sweeps.plan import Plan
from flyte_nb.sweeps.rows import Rows

#: The group of a sweep's actions is `<task>_frame`.
GROUP = "frame"


def frame_of(given: object) -> pd.DataFrame:
    """What was given, as a DataFrame of pandas.

    Raises:
        TypeError: it is none, and none can be made of it.
    """
    if isinstance(given, pd.DataFrame):
        return pd.DataFrame(given)  # a live table, such as run.results, becomes a plain one
    if isinstance(given, Mapping) or (isinstance(given, list) and all(isinstance(row, Mapping) for row in given)):
        return pd.DataFrame(given)
    kind = type(given).__name__
    raise TypeError(f"flyte.map_frame maps a DataFrame, got a {kind}; for a list of items there is flyte.map.")


def planned(
    task: Task[..., Any],
    frame: pd.DataFrame,
    *,
    rename: Mapping[Hashable, str] | None,
    bound: Mapping[str, Any],
    concurrency: int,
    group_name: str | None,
) -> Plan:
    """Bind all rows of a frame.

    Raises:
        ValueError, TypeError, NotSerializableError: see `Rows`.
    """
    rows = Rows(task, list(frame.columns), list(frame.index.names), rename, bound)
    return Plan(task, rows.inputs(frame), group_of(task, group_name or GROUP), checked_concurrency(concurrency))
