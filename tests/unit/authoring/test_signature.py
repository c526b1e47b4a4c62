"""How arguments bind to parameters, what is refused with which words, and what a task may return."""

# ruff: noqa: UP045 - users write the older forms too

import functools
import logging
import pickle
import timeit
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, Literal, NamedTuple, Optional, Tuple  # noqa: UP035 - users write the older forms too

import cloudpickle
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flyte_nb.authoring.outputs import Outputs
from flyte_nb.authoring.signature import Parameter, Signature
from flyte_nb.errors import RuntimeDataValidationError

BOTH = "dict_keys(['x', 'y'])"


class Color(Enum):
    """Two colours."""

    RED = "red"
    BLUE = "blue"


class Score(NamedTuple):
    """Two named outputs."""

    value: float
    label: str = ""


@dataclass
class Plan:
    """A record."""

    steps: int


def add(x: int, y: int = 5) -> int:
    """Return a sum."""
    return x + y


def many(a: int, b: str = "bee", c: Optional[int] = None, d: list[int] = [1, 2]) -> str:  # noqa: B006 - what is tested
    """Return the arguments."""
    return f"{a}{b}{c}{d}"


def bind(func: Callable[..., Any], *args: object, **kwargs: object) -> tuple[object, ...]:
    """Bind a call of a task called `sig.<function>`."""
    return Signature.of(func, task_name=f"sig.{func.__name__}").bind(args, kwargs)


def conversion(variable: str, value: object, reason: str) -> str:
    """Return Flyte's message for a value that is no int."""
    lines = [f"Type conversion failed for variable '{variable}'.", "Expected type: <class 'int'>", f"Actual type: {type(value)}"]
    return "\n".join([*lines, f"Value received: {value!r}", f"Reason: {reason}"])


def returned(annotation: object, value: object) -> object:
    """Return what the caller of a task gets."""
    return Signature((), annotation, task_name="sig.main").check_output(value)


@pytest.mark.parametrize(
    "args,kwargs,values",
    [
        ((1,), {}, (1, "bee", None, [1, 2])),
        ((1, "q"), {}, (1, "q", None, [1, 2])),
        ((), {"b": "k", "a": 2}, (2, "k", None, [1, 2])),
        ((3,), {"c": 5}, (3, "bee", 5, [1, 2])),
        ((3,), {"d": []}, (3, "bee", None, [])),
        ((1, "q", 2, [3]), {}, (1, "q", 2, [3])),
    ],
)
def test_arguments_and_defaults_come_in_the_order_of_the_parameters(
    args: tuple[object, ...], kwargs: dict[str, object], values: tuple[object, ...]
) -> None:
    """By position, by name, or left out."""
    assert bind(many, *args, **kwargs) == values


def test_a_mutable_default_is_fresh_for_each_call() -> None:
    """What one call does to its default, the next does not see."""

    def nested(table: dict[str, list[int]] = {"a": [1]}, row: tuple[list[int], int] = ([1], 2)) -> None:  # noqa: B006
        """Take nested defaults."""

    for func, expected in ((many, (1, "bee", None, [1, 2])), (nested, ({"a": [1]}, ([1], 2)))):
        signature = Signature.of(func)
        args = (1,) if func is many else ()
        first: Any = signature.bind(args, {})
        first[-1][0].append(9) if func is nested else first[-1].append(9)
        if func is nested:
            first[0]["a"].append(9)

        assert signature.bind(args, {}) == expected


def test_a_default_that_cannot_be_copied_is_passed_on() -> None:
    """That it cannot travel is for somebody else to say."""
    held = [[(each for each in (1, 2))]]

    def holds(x: list[Any] = held) -> None:
        """Take a default that cannot be copied."""

    assert bind(holds)[0] is held


