"""Decides how the names of all actions of a run come about at once, for a table: by columns, and faster than one by one.

The rule is that of `core.ids` and `core.names` (a test holds them equal): a digest of parent, inputs, task, group and of how
often the parent made that same call. What is hashed is hashed one by one; the rest is whole-array operations. Calls that are
few, or that say by themselves which of the equal ones they are, take the way of `core.names`.

Must not know: what the names are for.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import md5
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from flyte_nb.core.events import Inputs
from flyte_nb.core.hashing import digest, digest_all
from flyte_nb.core.ids import ROOT_ACTION
from flyte_nb.core.names import identity
from flyte_nb.core.payloads import Item
from flyte_nb.core.state import RunState
from flyte_nb.views.columns import Columns, Numbers, ReadRun

#: Fewer calls of one parent are named one by one; so many while the run stands still.
_FEW, _AT_A_TIME = 64, 500
#: Inputs that are copied while the run stands still.
_SLICE = 16_384
#: Digits of a name, and of its parts: 25 are enough for 128 bits.
_DIGITS, _PART = 25, 5
_ALPHABET = np.frombuffer(b"0123456789abcdefghijklmnopqrstuvwxyz", np.uint8)
#: Equal whole numbers and texts are the same input; True equals 1 and is another.
_REPEATED = frozenset({int, str})

Names = np.ndarray[Any, np.dtype[np.bytes_]]
_KIND = np.dtype(f"S{_DIGITS}")
#: Names that were made: 25 bytes an action of runs whose names were asked for, while there is the run. Names never change.
_made: WeakKeyDictionary[RunState, Names] = WeakKeyDictionary()


def all_names(run: ReadRun, columns: Columns) -> Names:
    """The names of a run's actions, as ASCII.

    Args:
        run: whose actions.
        columns: copies of its columns: as many names are made as they have rows.
    """
    state = run.read(lambda state: state)  # only to know it again
    names = _made.get(state)
    if names is None or len(names) < columns.count:
        names = _made[state] = _make(run, columns)
    return names[: columns.count]


def _make(run: ReadRun, columns: Columns) -> Names:
    names = np.empty(columns.count, _KIND)
    names[0] = ROOT_ACTION
    parents = columns.node_parents[columns.node_ids]
    digests: dict[Item, str] = {}
    named_by_themselves = run.read(lambda state: bool(state.sequences))
    for parent, rows in _families(parents):  # in the order of the first call: a parent is named before its children
        if len(rows) < _FEW or named_by_themselves:
            for lo in range(0, len(rows), _AT_A_TIME):
                part = rows[lo : lo + _AT_A_TIME].tolist()
                names[part] = run.read(lambda state, part=part: [state.action_name(row) for row in part])  # type: ignore[misc]  # bound now
        else:
            names[rows] = _name_children(run, columns, names[parent].decode(), rows, digests)
    return names


def _families(parents: Numbers) -> Iterator[tuple[int, Numbers]]:
    """(parent, its children) of all parents, without the root action as a child."""
    order = np.argsort(parents[1:], kind="stable") + 1
    if not len(order):
        return
    starts = np.flatnonzero(np.diff(parents[order].astype(np.int64), prepend=-1))
    for lo, hi in zip(starts.tolist(), [*starts[1:].tolist(), len(order)], strict=True):
        yield int(parents[order[lo]]), order[lo:hi]


def _name_children(run: ReadRun, columns: Columns, parent: str, rows: Numbers, digests: dict[Item, str]) -> Names:
    """The names of all calls of one parent."""
    hashed: list[str] = []
    nodes = columns.node_ids[rows]
    ends: list[tuple[str, str]] = []  # what stands after the hash of the inputs: task, and group; by node
    which = np.unique(nodes, return_inverse=True)
    for node in which[0].tolist():
        task = columns.tasks[columns.node_tasks[node]]
        group = columns.groups[columns.node_groups[node]]
        ends.append((f"-{identity(task)}-", f"-{group}" if group else ""))
    ignored = [columns.tasks[columns.node_tasks[node]].cache.ignored for node in which[0].tolist()]
    for lo in range(0, len(rows), _SLICE):
        part = rows[lo : lo + _SLICE].tolist()
        inputs = run.read(lambda state, part=part: _inputs(state, part))  # type: ignore[misc]  # bound now
        hashed += _hashes(inputs, [ignored[each] for each in which[1][lo : lo + _SLICE].tolist()] if any(ignored) else None, digests)
    found = _Digests(parent, hashed, ends, which[1].tolist())
    sequences = _sequences(found.numbers)
    for position in np.flatnonzero(sequences > 1).tolist():
        found.again(position, int(sequences[position]))
    return base36(found.numbers)


def _inputs(state: RunState, rows: list[int]) -> list[Inputs]:
    first, last = rows[0], rows[-1]
    if last - first + 1 == len(rows):
        return state.inputs_of(range(first, last + 1))
    return [state.inputs(row) for row in rows]


def _hashes(inputs: list[Inputs], ignored: list[tuple[int, ...]] | None, digests: dict[Item, str]) -> list[str]:
    if ignored is not None:
        return [
            ":".join([digest(item) for place, item in enumerate(each) if place not in left])
            for each, left in zip(inputs, ignored, strict=True)
        ]
    widths = set(map(len, inputs))
    if len(widths) != 1 or widths == {0}:
        return [":".join(map(digest, each)) for each in inputs]
    columns = [_column(list(items), digests) for items in zip(*inputs, strict=True)]
    return columns[0] if len(columns) == 1 else [":".join(each) for each in zip(*columns, strict=True)]


def _column(items: list[Item], digests: dict[Item, str]) -> list[str]:
    """Digests of one input of many calls; of what repeats a digest is made once."""
    kinds = set(map(type, items))
    if len(kinds) == 1 and kinds <= _REPEATED:
        distinct = set(items)
        if len(distinct) <= len(items) // 2:
            new = list(distinct - digests.keys())
            digests.update(zip(new, digest_all(new), strict=True))
            return list(map(digests.__getitem__, items))
    return digest_all(items)


class _Digests:
    """The names of one parent's calls as 128-bit numbers, one row of bytes each."""

    def __init__(self, parent: str, hashed: list[str], ends: list[tuple[str, str]], which: list[int]) -> None:
        self._parent, self._hashed, self._ends, self._which = parent, hashed, ends, which
        made = b"".join(self._alike()) if len(ends) == 1 else b"".join([self._one(each, 1) for each in range(len(hashed))])
        self.numbers = np.frombuffer(bytearray(made), np.uint8).reshape(-1, 16)

    def _alike(self) -> list[bytes]:
        """Calls of one task in one group."""
        head, (task, group) = f"{self._parent}-", self._ends[0]
        tail = f"{task}1{group}"
        return [md5(f"{head}{each}{tail}".encode("utf8", "surrogatepass"), usedforsecurity=False).digest() for each in self._hashed]

    def _one(self, position: int, sequence: int) -> bytes:
        task, group = self._ends[self._which[position]]
        text = f"{self._parent}-{self._hashed[position]}{task}{sequence}{group}"
        return md5(text.encode("utf8", "surrogatepass"), usedforsecurity=False).digest()

    def again(self, position: int, sequence: int) -> None:
        """A call that its parent had made before."""
        self.numbers[position] = np.frombuffer(self._one(position, sequence), np.uint8)


