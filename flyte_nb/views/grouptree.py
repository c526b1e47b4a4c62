"""Decides the tree of groups: which lines there are, in which order, and what each of them counts.

The root holds the calls of the root action, by group and task. A task whose actions call others holds these actions
(drivers), and each of them its own calls. A group with one task only has no line for it. Counts include everything
below. All lines are worked out from columns by whole arrays: there may be as many groups as actions.

Must not know: messages, or what is done with a line.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np

from flyte_nb.core.phases import TERMINAL_CODES
from flyte_nb.views.columns import CACHED, FAILED_CODES, SHOWN_PHASES, Columns, Numbers

Order = Literal["failures", "name", "time", "progress"]
Kind = Literal["root", "group", "task", "driver"]
ROOT_KEY = "r"
#: Of a line: name, whether it is a leaf, counts, first call, last end.
_Facts = tuple[str, bool, Numbers, float, float]
_ENDED = [code in TERMINAL_CODES or code == CACHED for code in range(len(SHOWN_PHASES))]


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the tree. `counts` by position in `SHOWN_PHASES`; `last_end` is 0 while nothing ended."""

    key: str
    kind: Kind
    name: str
    depth: int
    leaf: bool
    open: bool
    counts: tuple[int, ...]
    first_call: float
    last_end: float

    @property
    def total(self) -> int:
        """Actions below, its own included."""
        return sum(self.counts)

    @property
    def ended(self) -> int:
        """Of these, those that have ended."""
        return sum(number for number, over in zip(self.counts, _ENDED, strict=True) if over)

    @property
    def failed(self) -> int:
        """Of these, those that failed or timed out."""
        return sum(self.counts[code] for code in FAILED_CODES)


