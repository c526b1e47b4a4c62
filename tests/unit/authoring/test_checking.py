"""Which values fit which annotations, how misfits read, and what needs no cloudpickle."""

# ruff: noqa: PYI061, UP007, UP045 - users write the older forms too

import collections
import datetime as dt
import enum
import functools
import pathlib
import pickle
import subprocess
import sys
import time
import typing
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, Literal, NamedTuple, NewType, NotRequired, Optional, Protocol, TypedDict, TypeVar, Union

import numpy as np
import pandas as pd
import pyarrow as pa
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from flyte_nb.authoring.checking import compile_checker, plainness
from flyte_nb.authoring.misfits import LONGEST_TEXT, Mismatch, shortened
from flyte_nb.authoring.tables import DataFrame

DAY = dt.date(2024, 1, 2)
NOON = dt.datetime(2024, 1, 2, 12, tzinfo=dt.UTC)

T = TypeVar("T")
Number = TypeVar("Number", int, float)
Bounded = TypeVar("Bounded", bound=str)
UserId = NewType("UserId", int)


class Color(enum.Enum):
    """Two colours."""

    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    """One level."""

    LOW = 1


class Point(NamedTuple):
    """A NamedTuple."""

    x: int
    label: str = ""


class Options(TypedDict):
    """A TypedDict that mentions itself."""

    depth: int
    then: NotRequired["Options"]


@dataclass
class Leaf:
    """A dataclass with a default."""

    size: int
    tags: list[str] = field(default_factory=list)


@dataclass
class Tree:
    """A dataclass that mentions itself."""

    leaf: Leaf
    children: list["Tree"] = field(default_factory=list)


class Model(pydantic.BaseModel):
    """A pydantic model."""

    a: int
    b: list[str] = []


class Wider(Model):
    """A pydantic model derived from another."""

    c: int = 0


@dataclass
class Bud(Leaf):
    """A dataclass derived from another."""

    rate: float = 0.5


class Animal:
    """A class of the user's."""


class Dog(Animal):
    """One derived from it."""


class Silent(Protocol):
    """A protocol that cannot be checked."""

    def hush(self) -> None:
        """Be still."""


@typing.runtime_checkable
class Loud(Protocol):
    """A protocol that can be checked."""

    def shout(self) -> None:
        """Be loud."""


class Box(typing.Generic[T]):
    """A generic class of the user's."""

    def shout(self) -> None:
        """Be loud."""


class Hostile:
    """An object that nothing good can be said about."""

    def __repr__(self) -> str:
        raise RuntimeError("no")

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("no")

    def __hash__(self) -> int:
        raise RuntimeError("no")


def a_function(x: int) -> int:
    """Return the argument."""
    return x


def accepted(annotation: object, value: object) -> object:
    """Return what the task gets for a value."""
    return compile_checker(annotation).accept(value)


def misfit(annotation: object, value: object) -> str:
    """Return the reason for which a value is refused."""
    with pytest.raises(Mismatch) as caught:
        accepted(annotation, value)
    return caught.value.text("x")


