"""Decides how the files of code are named to people: a notebook's cell is `Cell In[3]`, not a file that nobody wrote.

A cell's label travels with the tasks that it defines, so that tracebacks read the same wherever they come from.

Must not know: IPython; the notebook says how its cells are called.
"""

from __future__ import annotations

from collections.abc import Callable

_labels: dict[str, str] = {}
_labeller: Callable[[str], str] | None = None


def set_labeller(labeller: Callable[[str], str] | None) -> None:
    """Say how file names are shown in this process."""
    global _labeller  # noqa: PLW0603 - one notebook a process
    _labeller = labeller


def remember_label(file: str, label: str) -> None:
    """Keep the label of a file that came from another process."""
    _labels[file] = label


def file_label(file: str) -> str:
    """How a file is named to people."""
    if file in _labels:
        return _labels[file]
    return file if _labeller is None else _labeller(file)
