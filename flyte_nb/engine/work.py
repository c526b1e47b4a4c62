"""Decides what is known at a place about one chunk: which of its actions run, have ended, are still to start.

Bodies write their ends here, from threads and from loops; `report` takes out what the controller has not been told.

Must not know: how bodies are run, or how reports travel.
"""

from __future__ import annotations

import threading
import time
from array import array
from collections.abc import Callable, Sequence
from contextvars import Context, copy_context
from typing import Protocol

from flyte_nb.core.current import CURRENT, ActionFacts, Frame, RunnableTask, Submitter
from flyte_nb.core.failure import Failure
from flyte_nb.core.payloads import Item, size_bytes
from flyte_nb.engine import bodies
from flyte_nb.engine.commands import SendChunk
from flyte_nb.engine.meter import MEASURED_SECONDS
from flyte_nb.engine.stimuli import ChunkReport
from flyte_nb.errors import OutputTooLargeError

#: A start is told of when an action runs for longer than this.
TELL_AFTER_SECONDS = 0.02
_SMALL = frozenset({type(None), bool, int, float})


class Measures(Protocol):
    """Tells what an action costs."""

    def cost(self, started: float) -> tuple[float, int]:
        """(seconds of processor time, bytes of memory) of the action that is about to end in this thread."""
        ...


