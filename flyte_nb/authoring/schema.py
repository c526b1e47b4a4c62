"""Decides how the inputs of a task read as a JSON schema, for tools that are told of tasks in that form (agents, say).

Must not know: tasks; it looks at annotations.
"""

from __future__ import annotations

import dataclasses
import enum
import types
import typing
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any

_PLAIN: dict[object, dict[str, Any]] = {
    int: {"type": "integer"},
    float: {"type": "number", "format": "float"},
    bool: {"type": "boolean"},
    str: {"type": "string"},
    bytes: {"type": "string", "format": "binary"},
    datetime: {"type": "string", "format": "datetime"},
    date: {"type": "string", "format": "date"},
    timedelta: {"type": "string", "format": "duration"},
    dict: {"type": "object"},
    list: {"type": "array"},
}


def schema_of(inputs: Mapping[str, tuple[object, object]], missing: object) -> dict[str, Any]:
    """The schema of inputs.

    Args:
        inputs: (annotation, default) by name.
        missing: what stands for no default.
    """
    properties = {name: _of(annotation) for name, (annotation, _default) in inputs.items()}
    required = [name for name, (_annotation, default) in inputs.items() if default is missing]
    return {"type": "object", "properties": properties, "required": required}


def _of(annotation: Any) -> dict[str, Any]:
    if annotation in _PLAIN:
        return dict(_PLAIN[annotation])
    origin, args = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return _of(args[0])
    if origin in {typing.Union, types.UnionType}:
        return _union([each for each in args if each is not types.NoneType])
    if origin is typing.Literal:
        return {"type": "string", "enum": list(args)}
    if origin is not None:
        return _container(origin, args)
    return _class(annotation) if isinstance(annotation, type) else {}


def _union(members: list[Any]) -> dict[str, Any]:
    """One of several; what may be None besides is what it is otherwise."""
    if len(members) == 1:
        return _of(members[0])
    shown = [{**_of(each), "title": getattr(each, "__name__", str(each))} for each in members]
    return {"format": "union", "oneOf": [{**each, "structure": each["title"]} for each in shown]}


def _container(origin: Any, args: tuple[Any, ...]) -> dict[str, Any]:
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return {"type": "object", "additionalProperties": _of(args[-1])}
    return {"type": "array", "items": _of(args[0])} if args else {"type": "array"}


def _class(cls: type) -> dict[str, Any]:
    if issubclass(cls, enum.Enum):
        return {"type": "string", "enum": [each.name for each in cls]}
    described = getattr(cls, "model_json_schema", None)
    if described is not None:
        schema = {key: value for key, value in described().items() if key != "title"}
        return {**schema, "dataclass": cls.__name__}
    if dataclasses.is_dataclass(cls):
        hints = typing.get_type_hints(cls)
        fields = dataclasses.fields(cls)
        required = [each.name for each in fields if each.default is each.default_factory is dataclasses.MISSING]
        properties = {each.name: _of(hints[each.name]) for each in fields}
        return {"type": "object", "properties": properties, "required": required, "dataclass": cls.__name__}
    return {"type": "object"}
