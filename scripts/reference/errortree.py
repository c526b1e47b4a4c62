"""Decides how the tree of errors, and the table of what to do, look in docs/errors.md.

Must not know: when an error is raised.
"""

import inspect
from collections.abc import Iterator
from pathlib import Path

from flyte_nb import errors
from scripts.reference.docstrings import parse
from scripts.reference.pages import cell

PAGE = Path(__file__).parents[2] / "docs" / "errors.md"
BEGIN = "<!-- errors: drawn by `make docs` from flyte_nb/errors/ -->"
END = "<!-- end of errors -->"
#: In a docstring: what only a Flyte backend raises.
_ELSEWHERE = ("Raised by Flyte", "Flyte's backend raises")


def classes() -> list[type[Exception]]:
    """Return the classes of the tree, each after its base."""
    return [*_below(errors.BaseRuntimeError), errors.ActionNotFoundError]


def _below(cls: type[Exception]) -> Iterator[type[Exception]]:
    yield cls
    for each in sorted(_derived(cls), key=lambda each: each.__name__.lower()):
        yield from _below(each)


def _derived(cls: type[Exception]) -> Iterator[type[Exception]]:
    """Yield the public classes right below one; private ones between are passed over."""
    for each in cls.__subclasses__():
        if each.__name__ in errors.__all__ and each is getattr(errors, each.__name__):
            yield each
        elif each.__module__.startswith("flyte_nb.errors"):
            yield from _derived(each)


def is_elsewhere(cls: type[Exception]) -> bool:
    """Whether only a Flyte backend raises it."""
    return parse(cls.__doc__).text.startswith(_ELSEWHERE)


def code(cls: type[Exception]) -> str:
    """Return the code of its instances; empty if each has its own."""
    if not issubclass(cls, errors.BaseRuntimeError):
        return ""
    values = {name: 1 if each.annotation is int else "user" if name == "kind" else "?" for name, each in _required(cls)}
    found = cls(**values)  # type: ignore[arg-type]  # by the names of their parameters
    return "" if found.code == "?" else found.code


def _required(cls: type[Exception]) -> list[tuple[str, inspect.Parameter]]:
    return [(name, each) for name, each in inspect.signature(cls).parameters.items() if each.default is each.empty]


def tree() -> str:
    """Return the classes, set in below their bases; those of a Flyte backend are left out."""
    lines = []
    for cls in classes():
        depth = sum(base.__name__ in errors.__all__ for base in cls.__mro__) - 1
        if not is_elsewhere(cls):
            lines.append("    " * depth + cls.__name__ + (f"  [{code(cls)}]" if code(cls) not in {"", cls.__name__} else ""))
    return "```\n" + "\n".join(lines) + "\n```\n"


def table(*, elsewhere: bool) -> str:
    """Return what each error means, and what to do."""
    rows = [
        _row(cls, elsewhere=elsewhere)
        for cls in sorted(classes(), key=lambda each: each.__name__.lower())
        if is_elsewhere(cls) is elsewhere
    ]
    head = "| error | what it means |\n|---|---|\n" if elsewhere else "| error | what it means | what to do next |\n|---|---|---|\n"
    return head + "".join(rows)


def _row(cls: type[Exception], *, elsewhere: bool) -> str:
    doc = parse(cls.__doc__)
    link = f"[{cls.__name__}](reference/errors.md#flyteerrors{cls.__name__.lower()})"
    return f"| {link} | {cell(doc.summary)} |" + ("\n" if elsewhere else f" {cell(doc.text)} |\n")


def redrawn(page: str) -> str:
    """Return a page with what is between its markers drawn anew.

    Raises:
        ValueError: the page does not have the markers.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"The page needs a line {BEGIN!r} and, below it, {END!r}.")
    drawn = (
        f"## The tree\n\nIn brackets the code, where it is not the name of the class.\n\n{tree()}\n"
        f"## What to do next\n\n{table(elsewhere=False)}\n"
        f"## Only on a Flyte backend\n\nThey are here so that code that names them runs in both places.\n\n{table(elsewhere=True)}"
    )
    return f"{before}{BEGIN}\n{drawn}{END}{after}"