@pytest.mark.parametrize(
    "args,kwargs,error,message",
    [
        ((), {}, ValueError, "Missing required inputs: x"),
        ((), {"y": 1}, ValueError, "Missing required inputs: x"),
        ((1, 2, 3), {}, ValueError, f"Too many positional arguments provided, expected inputs {BOTH}, args 3"),
        (
            (1, 2),
            {"z": 3},
            ValueError,
            f"Too many keyword arguments provided, expected inputs {BOTH}, args dict_keys(['z', 'x', 'y'])",
        ),
        ((1,), {"x": 2}, TypeError, "sig.add() got multiple values for argument 'x'"),
        ((), {"xx": 2}, TypeError, "sig.add() got an unexpected keyword argument 'xx'; did you mean 'x'?"),
        ((1,), {"scale": 2}, TypeError, "sig.add() got an unexpected keyword argument 'scale'; its inputs are x, y."),
        (("one",), {}, TypeError, conversion("x", "one", "Expected value of type <class 'int'> but got 'one' of type <class 'str'>")),
        (
            (1,),
            {"y": None},
            TypeError,
            conversion("y", None, "Expected value of type <class 'int'> but got 'None' of type <class 'NoneType'>"),
        ),
        ((True,), {}, TypeError, conversion("x", value=True, reason="Expected an int, got a boolean (True)")),
    ],
)
def test_a_call_that_does_not_fit_is_refused_in_flytes_words(
    args: tuple[object, ...], kwargs: dict[str, object], error: type[Exception], message: str
) -> None:
    """With the task's name as a note, so that the text stays Flyte's."""
    with pytest.raises(error) as caught:
        bind(add, *args, **kwargs)

    assert (type(caught.value), str(caught.value), caught.value.__notes__) == (error, message, ["In a call of task 'sig.add'."])


def test_an_item_of_the_wrong_type_is_named_by_parameter_and_place() -> None:
    """The parameter, the place in it, what was expected and what came."""

    def total(rows: list[int]) -> int:
        """Return a sum."""
        return sum(rows)

    with pytest.raises(TypeError, match=r"(?s)variable 'rows'.*Expected type: list\[int\].*got 'a' of type <class 'str'> \(at rows\[1\]\)"):
        bind(total, [1, "a"])


def test_values_arrive_as_flyte_delivers_them() -> None:
    """Plain types for subclasses, members for names, records for dicts."""

    def takes(rate: float, color: Color, plan: Plan, mode: Literal["a", "b"]) -> None:
        """Take what needs a look."""

    values = bind(takes, np.float64(2), "RED", {"steps": 3}, "b")

    assert (values, type(values[0])) == ((2.0, Color.RED, Plan(3), "b"), float)


def test_the_usual_call_returns_the_arguments_as_they_came() -> None:
    """Nothing is built when nothing needs a look."""
    args = (1, 2)

    assert Signature.of(add).bind(args, {}) is args


def test_a_default_is_checked_like_any_other_value() -> None:
    """`rate: float = 1` is refused when it is used, as it is in Flyte."""

    def fit(rate: float = 1) -> None:
        """Take a rate."""

    assert bind(fit, 1.0) == (1.0,)
    with pytest.raises(TypeError, match="variable 'rate'"):
        bind(fit)


def test_none_as_a_default_fits_any_parameter() -> None:
    """`x: int = None` is common; passing None is still refused."""

    def sloppy(x: int = None) -> None:  # type: ignore[assignment]  # noqa: RUF013 - what is tested
        """Take an int."""

    assert bind(sloppy) == (None,)
    with pytest.raises(TypeError):
        bind(sloppy, None)


def test_a_default_of_the_wrong_type_is_refused_when_it_is_used() -> None:
    """As any other value; and one that Flyte converts is converted."""

    def wrong(x: int = "one", color: Color = "RED") -> None:  # type: ignore[assignment]  # what is tested
        """Take an int and a colour."""

    assert bind(wrong, 1) == (1, Color.RED)
    with pytest.raises(TypeError, match="variable 'x'"):
        bind(wrong)


def test_parameters_tell_what_the_function_says() -> None:
    """Names, types, defaults, and which are given by keyword only."""

    def shaped(x: int, y: "str" = "a", *, z: bool = False) -> None:
        """Take three."""

    signature = Signature.of(shaped)

    assert signature.parameters == (
        Parameter("x", int),
        Parameter("y", str, "a"),
        Parameter("z", bool, default=False, is_keyword_only=True),
    )
    assert [parameter.has_default for parameter in signature.parameters] == [False, True, True]


