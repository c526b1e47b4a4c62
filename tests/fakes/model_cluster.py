"""A cluster that exists only as a model: drivers and workers that do what a schedule of numbers says.

They call, start, end, hand back and report like real ones, and misbehave like real ones: they die, report late what
nobody wants any more, ignore a stop until their worker is ended, and are cancelled at any moment. Every report keeps
the protocol that real places keep: an action of a chunk ends once, and the last end finishes the chunk.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from flyte_nb.core.events import TaskFacts
from flyte_nb.core.phases import TERMINAL_CODES
from flyte_nb.engine.commands import AnswerFailure, AnswerOutputs, Command, KillWorker, ReportDefect, SendChunk, StopActions
from flyte_nb.engine.stimuli import (
    KERNEL,
    AbortRequested,
    Called,
    CallsCancelled,
    ChunkReport,
    SlotYielded,
    TaskOffered,
)
from tests.fakes.bench import USER_ERROR, Bench, task

TASKS = (
    task("leaf"),
    task("parent", retries=1),
    task("sync", is_async=False, retries=2),
    task("slow", timeout=3, retries=1),
    task("few", concurrency=2),
)


@dataclass
class Held:
    """A chunk at its place."""

    order: SendChunk
    waiting: list[int]
    running: list[int] = field(default_factory=list)
    stop_asked: set[int] = field(default_factory=set)
    deaf: bool = False
    lent: bool = False

    @property
    def open(self) -> list[int]:
        """Positions that have not ended."""
        return self.waiting + self.running


class ModelCluster:
    """Places that follow a schedule: each number makes one thing happen."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.places: dict[str, dict[int, Held]] = {KERNEL: {}}
        self.zombies: list[Held] = []
        self.deaths = 0
        self.legit: set[str] = set()
        self.asked: Counter[tuple[str, int]] = Counter()
        self.answered: set[tuple[str, int]] = set()
        self._made = self._seq = 0
        self._choices: list[int] = []

    # ------------------------------------------------------------------ the schedule
    def choose(self, options: Sequence[int]) -> int:
        """One of some options, by the next part of the number at hand."""
        number = self._choices.pop() if self._choices else 0
        return options[number % len(options)]

    def step(self, number: int) -> None:
        """Let one thing happen."""
        self._choices = [number // 32, number // 256, number // 2_048]
        moves = (
            (self.begin, 4),
            (self.end, 6),
            (self.fail, 3),
            (self.hand_back, 2),
            (self.call, 6),
            (self.heed, 3),
            (self.die, 2),
            (self.haunt, 1),
            (self.wait, 2),
            (self.cancel, 2),
            (self.abort, 1),
            (self.lend, 2),
        )
        position = number % sum(weight for _move, weight in moves)
        for move, weight in moves:
            if position < weight:
                move()
                return
            position -= weight

    def finish(self) -> None:
        """Everybody does what is asked of them, until all runs have ended."""
        self._choices = []
        for _turn in range(400):
            if not self.bench.controller.runs:
                return
            if len(self.places) == 1:
                self.join()
            self.heed()
            for place in list(self.places):
                for held in list(self.places[place].values()):
                    if held.order.chunk in self.places.get(place, {}):
                        held.deaf = False
                        rest = [index for index in held.open if index not in held.stop_asked]
                        self._succeed(held, rest)
            self.obey(self.bench.after(0.7))
        raise AssertionError(f"runs that do not end: { {name: self.bench.phases(name) for name in self.bench.controller.runs} }")

    # ------------------------------------------------------------------ orders
    def obey(self, commands: Sequence[Command]) -> None:
        """Take orders."""
        for command in commands:
            if isinstance(command, SendChunk):
                place = self.places.get(command.place)
                if place is not None:
                    place[command.chunk] = Held(command, list(range(len(command.rows))))
            elif isinstance(command, StopActions):
                held = self.places.get(command.place, {}).get(command.chunk)
                if held is not None:
                    held.stop_asked.update(command.indices)
            elif isinstance(command, KillWorker):
                self._lose(command.agent)
            elif isinstance(command, AnswerOutputs | AnswerFailure):
                self._answer(command)
            elif isinstance(command, ReportDefect):
                raise AssertionError(command.traceback)  # noqa: TRY004 - a finding of the test

    def _answer(self, command: AnswerOutputs | AnswerFailure) -> None:
        seqs = command.seqs if isinstance(command, AnswerOutputs) else [command.seq]
        for seq in seqs:
            assert self.asked[command.place, seq] == 1, "an answer that nobody asked for"
            assert (command.place, seq) not in self.answered, "a call was answered twice"
            self.answered.add((command.place, seq))

    # ------------------------------------------------------------------ what places do
    def join(self, slots: int = 1) -> None:
        """A worker comes."""
        self._made += 1
        self.places[f"w{self._made}"] = {}
        self.obey(self.bench.join(f"w{self._made}", slots))

    def _pick(self, *, of_kernel: bool = True) -> Held | None:
        every = [held for place, held_ones in self.places.items() for held in held_ones.values() if of_kernel or place != KERNEL]
        return every[self.choose(range(len(every)))] if every else None

    def _alive(self, held: Held) -> bool:
        return held.order.chunk in self.places.get(held.order.place, {})

    def _report(self, held: Held, report: dict[str, object], ended: Sequence[int]) -> None:
        for index in ended:
            (held.running if index in held.running else held.waiting).remove(index)
        finished = not held.open
        if finished:
            self.places[held.order.place].pop(held.order.chunk)
        self.obey(self.bench.send(ChunkReport(held.order.chunk, finished=finished, **report)))  # type: ignore[arg-type]  # fields of it

    def begin(self) -> None:
        """An action starts; a stop may be on its way already."""
        held = self._pick()
        if held is not None and held.waiting:
            index = held.waiting.pop(0)
            held.running.append(index)
            self._report(held, {"begun": [(index, self.bench.now)]}, [])

    def end(self) -> None:
        """Some actions of a chunk succeed; a driver does so only now and then."""
        held = self._pick()
        if held is None or (held.order.place == KERNEL and self.choose(range(4))):
            return
        count = 1 + self.choose(range(3))
        self._succeed(held, held.open[:count])

    def _succeed(self, held: Held, indices: list[int]) -> None:
        if not indices:
            return
        order = held.order
        control = self.bench.controller.runs.get(order.run)
        outputs = [f"{order.chunk}:{order.rows[index]}" for index in indices]
        for index, output in zip(indices, outputs, strict=True):
            if control is not None and control.run.tokens[order.rows[index]] == order.chunk:
                self.legit.add(output)
        times = array("d", [self.bench.now] * len(indices))
        self._report(held, {"indices": indices, "outputs": outputs, "started": times, "ended": times}, indices)

    def fail(self) -> None:
        """An action raises, a driver seldom."""
        held = self._pick()
        if held is not None and held.open and not (held.order.place == KERNEL and self.choose(range(6))):
            index = held.open[0]
            self._report(held, {"failed": [(index, USER_ERROR, self.bench.now, self.bench.now)]}, [index])

    def hand_back(self) -> None:
        """A worker gives back what it has not started."""
        held = self._pick(of_kernel=False)
        if held is not None and held.waiting:
            rest = list(held.waiting)
            self._report(held, {"returned": rest}, rest)

    def call(self) -> None:
        """A running body calls a task; the root's of the kernel, or one on a worker."""
        held = self._pick()
        if held is None or not held.running:
            self.begin()
            return
        order, row = held.order, held.order.rows[held.running[-1]]
        called: TaskFacts = TASKS[self.choose(range(len(TASKS)))]
        inputs = [(self.choose(range(3)) if place == 0 else place,) for place in range(1 + self.choose(range(6)))]
        first, self._seq = self._seq, self._seq + len(inputs)
        for seq in range(first, self._seq):
            self.asked[order.place, seq] += 1
        offer = TaskOffered(order.run, called, called.key.encode())
        call = Called(order.place, 1, first, order.run, row, order.chunk, called.key, "", (), inputs)
        self.obey(self.bench.send(offer, call))

    def heed(self) -> None:
        """All that were told to stop do so, except those that do not hear."""
        for place in list(self.places):
            for held in list(self.places.get(place, {}).values()):
                asked = [index for index in held.open if index in held.stop_asked]
                if asked and not held.deaf and self._alive(held):
                    self._report(held, {"stopped": [(index, self.bench.now) for index in asked]}, asked)

    def die(self) -> None:
        """A worker dies, and another one comes; or a body, of a driver perhaps, goes deaf to stops."""
        held = self._pick()
        if held is not None and (held.order.place == KERNEL or self.choose(range(3)) == 1):
            held.deaf = True
        elif held is not None:
            self._lose(held.order.place)

    def _lose(self, agent: str) -> None:
        self.deaths += 1
        self.zombies += self.places.pop(agent, {}).values()
        self.obey(self.bench.lose(agent))
        self.join(1 + self.choose(range(2)))

    def haunt(self) -> None:
        """A worker that was given up on reports all the same."""
        if not self.zombies:
            return
        held = self.zombies.pop(self.choose(range(len(self.zombies))))
        times = array("d", [self.bench.now] * len(held.open))
        report = ChunkReport(held.order.chunk, (), held.open, ["zombie"] * len(held.open), times, times, finished=True)
        self.obey(self.bench.send(report, SlotYielded(held.order.chunk, waiting=bool(self.choose((0, 1))))))

    def wait(self) -> None:
        """Time passes."""
        self.obey(self.bench.after(self.choose((0, 1, 2)) + 0.6))

    def cancel(self) -> None:
        """A caller gives up on some of its calls."""
        if self._seq:
            first = self.choose(range(self._seq))
            place = list(self.places)[self.choose(range(len(self.places)))]
            self.obey(self.bench.send(CallsCancelled(place, 1, range(first, first + 1 + self.choose(range(3))))))

    def abort(self) -> None:
        """A person aborts an action, or now and then the run."""
        for name, control in list(self.bench.controller.runs.items())[:1]:
            row = self.choose(range(control.state.count))
            if row or not self.choose(range(3)):
                self.obey(self.bench.send(AbortRequested(name, row, "by a person")))

    def lend(self) -> None:
        """A sync body begins or ends to wait for its children."""
        held = self._pick(of_kernel=False)
        if held is not None and held.running and not held.order.is_async:
            held.lent = not held.lent
            self.obey(self.bench.send(SlotYielded(held.order.chunk, waiting=held.lent)))

    # ------------------------------------------------------------------ what must hold at the end
    def check_ends(self) -> None:
        """All runs have ended, each action well accounted for, and nothing is left on any worker."""
        self.bench.check()
        for state in self.bench.states.values():
            assert state.ended_at is not None
            assert sum(state.phase_counts().values()) == state.count - 1
            for row in range(state.count):
                code, output = state.phases[row], state.output(row)
                assert code in TERMINAL_CODES
                if state.phase_of(row).value == "succeeded":
                    assert output in self.legit, f"row {row} took {output!r}, which was not its holder's"
                assert state.attempts[row] <= 1 + state.task_of(row).retries.count + self.deaths
        assert self.bench.controller.runs == {}
        for agent in self.bench.controller.placement.agents.values():
            assert (agent.sync_chunks, agent.async_rows, agent.chunks) == (0, 0, {}), f"{agent.agent} still counts work"
