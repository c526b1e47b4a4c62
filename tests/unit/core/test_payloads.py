"""How values travel: scalars as themselves, everything else as bytes; code of the user's own by value."""

from __future__ import annotations

import fnmatch
import functools
import gc
import importlib.util
import pickle
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, NewType

import cloudpickle
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flyte_nb.core import payloads
from flyte_nb.core.payloads import Blob, StoredBlob, pack, size_bytes, unpack

UserId = NewType("UserId", int)
SCALARS = (None, True, 3, 2.5, "text", b"bytes")


@dataclass
class Point:
    """A class of the user's."""

    x: int


class Text(str):
    """No exact scalar: it may carry more than its letters."""

    __slots__ = ()


@pytest.mark.parametrize("value", SCALARS)
def test_a_scalar_is_its_own_item(value: object) -> None:
    """Exact immutable scalars are neither packed nor copied."""
    assert pack(value) is value
    assert unpack(pack(value)) is value


@pytest.mark.parametrize("value", [[1, 2], {"a": (1, None)}, Point(3), Text("sub")])
def test_other_values_come_back_as_equal_copies(value: object) -> None:
    """Each unpacking makes another copy, of the same class."""
    item = pack(value)
    first, second = unpack(item), unpack(item)

    assert isinstance(item, Blob)
    assert (first, type(first)) == (value, type(value))
    assert first is not second