class GroupTree:
    """The groups of a run as its columns are now.

    Args:
        columns: the run's columns, brought up to date.
    """

    def __init__(self, columns: Columns) -> None:
        self._columns = columns
        self._node_of_parent = columns.node_ids[columns.node_parents].astype(np.int64)
        self._sums = columns.node_counts().astype(np.int64)
        self._sums[0] = 0  # the root action is the run
        self._first, self._last = self._times()
        self._sum_up()
        by_parent = np.argsort(columns.node_parents, kind="stable")
        self._children = by_parent[by_parent != 0]
        self._parents = columns.node_parents[self._children]
        self._drivers = np.unique(self._parents[self._parents != 0])
        self._drivers_node = columns.node_ids[self._drivers].astype(np.int64)
        self._has_drivers = np.bincount(self._drivers_node, minlength=columns.node_count) > 0
        self._make_entries()

    def _make_entries(self) -> None:
        """Put the nodes of one parent and label together; `_entry` says by node where its sums are."""
        columns, nodes = self._columns, np.arange(1, self._columns.node_count)
        groups, parents = columns.node_groups[nodes], columns.node_parents[nodes]
        keys = np.where(groups > 0, parents * (len(columns.groups) + 1) + groups, -nodes)
        _, first, entry = np.unique(keys, return_index=True, return_inverse=True)
        self._entry = np.concatenate([[-1], entry])
        self._entry_node = nodes[first]
        self._entry_size = np.bincount(entry, minlength=len(first))
        self._entry_sums = np.zeros((len(first), len(SHOWN_PHASES)), np.int64)
        np.add.at(self._entry_sums, entry, self._sums[nodes])
        self._entry_first = self._first[self._entry_node]
        self._entry_last = np.zeros(len(first))
        np.maximum.at(self._entry_last, entry, self._last[nodes])

    # ------------------------------------------------------------------ sums over what is below
    def _times(self) -> tuple[Numbers, Numbers]:
        columns = self._columns
        first = np.zeros(columns.node_count)
        first[columns.node_ids[::-1]] = columns.called[::-1]  # the last write stays: the first row of each node
        last = np.zeros(columns.node_count)
        np.maximum.at(last, columns.node_ids, columns.ended)
        return first, last

    def _sum_up(self) -> None:
        """Add each node to the node of its parent, the deepest ones first."""
        depth = depths(self._node_of_parent)
        order = np.argsort(depth, kind="stable")
        edges = np.searchsorted(depth[order], np.arange(1, depth.max(initial=0) + 2))
        for lo, hi in reversed(list(pairwise(edges))):
            nodes = order[lo:hi]
            above = self._node_of_parent[nodes]
            np.add.at(self._sums, above, self._sums[nodes])
            np.maximum.at(self._last, above, self._last[nodes])

    # ------------------------------------------------------------------ lines
    def _nodes_of(self, row: int) -> Numbers:
        """Nodes that one action called, in the order of their first call."""
        lo, hi = np.searchsorted(self._parents, (row, row + 1))
        nodes: Numbers = self._children[lo:hi]
        return nodes

    @property
    def group_count(self) -> int:
        """Groups in all: calls of one parent with one label; those without a label count by task."""
        return len(self._entry_node)

    def bad_count(self) -> int:
        """Groups with failures below."""
        return int((self._entry_sums[:, FAILED_CODES].sum(axis=1) > 0).sum())

    def page(self, opened: frozenset[str], order: Order, offset: int, limit: int) -> tuple[int, list[Line]]:
        """Lines `offset` to `offset + limit` of the tree with these keys open, and how many there are."""
        total, lines = 0, []
        for kind, ids, depth in self._segments(opened, order):
            lo, hi = max(0, offset - total), min(len(ids), offset + limit - total)
            lines += [self._line(kind, int(each), depth, opened) for each in ids[lo:hi]]
            total += len(ids)
        return total, lines

    def _segments(self, opened: frozenset[str], order: Order) -> list[tuple[Kind, Numbers, int]]:
        """Runs of lines of one kind and depth, top to bottom; ids are nodes, of drivers rows."""
        segments: list[tuple[Kind, Numbers, int]] = [("root", np.zeros(1, np.int64), 0)]
        waiting = [self._below("root", 0, order, 1)]
        while waiting:
            kind, ids, depth = waiting.pop()
            open_at = [place for place, each in enumerate(ids) if self._key(kind, int(each)) in opened] if opened else []
            if not open_at:
                segments.append((kind, ids, depth))
                continue
            cut = open_at[0] + 1
            segments.append((kind, ids[:cut], depth))
            waiting.append((kind, ids[cut:], depth))
            waiting.append(self._below(kind, int(ids[cut - 1]), order, depth + 1))
        return [segment for segment in segments if len(segment[1])]

    def _below(self, kind: Kind, which: int, order: Order, depth: int) -> tuple[Kind, Numbers, int]:
        if kind in {"root", "driver"}:
            nodes = self._nodes_of(which)
            entries = self._entry[nodes[self._entry_node[self._entry[nodes]] == nodes]]  # by their first nodes, in order
            spans = self._entry_last[entries] - self._entry_first[entries]
            return "group", self._ordered(self._entry_node[entries], self._entry_sums[entries], spans, order), depth
        if kind == "group" and len(tasks := self._tasks_of(which)) > 1:
            return "task", self._ordered(tasks, self._sums[tasks], self._last[tasks] - self._first[tasks], order), depth
        rows = self._drivers[self._drivers_node == which]
        return "driver", self._ordered_drivers(rows, order), depth

    def _tasks_of(self, node: int) -> Numbers:
        """The nodes of the group that a node stands for."""
        entry = self._entry[node]
        if self._entry_size[entry] == 1:
            return np.array([node])
        nodes = self._nodes_of(int(self._columns.node_parents[node]))
        tasks: Numbers = nodes[self._entry[nodes] == entry]
        return tasks

    def _ordered(self, nodes: Numbers, sums: Numbers, spans: Numbers, order: Order) -> Numbers:
        if order == "name":
            names = [self._name_of(int(node)) for node in nodes]
            return nodes[sorted(range(len(names)), key=names.__getitem__)] if names else nodes
        ranked: Numbers = nodes[np.argsort(-spans, kind="stable") if order == "time" else _ranking(sums, order)]
        return ranked

    def _ordered_drivers(self, rows: Numbers, order: Order) -> Numbers:
        if order in {"name", "time"}:  # all of one task: there is nothing to tell them apart by but their order
            return rows
        ranked: Numbers = rows[_ranking(self._driver_sums(rows), order)]
        return ranked

    def _driver_sums(self, rows: Numbers) -> Numbers:
        """Own phase and everything below, for each of these sorted rows."""
        columns = self._columns
        sums = np.zeros((len(rows), len(SHOWN_PHASES)), np.int64)
        sums[np.arange(len(rows)), columns.shown_phases[rows]] = 1
        lo, hi = np.searchsorted(self._parents, rows), np.searchsorted(self._parents, rows, side="right")
        owner = np.repeat(np.arange(len(rows)), hi - lo)
        if len(owner):
            inside = np.arange(len(owner)) - np.repeat(np.cumsum(hi - lo) - (hi - lo), hi - lo) + np.repeat(lo, hi - lo)
            np.add.at(sums, owner, self._sums[self._children[inside]])
        return sums

    def _key(self, kind: Kind, which: int) -> str:
        if kind == "root":
            return ROOT_KEY
        if kind == "group":
            group = int(self._columns.node_groups[which])
            return f"g{int(self._columns.node_parents[which])}.{group}" if group else f"t{which}"
        return f"t{which}" if kind == "task" else f"d{which}"

    def _name_of(self, node: int) -> str:
        columns = self._columns
        group: str = columns.groups[columns.node_groups[node]]
        return group or columns.tasks[columns.node_tasks[node]].short_name

    def _line(self, kind: Kind, which: int, depth: int, opened: frozenset[str]) -> Line:
        columns, key = self._columns, self._key(kind, which)
        if kind == "group" and not columns.node_groups[which]:
            kind = "task"
        name, leaf, sums, first, last = {
            "root": self._root_facts,
            "group": self._group_facts,
            "task": self._task_facts,
            "driver": self._driver_facts,
        }[kind](which)
        is_open = kind == "root" or key in opened
        counts = tuple(sums.tolist())
        return Line(key, kind, name, depth, leaf=leaf, open=is_open, counts=counts, first_call=float(first), last_end=float(last))

    def _root_facts(self, _row: int) -> _Facts:
        columns = self._columns
        return columns.tasks[0].short_name, not len(self._entry_node), self._sums[0], columns.started_at, self._last[0]

    def _group_facts(self, node: int) -> _Facts:
        entry = self._entry[node]
        leaf = bool(self._entry_size[entry] == 1 and not self._has_drivers[node])
        return self._name_of(node), leaf, self._entry_sums[entry], self._entry_first[entry], self._entry_last[entry]

    def _task_facts(self, node: int) -> _Facts:
        task = self._columns.tasks[self._columns.node_tasks[node]]
        return task.short_name, not self._has_drivers[node], self._sums[node], self._first[node], self._last[node]

    def _driver_facts(self, row: int) -> _Facts:
        columns = self._columns
        task = columns.tasks[columns.node_tasks[columns.node_ids[row]]]
        last = max(columns.ended[row], self._last[self._nodes_of(row)].max())
        return task.short_name, False, self._driver_sums(np.array([row]))[0], columns.called[row], last


