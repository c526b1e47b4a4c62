"""Decides what a form asks for a parameter, and what a person's entry stands for. Entries are read, never evaluated.

| annotation | asked for | entry |
|---|---|---|
| `bool` | a tick | |
| an `Enum`, `Literal[...]` | one of several | |
| `int`, `float` | a number; with both bounds a slider | `3`, `1e-3`, `1_000` |
| `str` | a text | as it is |
| `date`, `datetime`, `timedelta` | a text | ISO 8601; `90s`, `1.5h`, `2d` |
| `Path`, `flyte.io.File`, `flyte.io.Dir` | a path | must be there |
| `bytes` | a file that is uploaded | |
| a dataclass of these | its fields | |
| `list`, `dict`, `tuple`, `set` and all else | a text | literals of Python or JSON; `a, b` for lists |
| a table, and any class of your own | a name | of a variable of the notebook |

Bounds come from annotations: `Annotated[int, range(1, 10)]`, annotated_types' `Ge`, `Gt`, `Le`, `Lt`, `Interval`, pydantic's `Field`.
`T | None` takes an empty entry, or a tick, for None.

Must not know: widgets.
"""

from __future__ import annotations

import ast
import dataclasses
import enum
import json
import math
import re
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from flyte_nb.authoring.files import Dir, File

#: What stands for a parameter that has no default.
NOTHING: Any = object()
Kind = Literal["tick", "choice", "slider", "line", "upload", "fields"]
_CONTAINERS = (list, dict, tuple, set, frozenset)
_UNITS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}
_SPAN = re.compile(r"([-+]?\d+(?:\.\d+)?)\s*(s|m|min|h|d)\Z")
_IDENTIFIER = re.compile(r"[^\W\d]\w*\Z")
#: A slider with more places than this is no help.
_MOST_PLACES = 1_000
_DEEPEST = 3

Names = Callable[[str], Any]


class EntryError(ValueError):
    """An entry does not fit; the message is for the person who made it."""


@dataclass(frozen=True)
class Bounds:
    """Where a number must lie; None is no bound. `step` is between neighbours."""

    low: float | None = None
    high: float | None = None
    above: float | None = None
    below: float | None = None
    step: float | None = None

    def words(self) -> str:
        """As a person reads it."""
        parts = [
            f"from {self.low:g}" if self.low is not None else "",
            f"above {self.above:g}" if self.above is not None else "",
            f"to {self.high:g}" if self.high is not None else "",
            f"below {self.below:g}" if self.below is not None else "",
            f"in steps of {self.step:g}" if self.step not in {None, 1} else "",
        ]
        return " ".join(filter(None, parts))

    def check(self, value: float) -> None:
        """Raise an `EntryError` if a number lies elsewhere."""
        fits = (
            (self.low is None or value >= self.low)
            and (self.high is None or value <= self.high)
            and (self.above is None or value > self.above)
            and (self.below is None or value < self.below)
        )
        if fits and self.step is not None:
            steps = (value - (self.low or 0)) / self.step
            fits = math.isclose(steps, round(steps), abs_tol=1e-9)
        if not fits:
            raise EntryError(f"must be {self.words()}, got {value:g}")

    def holds(self, value: object) -> bool:
        """Whether something is a number that lies there."""
        try:
            self.check(float(value))  # type: ignore[arg-type]  # refused below
        except (EntryError, TypeError, ValueError):
            return False
        return True


@dataclass(frozen=True)
class Entry:
    """What is asked for one parameter.

    Attributes:
        name: of the parameter.
        kind: how it is asked for.
        hint: what may be entered, in words.
        read: makes a value of an entry: of a text; of a choice's position; of bytes. Raises `EntryError`.
        default: the value to begin with; NOTHING if it must be given.
        choices: what is chosen from, and how each is called.
        bounds: of a number.
        whole: it is a whole number.
        fields: of a dataclass.
        optional: None is a value.
    """

    name: str
    kind: Kind
    hint: str = ""
    read: Callable[[Any], Any] = lambda value: value
    default: Any = NOTHING
    choices: tuple[tuple[str, Any], ...] = ()
    bounds: Bounds = Bounds()
    whole: bool = False
    fields: tuple[Entry, ...] = ()
    optional: bool = False

    def text(self) -> str:
        """The default as the text of a line; empty if there is none."""
        value = self.default
        if value is NOTHING or value is None:
            return ""
        if isinstance(value, str):
            return value
        if isinstance(value, timedelta):
            return f"{value.total_seconds():g}s"
        if isinstance(value, date | Path | File | Dir):
            return value.isoformat() if isinstance(value, date) else str(getattr(value, "path", value))
        return repr(value)