FITTING: list[tuple[object, object]] = [
    (int, 5),
    (int, 2**80),
    (float, 1.5),
    (str, "s"),
    (bool, True),
    (bytes, b"b"),
    (complex, 1j),
    (None, None),
    (type(None), None),
    (Any, Hostile()),
    (object, Hostile()),
    (Union[int, Any], Hostile()),
    (Optional[int], None),
    (Optional[int], 5),
    (int | None, None),
    (Union[int, str], "s"),
    (int | list[int] | None, [1]),
    (list[int] | dict[str, int], {"a": 1}),
    (list, [1, "a"]),
    (list[Any], [1, Hostile()]),
    (list[int], []),
    (list[int], [1, 2]),
    (list[list[int]], [[1], []]),
    (list[int | None], [1, None]),
    (list[list[int] | None], [[1], None]),
    (dict, {1: "a"}),
    (dict[str, int], {"a": 1}),
    (dict[str, dict[str, list[float]]], {"a": {"b": [1.0]}}),
    (Mapping[str, int], {"a": 1}),
    (OrderedDict[str, int], OrderedDict(a=1)),
    (defaultdict[str, list[int]], defaultdict(list, a=[1])),
    (collections.Counter[str], collections.Counter("aab")),
    (set[int], {1}),
    (frozenset[str], frozenset("ab")),
    (deque[int], deque([1])),
    (tuple, (1, "a")),
    (tuple[int, str], (1, "a")),
    (tuple[int, ...], (1, 2, 3)),
    (tuple[int, ...], ()),
    (tuple[()], ()),
    (Sequence[int], (1, 2)),
    (Sequence[str], "text"),
    (Iterable[int], {1}),
    (Iterable[int], range(3)),
    (Collection[int], [1]),
    (Literal["a", "b"], "b"),
    (Literal["a", 1, None], None),
    (Color, Color.RED),
    (Level, Level.LOW),
    (Leaf, Leaf(1)),
    (Model, Model(a=1)),
    (Point, Point(1, "a")),
    (Options, {"depth": 1, "then": {"depth": 2}}),
    (Animal, Dog()),
    (Silent, 5),
    (Loud, Box[int]()),
    (Box[int], Box[int]()),
    (list[Animal], [Dog(), Animal()]),
    (dt.datetime, NOON),
    (dt.date, DAY),
    (dt.timedelta, dt.timedelta(1)),
    (pathlib.Path, pathlib.Path("a")),
    (np.ndarray, np.zeros(2)),
    (NDArray[np.float64], np.zeros(2)),
    (pd.DataFrame, pd.DataFrame({"a": [1]})),
    (pd.Series, pd.Series([1])),
    (pa.Table, pa.table({"a": [1]})),
    (dict[str, pd.DataFrame], {"a": pd.DataFrame()}),
    (Callable, a_function),
    (Callable[[int], int], functools.partial(a_function, 1)),
    (Callable[..., Any], int),
    (type, int),
    (type[Animal], Dog),
    (type[Any], int),
    (T, Hostile()),
    (Number, 1.0),
    (Bounded, "s"),
    (UserId, 5),
    (Annotated[int, "metres"], 5),
    (Annotated[list[int], "metres"], [5]),
    (Final[int], 5),
    ("a name that did not resolve", 5),
    (typing.TextIO, sys.stdout),
    (typing.LiteralString, "s"),
    # What Flyte pickles is not checked.
    (bytes, "s"),
    (bytes, bytearray(b"s")),
    (list, (1, 2)),
    (tuple, [1]),
    (set[int], {"a"}),
    (set[int], [1]),
    (frozenset[str], frozenset([1])),
    (Sequence[int], ["a"]),
    (Mapping[str, int], {"a": "b"}),
    (collections.Counter[str], collections.Counter([1])),
    (deque[int], {1}),
    (dt.time, "noon"),
    (Dog, Animal()),
    (Loud, 5),
    (Box[int], 5),
    (pathlib.Path, "a"),
    (np.ndarray, [1]),
    (pd.Series, [1]),
    (list[bytes], ["s", 5]),
    (Optional[np.ndarray], 5),
]


@pytest.mark.parametrize("annotation,value", FITTING, ids=lambda each: shortened(each)[:40])
def test_a_value_that_fits_arrives_as_it_is(annotation: object, value: object) -> None:
    """No copy, no change."""
    assert accepted(annotation, value) is value


@pytest.mark.parametrize("annotation,value", FITTING, ids=lambda each: shortened(each)[:40])
def test_a_value_that_fits_alone_fits_among_many(annotation: object, value: object) -> None:
    """The quick look never refuses what the careful look takes."""
    several = [value, value]

    assert accepted(list[annotation], several) is several  # type: ignore[valid-type]  # it is what is tested