class ChunkWork:
    """A chunk at its place. Thread-safe."""

    def __init__(
        self,
        command: SendChunk,
        submitter: Submitter,
        *,
        capture: bool,
        store: Callable[[Item], Item] | None = None,
        most_bytes: int = 0,
    ) -> None:
        self.command = command
        self.task: RunnableTask | None = None
        self.next_index = 0
        self.stop_asked: set[int] = set()
        self.stop_thrown: set[int] = set()
        self.facts: dict[int, ActionFacts] = {}
        self._submitter = submitter
        self._capture = capture
        self._store = store
        self._most_bytes = most_bytes
        self._lock = threading.Lock()
        #: Held while a report is made and sent: reports arrive in the order in which they were made.
        self.sending = threading.Lock()
        self._open = len(command.rows)
        self._running: dict[int, float] = {}
        self._told: set[int] = set()
        self._clear()

    def _clear(self) -> None:
        self._indices: list[int] = []
        self._outputs: list[Item] = []
        self._started, self._ended = array("d"), array("d")
        self._failed: list[tuple[int, Failure, float, float]] = []
        self._stopped: list[tuple[int, float]] = []
        self._begun: list[tuple[int, float]] = []
        self._returned: list[int] = []
        self._logs: list[tuple[int, str]] = []
        self._measured: list[tuple[int, float, int]] = []
        self._busy, self._steps, self._tainted = 0.0, 0, False

    @property
    def ended(self) -> bool:
        """Whether every action has ended or was handed back."""
        return self._open == 0

    def context(self, index: int) -> Context:
        """The context variables that an action's body sees."""
        command = self.command
        facts = ActionFacts(
            command.run,
            command.rows[index],
            command.chunk,
            "",
            command.attempts[index],
            command.run_started_at,
            command.groups[index] if len(command.groups) > 1 else command.groups[0],
            "",
            command.settings,
        )
        if command.recorded is not None:
            facts.recorded = command.recorded.get(facts.row)
        write = (lambda text: self.log(index, text)) if self._capture else None
        context = copy_context()
        context.run(CURRENT.set, Frame(facts, self._submitter, "", command.custom_context, write))
        self.facts[index] = facts
        return context

    def begin(self, index: int) -> float:
        """An action starts now."""
        now = time.time()
        self._running[index] = now
        return now

    def oldest_start(self) -> float:
        """When the action was started that has been running longest; now, if none runs."""
        try:
            return next(iter(self._running.values()), time.time())  # in order of their starts
        except RuntimeError:  # another one starts in this moment
            return 0.0

    def settle(self, index: int, value: object, started: float, worker: str, meter: Measures | None = None) -> None:
        """A body returned: check and pack its value."""
        try:
            self._check_size(rough_size(value))  # before it is pickled: that takes as much again
            item = self.task.pack_output(value)  # type: ignore[union-attr]  # a body ran, so there is a task
            if type(item) not in _SMALL:
                self._check_size(size_bytes(item))
            if self._store is not None:
                item = self._store(item)
        except BaseException as error:  # noqa: BLE001 - packing runs user code, and a disk may be full
            self.fail(index, bodies.output_failure(error, worker), started, meter)
        else:
            self.succeed(index, item, started, meter)

    def _check_size(self, size: int) -> None:
        if self._most_bytes and size > self._most_bytes:
            name = self.task.facts.name if self.task is not None else ""
            raise OutputTooLargeError(name, size, self._most_bytes)

    def started_at(self, index: int, default: float) -> float:
        """When an action that runs now was started."""
        return self._running.get(index, default)

    def succeed(self, index: int, item: Item, started: float, meter: Measures | None = None) -> None:
        """An action returned."""
        with self._lock:
            if self._close(index):
                ended = time.time()
                self._indices.append(index)
                self._outputs.append(item)
                self._started.append(started)
                self._ended.append(ended)
                if ended - started >= MEASURED_SECONDS and meter is not None:
                    self._measured.append((index, *meter.cost(started)))

    def fail(self, index: int, failure: Failure, started: float, meter: Measures | None = None) -> None:
        """An action raised."""
        with self._lock:
            if self._close(index):
                ended = time.time()
                self._failed.append((index, failure, started, ended))
                if ended - started >= MEASURED_SECONDS and meter is not None:
                    self._measured.append((index, *meter.cost(started)))

    def give_up(self, failure: Failure) -> None:
        """Nothing of the chunk that has not ended will: its task cannot be loaded, or we failed."""
        now = time.time()
        with self._lock:
            rest = range(self.next_index, len(self.command.rows))
            self.next_index = rest.stop
            self._running.update(dict.fromkeys(rest, now))
            for index, started in list(self._running.items()):
                self._close(index)
                self._failed.append((index, failure, started, now))

    def stop(self, index: int, meter: Measures | None = None) -> None:
        """An action stopped because it was told to."""
        with self._lock:
            started = self._running.get(index)
            if self._close(index):
                if started is not None and index not in self._told:  # an attempt counts, however short it was
                    self._begun.append((index, started))
                ended = time.time()
                self._stopped.append((index, ended))
                if started is not None and ended - started >= MEASURED_SECONDS and meter is not None:
                    self._measured.append((index, *meter.cost(started)))

    def hand_back(self, indices: Sequence[int]) -> None:
        """These actions were not started and will not be."""
        with self._lock:
            self._open -= len(indices)
            self._returned.extend(indices)

    def _close(self, index: int) -> bool:
        """Whether this is the action's first end: a body that cancels itself and returns has two."""
        if self._running.pop(index, None) is None:
            return False
        self._open -= 1
        self.facts.pop(index, None)
        return True

    def log(self, index: int, text: str) -> None:
        """An action printed."""
        with self._lock:
            self._logs.append((index, text))

    def spend(self, busy_seconds: float, steps: int) -> None:
        """Code of the chunk's actions kept its thread or loop busy."""
        with self._lock:
            self._busy += busy_seconds
            self._steps += steps

    def throw(self, index: int) -> None:
        """A stop is thrown into an action's thread."""
        self.stop_thrown.add(index)
        self._tainted = True

    def report(self) -> ChunkReport | None:
        """What is new since the last report, or None."""
        with self._lock:
            begun = self._new_starts()
            if not (begun or self._indices or self._failed or self._stopped or self._returned or self._logs or self._steps):
                return None
            report = ChunkReport(
                chunk=self.command.chunk,
                begun=begun,
                indices=_tight(self._indices),
                outputs=self._outputs,
                started=self._started,
                ended=self._ended,
                failed=self._failed,
                stopped=self._stopped,
                returned=self._returned,
                logs=_merged(self._logs),
                measured=self._measured,
                finished=self._open == 0,
                busy_seconds=self._busy,
                steps=self._steps,
                tainted=self._tainted,
            )
            self._clear()
            return report

    def _new_starts(self) -> list[tuple[int, float]]:
        if not self._running:
            return self._begun
        before = time.time() - TELL_AFTER_SECONDS
        begun = [(index, at) for index, at in list(self._running.items()) if at <= before and index not in self._told]
        self._told.update(index for index, _at in begun)
        return [*self._begun, *begun]


def rough_size(value: object) -> int:
    """How many bytes a value has, where it tells at once; 0 otherwise."""
    if type(value) in {bytes, bytearray, str}:
        return len(value)  # type: ignore[arg-type]  # the test above is the narrowing
    size = getattr(value, "nbytes", 0) if type(value) not in _SMALL else 0
    return size if type(size) is int else 0


def _tight(indices: list[int]) -> Sequence[int]:
    """The same indices, as a range where they are adjacent."""
    if indices:
        block = range(indices[0], indices[0] + len(indices))
        if indices[-1] == block[-1] and indices == list(block):
            return block
    return indices


def _merged(logs: list[tuple[int, str]]) -> list[tuple[int, str]]:
    """Prints of one action in one piece: `print` writes the text and the line end apart."""
    merged: list[tuple[int, str]] = []
    for index, text in logs:
        if merged and merged[-1][0] == index:
            merged[-1] = (index, merged[-1][1] + text)
        else:
            merged.append((index, text))
    return merged
