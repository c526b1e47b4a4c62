"""Decides how items and batches belong together: the results of a batch by item, and which items the parts of a failed one hold.

The halves of failed batches are called in an order that follows from what failed (see `split_spans`), so whoever reads the
records of a run knows which items an action held without being told.

Must not know: tasks, frames of any library, or how actions run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

#: What becomes of a batch that failed: each of its items gets the error, or its halves are tried again.
OnBatchError = Literal["fail", "split"]
#: The group of the parts of failed batches is that of the batches with this behind it.
SPLIT_SUFFIX: Final = ", split"


@dataclass(frozen=True, slots=True)
class Span:
    """Some adjacent items.

    Attributes:
        start: position of the first.
        count: how many.
    """

    start: int
    count: int

    def halves(self) -> tuple[Span, Span]:
        """The same items in two parts, the first at most as large as the second."""
        half = self.count // 2
        return Span(self.start, half), Span(self.start + half, self.count - half)

    def words(self) -> str:
        """Which items: "item 3", "items 4–7"."""
        return f"item {self.start}" if self.count == 1 else f"items {self.start}–{self.start + self.count - 1}"


def spans_of(count: int, size: int) -> list[Span]:
    """The batches of so many items."""
    return [Span(start, min(size, count - start)) for start in range(0, count, size)]


def split_spans(batches: Sequence[tuple[Span, bool]], parts_failed: Sequence[bool]) -> list[Span]:
    """Which items the parts of failed batches hold.

    Batches are looked at in their order, then the parts in theirs; each that failed and holds several items is called again as
    its two halves.

    Args:
        batches: what each batch held, and whether it failed.
        parts_failed: of the parts, in the order of their calls, whether each failed.
    """
    spans: list[Span] = []
    for span, failed in batches:
        if failed and span.count > 1:
            spans += span.halves()
    for position, failed in enumerate(parts_failed):
        if position < len(spans) and failed and spans[position].count > 1:
            spans += spans[position].halves()
    return spans[: len(parts_failed)]


#: What holds results beside lists, told by what it can do, and its results. First match wins.
_HOLDERS: Final[tuple[tuple[tuple[str, ...], Callable[[Any], Any]], ...]] = (
    (("to_pylist",), lambda value: value.to_pylist()),  # pyarrow's tables and arrays
    (("to_dicts",), lambda value: value.to_dicts()),  # a table of polars
    (("iloc", "columns"), lambda value: value.to_dict("records")),  # a table of pandas
    (("to_list",), lambda value: value.to_list()),  # a column of pandas or polars
    (("shape", "tolist", "__len__"), lambda value: value.tolist() if value.ndim == 1 else value),  # an array of numpy
)


def results_of_batch(value: Any) -> list[Any] | None:  # noqa: ANN401 - what a task returned
    """The results of a batch, one an item: items of a list or an array, rows of a table as dicts. None for anything else."""
    if isinstance(value, list) or (isinstance(value, tuple) and not hasattr(value, "_fields")):
        return list(value)
    if isinstance(value, type) or getattr(value, "ndim", 1) == 0:
        return None
    for attributes, results in _HOLDERS:
        if all(hasattr(value, name) for name in attributes):
            return list(results(value))
    return None


__all__ = ["SPLIT_SUFFIX", "OnBatchError", "Span", "results_of_batch", "spans_of", "split_spans"]