UNFIT: list[tuple[object, object]] = [
    (int, "5"),
    (int, 5.0),
    (int, True),
    (int, None),
    (int, np.int64(5)),
    (float, 5),
    (float, True),
    (float, np.float32(1)),
    (str, b"s"),
    (str, None),
    (bool, 1),
    (bool, np.True_),
    (None, 0),
    (Optional[int], "5"),
    (Optional[int], True),
    (Union[int, str], 1.5),
    (list[int], (1, 2)),
    (list[int], "12"),
    (list[int], [1, "a"]),
    (list[int], [1, True]),
    (list[int], np.arange(3)),
    (list[list[int]], [[1], [2, "a"]]),
    (dict[str, int], {"a": "b"}),
    (dict[str, int], {1: 1}),
    (dict[str, int], [("a", 1)]),
    (dict[str, int], OrderedDict(a=1)),
    (dict[str, int], defaultdict(int)),
    (dict[int, int], {1.5: 2}),
    (dict, OrderedDict(a=1)),
    (dict, {"a": {1}}),
    (dict, {"a": [NOON]}),
    (dict, {"a": np.int64(1)}),
    (dict, {(1, 2): 3}),
    (bytes, None),
    (set[int], None),
    (Animal, None),
    (np.ndarray, None),
    (int | pathlib.Path, None),
    (tuple[int, str], (1,)),
    (tuple[int, str], (1, 2)),
    (tuple[int, ...], (1, "a")),
    (tuple[()], (1,)),
    (Literal["a", "b"], "c"),
    (Literal["a", "b"], Hostile()),
    (Literal[1], True),
    (Color, "red"),
    (Color, "GREEN"),
    (Color, Level.LOW),
    (Leaf, Tree(Leaf(1))),
    (Leaf, {"tags": []}),
    (Leaf, {"size": 1, "weight": 2}),
    (Model, {"b": ["x"]}),
    (Model, Leaf(1)),
    (Point, (1,)),
    (Point, ("a", "b")),
    (Leaf, Leaf("big")),  # type: ignore[arg-type]  # what is tested
    (Leaf, Leaf(1.5)),  # type: ignore[arg-type]  # what is tested
    (Leaf, {"size": "big"}),
    (Tree, Tree(5)),  # type: ignore[arg-type]  # what is tested
    (Options, {}),
    (Options, {"depth": 1.5}),
    (tuple[int, int], (1.5, 2)),
    (tuple[bool, int], (2, 2)),
    (list[tuple[str, int]], [(1, 2)]),
    (dt.datetime, None),
    (Options, 5),
    (dt.datetime, DAY),
    (dt.date, "2024-01-02"),
    (pd.DataFrame, {"a": [1]}),
    (Callable, 5),
    (Callable[[int], int], "a_function"),
    (type, 5),
    (type[Animal], int),
    (Number, "1"),
    (Bounded, 5),
    (UserId, "5"),
    (Annotated[int, "metres"], "5"),
]


@pytest.mark.parametrize("annotation,value", UNFIT, ids=lambda each: shortened(each)[:40])
def test_a_value_that_does_not_fit_is_refused(annotation: object, value: object) -> None:
    """Alone, and among others, where its place is named."""
    misfit(annotation, value)

    assert "[0]" in misfit(list[annotation], [value])  # type: ignore[valid-type]  # it is what is tested


