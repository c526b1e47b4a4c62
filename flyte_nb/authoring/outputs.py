"""The outputs of a task: their names and types, and what may be returned.

Decides: how a return annotation becomes named outputs, and what is refused of what a task returns.
Must not know: inputs (`signature`), or where outputs go.
"""

import inspect
import typing
from collections.abc import Callable, Mapping
from types import MappingProxyType, NoneType
from typing import Any, Final, NoReturn

from flyte_nb.authoring.checkers import EVERYTHING, Checker
from flyte_nb.authoring.checking import compile_checker
from flyte_nb.authoring.misfits import Mismatch, shortened
from flyte_nb.errors import RuntimeDataValidationError

UNANNOTATED: Final = inspect.Parameter.empty


class Outputs:
    """What a task returns.

    Attributes:
        returns: The return annotation; `UNANNOTATED` if there is none.
        types: Types by name: o0, o1, ... or the fields of a NamedTuple; none for None and without annotation.

    Example:
        >>> dict(Outputs(tuple[int, str]).types)
        {'o0': <class 'int'>, 'o1': <class 'str'>}
    """

    __slots__ = ("_checkers", "_exact", "_record", "_task_name", "returns", "types")

    def __init__(self, returns: object = UNANNOTATED, task_name: str = "") -> None:
        self.returns = returns
        self.types: Mapping[str, object] = MappingProxyType(_types_of(returns))
        self._task_name = task_name
        self._checkers: dict[str, Checker] = {name: compile_checker(each) for name, each in self.types.items()}
        self._record = _record_of(returns)
        # The types that are returned as they are, with no further look.
        self._exact = frozenset[type]()
        if returns is UNANNOTATED:
            self._exact = EVERYTHING
        elif not self.types:
            self._exact = frozenset({NoneType})
        elif self.types.keys() == {"o0"}:
            self._exact = self._checkers["o0"].exact

    def check(self, value: object) -> object:
        """What the caller gets for a returned value.

        Raises:
            RuntimeDataValidationError: It does not fit the annotation.
        """
        if type(value) in self._exact:
            return value
        if not self.types:
            self._refuse("o0", f"Expected no outputs but got ({shortened(value)},),did you miss a return type annotation?")
        if len(self.types) == 1 and self._record is None:
            return self._checked("o0", value)
        items = value if isinstance(value, tuple) else (value,)
        if len(items) != len(self.types):
            wanted = f"return annotation has {len(self.types)} outputs specified."
            self._refuse(next(iter(self.types)), f"Received {len(items)} outputs but {wanted}")
        checked = tuple(self._checked(name, item) for name, item in zip(self.types, items, strict=True))
        return checked if self._record is None else self._record(*checked)

    def _checked(self, name: str, value: object) -> object:
        try:
            return self._checkers[name].accept(value)
        except Mismatch as misfit:
            self._refuse(name, misfit.text(name))

    def _refuse(self, output: str, reason: str) -> NoReturn:
        raise RuntimeDataValidationError(output, reason, self._task_name)


def _record_of(returns: object) -> Callable[..., object] | None:
    """The class, if it is a NamedTuple."""
    return returns if isinstance(returns, type) and issubclass(returns, tuple) and hasattr(returns, "_fields") else None


def _types_of(returns: object) -> dict[str, object]:
    """Flyte's rule: a tuple is several outputs, a NamedTuple names them."""
    if returns is None or returns is NoneType or returns is UNANNOTATED:
        return {}
    if _record_of(returns) is not None:
        hints = typing.get_type_hints(returns, include_extras=True)
        return {name: hints.get(name, Any) for name in getattr(returns, "_fields", ())}
    is_tuple = typing.get_origin(returns) is tuple
    items = typing.get_args(returns) if is_tuple else returns
    if not isinstance(items, tuple):
        return {"o0": returns}
    if len(items) == 1:
        raise TypeError("Tuples should be used to indicate multiple return values, found only one return variable.")
    if Ellipsis in items:
        raise TypeError("Variable length tuples are not supported as return types.")
    return {f"o{place}": item for place, item in enumerate(items)}
