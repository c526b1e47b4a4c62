"""What a form asks for each annotation, and what entries stand for: read, never evaluated."""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, NewType

import pandas as pd
import pytest
from pydantic import Field

from flyte_nb.io import File
from flyte_nb.notebook.entries import NOTHING, Bounds, Entry, EntryError, entry_of


class Colour(enum.Enum):
    """Choices."""

    RED = "r"
    BLUE = "b"


@dataclass(frozen=True)
class Interval:
    """As annotated_types has it."""

    ge: float | None = None
    le: float | None = None
    gt: float | None = None
    lt: float | None = None


@dataclass
class Options:
    """A parameter with parts."""

    rate: Annotated[float, Interval(ge=0, le=1)] = 0.5
    names: list[str] = field(default_factory=list)
    colour: Colour = Colour.BLUE

    def __post_init__(self) -> None:
        if self.rate == 1:
            raise ValueError("a rate of 1 is no rate")


Number = NewType("Number", int)
VARIABLES = {"frame": pd.DataFrame({"x": [1]})}


def entry(annotation: Any, default: Any = NOTHING) -> Entry:
    """What is asked for."""
    return entry_of("x", annotation, default, VARIABLES.__getitem__)


@pytest.mark.parametrize(
    "annotation, kind",
    [
        (bool, "tick"),
        (Colour, "choice"),
        (Literal["a", 1], "choice"),
        (int, "line"),
        (Annotated[int, range(1, 10)], "slider"),
        (Annotated[int, range(10**6)], "line"),
        (Annotated[float, Interval(ge=0, le=1)], "slider"),
        (Annotated[float, Interval(gt=0, le=1)], "line"),
        (Annotated[int, Field(ge=1, le=5, description="how many")], "slider"),
        (Annotated[int, Interval(ge=1)] | None, "line"),
        (bytes, "upload"),
        (Options, "fields"),
        (Number, "line"),
        (list[int], "line"),
        (Any, "line"),
        (int | str, "line"),
        (pd.DataFrame, "line"),
    ],
)
def test_each_type_is_asked_for_in_its_way(annotation: Any, kind: str) -> None:
    """The table of the module."""
    assert entry(annotation).kind == kind


@pytest.mark.parametrize(
    "annotation, text, value",
    [
        (int, " 1_000 ", 1000),
        (Number, "7", 7),
        (float, "1e-3", 0.001),
        (str, " as it is ", " as it is "),
        (date, "2026-11-23", date(2026, 11, 23)),
        (datetime, "2026-11-23T08:30", datetime(2026, 11, 23, 8, 30, tzinfo=UTC)),
        (timedelta, "1.5h", timedelta(minutes=90)),
        (timedelta, "2 d", timedelta(days=2)),
        (list[int], "[1, 2]", [1, 2]),
        (list[int], "1, 2", [1, 2]),
        (list[int], "3", [3]),
        (list[str], "a, b", ["a", "b"]),
        (list[str], '["a, b"]', ["a, b"]),
        (list[Any], "[true, null]", [True, None]),
        (tuple[int, int], "(1, 2)", (1, 2)),
        (set[int], "{1, 2}", {1, 2}),
        (dict[str, int], "{'a': 1}", {"a": 1}),
        (dict[str, Any], '{"a": null}', {"a": None}),
        (Any, "[1]", [1]),
        (Any, "word", "word"),
        (int | str, "7", 7),
        (int | None, "7", 7),
    ],
)
def test_an_entry_is_what_it_reads_as(annotation: Any, text: str, value: object) -> None:
    """Numbers, texts, days, times, literals."""
    read = entry(annotation).read(text)
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize(
    "annotation, text, message",
    [
        (int, "3.5", "must be a whole number, got '3.5'"),
        (int, "many", "must be a whole number"),
        (float, "__import__('os').getcwd()", "must be a number"),
        (date, "tomorrow", "must be a day such as"),
        (datetime, "noon", "must be a day and time"),
        (timedelta, "90", "must be a time such as 90s"),
        (Path, "no/such/file", "there is no no/such/file"),
        (File, "no/such/file", "there is no no/such/file"),
        (list[int], "[1, 2", "must be a literal"),
        (list[int], "[__import__('os').getcwd()]", "must be a literal"),
        (dict[str, int], "a, b", "must be a literal"),
        (dict[str, int], "[1]", "must be a dict"),
        (pd.DataFrame, "frame.head()", "must be the name of a variable"),
        (pd.DataFrame, "other", "there is no variable 'other'"),
        (Annotated[int, range(0, 10, 2)], "3", "must be from 0 to 8 in steps of 2, got 3"),
        (Annotated[float, Interval(gt=0, lt=1)], "1", "must be above 0 below 1, got 1"),
        (Annotated[float, Field(ge=1)], "0.5", "must be from 1, got 0.5"),
        (Annotated[float, Field(ge=1)], "nan", "must be from 1, got nan"),
    ],
)
def test_what_does_not_fit_is_said(annotation: Any, text: str, message: str) -> None:
    """In words for the person; nothing is executed."""
    with pytest.raises(EntryError, match="^" + re.escape(message)):
        entry(annotation).read(text)


def test_a_variable_is_given_by_its_name() -> None:
    """A table, or an object of a class of one's own."""
    assert entry(pd.DataFrame).read("frame") is VARIABLES["frame"]


def test_a_path_that_is_there(tmp_path: Path) -> None:
    """As a path, or as a file of Flyte's."""
    path = tmp_path / "a.txt"
    path.write_text("text")
    assert entry(Path).read(str(path)) == path
    with entry(File).read(str(path)).open_sync() as file:
        assert file.read() == b"text"


def test_choices_have_names_and_values() -> None:
    """Members of enums, values of literals."""
    assert entry(Colour).choices == (("RED", Colour.RED), ("BLUE", Colour.BLUE))
    assert entry(Literal["a", 1]).read(1) == 1


def test_bounds_come_from_all_kinds_of_notes() -> None:
    """A range is inclusive here; several notes add up."""
    assert entry(Annotated[int, range(1, 10, 3)]).bounds == Bounds(low=1, high=7, step=3)
    assert entry(Annotated[float, Interval(ge=0), Interval(lt=1)]).bounds == Bounds(low=0, below=1)
    assert entry(Annotated[int, range(5, 0, -1)]).bounds == Bounds(low=1, high=5, step=1)
    assert entry(Annotated[int, "a note"]).bounds == Bounds()


def test_a_dataclass_has_its_fields_with_its_defaults() -> None:
    """Of a default its own values; what its construction refuses is an entry that does not fit."""
    made = entry(Options, Options(rate=0.25))
    assert [(each.name, each.kind, each.default) for each in made.fields] == [
        ("rate", "slider", 0.25),
        ("names", "line", []),
        ("colour", "choice", Colour.BLUE),
    ]
    assert made.read({"rate": 0.5}) == Options(0.5)
    with pytest.raises(EntryError, match="a rate of 1 is no rate"):
        made.read({"rate": 1})


def test_a_default_is_shown_as_it_is_entered() -> None:
    """So that it reads as itself."""
    for annotation, value in (
        (int, 3),
        (float, 0.5),
        (list[int], [1, 2]),
        (date, date(2026, 1, 2)),
        (timedelta, timedelta(hours=1)),
        (str, "a"),
    ):
        made = entry(annotation, value)
        assert made.read(made.text()) == value
    assert entry(int | None, None).text() == ""
    assert entry(int | None, None).optional
