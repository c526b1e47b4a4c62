"""Decides which definition of a task counts when only its facts are at hand: what its name stands for now.

A notebook's cells are run again after an edit, so "the task of that run" is what the module has under that name today,
as it is for every other name in Python. Functions made inside of other functions have no such name.

Must not know: runs.
"""

from __future__ import annotations

import sys
from typing import Any

from flyte_nb.authoring.task import Task
from flyte_nb.core.events import TaskFacts


def definition_now(facts: TaskFacts) -> Task[..., Any] | None:
    """The task that stands today where one with these facts was defined; None if there is none."""
    module, _, path = facts.place.partition(":")
    found: object = sys.modules.get(module)
    for name in path.split("."):
        found = getattr(found, name, None)
    return found if isinstance(found, Task) and found.name == facts.name else None


def is_same_code(first: Task[..., Any], second: Task[..., Any]) -> bool:
    """Whether two tasks are variants of one function, made with `override` say."""
    return first.func is second.func


__all__ = ["definition_now", "is_same_code"]
