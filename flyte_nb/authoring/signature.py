"""The inputs and outputs of a task's function: how arguments bind to parameters, and what is refused.

Decides: the values of a call in the order of the parameters, and the words for what does not fit.
Must not know: what a task is, or where its values go.

`bind` is on the way of every call, so the usual one - arguments by position, each of a type that fits without a look
inside - is settled by one membership test per argument.
"""

import copy
import difflib
import inspect
import logging
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NoReturn, Self

from flyte_nb.authoring.checkers import Checker
from flyte_nb.authoring.checking import compile_checker
from flyte_nb.authoring.misfits import Mismatch, shortened
from flyte_nb.authoring.outputs import UNANNOTATED, Outputs

_log = logging.getLogger("flyte_nb")
_warned: set[tuple[str, str, str]] = set()

_MISSING: Final = inspect.Parameter.empty


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a task.

    Attributes:
        name: Its name.
        annotation: Its type; `inspect.Parameter.empty` if it has none.
        default: Its default; `inspect.Parameter.empty` if it has none.
        is_keyword_only: Whether the function takes it by keyword only.
    """

    name: str
    annotation: object
    default: object = _MISSING
    is_keyword_only: bool = False

    @property
    def has_default(self) -> bool:
        """Whether it may be left out."""
        return self.default is not _MISSING


class Signature:
    """The parameters and outputs of a task's function, ready to check calls.

    Attributes:
        parameters: In the order of the function.
        outputs: Types by name; none without a return annotation, or with None.
        has_return_annotation: Whether the function says what it returns.
        task_name: The full name of the task, for messages.

    Example:
        >>> def scale(x: int, by: float = 2.0) -> float: ...
        >>> Signature.of(scale).bind((3,), {})
        (3, 2.0)
    """

    def __init__(self, parameters: tuple[Parameter, ...], returns: object = UNANNOTATED, *, task_name: str = "") -> None:
        self.parameters = parameters
        self.task_name = task_name
        self._outputs = Outputs(returns, task_name)
        self._names = tuple(parameter.name for parameter in parameters)
        self._checkers = tuple(compile_checker(parameter.annotation) for parameter in parameters)
        self._exact = tuple(checker.exact for checker in self._checkers)
        self._defaults = tuple(map(_Default, parameters, self._checkers))
        self._required = frozenset(parameter.name for parameter in parameters if not parameter.has_default)
        # By the number of arguments: the defaults that complete them, where these are the same for every call.
        self._completions = {
            given: rest for given in range(len(parameters) + 1) if (rest := _constants(self._defaults[given:])) is not None
        }

    @classmethod
    def of(cls, func: Callable[..., object], *, task_name: str = "") -> Self:
        """Read a function.

        Args:
            func: The function under the decorator.
            task_name: The full name of the task, for messages.

        Raises:
            ValueError: It takes `*args` or `**kwargs`.
            NameError: A string annotation does not resolve.
            TypeError: A return annotation that Flyte does not take, such as `tuple[int, ...]`.
        """
        name = getattr(func, "__name__", repr(func))
        try:
            hints = typing.get_type_hints(func, include_extras=True)
        except Exception as error:
            error.add_note(f"The annotations of task function '{name}' must resolve when the task is declared.")
            raise
        found = list(inspect.signature(func).parameters.values())
        if any(each.kind in {each.VAR_POSITIONAL, each.VAR_KEYWORD} for each in found):
            raise ValueError(f"Function {name} cannot have variable positional or keyword arguments.")
        parameters = tuple(
            Parameter(each.name, hints.get(each.name, _MISSING), each.default, each.kind is each.KEYWORD_ONLY) for each in found
        )
        _warn_of_unannotated(func, parameters)
        return cls(parameters, hints.get("return", UNANNOTATED), task_name=task_name or name)

    def __reduce__(self) -> tuple[object, ...]:
        # The checkers are made anew on the other side.
        return _restored, (type(self), self.parameters, self._outputs.returns, self.task_name)

    @property
    def outputs(self) -> dict[str, object]:
        """Types by name: o0, o1, ... or the fields of a NamedTuple."""
        return dict(self._outputs.types)

    @property
    def has_return_annotation(self) -> bool:
        """Whether the function says what it returns."""
        return self._outputs.returns is not UNANNOTATED

    @property
    def keyword_only(self) -> tuple[str, ...]:
        """The parameters that the function takes by keyword only; they are the last ones."""
        return tuple(parameter.name for parameter in self.parameters if parameter.is_keyword_only)

    def call_arguments(self, values: tuple[object, ...]) -> tuple[tuple[object, ...], dict[str, object]]:
        """How to call the function with bound values: `func(*args, **kwargs)`."""
        names = self.keyword_only
        split = len(values) - len(names)
        return values[:split], dict(zip(names, values[split:], strict=True))

    def bind(self, args: tuple[object, ...], kwargs: Mapping[str, object]) -> tuple[object, ...]:
        """The values of a call, in the order of the parameters, checked.

        Args:
            args: The arguments by position.
            kwargs: The arguments by name.

        Raises:
            ValueError: An argument is missing, or there are too many.
            TypeError: A name is unknown or given twice, or a value is of the wrong type.
        """
        if not kwargs:
            rest = self._completions.get(len(args))
            if rest is not None:
                for value, exact in zip(args, self._exact):  # noqa: B905 - the rest are defaults, and `strict` costs a fifth
                    if type(value) not in exact:
                        break
                else:
                    return args + rest if rest else args
        try:
            return self._bind_with_care(args, kwargs)
        except (TypeError, ValueError) as error:
            error.add_note(f"In a call of task '{self.task_name}'.")
            raise

    def check_output(self, value: object) -> object:
        """What the caller gets for what the function returned.

        Raises:
            RuntimeDataValidationError: It does not fit the return annotation.
        """
        return self._outputs.check(value)

    def _bind_with_care(self, args: tuple[object, ...], kwargs: Mapping[str, object]) -> tuple[object, ...]:
        given = len(args)
        rest = self._names[given:]
        if given > len(self._names) or len(kwargs) != (sum(map(kwargs.__contains__, rest)) if kwargs else 0):
            self._refuse_names(args, kwargs)
        missing = [name for name in rest if name not in kwargs and name in self._required]
        if missing:
            raise ValueError(f"Missing required inputs: {', '.join(missing)}")
        values = list(map(_accepted, self._names, self._checkers, args))
        for name, checker, default in zip(rest, self._checkers[given:], self._defaults[given:], strict=True):
            if name in kwargs:
                values.append(_accepted(name, checker, kwargs[name]))
            else:
                values.append(default.fresh() if default.fits else _accepted(name, checker, default.fresh()))
        return tuple(values)

    def _refuse_names(self, args: tuple[object, ...], kwargs: Mapping[str, object]) -> NoReturn:
        names = dict.fromkeys(self._names).keys()
        if len(args) > len(names):
            raise ValueError(f"Too many positional arguments provided, expected inputs {names}, args {len(args)}")
        by_position = self._names[: len(args)]
        given = (dict(kwargs) | dict.fromkeys(by_position)).keys()
        if len(given) > len(names):
            raise ValueError(f"Too many keyword arguments provided, expected inputs {names}, args {given}")
        twice = kwargs.keys() & set(by_position)
        if twice:
            raise TypeError(f"{self.task_name}() got multiple values for argument '{min(twice)}'")
        unknown = next(name for name in kwargs if name not in names)
        near = difflib.get_close_matches(unknown, names, n=1, cutoff=0.5)
        advice = f"did you mean '{near[0]}'?" if near else f"its inputs are {', '.join(names)}."
        raise TypeError(f"{self.task_name}() got an unexpected keyword argument '{unknown}'; {advice}")


class _Default:
    """The default of a parameter, as each call gets it.

    Attributes:
        value: The object in the function's signature.
        fits: Whether it needs no check. None always fits, as `x: int = None` is common.
        is_constant: Whether all calls can have the same object.
    """

    __slots__ = ("_is_flat", "fits", "is_constant", "value")

    def __init__(self, parameter: Parameter, checker: Checker) -> None:
        value: Any = parameter.default
        self.value = value
        self.fits = parameter.has_default and (value is None or _fits(checker, value))
        self.is_constant = self.fits and _is_constant(value)
        items = value.values() if isinstance(value, dict) else value
        self._is_flat = isinstance(value, list | dict | set | bytearray) and all(map(_is_constant, items))

    def fresh(self) -> object:
        """The default for one call: what the call does to it, the next one does not see, as if it had travelled."""
        value = self.value
        if self.is_constant:
            return value
        try:
            return copy.copy(value) if self._is_flat else copy.deepcopy(value)
        except Exception:  # noqa: BLE001 - what cannot be copied cannot travel either, and that is reported later
            return value


def _is_constant(value: object) -> bool:
    if isinstance(value, tuple):
        return all(map(_is_constant, value))
    return not isinstance(value, list | dict | set | bytearray)


def _constants(defaults: tuple[_Default, ...]) -> tuple[object, ...] | None:
    return tuple(default.value for default in defaults) if all(default.is_constant for default in defaults) else None


def _fits(checker: Checker, value: object) -> bool:
    try:
        return checker.accept(value) is value
    except Mismatch:
        return False


def _accepted(name: str, checker: Checker, value: object) -> object:
    if type(value) in checker.exact:
        return value
    try:
        return checker.accept(value)
    except Mismatch as misfit:
        raise TypeError(
            f"Type conversion failed for variable '{name}'.\n"
            f"Expected type: {checker.annotation}\n"
            f"Actual type: {type(value)}\n"
            f"Value received: {shortened(value)}\n"
            f"Reason: {misfit.text(name)}"
        ) from None


def _restored(cls: type[Signature], parameters: tuple[Parameter, ...], returns: object, task_name: str) -> Signature:
    return cls(parameters, returns, task_name=task_name)


def _warn_of_unannotated(func: Callable[..., object], parameters: tuple[Parameter, ...]) -> None:
    name = getattr(func, "__qualname__", repr(func))
    for parameter in parameters:
        where = (func.__module__, name, parameter.name)
        if parameter.annotation is _MISSING and where not in _warned:
            _warned.add(where)
            _log.warning("Function %s has parameter %s without type annotation: its values are not checked.", name, parameter.name)
