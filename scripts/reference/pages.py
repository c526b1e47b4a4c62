"""Decides how a public name looks on its page. Must not know: which names there are, or where the pages lie."""

import inspect
import re
from collections.abc import Iterator
from types import FunctionType

from scripts.reference.docstrings import Doc
from scripts.reference.names import Area, Member, Name, all_names, areas, signature_of

_MADE = "Made by `make docs` from the docstrings; every example on it is executed by the tests."
#: Characters; a default that is longer is not read, but passed over.
_LONG_DEFAULT = 60
_MODULES = re.compile(r"\b(?:flyte_nb(?:\.\w+)*|collections\.abc|datetime|pathlib(?:\._local)?|typing|decimal)\.(?=[A-Za-z_])")


def pages() -> dict[str, str]:
    """Return all pages of the reference, by file name."""
    found = {area.file: page(area, [name for name in all_names() if name.area.file == area.file]) for area in areas()}
    return {"index.md": index(), **found}


def index() -> str:
    """Return the page that lists all names."""
    rows = "".join(
        f"| [{each.full}]({link(each)}) | {cell(each.doc.summary)} |\n" for each in sorted(all_names(), key=lambda each: each.full.lower())
    )
    listed = "\n".join(f"- [{area.title}]({area.file}): {area.intro.split('. ')[0].rstrip('.')}." for area in areas())
    return (
        "# Reference\n\nEvery public name, after `import flyte_nb as flyte`. "
        f"{_MADE.replace('it', 'these pages', 1)}\n\n{listed}\n\nThe magics are in [magics.md](../magics.md), the settings in "
        f"[settings.md](../settings.md).\n\n| name | |\n|---|---|\n{rows}"
    )


def page(area: Area, names: list[Name]) -> str:
    """Return one page."""
    return f"# {area.title}\n\n{area.intro}\n{_MADE}\n\n" + "\n".join("".join(entry(name)) for name in names)


def entry(name: Name) -> Iterator[str]:
    """Yield what is said of a name."""
    yield f"## {name.full}\n\n"
    if name.same_as:
        yield f"Another name for [{name.same_as}]({link(next(each for each in all_names() if each.full == name.same_as))}).\n\n"
        if name.example:
            yield f"```pycon\n{name.example.rstrip()}\n```\n"
        return
    signature = name.signature
    if signature is not None:
        yield f"```py\n{call(name.full, signature)}\n```\n\n"
    doc = name.doc
    yield f"{doc.summary}\n\n" + (f"{doc.text}\n\n" if doc.text else "")
    yield from _arguments(doc, signature)
    if doc.returns:
        yield f"Gives: {doc.returns}\n\n"
    yield from _errors(doc)
    if name.example:
        yield f"```pycon\n{name.example.rstrip()}\n```\n\n"
    members = list(name.members())
    if members:
        yield "| | |\n|---|---|\n" + "".join(_member_row(each) for each in members) + "\n"


def _arguments(doc: Doc, signature: inspect.Signature | None) -> Iterator[str]:
    if not doc.arguments:
        return
    parameters = dict(signature.parameters) if signature else {}
    names = [name for name in parameters if name in doc.arguments] + [name for name in doc.arguments if name not in parameters]
    yield "| argument | type | default | |\n|---|---|---|---|\n"
    for name in names:
        of = parameters.get(name)
        type_ = f"`{type_text(of.annotation)}`" if of is not None and of.annotation is not of.empty else ""
        default = f"`{default_text(of.default)}`" if of is not None and of.default is not of.empty else ""
        yield f"| `{_star(of)}{name}` | {type_.replace('|', _BAR)} | {default.replace('|', _BAR)} | {cell(doc.arguments[name])} |\n"
    yield "\n"


_BAR = "\\|"


def _star(parameter: inspect.Parameter | None) -> str:
    if parameter is None:
        return ""
    return "*" if parameter.kind is parameter.VAR_POSITIONAL else "**" if parameter.kind is parameter.VAR_KEYWORD else ""


def _errors(doc: Doc) -> Iterator[str]:
    if doc.errors:
        yield "Raises\n\n" + "".join(
            f"- {', '.join(f'`{word}`' for word in names.split(', '))}: {meaning}\n" for names, meaning in doc.errors.items()
        )
        yield "\n"


def _member_row(member: Member) -> str:
    name = f"`{member.name}`" if member.is_property else f"`{call(member.name, signature_of(member.value), types=False)}`"
    more = " ".join(member.doc.text.split())
    said = [member.doc.summary, more, *(f"`{each}`: {meaning}" for each, meaning in member.doc.arguments.items())]
    said += [f"Gives: {member.doc.returns}"] if member.doc.returns else []
    said += [f"Raises `{each}`: {meaning}" for each, meaning in member.doc.errors.items()]
    return f"| {name.replace('|', _BAR)}{', also `.aio`' if member.has_aio else ''} | {cell(' '.join(part for part in said if part))} |\n"


def call(name: str, signature: inspect.Signature, *, types: bool = True) -> str:
    """Return how something is called, without the types of its arguments."""
    shown = [
        each.replace(annotation=each.empty, default=each.empty if each.default is each.empty else _Default(each.default))
        for each in signature.parameters.values()
    ]
    result = signature.return_annotation
    arrow = f" -> {type_text(result)}" if types and result not in {signature.empty, None, "None"} else ""
    return f"{name}{signature.replace(parameters=shown, return_annotation=signature.empty)}{arrow}"


class _Default:
    """A default that shows itself as `default_text` has it."""

    def __init__(self, value: object) -> None:
        self._value = value

    def __repr__(self) -> str:
        return default_text(self._value)


def default_text(value: object) -> str:
    """Return a default as readers know it."""
    if isinstance(value, type | FunctionType):
        return value.__name__
    shown = repr(value)
    return "..." if shown.startswith("<") or len(shown) > _LONG_DEFAULT else _MODULES.sub("", shown)


def type_text(annotation: object) -> str:
    """Return a type without the modules that its parts come from."""
    text = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
    return _MODULES.sub("", text.strip("'\""))


def cell(text: str) -> str:
    """Return a text for one cell of a table."""
    return " ".join(text.split()).replace("|", _BAR)


def link(name: Name) -> str:
    """Return where a name's entry is."""
    return f"{name.area.file}#{re.sub(r'[^a-z0-9_-]', '', name.full.lower())}"