def test_bound_values_call_the_function() -> None:
    """What is taken by keyword only is passed by keyword."""

    def shaped(x: int, /, y: int, *, z: int, w: int = 4) -> list[int]:
        """Return the arguments."""
        return [x, y, z, w]

    signature = Signature.of(shaped)
    call: Callable[..., object] = shaped
    args, kwargs = signature.call_arguments(signature.bind((1, 2), {"z": 3}))

    assert (args, kwargs) == ((1, 2), {"z": 3, "w": 4})
    assert call(*args, **kwargs) == [1, 2, 3, 4]
    assert Signature.of(add).call_arguments((1, 2)) == ((1, 2), {})
    assert Signature(()).call_arguments(()) == ((), {})


def test_variable_arguments_are_refused() -> None:
    """Inputs have names."""

    def main(*args: int) -> None:
        """Take any."""

    def other(**kwargs: int) -> None:
        """Take any."""

    for func in (main, other):
        with pytest.raises(ValueError, match=f"Function {func.__name__} cannot have variable positional or keyword arguments."):
            Signature.of(func)


def test_an_annotation_that_does_not_resolve_is_an_error() -> None:
    """The function is named; the error is Python's."""

    def lost(x: "Nowhere") -> None:  # type: ignore[name-defined]  # noqa: F821 - what is tested
        """Take something."""

    with pytest.raises(NameError, match="Nowhere") as caught:
        Signature.of(lost)

    assert "'lost'" in caught.value.__notes__[0]


def test_a_parameter_without_annotation_takes_anything_and_is_mentioned_once(caplog: pytest.LogCaptureFixture) -> None:
    """The cell may be run again without the warning coming again."""

    def loose(x, y=2):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202 - what is tested
        """Take anything."""

    with caplog.at_level(logging.WARNING, "flyte_nb"):
        signatures = [Signature.of(loose), Signature.of(loose)]

    assert [record.getMessage().split(":")[0] for record in caplog.records] == [
        f"Function {loose.__qualname__} has parameter {name} without type annotation" for name in ("x", "y")
    ]
    assert signatures[0].bind((object,), {}) == (object, 2)


def test_a_decorated_function_shows_its_own_parameters() -> None:
    """`functools.wraps` is followed."""

    @functools.wraps(add)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return add(*args, **kwargs)

    assert Signature.of(wrapper).bind((1,), {}) == (1, 5)


@given(args=st.lists(st.integers(), max_size=4), kwargs=st.dictionaries(st.sampled_from("abcz"), st.integers(), max_size=4))
def test_binding_agrees_with_python(args: list[int], kwargs: dict[str, int]) -> None:
    """What Python's own call would bind is bound alike, and what it refuses is refused."""

    def target(a: int, b: int = 1, c: int = 2) -> tuple[int, int, int]:
        return a, b, c

    try:
        expected = target(*args, **kwargs)
    except TypeError:
        with pytest.raises((TypeError, ValueError)):
            bind(target, *args, **kwargs)
    else:
        assert bind(target, *args, **kwargs) == expected


# -------------------------------------------------------------------------------------------------------- outputs


@pytest.mark.parametrize(
    "annotation,types",
    [
        (None, {}),
        (type(None), {}),
        (int, {"o0": int}),
        (Any, {"o0": Any}),
        (tuple, {"o0": tuple}),
        (list[int], {"o0": list[int]}),
        (Tuple[int, str], {"o0": int, "o1": str}),  # noqa: UP006
        (tuple[int, str], {"o0": int, "o1": str}),
        ((int, str), {"o0": int, "o1": str}),
        (Score, {"value": float, "label": str}),
    ],
)
def test_outputs_are_named_as_in_flyte(annotation: object, types: dict[str, object]) -> None:
    """A tuple is several outputs; a NamedTuple names them; None is none."""
    signature = Signature((), annotation)

    assert (signature.outputs, signature.has_return_annotation) == (types, True)