CONVERTED: list[tuple[object, object, object]] = [
    (float, np.float64(1.5), 1.5),
    (int, Level.LOW, 1),
    (str, np.str_("s"), "s"),
    (Literal["a"], np.str_("a"), "a"),
    (Color, "RED", Color.RED),
    (dt.date, NOON, DAY),
    (list[float], [1.0, np.float64(2)], [1.0, 2.0]),
    (set[float], {np.float64(2)}, {2.0}),
    (tuple[float, ...], (np.float64(2),), (2.0,)),
    (tuple[float, Color], (1.0, "RED"), (1.0, Color.RED)),
    (dict[str, Color], {"a": "RED"}, {"a": Color.RED}),
    (dict[Color, int], {"RED": 1}, {Color.RED: 1}),
    (Optional[Color], "BLUE", Color.BLUE),
    (Color | str, "RED", "RED"),
    (Point, (1, "a"), Point(1, "a")),
    (Options, {"depth": Level.LOW}, {"depth": 1}),
    (Leaf, {"size": 1}, Leaf(1)),
    (Tree, {"leaf": {"size": 1}, "children": [{"leaf": {"size": 2}}]}, Tree(Leaf(1), [Tree(Leaf(2))])),
    (list[Leaf], [{"size": 1}, Leaf(2)], [Leaf(1), Leaf(2)]),
    (Model, {"a": 1, "b": ["x"]}, Model(a=1, b=["x"])),
    (Model | None, {"a": 1}, Model(a=1)),
    (Model, Wider(a=1, c=2), Model(a=1)),
    (Wider, Model(a=1), Wider(a=1)),
    (Leaf, Bud(1, [], 2.0), Leaf(1, [])),
    (Leaf, Leaf(2.0, ("a", 5)), Leaf(2, ["a", "5"])),  # type: ignore[arg-type]  # what is tested
    (Leaf, Leaf("7"), Leaf(7)),  # type: ignore[arg-type]  # what is tested
    (Leaf, {"size": "1"}, Leaf(1)),
    (list[Leaf], [Leaf(size=True), Leaf(2)], [Leaf(1), Leaf(2)]),
    (Tree, Tree(Leaf(2.0)), Tree(Leaf(2))),  # type: ignore[arg-type]  # what is tested
    (tuple[float, float], (1, np.float64(2)), (1.0, 2.0)),
    (tuple[int, bool], ("7", 1), (7, True)),
    (tuple[int, str], [1, "a"], (1, "a")),
    (list[tuple[str, float]], [("a", 1), ("b", 2)], [("a", 1.0), ("b", 2.0)]),
    (dict[str, tuple[int, int]], {"a": [1, 2]}, {"a": (1, 2)}),
    (Point, [2.0, "a"], Point(2, "a")),
    (Options, {"depth": "1", "width": 2}, {"depth": 1}),
    (Options, {"depth": 1, "then": {"depth": True}}, {"depth": 1, "then": {"depth": 1}}),
    (dict[int, float], {"1": 2}, {1: 2.0}),
    (dict, {"a": (1, [(2,)])}, {"a": [1, [[2]]]}),
    (dict, {"a": np.float64(1), "b": Level.LOW, "c": OrderedDict(d=1)}, {"a": 1.0, "b": 1, "c": {"d": 1}}),
    (list[dict[str, dict]], [{"a": {"b": (1,)}}], [{"a": {"b": [1]}}]),  # type: ignore[type-arg]  # what is tested
    (dt.datetime, NOON.replace(tzinfo=None), NOON),
    (dt.datetime, NOON.astimezone(dt.timezone(dt.timedelta(hours=2))), NOON),
    (dt.datetime, pd.Timestamp(NOON), NOON),
    (list[dt.datetime], [NOON, NOON.replace(tzinfo=None)], [NOON, NOON]),
    (dt.timedelta, pd.Timedelta(days=1), dt.timedelta(days=1)),
]


@pytest.mark.parametrize("annotation,value,expected", CONVERTED, ids=lambda each: shortened(each)[:40])
def test_some_values_arrive_as_flyte_delivers_them(annotation: object, value: object, expected: object) -> None:
    """Plain types for their subclasses, members for names, records for dicts; the given value is left alone."""
    before = pickle.dumps(value)

    got = accepted(annotation, value)

    assert (got, type(got), pickle.dumps(value)) == (expected, type(expected), before)