def entry_of(name: str, annotation: Any, default: Any, names: Names, depth: int = 0) -> Entry:
    """What is asked for a parameter.

    Args:
        name: of the parameter.
        annotation: its type, with `Annotated`.
        default: its default, or NOTHING.
        names: gives the value of a name of the notebook; raises KeyError if there is none.
        depth: how many dataclasses it is in.
    """
    wanted, bounds = _unwrapped(annotation)
    parts = typing.get_args(wanted) if typing.get_origin(wanted) in {typing.Union, types.UnionType} else ()
    optional = type(None) in parts
    others = [part for part in parts if part is not type(None)]
    if len(others) == 1:
        wanted, inner = _unwrapped(others[0])
        bounds = bounds if bounds != Bounds() else inner
    made = _made(name, wanted if len(others) < 2 else Any, bounds, default, names, depth)  # noqa: PLR2004 - a union proper
    return dataclasses.replace(made, optional=optional, default=default)


def _unwrapped(annotation: Any) -> tuple[Any, Bounds]:
    """An annotation without its wrappers, and the bounds that they give."""
    bounds = Bounds()
    while True:
        if isinstance(annotation, typing.NewType):
            annotation = annotation.__supertype__
        elif type(annotation).__name__ == "TypeAliasType":
            annotation = annotation.__value__
        elif typing.get_origin(annotation) is typing.Annotated:
            annotation, *notes = typing.get_args(annotation)
            bounds = _bounds(notes)
        else:
            return annotation, bounds


def _bounds(notes: list[Any]) -> Bounds:
    found: dict[str, float] = {}
    for note in _flat(notes):
        if isinstance(note, range) and len(note):
            found |= {"low": min(note), "high": max(note), "step": abs(note.step)}
        for attribute, bound in (("ge", "low"), ("le", "high"), ("gt", "above"), ("lt", "below"), ("multiple_of", "step")):
            value = getattr(note, attribute, None)
            if isinstance(value, int | float) and not isinstance(value, bool):
                found[bound] = value
    return Bounds(**found)


def _flat(notes: list[Any]) -> Iterator[Any]:
    for note in notes:
        yield note
        inner = getattr(note, "metadata", None)  # pydantic's Field keeps them there
        yield from inner if isinstance(inner, list | tuple) else ()


def _made(name: str, wanted: Any, bounds: Bounds, default: Any, names: Names, depth: int) -> Entry:
    """The entry of a type without its wrappers."""
    choices = _choices(wanted)
    if choices:
        return Entry(name, "choice", choices=choices, read=lambda place: choices[place][1])
    if wanted in {int, float}:
        return _number(name, wanted, bounds)
    if dataclasses.is_dataclass(wanted) and isinstance(wanted, type) and depth < _DEEPEST and not issubclass(wanted, File | Dir):
        return _record(name, wanted, default, names, depth)
    return _KINDS[wanted](name) if wanted in _KINDS else _line(name, wanted, names)


def _line(name: str, wanted: Any, names: Names) -> Entry:
    """The entry of a type that is asked for in one line."""
    origin = typing.get_origin(wanted) or wanted
    is_class = isinstance(origin, type) and origin not in {object, Any}
    hint, read = next(((hint, read) for kinds, hint, read in _LINES if is_class and issubclass(origin, kinds)), ("", None))
    if read is None and is_class and issubclass(origin, File | Dir):
        hint, read = "a path", lambda text: origin.from_local_sync(_existing(text))
    elif read is None and origin in _CONTAINERS:
        hint, read = _CONTAINER_HINTS[origin], lambda text: _container(text, origin)
    elif read is None and is_class:
        hint, read = f"a variable that holds a {origin.__name__}", lambda text: _variable(text, names)
    return Entry(name, "line", hint or ("" if read else "a literal, or a text"), read=read or _literal_or_text)


def _choices(wanted: Any) -> tuple[tuple[str, Any], ...]:
    if typing.get_origin(wanted) is Literal:
        return tuple((str(each), each) for each in typing.get_args(wanted))
    if isinstance(wanted, type) and issubclass(wanted, enum.Enum):
        return tuple((member.name, member) for member in wanted)
    return ()