def _sequences(numbers: Numbers) -> Numbers:
    """Which of the equal ones each is, from 1."""
    halves = numbers.view(np.uint64)
    ordered = np.sort(halves[:, 0])
    if (ordered[1:] != ordered[:-1]).all():
        return np.ones(len(ordered), np.int64)
    order = np.lexsort((halves[:, 1], halves[:, 0]))
    first = np.ones(len(order), bool)
    first[1:] = (halves[order[1:]] != halves[order[:-1]]).any(axis=1)
    place = np.arange(len(order))
    sequences = np.empty(len(order), np.int64)
    sequences[order] = place - np.maximum.accumulate(np.where(first, place, 0)) + 1
    return sequences


def _tables() -> tuple[Numbers, Numbers]:
    """All pairs and all triples of digits."""
    pairs = np.stack(np.meshgrid(_ALPHABET, _ALPHABET, indexing="ij"), -1).reshape(-1, 2)
    triples = np.stack(np.meshgrid(_ALPHABET, _ALPHABET, _ALPHABET, indexing="ij"), -1).reshape(-1, 3)
    return pairs, triples


def base36(numbers: Numbers) -> Names:
    """The same as `ids.base36` of each number: long division, five digits at a time."""
    limbs = [column.astype(np.uint64) for column in numbers.view(">u4").T]
    digits = np.empty((len(numbers), _DIGITS), np.uint8)
    pairs, triples = _tables()
    part, triple = np.uint64(36**_PART), np.uint64(36**3)
    for stop in range(_DIGITS, 0, -_PART):
        rest = np.zeros(len(numbers), np.uint64)
        for place, limb in enumerate(limbs):
            limbs[place], rest = np.divmod((rest << np.uint64(32)) | limb, part)
        high, low = np.divmod(rest, triple)
        digits[:, stop - 5 : stop - 3], digits[:, stop - 3 : stop] = pairs[high], triples[low]
    names = digits.view(_KIND).ravel()
    short = np.flatnonzero(digits[:, 0] == _ALPHABET[0])
    names[short] = [name.lstrip(b"0") or b"0" for name in names[short].tolist()]
    return names
