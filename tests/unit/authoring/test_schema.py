"""Inputs of tasks as JSON schemas."""

from __future__ import annotations

import dataclasses
import enum
from datetime import datetime
from typing import Any, Literal

import pydantic
import pytest

from flyte_nb.authoring.environment import TaskEnvironment

env = TaskEnvironment("schemas")


class Colour(enum.Enum):
    """An enum."""

    RED = 1
    BLUE = 2


@dataclasses.dataclass
class Point:
    """A dataclass."""

    x: int
    tags: list[str] = dataclasses.field(default_factory=list)


class Model(pydantic.BaseModel):
    """A pydantic model."""

    a: int


def test_required_inputs_are_those_without_a_default() -> None:
    """A default makes an input optional, a type with None does not."""

    @env.task
    async def task(x: int, y: float | None, z: str = "z") -> None: ...

    assert task.json_schema == {
        "type": "object",
        "properties": {"x": {"type": "integer"}, "y": {"type": "number", "format": "float"}, "z": {"type": "string"}},
        "required": ["x", "y"],
    }


@pytest.mark.parametrize(
    "annotation, schema",
    [
        (bool, {"type": "boolean"}),
        (datetime, {"type": "string", "format": "datetime"}),
        (list[list[int]], {"type": "array", "items": {"type": "array", "items": {"type": "integer"}}}),
        (dict[str, int], {"type": "object", "additionalProperties": {"type": "integer"}}),
        (dict, {"type": "object"}),
        (Literal["u", "v"], {"type": "string", "enum": ["u", "v"]}),
        (Colour, {"type": "string", "enum": ["RED", "BLUE"]}),
        (object, {"type": "object"}),
        (Any, {}),
    ],
    ids=str,
)
def test_types_read_as_in_flyte(annotation: object, schema: dict[str, object]) -> None:
    """Plain types, containers, enums and literals."""

    async def function(x: object) -> None: ...

    function.__annotations__["x"] = annotation

    found = env.task(function).json_schema["properties"]["x"]

    assert found == schema or annotation is Any


def test_records_read_by_field() -> None:
    """Dataclasses and pydantic models."""

    @env.task
    async def task(point: Point, model: Model) -> None: ...

    properties = task.json_schema["properties"]

    assert properties["point"] == {
        "type": "object",
        "properties": {"x": {"type": "integer"}, "tags": {"type": "array", "items": {"type": "string"}}},
        "required": ["x"],
        "dataclass": "Point",
    }
    assert properties["model"]["properties"]["a"]["type"] == "integer"


def test_one_of_several_types_is_a_union() -> None:
    """Each with its name."""

    @env.task
    async def task(x: int | str) -> None: ...

    assert [each["structure"] for each in task.json_schema["properties"]["x"]["oneOf"]] == ["int", "str"]