def test_a_function_without_return_annotation_declares_no_outputs() -> None:
    """And what it returns is returned."""

    def loose(x: int):  # type: ignore[no-untyped-def]  # noqa: ANN202 - what is tested
        return [x]

    signature = Signature.of(loose)

    assert (signature.outputs, signature.has_return_annotation, signature.check_output([1])) == ({}, False, [1])


@pytest.mark.parametrize("annotation", [tuple[int, ...], tuple[int], (int,)])
def test_some_tuples_are_no_outputs(annotation: object) -> None:
    """Their number must be known, and more than one."""
    with pytest.raises(TypeError):
        Outputs(annotation)


@pytest.mark.parametrize(
    "annotation,value,expected",
    [
        (int, 5, 5),
        (None, None, None),
        (Any, (1, 2), (1, 2)),
        (tuple, (1, 2), (1, 2)),
        (dict, {"a": 1}, {"a": 1}),
        (float, np.float64(1), 1.0),
        (Color, "BLUE", Color.BLUE),
        (Optional[int], None, None),
        (tuple[int, str], (1, "b"), (1, "b")),
        ((int, float), (1, np.float64(2)), (1, 2.0)),
        (Score, Score(0.5, "x"), Score(0.5, "x")),
        (Score, (0.5, "x"), Score(0.5, "x")),
    ],
)
def test_a_value_that_fits_its_annotation_is_returned(annotation: object, value: object, expected: object) -> None:
    """As Flyte delivers it."""
    got = returned(annotation, value)

    assert (got, type(got)) == (expected, type(expected))


@pytest.mark.parametrize(
    "annotation,value,reason",
    [
        (int, "not an int", "variable o0, {} Expected value of type <class 'int'> but got 'not an int' of type <class 'str'>"),
        (int, None, "variable o0, {} Expected value of type <class 'int'> but got 'None' of type <class 'NoneType'>"),
        (None, 5, "variable o0, {} Expected no outputs but got (5,),did you miss a return type annotation?"),
        (list[int], [1, "a"], "variable o0, {} Expected value of type <class 'int'> but got 'a' of type <class 'str'> (at o0[1])"),
        (tuple[int, str], (1, 2), "variable o1, {} Expected value of type <class 'str'> but got '2' of type <class 'int'>"),
        (tuple[int, str], (1,), "variable o0, {} Received 1 outputs but return annotation has 2 outputs specified."),
        (tuple[int, str], [1, "a"], "variable o0, {} Received 1 outputs but return annotation has 2 outputs specified."),
        (Score, (1, "x"), "variable value, {} Expected value of type <class 'float'> but got '1' of type <class 'int'>"),
        (Score, 5, "variable value, {} Received 1 outputs but return annotation has 2 outputs specified."),
    ],
)
def test_a_value_that_does_not_fit_its_annotation_is_refused(annotation: object, value: object, reason: str) -> None:
    """With Flyte's class, code and words."""
    with pytest.raises(RuntimeDataValidationError) as caught:
        returned(annotation, value)

    assert caught.value.code == "DataValidationError"
    assert str(caught.value).startswith("In task sig.main " + reason.format("failed to serialize/deserialize because of"))


def test_a_numpy_number_is_no_int_output() -> None:
    """The remedy is named."""
    with pytest.raises(RuntimeDataValidationError, match=r"pass \.item\(\)"):
        returned(int, np.int64(5))


@pytest.mark.parametrize("dumps", [pickle.dumps, cloudpickle.dumps])
def test_a_signature_travels(dumps: Callable[[object], bytes]) -> None:
    """Workers bind and check as the notebook does."""
    arrived: Signature = pickle.loads(dumps(Signature.of(many, task_name="sig.many")))

    assert arrived.bind((1,), {}) == (1, "bee", None, [1, 2])
    assert (arrived.parameters, arrived.outputs, arrived.task_name) == (Signature.of(many).parameters, {"o0": str}, "sig.many")


def test_binding_the_usual_call_is_cheap() -> None:
    """It is on the way of every call; the bar is far above what it costs, for slow machines."""
    signature = Signature.of(add)
    args: tuple[object, ...] = (5, 6)
    seconds = min(timeit.repeat(lambda: signature.bind(args, {}), number=10_000, repeat=5))

    assert seconds / 10_000 < 5e-6
