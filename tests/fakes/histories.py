"""Random but possible histories of a run: for tests that hold one way of reading a run against another."""

from __future__ import annotations

from hypothesis import strategies as st

from flyte_nb.core.events import ActionsReused, AttemptFailed, AttemptsLost, LogWritten
from flyte_nb.core.failure import Failure
from flyte_nb.core.payloads import pack
from flyte_nb.core.phases import ActionPhase
from tests.fakes.fake_run import FakeRun, task

TASKS = (task("train", "lr", "depth"), task("score", "name"), task("drive", "items"))
GROUPS = ("", "fetch", "Train <b>")
VALUES = (0, 1, 2.5, -1.0, "north", "South", None, [1, 2], {"auc": 0.5}, "nan")

#: One step: what happens, to whom, and with which value.
Step = tuple[str, int, int]
KINDS = ("call", "call", "start", "succeed", "succeed", "fail", "drop", "retry", "lose", "reuse", "log", "wait", "measure")


def histories(longest: int = 40) -> st.SearchStrategy[list[Step]]:
    """Lists of steps."""
    return st.lists(st.tuples(st.sampled_from(KINDS), st.integers(0, 1_000), st.integers(0, 1_000)), max_size=longest)


class History:
    """A run to which steps happen; a step that is not possible now is passed over."""

    def __init__(self) -> None:
        self.run = FakeRun()

    def happen(self, step: Step) -> None:
        """One step."""
        kind, who, what = step
        self.run.now += 0.25
        getattr(self, f"_{kind}")(who, what)

    def _pick(self, phase: str, who: int) -> int | None:
        state = self.run.state
        rows = [row for row in range(1, state.count) if state.phase_of(row).value == phase]
        return rows[who % len(rows)] if rows else None

    def _call(self, who: int, what: int) -> None:
        state = self.run.state
        parents = [row for row in range(state.count) if state.phase_of(row) is ActionPhase.RUNNING]
        chosen = TASKS[what % 3]
        inputs = [
            tuple(VALUES[(what + 3 * number + place) % len(VALUES)] for place in range(len(chosen.parameters)))
            for number in range(1 + who % 4)
        ]
        if parents:
            self.run.call(chosen, inputs, group=GROUPS[who % 3], parent=parents[who % len(parents)])

    def _start(self, who: int, what: int) -> None:
        row = self._pick("queued", who)
        if row is not None:
            self.run.start([row], worker=f"w{what % 3}")

    def _succeed(self, who: int, what: int) -> None:
        row = self._pick("running" if what % 2 else "queued", who)
        if row is not None:
            self.run.succeed([row], [VALUES[what % len(VALUES)]], worker=f"w{what % 3}", seconds=0.125 * (what % 9))

    def _fail(self, who: int, what: int) -> None:
        row = self._pick("running", who)
        if row is not None:
            self.run.fail(row, ("ValueError", "KeyError")[what % 2], f"no {what % 3}")

    def _drop(self, who: int, _what: int) -> None:
        row = self._pick("queued", who)
        if row is not None:
            self.run.drop([row], "not needed")

    def _retry(self, who: int, _what: int) -> None:
        row = self._pick("running", who)
        if row is not None:
            failure = Failure("user", "OSError", "again", worker="w0")
            self.run.state.apply(AttemptFailed(self.run.name, row, failure, self.run.now - 0.1, self.run.now, self.run.now))

    def _lose(self, who: int, _what: int) -> None:
        row = self._pick("running", who)
        if row is not None:
            self.run.state.apply(AttemptsLost(self.run.name, [row], "the worker died", self.run.now))

    def _reuse(self, who: int, what: int) -> None:
        row = self._pick("queued", who)
        if row is not None and not self.run.state.attempts[row]:
            self.run.state.apply(ActionsReused(self.run.name, [row], [pack(VALUES[what % len(VALUES)])], self.run.now))

    def _log(self, who: int, what: int) -> None:
        row = self._pick("running", who)
        if row is not None:
            self.run.state.apply(LogWritten(self.run.name, row, 1, f"line {what}\n"))

    def _measure(self, who: int, what: int) -> None:
        row = self._pick("running", who)
        if row is not None:
            self.run.measure(row, what / 4 - 1, what % 5)

    def _wait(self, who: int, what: int) -> None:
        self.run.now += who / 100

    def finish(self) -> None:
        """End everything that is open, well."""
        state = self.run.state
        for row in reversed(range(state.count)):
            if not state.phase_of(row).is_terminal:
                self.run.succeed([row], [row])
