"""Decides what is handed to the root of a sweep in memory: what it calls, bound and ready.

Must not know: frames.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flyte_nb.authoring.task import Task
from flyte_nb.core.events import Inputs


@dataclass(slots=True)
class Plan:
    """What a sweep calls.

    Attributes:
        task: what is called.
        inputs: of the calls, in the order of the rows.
        group: of the calls.
        concurrency: most calls in flight; 0 is no limit.
    """

    task: Task[..., Any]
    inputs: list[Inputs]
    group: str
    concurrency: int