def test_a_new_type_of_the_users_travels_by_value(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that was made in a notebook is nowhere to be found on a worker; one that is installed there is the same one."""
    there: Any = pickle.loads(payloads.dumps(UserId))
    monkeypatch.setattr(payloads, "is_installed", lambda _module: True)

    assert (there is UserId, there.__name__, there.__module__, there.__supertype__) == (False, "UserId", __name__, int)
    assert pickle.loads(payloads.dumps(UserId)) is UserId


def test_a_value_changed_after_the_call_is_not_changed_for_the_callee() -> None:
    """Inputs are as they were when the call was made."""
    value = [1]
    item = pack(value)
    value.append(2)

    assert unpack(item) == [1]


PLAIN = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary()


@given(st.recursive(PLAIN, st.lists, max_leaves=20))
def test_plain_data_survives_either_pickle(value: object) -> None:
    """The faster pickle for plain data and the general one say the same."""
    assert unpack(pack(value, plain=True)) == unpack(pack(value)) == value


def test_what_cannot_be_pickled_says_so() -> None:
    """The reason is pickle's own; who called knows the argument's name."""
    with pytest.raises(TypeError, match="generator"):
        pack(number for number in range(3))


def test_blobs_are_equal_if_their_bytes_are() -> None:
    """A blob stands for its bytes: in comparisons, sets and pickles."""
    one, same, other = Blob(b"a"), Blob(b"a"), Blob(b"b")

    assert ({one, same}, one == other, one == b"a") == ({one}, False, False)
    assert pickle.loads(pickle.dumps(one)) == one


def test_a_blob_shows_its_size_and_not_what_is_in_it() -> None:
    """A repr must not open what belongs to the user."""
    assert repr(Blob(b"x" * 1_234)) == "Blob(1,234 bytes)"


def test_sizes_are_those_of_the_bytes() -> None:
    """Roughly: of a blob exactly, of a scalar as Python counts."""
    assert size_bytes(Blob(b"abc")) == 3
    assert size_bytes("abc") == sys.getsizeof("abc")


# ------------------------------------------------------------------ values in files
@pytest.fixture
def stored(tmp_path: Path) -> StoredBlob:
    """A value whose pickle lies in a file."""
    path = tmp_path / "value"
    path.write_bytes(pickle.dumps([1, 2]))
    return StoredBlob(str(path), path.stat().st_size, raw=False)


def test_a_stored_value_is_read_from_its_file(stored: StoredBlob) -> None:
    """The one that unpacks it does the reading; its size is known without."""
    assert unpack(stored) == [1, 2]
    assert size_bytes(stored) == len(stored.data)


def test_a_stored_value_travels_as_its_path(stored: StoredBlob) -> None:
    """Not its bytes: that is what it is for."""
    sent = pickle.dumps(stored)

    copy = pickle.loads(sent)
    assert (type(copy), copy.path, copy.size, copy.raw) == (StoredBlob, stored.path, stored.size, False)
    assert unpack(copy) == [1, 2]


def test_raw_bytes_in_a_file_are_the_value(tmp_path: Path) -> None:
    """Large bytes need no pickle around them."""
    path = tmp_path / "raw"
    path.write_bytes(b"\x80not a pickle")

    assert unpack(StoredBlob(str(path), 13, raw=True)) == b"\x80not a pickle"


def test_an_adopted_file_goes_with_its_value(stored: StoredBlob) -> None:
    """The file lives as long as the object that adopted it; a copy that did not is no owner."""
    path, copy = Path(stored.path), pickle.loads(pickle.dumps(stored))
    del copy
    gc.collect()
    before = path.exists()

    owner = StoredBlob(str(path), stored.size, raw=False)
    owner.adopt()
    del owner
    gc.collect()

    assert (before, path.exists()) == (True, False)


# ------------------------------------------------------------------ code by value
@pytest.fixture
def own_module(tmp_path: Path) -> Iterator[ModuleType]:
    """A module of the user's, beside the notebook: imported here, unknown to workers."""
    path = tmp_path / "beside_the_notebook.py"
    path.write_text("FACTOR = 3\ndef triple(x):\n    return FACTOR * x\n")
    spec = importlib.util.spec_from_file_location("beside_the_notebook", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["beside_the_notebook"] = module
    spec.loader.exec_module(module)
    yield module
    sys.modules.pop("beside_the_notebook", None)


def test_functions_of_the_users_own_modules_travel_by_value(own_module: ModuleType) -> None:
    """A worker that cannot import the module runs the function all the same."""
    data = payloads.dumps(own_module.triple)
    del sys.modules["beside_the_notebook"]

    assert pickle.loads(data)(2) == 6


def test_modules_are_looked_at_once(own_module: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second pickling does not go through all modules again."""
    payloads.dumps(own_module.triple)
    monkeypatch.setattr(payloads, "is_installed", lambda _module: 1 // 0)

    assert payloads.dumps(own_module.triple)


def test_what_is_no_module_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs put other things into sys.modules, and modules under other names."""
    monkeypatch.setitem(sys.modules, "no_module", object())
    monkeypatch.setitem(sys.modules, "other_name", ModuleType("real_name"))
    monkeypatch.setitem(sys.modules, "none_at_all", None)

    assert payloads.dumps([1])


def test_a_module_that_cannot_be_registered_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module that went away again while it was looked at is no error."""
    fleeting = ModuleType("fleeting")
    fleeting.__file__ = str(tmp_path / "fleeting.py")
    monkeypatch.setitem(sys.modules, "fleeting", fleeting)
    monkeypatch.setattr(cloudpickle, "register_pickle_by_value", lambda _module: int("no"))

    assert payloads.dumps([1])


@pytest.mark.parametrize("module,installed", [(pickle, True), (pytest, True), (payloads, True), (sys, True)])
def test_installed_modules_travel_by_name(module: ModuleType, installed: bool) -> None:  # noqa: FBT001 - a parameter
    """The standard library, installed packages and this package itself are there on workers."""
    assert payloads.is_installed(module) is installed


def test_a_module_of_the_user_is_not_installed(own_module: ModuleType) -> None:
    """A file beside the notebook is nobody's package."""
    assert not payloads.is_installed(own_module)


def test_a_cached_function_of_the_user_travels_by_value_with_an_empty_cache() -> None:
    """It may call itself, its settings stay, what it uses is shared with others of the same bytes; results are not sent along."""
    asked: list[int] = []

    @functools.lru_cache(maxsize=7, typed=True)
    def fibonacci(number: int) -> int:
        asked.append(number)
        return number if number < 2 else fibonacci(number - 1) + fibonacci(number - 2)

    assert fibonacci(5) == 5
    copy, its_asked = pickle.loads(payloads.dumps((fibonacci, asked)))

    assert (copy.cache_info().currsize, copy.cache_parameters()) == (0, {"maxsize": 7, "typed": True})
    assert copy(9) == 34
    assert its_asked[len(asked) :] == [9, 8, 7, 6, 5, 4, 3, 2, 1, 0]
    assert asked == [5, 4, 3, 2, 1, 0]


def test_a_cached_function_of_an_installed_package_travels_by_name() -> None:
    """It is the same one on a worker, with all that it knows there."""
    function = fnmatch._compile_pattern  # type: ignore[attr-defined]  # the type stubs leave it out

    assert pickle.loads(payloads.dumps(function)) is function