def _number(name: str, wanted: type, bounds: Bounds) -> Entry:
    whole = wanted is int

    def read(text: Any) -> Any:
        value = _numeral(str(text), whole=whole)
        bounds.check(value)
        return value

    hint = ("a whole number " if whole else "a number ") + bounds.words()
    has_both = bounds.low is not None and bounds.high is not None and bounds.above is None and bounds.below is None
    if has_both and bounds.low is not None and bounds.high is not None:
        places = (bounds.high - bounds.low) / (bounds.step or (1 if whole else max((bounds.high - bounds.low) / 100, 1e-12)))
        if places <= _MOST_PLACES:
            return Entry(name, "slider", hint.strip(), read=read, bounds=bounds, whole=whole)
    return Entry(name, "line", hint.strip(), read=read, bounds=bounds, whole=whole)


def _record(name: str, wanted: Any, default: Any, names: Names, depth: int) -> Entry:
    """A dataclass by its fields; those of a default begin with its values."""
    hints = typing.get_type_hints(wanted, include_extras=True)
    entries = []
    for field in dataclasses.fields(wanted):
        if not field.init:
            continue
        value: Any = NOTHING
        if dataclasses.is_dataclass(default) and not isinstance(default, type):
            value = getattr(default, field.name)
        elif field.default is not dataclasses.MISSING:
            value = field.default
        elif field.default_factory is not dataclasses.MISSING:
            value = field.default_factory()
        entries.append(entry_of(field.name, hints.get(field.name, Any), value, names, depth + 1))

    def read(values: Mapping[str, Any]) -> Any:
        try:
            return wanted(**values)
        except (TypeError, ValueError) as error:  # what its __post_init__ says
            raise EntryError(str(error)) from error

    return Entry(name, "fields", wanted.__name__, read=read, fields=tuple(entries))


# ------------------------------------------------------------------ texts
def _numeral(text: str, *, whole: bool) -> Any:
    text = text.strip()
    try:
        return int(text) if whole else float(text)
    except ValueError:
        words = "a whole number" if whole else "a number"
        raise EntryError(f"must be {words}, got {text[:40]!r}") from None


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text.strip())
    except ValueError:
        raise EntryError(f"must be a day such as 2026-11-23, got {text[:40]!r}") from None


def _instant(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        raise EntryError(f"must be a day and time such as 2026-11-23T08:30, got {text[:40]!r}") from None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def _span(text: str) -> timedelta:
    found = _SPAN.match(text.strip())
    if not found:
        raise EntryError(f"must be a time such as 90s, 15m, 1.5h or 2d, got {text[:40]!r}")
    return timedelta(seconds=float(found[1]) * _UNITS[found[2]])


def _existing(text: str) -> Path:
    path = Path(text.strip()).expanduser()
    if not path.exists():
        raise EntryError(f"there is no {path}")
    return path


def _literal(text: str) -> Any:
    """A literal of Python, or of JSON."""
    try:
        return ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            raise EntryError(f"must be a literal such as [1, 2] or {{'a': 1}}, got {text[:40]!r}") from None


def _literal_or_text(text: str) -> Any:
    try:
        return _literal(text)
    except EntryError:
        return text


def _container(text: str, origin: Any) -> Any:
    try:
        found = _literal(text)
    except EntryError:
        if origin is dict or any(sign in text for sign in "[](){}'\""):
            raise
        return origin(part.strip() for part in text.split(",") if part.strip())
    if isinstance(found, origin):
        return found
    if origin is dict:
        raise EntryError(f"must be a dict such as {{'a': 1}}, got {text[:40]!r}")
    if isinstance(found, list | tuple | set | frozenset):
        return origin(found)
    return origin([found])


def _variable(text: str, names: Names) -> Any:
    word = text.strip()
    if not _IDENTIFIER.match(word):
        raise EntryError(f"must be the name of a variable, got {word[:40]!r}")
    try:
        return names(word)
    except KeyError:
        raise EntryError(f"there is no variable {word!r}") from None


_CONTAINER_HINTS: dict[Any, str] = {
    list: "[1, 2] or 1, 2",
    tuple: "(1, 2) or 1, 2",
    set: "{1, 2} or 1, 2",
    frozenset: "{1, 2} or 1, 2",
    dict: "{'a': 1}",
}
#: Types whose entry is no line.
_KINDS: dict[Any, Callable[[str], Entry]] = {
    bool: lambda name: Entry(name, "tick"),
    bytes: lambda name: Entry(name, "upload", "a file"),
}
#: Types whose entry is one line, what it says, and how it is read; the first that fits.
_LINES: tuple[tuple[type, str, Callable[[str], Any]], ...] = (
    (str, "", str),
    (datetime, "2026-11-23T08:30", _instant),
    (date, "2026-11-23", _day),
    (timedelta, "90s, 15m, 1.5h, 2d", _span),
    (Path, "a path", _existing),
)
