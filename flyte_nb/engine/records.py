"""Decides what the controller remembers beside the log: who waits for which answer, which chunk holds which action.

This is working memory, not history: nothing here is stored, and all of a run's is dropped when the run ends.

Must not know: what is decided with it.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from flyte_nb.core.current import Context
from flyte_nb.core.failure import Failure
from flyte_nb.core.payloads import Item
from flyte_nb.core.phases import TERMINAL_CODES
from flyte_nb.core.state import RunState
from flyte_nb.engine.adoption import Offer
from flyte_nb.engine.fitting import Capacity, Need
from flyte_nb.engine.lanes import Lane, Pace
from flyte_nb.engine.recovery import Recovery

#: A slot holds the chunk that it works on and one more, so that it never waits for the next one.
CHUNKS_PER_SLOT = 2


@dataclass(slots=True)
class Chunk:
    """Attempts that travel together. Its id is the token of each of them.

    `lane` is None for the chunk of a root whose body runs in the kernel. `weight` is how many slots it takes, unless they
    are `lent`: its action waits for others.
    """

    id: int
    run: str
    lane: Lane | None
    agent: str
    rows: Sequence[int]
    sent_at: float
    open: int
    is_async: bool
    finished: bool = False
    lent: int = 0
    weight: int = 0
    gpus: int = 0


@dataclass(slots=True)
class AgentRecord:
    """A worker and what it has of ours.

    `sync_chunks` counts the slots that its chunks take; `alone` is a chunk beside which it gets nothing. It is `condemned`
    when we have ordered its end, `leaving` when it is about to go (`retired`: because somebody wants that), and `tainted`
    when an exception was thrown into a body of it. Of a worker that others use too only `leased` slots are ours, `asked`
    were asked for (those that are ours included), and before `rests_until` no more are asked for; None is: all are ours.
    """

    agent: str
    name: str
    pid: int
    capacity: Capacity
    ours: bool
    chunks: dict[int, Chunk] = field(default_factory=dict)
    digests: set[str] = field(default_factory=set)
    sync_chunks: int = 0
    async_rows: int = 0
    gpus_in_use: int = 0
    alone: int = 0
    heavy: int = 0
    last_chunk: int = 0
    condemned: bool = False
    leaving: bool = False
    retired: bool = False
    tainted: bool = False
    clogged: bool = False
    leased: int | None = None
    asked: int = 0
    rests_until: float = 0.0

    @property
    def slots(self) -> int:
        """Sync actions that it runs at once."""
        return self.capacity.slots

    @property
    def slots_in_use(self) -> int:
        """Of these, those at work; all its coroutines share one."""
        return min(self.slots, self.sync_chunks + bool(self.async_rows))

    @property
    def is_open(self) -> bool:
        """Whether it is given work."""
        return not (self.condemned or self.leaving or self.alone)

    @property
    def free_slots(self) -> int:
        """Slots that have nothing to do."""
        return self.open_slots - self.sync_chunks

    @property
    def open_slots(self) -> int:
        """Slots that are ours at the moment."""
        return self.capacity.slots if self.leased is None else self.leased

    @property
    def room(self) -> int:
        """Sync chunks that it can still take: none in advance if it is busy with something long, or something that takes more."""
        return self.free_slots if self.clogged or self.heavy else self.open_slots * CHUNKS_PER_SLOT - self.sync_chunks


@dataclass(slots=True)
class TaskRecord:
    """A task in a run: where its facts are, and its pickled form."""

    id: int
    digest: str
    blob: bytes


class RunRecord:
    """Working memory for one run. The columns run beside those of its state."""

    def __init__(self, state: RunState, *, max_actions: int, in_kernel: bool, recovery: Recovery | None = None) -> None:
        self.state = state
        self.recovery = recovery
        self.max_actions = max_actions
        self.in_kernel = in_kernel
        self.tasks: dict[str, TaskRecord] = {}
        self.lanes: dict[tuple[int, int, Context, bool], Lane] = {}
        self.needy: list[Lane] = []
        self._context_from, self._contexts = [0], [state.custom_context]
        self._batches: list[list[tuple[int, int, int]]] = [[]]
        self.tokens = array("Q", (0,))
        self.seqs = array("I", (0,))
        self.port_ids = array("I", (0,))
        self.ports: list[tuple[str, int]] = [("", 0)]
        self._port_index: dict[tuple[str, int], int] = {("", 0): 0}
        self.depths: dict[int, int] = {0: 0}
        self.open_children: dict[int, int] = {}
        self.stirred_at: dict[int, float] = {}
        self.user_failures: dict[int, int] = {}
        self.offers: dict[int, Offer] = {}
        self.losses: dict[int, int] = {}
        self.suspicions: dict[int, int] = {}
        self.parked_losses: dict[int, int] = {}
        self.resting: set[int] = set()
        self.stopping: dict[int, str] = {}
        self.cut_off: set[int] = set()
        self.timed_out: dict[int, Failure] = {}
        self.recorded: dict[int, dict[str, Item | Failure]] = {}
        self.cache_keys: dict[int, str] = {}
        self.announced = False

    def add(self, count: int, place: str, port: int, first_seq: int, context: Context) -> None:
        """Make room for new rows whose answers go to a port."""
        first, index = len(self.tokens), self._port(place, port)
        self._batches[index].append((first_seq, first, count))
        if context != self._contexts[-1]:
            self._context_from.append(first)
            self._contexts.append(context)
        self.tokens.extend(array("Q", (0,)) * count)
        self.port_ids.extend(array("I", (index,)) * count)
        self.seqs.extend(array("I", range(first_seq, first_seq + count)))

    def _port(self, place: str, port: int) -> int:
        key = (place, port)
        index = self._port_index.get(key)
        if index is None:
            index = self._port_index[key] = len(self.ports)
            self.ports.append(key)
            self._batches.append([])
        return index

    def point_to(self, row: int, place: str, port: int, seq: int) -> None:
        """From here on another caller waits for an action."""
        index = self._port(place, port)
        self._batches[index].append((seq, row, 1))
        self.port_ids[row], self.seqs[row] = index, seq

    def recorded_of(self, rows: Sequence[int]) -> dict[int, dict[str, Item | Failure]] | None:
        """Steps that earlier attempts of these actions have taken, by row."""
        return {row: self.recorded[row] for row in rows if row in self.recorded} if self.recorded else None

    def port_of(self, row: int) -> tuple[str, int, int]:
        """(place, port, sequence number) that waits for an action."""
        place, port = self.ports[self.port_ids[row]]
        return place, port, self.seqs[row]

    def depth(self, parent: int) -> int:
        """Depth of the children of a row."""
        known = self.depths.get(parent)
        if known is None:
            known = self.depths[parent] = self.state.depth_of(parent)
        return known + 1

    def lane(self, task: int, depth: int, context: Context, pace: Pace, *, alone: bool = False) -> Lane:
        """The lane of a task at a depth (root lanes included), made when it is first asked for.

        That of actions which are to run `alone` on a worker is another one.
        """
        key = (task, depth, context, alone)
        lane = self.lanes.get(key)
        if lane is None:
            facts = self.state.tasks[task]
            need = Need.of(facts.resources)
            lane = Lane(self.state.name, task, depth, facts.is_async, context, concurrency=facts.concurrency, pace=pace, need=need)
            lane.alone = alone
            self.lanes[key] = lane
            if need is not None or alone:
                self.needy.append(lane)
        return lane

    def context_of(self, row: int) -> Context:
        """The custom context that an action was called in."""
        return self._contexts[bisect_right(self._context_from, row) - 1]

    def rows_of(self, place: str, port: int, seqs: Sequence[int]) -> list[int]:
        """Open rows whose answers with these numbers go to a port."""
        index = self._port_index.get((place, port))
        rows: list[int] = []
        if index is None:
            return rows
        batches = self._batches[index]
        for seq in seqs:
            position = bisect_right(batches, (seq, self.state.count, 0)) - 1
            if position >= 0:
                first_seq, first_row, count = batches[position]
                if seq < first_seq + count and self.state.phases[first_row + seq - first_seq] not in TERMINAL_CODES:
                    rows.append(first_row + seq - first_seq)
        return rows

    def children_ended(self, rows: Sequence[int], now: float) -> None:
        """Count down the open children of the parents of these rows; those that have others left may have gone on."""
        state = self.state
        for node_id, count in Counter(state.node_ids[row] for row in rows if row).items():
            parent = state.nodes[node_id].parent
            left = self.open_children[parent] - count
            if left:
                self.open_children[parent] = left
                self.stirred_at[parent] = now
            else:
                del self.open_children[parent]
                self.stirred_at.pop(parent, None)

    def open_rows_below(self, row: int) -> list[int]:
        """Children of a row that have not ended."""
        if row not in self.open_children:
            return []
        phases = self.state.phases
        return [child for block in self.state.children[row] for child in block if phases[child] not in TERMINAL_CODES]

    def subtree(self, rows: Sequence[int]) -> list[int]:
        """These rows and all their descendants that have not ended, callers before the called."""
        found = [row for row in rows if self.state.phases[row] not in TERMINAL_CODES]
        position = 0
        while position < len(found):
            found.extend(self.open_rows_below(found[position]))
            position += 1
        return list(dict.fromkeys(found))
