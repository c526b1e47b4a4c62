"""Digests: the same for equal values, however they were made, in this process or another one."""

from __future__ import annotations

import dataclasses
import enum
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import cloudpickle
import numpy as np
import pandas as pd
import pytest

from flyte_nb.core import hashing
from flyte_nb.core.payloads import Blob, StoredBlob, pack

ROOT = Path(__file__).parents[3]


def digest(value: object) -> str:
    """The digest of a value as it travels."""
    return hashing.digest(pack(value))


def notebook_classes() -> tuple[type, type]:
    """Classes as a cell makes them: by value, with a new identity each time."""

    @dataclasses.dataclass
    class Point:
        x: int
        tags: set[str]

    class Colour(enum.Enum):
        RED = 1
        BLUE = 2

    for made in (Point, Colour):
        made.__module__, made.__qualname__ = "__main__", made.__name__
    return Point, Colour


def adder(number: int) -> Callable[[int], int]:
    """A function with a closed-over value."""

    def add(x: int) -> int:
        return x + number

    return add


def test_values_that_differ_have_different_digests() -> None:
    """Types count as well as values; so do items deep inside, code and what it closes over."""
    point, colour = notebook_classes()
    values: list[object] = [
        None, 0, False, 1, True, 1.0, "1", b"1", [1], (1,), {1}, {"a": 1}, {"a": 2}, {"b": 1}, [[1]], [1, 2], {1, "x"},
        point(1, {"a"}), point(2, {"a"}), point(1, {"b"}), colour.RED, colour.BLUE, point, colour, adder(1), adder(2),  # type: ignore[attr-defined]
        datetime(2020, 1, 1, tzinfo=UTC), np.arange(3), np.arange(3.0), np.arange(4), pd.DataFrame({"a": [1]}), pd.DataFrame({"a": [2]}),
    ]  # fmt: skip

    assert len({digest(value) for value in values}) == len(values)


def test_order_of_insertion_does_not_count() -> None:
    """Dictionaries and sets are equal whatever order they were filled in."""
    assert digest({"a": 1, "b": [{"x": 1, "y": 2}]}) == digest({"b": [{"y": 2, "x": 1}], "a": 1})
    assert digest({"x", "y", "z"}) == digest({"z", "y", "x"})


def test_sharing_does_not_count() -> None:
    """One object twice is the same as two equal objects; pickle writes them differently."""
    text, parts = "a long text", ["a long", " text"]

    assert digest([text, text]) == digest([text, "".join(parts)])


def test_a_cell_that_is_run_again_makes_equal_values() -> None:
    """Instances count by the name of their class and their fields, not by the class's identity or code."""
    (one, red), (other, crimson) = notebook_classes(), notebook_classes()

    assert digest(one(1, {"b", "a"})) == digest(other(1, {"a", "b"}))
    assert digest(red.RED) == digest(crimson.RED)  # type: ignore[attr-defined]


def test_functions_count_by_code_and_closure() -> None:
    """A function made again is the same; one that closes over something else is another."""
    assert digest(adder(1)) == digest(adder(1)) != digest(adder(2))


def test_code_counts_without_place_and_docstring() -> None:
    """Moving a function and explaining it changes nothing; changing what it does changes the digest."""

    def code(text: str) -> str:
        names: dict[str, Callable[[], object]] = {}
        exec(text, names)  # noqa: S102 - a cell
        return hashing.digest_code(names["f"].__code__)

    plain = code("def f():\n    return 1")

    assert code("\n\n# moved\ndef f():\n    'explained'\n    return  1") == plain != code("def f():\n    return 2")


def test_an_object_may_say_what_it_is() -> None:
    """A state with an identity counts by that alone: a task's random key, say, is no part of what it is."""

    class Named:
        def __init__(self, name: str, noise: int) -> None:
            self.name, self.noise = name, noise

        def __getstate__(self) -> dict[str, object]:
            return {**self.__dict__, hashing.IDENTITY: self.name}

    assert digest(Named("a", 1)) == digest(Named("a", 2)) != digest(Named("b", 1))


def test_no_code_of_the_user_runs() -> None:
    """A pickle is read with stand-ins: what it would call is not called."""

    class Loud:
        def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
            return os.system, ("exit 1",)

    assert digest(Loud()) == digest(Loud())


def test_a_value_that_holds_itself_has_a_digest() -> None:
    """It ends."""
    endless: list[object] = []
    endless.append(endless)

    assert digest(endless)


def test_a_pickle_that_cannot_be_read_counts_by_its_bytes() -> None:
    """There is always a digest."""
    assert hashing.digest(Blob(b"no pickle")) == hashing.digest(Blob(b"no pickle")) != hashing.digest(Blob(b"another"))


def test_a_stored_value_counts_as_itself(tmp_path: Path) -> None:
    """Where the bytes lie makes no difference."""
    raw, pickled = tmp_path / "raw", tmp_path / "pickled"
    raw.write_bytes(b"abc")
    pickled.write_bytes(cloudpickle.dumps([1, 2]))

    assert hashing.digest(StoredBlob(str(raw), 3, raw=True)) == digest(b"abc")
    assert hashing.digest(StoredBlob(str(pickled), 1, raw=False)) == digest([1, 2])


@pytest.mark.parametrize("seed", ["1", "2"])
def test_digests_are_the_same_in_another_process(seed: str) -> None:
    """The order that sets have by chance is no part of a digest."""
    value = "[{'z', 'y', 'x', 'w'}, {'k': frozenset('abcd')}]"
    code = f"from flyte_nb.core import hashing, payloads; print(hashing.digest(payloads.pack({value})))"

    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
    )

    assert done.stdout.strip() == digest([{"x", "w", "z", "y"}, {"k": frozenset("dcba")}])


@pytest.mark.parametrize(
    "values",
    [
        [],
        [1, -2, 0],
        [1, 10**5000],
        [0.0, -0.0, float("nan")],
        ["", "a", "\ud800"],
        [1, 1.0, True, None, b"a"],
        [[1], {"a": 2}],
        [True, False],
    ],
)
def test_digests_of_many_are_those_of_each(values: list[object]) -> None:
    """However alike the values are."""
    items = [pack(value) for value in values]

    assert hashing.digest_all(items) == [hashing.digest(item) for item in items]
