"""The reference tells of every public name, tells it completely, and its examples do what they say."""

import types
from pathlib import Path

import pytest

import flyte_nb as flyte
from flyte_nb import errors
from flyte_nb.core import policy
from scripts.reference import __main__ as reference
from scripts.reference import errortree, magics
from scripts.reference.docstrings import Doc, comment_above, parse
from scripts.reference.names import AREAS, Area, Name, all_names, areas, examples, gaps
from scripts.reference.pages import entry, pages

STYLE = """Do it, in one
sentence.

More about it.

Args (when called):
    first: seconds,
        at most 3.
    *rest, **others: what else.

Returns:
    What came
    out.

Raises:
    KeyError, ValueError: it is not there.

Example:
    >>> 1 + 1
    2
"""


def test_the_pages_are_current() -> None:
    """`make docs` would change nothing; `python -m scripts.reference` writes them anew."""
    assert reference.stale() == []


@pytest.mark.parametrize("name", all_names(), ids=lambda name: name.full)
def test_a_public_name_is_told_of_completely(name: Name) -> None:
    """One sentence, every argument, an example."""
    assert gaps(name) == []


def test_the_examples_do_what_they_say() -> None:
    """Each is executed as a doctest, in a process of their own."""
    made = reference.run_examples()

    assert made.stdout.strip() == "All examples do what they say."
    assert made.returncode == 0


def test_every_public_name_has_a_page() -> None:
    """The package's, and those of its public modules; pages list no other."""
    told = {name.full for name in all_names()}
    modules = {name for name in flyte.__all__ if isinstance(getattr(flyte, name), types.ModuleType)}

    assert {f"flyte.{name}" for name in set(flyte.__all__) - modules} <= told
    assert {f"flyte.{module}.{name}" for module in modules for name in getattr(flyte, module).__all__} <= told
    assert all(hasattr(name.area.module, name.name) for name in all_names())


def test_an_example_belongs_to_a_name() -> None:
    """Nothing is left in the files of examples of what is gone."""
    known = {name.full.removeprefix("flyte.") for name in all_names()}

    assert [title for area in areas() for title in examples(area) if title not in known] == []


def test_a_docstring_is_read_by_part() -> None:
    """Continued lines, several names before one colon, sections of what is called later."""
    assert parse(STYLE) == Doc(
        summary="Do it, in one sentence.",
        text="More about it.",
        arguments={"first": "seconds, at most 3.", "rest": "what else.", "others": "what else."},
        returns="What came out.",
        errors={"KeyError, ValueError": "it is not there."},
        example=">>> 1 + 1\n2",
    )
    assert parse(None) == Doc()


def test_a_value_is_told_of_by_the_comment_above_it() -> None:
    """Also where it is imported from elsewhere; one without a comment has none."""
    assert comment_above(flyte, "DeviceClass") == "The classes of accelerators."
    assert comment_above(flyte, "TimeoutType") == comment_above(policy, "TimeoutType") != ""
    assert comment_above(flyte, "no_such_name") == ""


def undocumented(first, *, second=2): ...  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201, D103 - that is the point


def test_what_is_missing_is_said() -> None:
    """A name without a docstring, whose arguments are not described, without an example."""
    module = types.ModuleType("flyte_nb.fake")
    module.undocumented = undocumented  # type: ignore[attr-defined]  # a module takes any name
    found = gaps(Name(Area("fake.md", "Fake", "", module), "undocumented"))

    assert [text.partition(" (")[0].partition(", ")[0] for text in found] == [
        "no docstring",
        "argument first is not described",
        "argument second is not described",
        "no example",
    ]


def test_an_entry_shows_signature_arguments_errors_and_example() -> None:
    """What a reader looks for, in this order; a bar does not end the cell of a table."""
    retry = next(name for name in all_names() if name.full == "flyte.Backoff")
    text = "".join(entry(retry))

    assert text.index("flyte.Backoff(base, factor=1.0, cap=None)") < text.index("| `base` |") < text.index("```pycon")
    assert "timedelta \\| None" in text


def test_pages_name_nothing_of_the_machine_they_were_made_on() -> None:
    """Neither paths nor addresses of objects."""
    assert [file for file, text in pages().items() if " at 0x" in text or str(Path.home()) in text] == []
    assert len(pages()) == len(areas()) + 1 >= len(AREAS) + 1


def test_the_page_of_errors_has_every_class() -> None:
    """Those that only Flyte raises are apart; the tree has the rest, each below its base."""
    text = errortree.PAGE.read_text(encoding="utf8")
    names = {name for name in errors.__all__ if isinstance(getattr(errors, name), type)}

    assert {cls.__name__ for cls in errortree.classes()} == names
    assert {name for name in names if f"[{name}](reference/errors.md#" not in text} == set()
    assert [line.strip() for line in errortree.tree().splitlines() if "Timeout" in line] == ["TaskTimeoutError"]
    assert [line for line in errortree.tree().splitlines() if "MaxRuntime" in line] == ["            MaxRuntimeExceededError"]


@pytest.mark.parametrize("magic", magics.all_magics(), ids=lambda magic: magic.name)
def test_a_magic_is_told_of_completely(magic: magics.MagicPage) -> None:
    """One sentence, every option, an example."""
    assert magics.summary(magic).endswith(".")
    assert magics.gaps(magic) == []
