"""When a recorded action tree and ours are the same."""

from __future__ import annotations

import json
from pathlib import Path

from scripts.conformance import Row, compare, same

MAIN: Row = ["main", None, None, "succeeded", 1, False]
#: As the SDK's tracker shows two groups, one opened in the other.
RECORDED: list[Row] = [
    MAIN,
    ["outer", "main", None, "succeeded", None, False],
    ["inner", "main", None, "failed", None, False],
    ["leaf", "outer", "outer", "succeeded", 1, False],
    ["leaf", "inner", "a.inner", "failed", 2, False],
    ["step", "main", None, "succeeded", None, False],
]
OURS: list[Row] = [
    ["leaf", "main", "a.inner", "failed", 2, False],
    ["leaf", "main", "outer", "succeeded", 1, False],
    ["step", "main", None, "succeeded", 1, False],
    MAIN,
]


def test_a_folder_of_a_group_is_its_label() -> None:
    """Folders are taken out, the children keep their parent and group; a traced step has no attempts on one side."""
    assert same(RECORDED, OURS)


def test_a_difference_in_anything_else_is_one() -> None:
    """Parent, group, phase, attempts, number."""
    for place, other in ((1, "leaf"), (2, "outer"), (3, "succeeded"), (4, 1)):
        changed = list(OURS[0])
        changed[place] = other

        assert not same(RECORDED, [changed, *OURS[1:]])
    assert not same(RECORDED, [*OURS, MAIN])
    assert not same([MAIN, ["outer", "main", None, "succeeded", 1, False]], [MAIN])


def test_folders_of_one_name_under_several_parents_tell_no_parent() -> None:
    """Recorded rows have no ids, so it cannot be known which of them a child is in."""
    folders: list[Row] = [["t_map", parent, None, "succeeded", None, False] for parent in ("main", "mid")]
    recorded: list[Row] = [*folders, ["t", "t_map", "env.t_map", "succeeded", 1, False], ["t", "t_map", "env.t_map", "succeeded", 1, False]]
    ours: list[Row] = [["t", parent, "env.t_map", "succeeded", 1, False] for parent in ("main", "mid")]

    assert same(recorded, ours)
    assert not same(recorded, ours[1:])


def test_cases_are_counted_and_named(tmp_path: Path) -> None:
    """Cases without a tree on a side, or that may end otherwise, are left out."""
    cases = {
        "same": ({"status": "ok", "tree": RECORDED}, OURS),
        "other": ({"status": "ok", "tree": RECORDED}, OURS[1:]),
        "untold": ({"status": "ok", "tree": RECORDED}, None),
        "unwanted": ({"status": "ok", "tree": RECORDED, "TREE": False}, OURS[1:]),
        "otherwise": ({"status": "error", "tree": RECORDED}, OURS[1:]),
    }
    for name, (recorded, _ours) in cases.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(recorded))

    assert compare({name: {"status": "ok", "tree": ours} for name, (_, ours) in cases.items()}, tmp_path) == (1, ["other"])