@pytest.mark.parametrize(
    "annotation,value,reason",
    [
        (int, "one", "Expected value of type <class 'int'> but got 'one' of type <class 'str'>"),
        (int, True, "Expected an int, got a boolean (True)"),
        (
            float,
            1,
            "Expected value of type <class 'float'> but got '1' of type <class 'int'>: an int is not taken for a float; pass float(...)",
        ),
        (
            int,
            np.int64(1),
            "Expected value of type <class 'int'> but got '1' of type <class 'numpy.int64'>: pass .item() of a numpy value",
        ),
        (list[int], [1, "a"], "Expected value of type <class 'int'> but got 'a' of type <class 'str'> (at x[1])"),
        (list[int], (1,), "Value '(1,)' is not of container type <class 'list'>: pass list(...)"),
        (list[int], 5, "Value '5' is not of container type <class 'list'>"),
        (list[list[int]], [[1], 5], "Value '5' is not of container type <class 'list'> (at x[1])"),
        (typing.List[int], (1,), "Expected a list but got (1,) of type <class 'tuple'>: pass list(...)"),  # noqa: UP006
        (dict[str, int], OrderedDict(a=1), f"Expected a dict but got {OrderedDict(a=1)} of type {OrderedDict}: pass dict(...)"),
        (
            dict,
            {"a": {1}},
            (
                "Cannot convert `{'a': {1}}` to Flyte Literal.\nError Message: can not serialize 'set' object. "
                "A dict without type arguments holds what JSON can say; declare dict[str, Any] for other values"
            ),
        ),
        (dict, {(1,): 1}, "keys must be str, int, float, bool or None, not tuple"),
        (
            dict[str, list[int]],
            {"k": [1, None]},
            "Expected value of type <class 'int'> but got 'None' of type <class 'NoneType'> (at x['k'][1])",
        ),
        (dict[str, int], {1: 1}, "Expected value of type <class 'str'> but got '1' of type <class 'int'> (at x[key 1])"),
        (Optional[list[int]], [1, "a"], "Expected value of type <class 'int'> but got 'a' of type <class 'str'> (at x[1])"),
        (Union[int, str], 1.5, "Value 1.5 is not of type typing.Union[int, str]; its own type is <class 'float'>"),
        (int | None, "a", "Value a is not of type int | None; its own type is <class 'str'>"),
        (Literal["a", "b"], "c", "Expected one of 'a', 'b' but got 'c' of type <class 'str'>"),
        (Point, (1, 2), "Expected value of type <class 'str'> but got '2' of type <class 'int'> (at x.label)"),
        (Leaf, Leaf("big"), "Expected value of type <class 'int'> but got 'big' of type <class 'str'> (at x.size)"),  # type: ignore[arg-type]
        (tuple[int, str], (1, 2), "Expected value of type <class 'str'> but got '2' of type <class 'int'> (at x[1])"),
        (pathlib.Path, None, f"Expected value of type {pathlib.Path} but got 'None' of type <class 'NoneType'>"),
        (tuple[int, str], (1,), "Tuple length 1 doesn't match expected length 2"),
    ],
)
def test_a_reason_says_what_was_expected_what_came_and_where(annotation: object, value: object, reason: str) -> None:
    """In Flyte's words, with the place of the item and the remedy."""
    assert misfit(annotation, value) == reason


@pytest.mark.parametrize(
    "annotation,value,words",
    [
        (Color, "red", ["Value red is not in Enum", "Color", "RED, BLUE"]),
        (Leaf, {"weight": 2}, ["Leaf", "missing the following keys from the dataclass fields: ['size']"]),
        (Leaf, {"size": 1, "weight": 2}, ["Leaf", "extra keys that are not in dataclass fields: ['weight']"]),
        (Options, {}, ["Options", "missing 'depth'"]),
        (Model, {"a": "x"}, ["Model", "ValidationError"]),
    ],
)
def test_a_reason_names_what_is_wrong(annotation: object, value: object, words: list[str]) -> None:
    """Members, keys and lengths are spelt out."""
    reason = misfit(annotation, value)

    assert [word for word in words if word not in reason] == []


@pytest.mark.parametrize(
    "value",
    ["x" * 10**6, b"x" * 10**6, list(range(10**6)), {i: i for i in range(10**5)}, [[[[[[1]]]]]] * 100, 10**5000, Hostile(), [Hostile()]],
    ids=lambda each: type(each).__name__,
)
def test_a_message_stays_short_and_survives_any_value(value: object) -> None:
    """Large values are cut, and a repr that raises is survived."""
    assert len(shortened(value)) <= LONGEST_TEXT
    assert len(misfit(Leaf, value)) <= LONGEST_TEXT + 150


def test_a_wrapped_table_opens_as_the_table_that_is_declared() -> None:
    """A task that takes pandas gets pandas from one that returns `flyte.io.DataFrame`, not the reverse."""
    table = pd.DataFrame({"a": [1, 2]})
    wrapped = DataFrame.from_df(table)

    assert accepted(pd.DataFrame, wrapped) is table
    assert accepted(Optional[pa.Table], wrapped).equals(pa.table({"a": [1, 2]}))  # type: ignore[attr-defined]
    assert accepted(DataFrame, wrapped) is wrapped
    assert "Did you forget to wrap your dataframe" in misfit(DataFrame, table)
    assert "does not open" in misfit(pd.DataFrame, DataFrame())


def test_a_value_of_an_earlier_definition_of_its_class_fits() -> None:
    """A cell that is run again makes a new class; what was made before still passes."""

    def cell() -> tuple[Any, Any, Any]:
        @dataclass
        class Reading:
            level: int

        class Kind(enum.Enum):
            WET = 1

        class Pair(NamedTuple):
            level: int

        return Reading, Kind, Pair

    (old_reading, old_kind, old_pair), (reading, kind, pair) = cell(), cell()
    old = old_reading(1)

    assert accepted(reading, old) == reading(1)
    assert accepted(list[reading], [old, reading(2)])  # type: ignore[valid-type]  # a class, to be sure
    assert accepted(kind, old_kind.WET) is kind.WET
    assert accepted(pair, old_pair(1)) == pair(1)


