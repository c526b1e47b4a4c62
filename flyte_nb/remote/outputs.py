"""Decides how what went into an action and what came out of it is handed to the user.

Must not know: runs.
"""

from __future__ import annotations

import json
from collections.abc import Generator
from typing import Any, Self

from flyte_nb.core.events import TaskFacts


class ActionOutputs(tuple[Any, ...]):  # noqa: SLOT001 - a tuple cannot have slots beside its items
    """What an action returned, as a tuple; also by name: `.o0`, or the fields of a NamedTuple."""

    names: tuple[str, ...]

    def __new__(cls, values: tuple[Any, ...], names: tuple[str, ...]) -> Self:
        """Outputs with their names."""
        made = super().__new__(cls, values)
        made.names = names
        return made

    @property
    def named_outputs(self) -> dict[str, Any]:
        """Outputs by name."""
        return dict(zip(self.names, self, strict=True))

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever was returned
        if not name.startswith("_") and name in self.names:
            return self[self.names.index(name)]
        place = name[1:]
        if name[:1] == "o" and place.isdecimal() and int(place) < len(self):  # the fields of a NamedTuple have these names too
            return self[int(place)]
        raise AttributeError(f"There is no output {name!r}; outputs are: {', '.join(self.names) or 'none'}.")

    def to_dict(self) -> dict[str, Any]:
        """Outputs by name."""
        return self.named_outputs

    def to_json(self) -> str:
        """The same as JSON; what JSON does not know, as text."""
        return json.dumps(self.named_outputs, default=str)

    def __reduce__(self) -> tuple[Any, ...]:
        return ActionOutputs, (tuple(self), self.names)

    def __await__(self) -> Generator[None, None, ActionOutputs]:
        """Flyte's details give outputs that are awaited."""
        yield from ()
        return self


class ActionInputs(dict[str, Any]):
    """What an action was called with, by parameter name."""

    def to_dict(self) -> dict[str, Any]:
        """Inputs by name."""
        return dict(self)

    def to_json(self) -> str:
        """The same as JSON; what JSON does not know, as text."""
        return json.dumps(self, default=str)

    def __await__(self) -> Generator[None, None, ActionInputs]:
        """Flyte's details give inputs that are awaited."""
        yield from ()
        return self


def outputs_of(value: object, facts: TaskFacts) -> ActionOutputs:
    """The outputs of a task's returned value: one a declared output; an undeclared one is `o0`."""
    names = facts.outputs
    if len(names) > 1 or (len(names) == 1 and names != ("o0",)):
        return ActionOutputs(tuple(value), names)  # type: ignore[arg-type]  # the signature checked that it is a tuple
    if not names and value is None:
        return ActionOutputs((None,), ("o0",))
    return ActionOutputs((value,), ("o0",))
