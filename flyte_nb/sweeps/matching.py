"""Decides which column of a frame each parameter of a task takes, from their names alone.

Must not know: what is in the columns, or what kind of frame it is.
"""

from __future__ import annotations

import difflib
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

from flyte_nb.authoring.signature import Signature

#: Columns that a message lists before it says how many there are.
_LISTED = 20


@dataclass(frozen=True, slots=True)
class Match:
    """What a parameter takes.

    Attributes:
        parameter: its name.
        label: the column's, or the index level's.
        is_level: it is a level of the index, and no column.
    """

    parameter: str
    label: Hashable
    is_level: bool = False


@dataclass(frozen=True, slots=True)
class Offered:
    """The names that a frame offers.

    Attributes:
        columns: the columns' labels.
        levels: names of the index's levels; those without a name cannot be asked for.
    """

    columns: Sequence[Hashable]
    levels: Sequence[Hashable] = ()

    def __contains__(self, label: object) -> bool:
        return label in self.columns or (label is not None and label in self.levels)

    def listed(self) -> str:
        """The columns, for a message."""
        words = [repr(label) for label in self.columns[:_LISTED]]
        more = len(self.columns) - len(words)
        return (", ".join(words) or "none") + (f" and {more} more" if more > 0 else "")


def match_columns(
    signature: Signature,
    offered: Offered,
    rename: Mapping[Hashable, str] | None = None,
    bound: Sequence[str] = (),
    *,
    aside: Sequence[str] = (),
    renames_frame: bool = False,
) -> list[Match]:
    """What each parameter takes, in the order of the parameters; those that are left to their defaults are left out.

    Args:
        signature: of the task.
        offered: the names that the frame has. A column goes before an index level of the same name.
        rename: parameters by column, where the names differ.
        bound: parameters that have their value already.
        aside: parameters that take no column, whatever its name.
        renames_frame: a parameter takes rows as they are, so `rename` may name columns that no parameter takes.

    Raises:
        ValueError: a parameter without default has no column, a column is there twice, or `rename` names what is not there.
        TypeError: `rename` is no mapping.
    """
    names = [parameter.name for parameter in signature.parameters]
    renamed = _checked_rename(signature.task_name, names, offered, rename, renames_frame=renames_frame)
    found: list[Match] = []
    missing: list[str] = []
    for parameter in signature.parameters:
        label = renamed.get(parameter.name, parameter.name)
        is_free = parameter.name in renamed or label not in set(rename or ())  # a column that was renamed has its old name no more
        if parameter.name in bound:
            if parameter.name in renamed or (is_free and label in offered.columns):
                raise ValueError(
                    f"map_frame({signature.task_name}): {parameter.name!r} is bound by the partial, and the frame has a column for it: "
                    "drop one of the two."
                )
        elif label in offered and is_free and parameter.name not in aside:
            found.append(Match(parameter.name, label, is_level=label not in offered.columns))
        elif not parameter.has_default:
            missing.append(parameter.name)
    if missing:
        raise ValueError(_missing_text(signature.task_name, missing, names, offered))
    for match in found:
        times = sum(label == match.label for label in (offered.levels if match.is_level else offered.columns))
        if times > 1:
            raise ValueError(
                f"map_frame({signature.task_name}): the frame has {times} columns named {match.label!r}, which parameter "
                f"{match.parameter!r} takes: rename or drop all but one."
            )
    return found


def _checked_rename(
    task: str, names: Sequence[str], offered: Offered, rename: Mapping[Hashable, str] | None, *, renames_frame: bool
) -> dict[str, Hashable]:
    """Columns by parameter."""
    if rename is None:
        return {}
    if not isinstance(rename, Mapping):
        raise TypeError(f"map_frame(rename=) takes a dict from column to parameter, got {type(rename).__name__}")
    columns: dict[str, Hashable] = {}
    for column, parameter in rename.items():
        if column not in offered:
            if column in names and parameter in offered:
                advice = f"it maps columns to parameters: write {{{parameter!r}: {column!r}}}."
            else:
                advice = f"{_near(column, offered.columns)}its columns are {offered.listed()}."
            raise ValueError(f"map_frame({task}, rename=...): the frame has no column {column!r}; {advice}")
        if parameter not in names and not renames_frame:
            raise ValueError(
                f"map_frame({task}, rename=...): the task has no parameter {parameter!r}; {_near(parameter, names)}"
                f"its parameters are {', '.join(names) or 'none'}."
            )
        if parameter in columns:
            raise ValueError(
                f"map_frame({task}, rename=...): columns {columns[parameter]!r} and {column!r} are both to be parameter {parameter!r}."
            )
        columns[parameter] = column
    return columns


def _missing_text(task: str, missing: Sequence[str], names: Sequence[str], offered: Offered) -> str:
    free = [label for label in offered.columns if label not in names]
    parts, hint = [], ""
    for name in missing:
        near = _nearest(name, free)
        parts.append(f"{name!r}" + (f" (did you mean column {near!r}?)" if near is not None else ""))
        if near is not None and not hint:
            hint = f"Where the names differ, say rename={{{near!r}: {name!r}}}. "
    what = "parameter" if len(missing) == 1 else "parameters"
    has = "has" if len(missing) == 1 else "have"
    return (
        f"map_frame({task}): {what} {', '.join(parts)} {has} no column and no default. "
        f"{hint or 'Where the names differ, say rename={column: parameter}. '}The frame's columns are {offered.listed()}."
    )


def _near(name: object, known: Sequence[Hashable]) -> str:
    near = _nearest(name, known)
    return f"did you mean {near!r}? " if near is not None else ""


def _nearest(name: object, known: Sequence[Hashable]) -> Hashable | None:
    """The known name that is most like one, whatever its case."""
    texts = {str(label).lower().replace(" ", "_"): label for label in known}
    text = str(name).lower()
    near = difflib.get_close_matches(text, texts, n=1, cutoff=0.5) or [
        each for each in texts if _is_part(text, each) or _is_part(each, text)
    ]
    return texts[near[0]] if near else None


def _is_part(part: str, text: str) -> bool:
    """Whether a name stands among the words of another: "rate" in "learning_rate"."""
    return part in text.split("_")