def test_a_record_that_does_not_resolve_is_not_looked_into() -> None:
    """Fields with names that mean nothing here are taken as they come."""

    class Loose(TypedDict):
        part: "Nowhere"  # type: ignore[name-defined]  # noqa: F821 - what is tested

    value = {"part": 1}

    assert accepted(Loose, value) is value


class TypeAliasType:
    """`type Json = ...` as newer Pythons keep it: what it stands for is worked out when asked for."""

    @property
    def __value__(self) -> object:
        return Union[None, int, str, list[self], dict[str, self]]  # type: ignore[valid-type]  # an alias is no type to mypy


def test_an_alias_may_mention_itself() -> None:
    """It is followed as deep as the value goes."""
    json = TypeAliasType()
    value = [1, {"a": [None, "b"]}, []]

    assert accepted(json, value) is value
    assert accepted(list[json], value) is value  # type: ignore[valid-type]  # it is what is tested
    assert misfit(json, [1, {"a": [None, 1.5]}]).endswith("(at x[1]['a'][1])")


def test_checkers_travel() -> None:
    """Workers check outputs with the same checkers."""
    checker = compile_checker(dict[str, list[Point | None]] | Any)
    strict = pickle.loads(pickle.dumps(compile_checker(list[Leaf])))

    assert pickle.loads(pickle.dumps(checker)).accept(5) == 5
    assert strict.accept([{"size": 1}]) == [Leaf(1)]


def test_checking_and_plainness_are_cheap_on_large_lists() -> None:
    """40,000 ints are far below the 20 ms that a call may spend on them."""
    numbers, pairs = list(range(40_000)), [[i, i] for i in range(20_000)]
    table = {str(i): {"a": i, "b": [i]} for i in range(5_000)}

    def cost(look: Callable[[], object]) -> float:
        spent = []
        for _ in range(5):
            started = time.perf_counter()
            look()
            spent.append(time.perf_counter() - started)
        return min(spent)

    assert cost(lambda: accepted(list[int], numbers)) < 0.02
    assert cost(lambda: accepted(list[list[int]], pairs)) < 0.04
    assert cost(lambda: accepted(dict[str, dict[str, int | list[int]]], table)) < 0.04
    assert cost(lambda: plainness(numbers)) < 0.02
    assert cost(lambda: plainness(pairs)) < 0.04


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda each: st.lists(each) | st.dictionaries(st.text() | st.integers(), each) | st.tuples(each, each) | st.sets(st.integers()),
    max_leaves=20,
)


@given(value=PLAIN)
def test_built_in_values_are_plain(value: object) -> None:
    """Any nesting of scalars and containers."""
    assert plainness(value)


def planted(value: object, place: int) -> object:
    """Put something that is not plain into a value."""
    wrong = [Color.RED, np.float64(1), Leaf(1), a_function, OrderedDict(), DAY][place % 6]
    return [[value, wrong], {"a": [value, {"b": wrong}]}, (value, (wrong,)), {"k": value, wrong.__class__.__name__: wrong}][place % 4]


@given(value=PLAIN, place=st.integers(0, 23))
def test_one_foreign_thing_inside_makes_a_value_not_plain(value: object, place: int) -> None:
    """However deep it is: a subclass of a built-in type is foreign as well."""
    assert not plainness(planted(value, place))


def test_endless_and_huge_values_are_not_plain() -> None:
    """The look is bounded: cycles end it, and so does size."""
    ring: list[Any] = []
    ring.append(ring)
    bush: list[Any] = []
    bush.extend([bush, bush])

    assert [plainness(each) for each in (ring, bush, [0] * 200_000)] == [False, False, False]


def test_checking_imports_no_large_library() -> None:
    """Annotations are known by their classes: numpy, pandas and pydantic stay out."""
    code = "import sys, flyte_nb.authoring.signature; print(sorted({'numpy', 'pandas', 'pydantic', 'pyarrow'} & set(sys.modules)))"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"