def rows_below(columns: Columns, key: str) -> Numbers | None:
    """A mask of the rows that a line of the tree stands for, with everything below; None for a key that there is not."""
    own: int | None = None
    if key == ROOT_KEY:
        return np.ones(columns.count, bool)
    try:
        if key[:1] == "g":
            parent, group = (int(part) for part in key[1:].split("."))
            seeds = (columns.node_parents == parent) & (columns.node_groups == group)
        elif key[:1] == "t":
            seeds = np.arange(columns.node_count) == int(key[1:])
        elif key[:1] == "d":
            own = int(key[1:])
            seeds = columns.node_parents == own
        else:
            return None
    except ValueError:
        return None
    seeds[0] = False
    if not seeds.any():
        return None
    mask: Numbers = _spread_down(seeds, columns.node_ids[columns.node_parents].astype(np.int64))[columns.node_ids]
    if own is not None:
        mask[own] = True
    return mask


def _spread_down(marked: Numbers, above: Numbers) -> Numbers:
    """Mark every node below a marked one; each round looks twice as far up."""
    hops = above
    while True:
        further = marked | marked[hops]
        hops_next = hops[hops]
        if (hops == hops_next).all():
            return further
        marked, hops = further, hops_next


def depths(above: Numbers) -> Numbers:
    """How many nodes stand above each node; node 0 is the top and its own parent."""
    depth: Numbers = (np.arange(len(above)) != 0).astype(np.int64)
    hops = above
    while (hops != 0).any():
        depth = depth + depth[hops]
        hops = hops[hops]
    return depth


def _ranking(sums: Numbers, order: Order) -> Numbers:
    if not len(sums):
        return np.empty(0, np.int64)
    total = sums.sum(axis=1)
    ended = sums[:, np.flatnonzero(_ENDED)].sum(axis=1)
    if order == "progress":
        by_progress: Numbers = np.argsort(ended / np.maximum(total, 1), kind="stable")
        return by_progress
    failed = sums[:, FAILED_CODES].sum(axis=1)
    return np.lexsort((np.arange(len(sums)), ended == total, -failed))
