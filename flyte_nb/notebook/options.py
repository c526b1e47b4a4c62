"""Decides how a magic's line is read: its options, what is said about a mistake, and what Tab offers.

Must not know: what a magic does.
"""

from __future__ import annotations

import argparse
import difflib
import functools
import inspect
import keyword
import shlex
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol, TypeVar, cast

from IPython.core import magic
from IPython.core import magic_arguments as ipython
from IPython.core.completer import SimpleCompletion, completion_matcher
from IPython.core.error import UsageError

_MATCHER = "flyte_nb.options"
_HELP = frozenset({"-h", "--help"})

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


def _with_help(function: Function) -> Function:
    """A magic that shows its help, and does nothing else, when its line asks for it."""

    @functools.wraps(function)
    def asked(magics: object, line: str, *cell: str) -> Any:
        __tracebackhide__ = True
        if _HELP.isdisjoint(line.split()):
            return function(magics, line, *cell)
        print(inspect.cleandoc(asked.__doc__ or "").removeprefix("::").strip("\n"))  # noqa: T201 - that was asked for
        return None

    return cast(Function, asked)


def cell_magic(function: Function) -> Function:
    """Make a method the magic of a cell."""
    return cast(Function, magic.cell_magic(_with_help(function)))


def line_magic(function: Function) -> Function:
    """Make a method the magic of a line."""
    return cast(Function, magic.line_magic(_with_help(function)))


def read(method: Any, line: str, name: str, *, split: Callable[[str], list[str]] = shlex.split) -> Any:
    """Read a magic's line.

    Args:
        method: a function with `magic_arguments`.
        line: what stands after the magic's name.
        name: the magic as the user writes it, with its percent signs.
        split: makes words of the line (IPython's own way leaves quotes in the values).

    Raises:
        UsageError: an option is unknown (the nearest one is named), or a value does not fit.
    """
    parser: argparse.ArgumentParser = method.parser
    parser.allow_abbrev = False  # `--retri 3` is a slip, not an option
    try:
        known, unknown = parser.parse_known_args(split(line))
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


def seconds(word: str) -> float:
    """A number of seconds; the type of `--timeout`.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    try:
        return float(word)
    except ValueError:
        raise argparse.ArgumentTypeError(f"it takes seconds, such as 90 or 0.5, not {word!r}") from None


def variable_name(word: str) -> str:
    """A name that a value can be bound to; the type of `--out`.

    Raises:
        argparse.ArgumentTypeError: it is not one.
    """
    if not word.isidentifier() or keyword.iskeyword(word):
        raise argparse.ArgumentTypeError(f"{word!r} is not a name for a variable")
    return word


class Completer:
    """Offers the options of magics, and the values that may follow them.

    Args:
        magics: by name with percent signs: the magic's parser, and by option (or "" for the magic itself) what Tab
            offers after it.
        user_ns: names in the notebook.
    """

    def __init__(self, magics: Mapping[str, tuple[argparse.ArgumentParser, Mapping[str, Choices]]], user_ns: Mapping[str, Any]) -> None:
        self._magics = magics
        self._user_ns = user_ns

    def attach(self, shell: Any) -> None:
        """Register at a shell's completer, in place of an earlier registration.

        A matcher of its own, because what a `complete_command` hook offers stands among Python names such as `--repr`.
        """

        def matcher(context: Any) -> Any:
            return self._matches(context)

        known = shell.Completer.custom_matchers
        known[:] = [other for other in known if getattr(other, "matcher_identifier", "") != _MATCHER]
        known.append(completion_matcher(identifier=_MATCHER, api_version=2)(matcher))

    def _matches(self, context: Any) -> dict[str, Any]:
        line = context.full_text.split("\n")[context.cursor_line][: context.cursor_position]
        found = [SimpleCompletion(text=text, type="param") for text in self.offer(line, context.token)]
        return {"completions": found, "suppress": bool(found)}

    def offer(self, line: str, token: str) -> list[str]:
        """What may stand in place of the token that ends a line; nothing if it is no line of ours."""
        words = line.split()
        if not words or words[0] not in self._magics or line.rstrip() == words[0] == token:
            return []
        parser, values = self._magics[words[0]]
        if token:
            words = words[:-1]
        before = words[-1]
        if before.startswith("-") and _takes_value(parser, before):
            return self._some(values.get(before), token)
        placed = [] if token.startswith("-") else self._some(values.get("" if len(words) == 1 else before), token)
        return placed or [option for option in options_of(parser) if option.startswith(token or "--") and option not in words]

    def _some(self, choices: Choices | None, start: str) -> list[str]:
        return [choice for choice in choices(self._user_ns) if choice.startswith(start)] if choices is not None else []


def _takes_value(parser: argparse.ArgumentParser, option: str) -> bool:
    return any(option in action.option_strings and action.nargs != 0 for action in parser._actions)  # noqa: SLF001 - as above
