"""How a value that does not fit its annotation reads, in Flyte's words with the remedy added.

Decides: the texts, and that they stay short whatever the value is or does.
Must not know: what fits (`checkers` and its neighbours).
"""

import reprlib
from collections import deque
from collections.abc import Collection, Mapping
from types import CoroutineType, GenericAlias
from typing import Final

from flyte_nb.authoring.unawaited import hint_of

LONGEST_TEXT: Final = 200


class Mismatch(Exception):  # noqa: N818 - never leaves this package
    """A value does not fit its annotation.

    Args:
        reason: Why not.
        path: Where in the value: "[1]['name']"; empty for the value itself.
    """

    def __init__(self, reason: str, path: str = "") -> None:
        super().__init__(reason, path)
        self.reason = reason
        self.path = path

    def under(self, step: str) -> "Mismatch":
        """The same misfit, seen from the value around it."""
        return Mismatch(self.reason, step + self.path)

    def text(self, name: str) -> str:
        """The reason, with the place in the value called `name`."""
        return f"{self.reason} (at {name}{self.path})" if self.path else self.reason


_words = reprlib.Repr()
_words.maxlevel = 4
_words.maxlist = _words.maxtuple = _words.maxset = _words.maxfrozenset = _words.maxdeque = _words.maxdict = 20
_words.maxstring = _words.maxother = _words.maxlong = LONGEST_TEXT


def shortened(value: object) -> str:
    """A value's repr in at most `LONGEST_TEXT` characters, whatever the value does."""
    try:
        # The repr of large bytes is four times as large before it is cut.
        text = repr(value[:LONGEST_TEXT]) if isinstance(value, bytes | bytearray) else _words.repr(value)
    except Exception as error:  # noqa: BLE001 - a user's __repr__ may raise anything; the message must still come
        text = f"<{type(value).__name__}, whose repr raises {type(error).__name__}>"
    return text if len(text) <= LONGEST_TEXT else text[: LONGEST_TEXT - 1] + "…"


# Of these, `str` may be as long as what they hold; of the rest it is what Flyte's messages show.
_HOLDERS: Final = (list, tuple, dict, set, frozenset, deque, bytes, bytearray)


def shown(value: object) -> str:
    """A value as Flyte's messages show it, which is its `str`, in about `LONGEST_TEXT` characters."""
    if isinstance(value, _HOLDERS):
        return shortened(value)
    try:
        text = value if type(value) is str else str(value)
    except Exception:  # noqa: BLE001 - as above
        return shortened(value)
    return text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]}…"


def unexpected(expected: object, value: object, advice: str = "") -> Mismatch:
    """The misfit of a value of the wrong type, in Flyte's words."""
    reason = f"Expected value of type {expected} but got '{shown(value)}' of type {type(value)}"
    advice = advice or hint_of(value)
    return Mismatch(f"{reason}: {advice}" if advice else reason)


def not_a_task(value: object) -> str:
    """What is said of something that is no task, where one is to be run: Flyte's words, and the remedy."""
    said = f"On Flyte tasks can be run, not generic functions or methods '{type(value)}'."
    if isinstance(value, CoroutineType):
        value.close()  # it would be warned of, on top
        return f"{said} Give the task and its inputs apart: flyte.run(task, 3), not flyte.run(task(3))."
    if callable(value):
        return f'{said} Declare it first: `@env.task`, with env = flyte.TaskEnvironment("name").'
    return f"{said} It got {shortened(value)}: give the task and its inputs apart, flyte.run(task, ...)."


def not_container(annotation: object, container: type, value: object) -> Mismatch:
    """The misfit of what is no list or dict, in Flyte's words for `list[int]` and for `List[int]`."""
    words = f"Value '{shown(value)}' is not of container type {container}"
    if not isinstance(annotation, GenericAlias):
        words = f"Expected a {container.__name__} but got {shown(value)} of type {type(value)}"
    can_be_made = isinstance(value, Mapping if container is dict else Collection) and not isinstance(value, str | bytes)
    return Mismatch(f"{words}: pass {container.__name__}(...)" if can_be_made else words)
