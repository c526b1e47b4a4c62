"""Decides what a parameter gets of a batch: a list, or a frame, as its annotation says.

Must not know: pandas, polars or pyarrow before one of them is asked for; how batches are called.
"""

from __future__ import annotations

import importlib
import inspect
import typing
from collections.abc import Callable, Sequence
from typing import Any

from flyte_nb.authoring.signature import Parameter

Gather = Callable[[Sequence[Any]], Any]
#: How items become what a class holds, by library and class.
_GATHERED: dict[tuple[str, str], Gather] = {
    ("builtins", "list"): list,
    ("builtins", "tuple"): tuple,
    ("collections", "Collection"): list,
    ("collections", "Iterable"): list,
    ("collections", "Sequence"): list,
    ("pandas", "DataFrame"): lambda items: importlib.import_module("pandas").DataFrame(list(items)),
    ("pandas", "Series"): lambda items: importlib.import_module("pandas").Series(list(items)),
    ("polars", "DataFrame"): lambda items: importlib.import_module("polars").DataFrame(list(items)),
    ("polars", "Series"): lambda items: importlib.import_module("polars").Series(list(items)),
    ("pyarrow", "Table"): lambda items: importlib.import_module("pyarrow").Table.from_pylist(list(items)),
    ("numpy", "ndarray"): lambda items: importlib.import_module("numpy").asarray(list(items)),
}
FRAMES = frozenset({("pandas", "DataFrame"), ("polars", "DataFrame"), ("pyarrow", "Table")})


def kind_of(annotation: object) -> tuple[str, str]:
    """Library and name of the class that an annotation asks for; of `T | None`, T's."""
    if typing.get_origin(annotation) is typing.Annotated:
        return kind_of(typing.get_args(annotation)[0])
    if _is_union(annotation):
        members = [each for each in typing.get_args(annotation) if each is not type(None)]
        return kind_of(members[0]) if len(members) == 1 else ("", "")
    found = typing.get_origin(annotation) or annotation
    return (found.__module__.partition(".")[0], found.__qualname__) if isinstance(found, type) else ("", "")


def _is_union(annotation: object) -> bool:
    return typing.get_origin(annotation) is typing.Union or type(annotation) is type(int | None)


def is_batch(annotation: object) -> bool:
    """Whether a parameter asks for many items at once, by its annotation."""
    return kind_of(annotation) in _GATHERED


def is_frame(annotation: object) -> bool:
    """Whether a parameter asks for a table."""
    return kind_of(annotation) in FRAMES


def item_annotation(annotation: object) -> object:
    """What a list's parameter says of its items; Any where it says nothing."""
    arguments = typing.get_args(annotation)
    if _is_union(annotation):
        return item_annotation(next((each for each in arguments if each is not type(None)), Any))
    return arguments[0] if typing.get_origin(annotation) in {list, tuple} and arguments else Any


def gather_for(parameter: Parameter, task: str) -> Gather:
    """How the items of a batch become the value of a parameter.

    Raises:
        TypeError: its annotation holds one item, and not many.
    """
    annotation = parameter.annotation
    if annotation in {Any, object, inspect.Parameter.empty}:
        return list
    if is_batch(annotation):
        return _GATHERED[kind_of(annotation)]
    words = inspect.formatannotation(annotation)
    raise TypeError(
        f"With batch_size=, parameter '{parameter.name}' of task '{task}' gets many items at once, but it is annotated {words}: "
        f"declare list[{words}] (or a DataFrame), and return a list with one result for each."
    )
