"""Decides how a magic's line is read: its options, what is said about a mistake, and what Tab offers.

Must not know: what a magic does.
"""

from __future__ import annotations

import argparse
import difflib
import keyword
import shlex
from collections.abc import Callable, Iterable, Mapping
from types import SimpleNamespace
from typing import Any, Protocol, TypeVar, cast

from IPython.core import magic
from IPython.core import magic_arguments as ipython
from IPython.core.error import UsageError

#: What may follow an option or a magic, given the names in the notebook.
Choices = Callable[[Mapping[str, Any]], Iterable[str]]


Function = TypeVar("Function", bound=Callable[..., Any])


class Decorator(Protocol):
    """Leaves a function's type as it is."""

    def __call__(self, function: Function, /) -> Function:
        """Decorate."""
        ...


class Declare(Protocol):
    """Makes a decorator, from what `argparse` takes."""

    def __call__(self, *names: str, **settings: Any) -> Decorator:
        """Make it."""
        ...


#: IPython's own decorators, with types.
magic_arguments: Declare = cast(Any, ipython.magic_arguments)
argument: Declare = cast(Any, ipython.argument)
cell_magic: Decorator = cast(Any, magic.cell_magic)
line_magic: Decorator = cast(Any, magic.line_magic)


def read(method: Any, line: str, name: str) -> Any:
    """Read a magic's line.

    Args:
        method: a function with `magic_arguments`.
        line: what stands after the magic's name.
        name: the magic as the user writes it, with its percent signs.

    Raises:
        UsageError: an option is unknown (the nearest one is named), or a value does not fit.
    """
    parser: argparse.ArgumentParser = method.parser
    parser.allow_abbrev = False  # `--retri 3` is a slip, not an option
    try:
        known, unknown = parser.parse_known_args(shlex.split(line))  # IPython's own splitting leaves quotes in the values
    except (UsageError, ValueError) as error:
        raise UsageError(f"{name}: {error}. {_usage(name, parser)}") from None
    if unknown:
        raise UsageError(f"{name}: {_about_unknown(unknown[0], parser)} {_usage(name, parser)}")
    return known


def nearest(word: str, known: Iterable[str]) -> str:
    """`Did you mean X?`, or nothing."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f"Did you mean {close[0]}?" if close else ""


def _about_unknown(word: str, parser: argparse.ArgumentParser) -> str:
    if not word.startswith("-"):
        return f"{word!r} is one word too many."
    option = word.partition("=")[0]
    return f"unknown option {option}. {nearest(option, options_of(parser))}".rstrip()


def _usage(name: str, parser: argparse.ArgumentParser) -> str:
    options = " ".join(option for option in options_of(parser) if option.startswith("--"))
    return f"Options: {options} (`{name}?` explains them)." if options else f"`{name}?` explains it."


def options_of(parser: argparse.ArgumentParser) -> list[str]:
    """All options, in the order in which they were declared."""
    return [option for action in parser._actions for option in action.option_strings]  # noqa: SLF001 - argparse has no public way


def variable_name(word: str) -> str:
    """A name that a value can be bound to; the type of `--out`.

    Raises:
        argparse.ArgumentTypeError: it is not one.
    """
    if not word.isidentifier() or keyword.iskeyword(word):
        raise argparse.ArgumentTypeError(f"{word!r} is not a name for a variable")
    return word


class Completer:
    """Offers a magic's options, and the values that may follow them.

    Args:
        parser: the magic's parser.
        values: by option, or "" for what may follow the magic itself: what Tab offers there.
        user_ns: names in the notebook.
    """

    def __init__(self, parser: argparse.ArgumentParser, values: Mapping[str, Choices], user_ns: Mapping[str, Any]) -> None:
        self._parser = parser
        self._values = values
        self._user_ns = user_ns

    def __call__(self, _shell: object, event: SimpleNamespace) -> list[str]:
        """What may stand at the cursor (an IPython completion hook)."""
        words = event.text_until_cursor.split()
        if event.symbol and words:
            words = words[:-1]
        before = words[-1] if words else ""
        if before.startswith("-") and self._takes_value(before):
            return self._offer(self._values.get(before), event.symbol)
        used = set(words)
        options = [option for option in options_of(self._parser) if option.startswith("--") and option not in used]
        placed = [] if event.symbol.startswith("-") else self._offer(self._values.get("" if len(words) <= 1 else before), event.symbol)
        return placed or [option for option in options if option.startswith(event.symbol)]

    def _takes_value(self, option: str) -> bool:
        return any(option in action.option_strings and action.nargs != 0 for action in self._parser._actions)  # noqa: SLF001 - as above

    def _offer(self, choices: Choices | None, start: str) -> list[str]:
        return [choice for choice in choices(self._user_ns) if choice.startswith(start)] if choices is not None else []
