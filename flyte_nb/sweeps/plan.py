"""Decides what is handed to the root of a sweep in memory: what it calls, bound and ready.

Must not know: frames.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from flyte_nb.authoring.batches import Batch, BatchFan
from flyte_nb.authoring.task import Task
from flyte_nb.core.batching import OnBatchError
from flyte_nb.core.events import Inputs


@dataclass(frozen=True, slots=True)
class Options:
    """How a frame is mapped: see `flyte.map_frame`.

    Attributes:
        bound: values of parameters that are the same for all rows.
    """

    rename: Mapping[Hashable, str] | None = None
    bound: Mapping[str, Any] | None = None
    concurrency: int = 0
    group_name: str | None = None
    batch_size: int | None = None
    on_batch_error: OnBatchError = "fail"
    keep: tuple[Hashable, ...] | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """What was read of a stream in one go.

    Attributes:
        first: position of its first row.
        batches: its rows, ready to be called.
        kept: what is kept of them beside their inputs; None if that is nothing.
        rows: what the table of results shows of them.
    """

    first: int
    batches: list[Batch]
    kept: Any = None
    rows: Any = None


@dataclass(slots=True)
class Plan:
    """What a sweep calls.

    Attributes:
        task: what is called.
        group: of the calls.
        concurrency: most calls in flight; 0 is no limit.
        inputs: of the calls, in the order of the rows; or
        fan: the calls in batches, and
        parts: where they come from, if they are read little by little.
    """

    task: Task[..., Any]
    group: str
    concurrency: int = 0
    inputs: list[Inputs] | None = None
    fan: BatchFan | None = None
    parts: Iterator[Part] | None = None
