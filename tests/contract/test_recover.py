"""Recovery: what a run did is not done again, unless it was edited, or somebody asks for it."""

from __future__ import annotations

import importlib
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

import flyte_nb as flyte
from flyte_nb.remote import Action, Run
from tests.contract.conftest import finished, phases
from tests.fakes.spaces import wait_until

pytestmark = pytest.mark.usefixtures("space")

PROGRAM = '''
import os
from pathlib import Path
import flyte_nb as flyte

env = flyte.TaskEnvironment("pipeline")
FACTOR = 10

def tell(log, what):
    """Side effects: a line a time, whole or not at all."""
    file = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(file, f"{what}\\n".encode())
    os.close(file)

def scaled(x):
    return x * FACTOR

@flyte.trace
async def prepare(log: str) -> int:
    tell(log, "prepare")
    return 5

@env.task
def leaf(x: int, log: str) -> int:
    tell(log, f"leaf {x}")
    if x in (3, 4) and not Path(log + ".mended").exists():
        raise ValueError(f"no {x}")
    return scaled(x)

@env.task
async def plain(x: int, log: str) -> int:
    tell(log, f"plain {x}")
    return x + 1

@env.task
def branch(start: int, log: str) -> int:
    tell(log, f"branch {start}")
    return sum(flyte.map(leaf, range(start, start + 3), [log] * 3, return_exceptions=False))

@env.task
async def main(log: str, width: int = 3) -> list[int]:
    tell(log, "main")
    base = await prepare(log)
    ones = [x async for x in flyte.map.aio(plain, range(width), [log] * width)]
    with flyte.group("branches"):
        return [base, *ones, *[x async for x in flyte.map.aio(branch, [0, 3, 6], [log] * 3, return_exceptions=False)]]

@env.task
async def tolerant(log: str) -> list[object]:
    tell(log, "tolerant")
    return [str(x) async for x in flyte.map.aio(leaf, range(5), [log] * 5)]
'''
#: What `main` gives when nothing fails.
RESULT = [5, 1, 2, 3, 30, 120, 210]
FAILING = {"leaf 3", "leaf 4"}


class Program:
    """The user's module, and what its tasks did."""

    def __init__(self, folder: Path) -> None:
        self.log = folder / "log"
        self.log.touch()
        self._file = folder / "recovered_program.py"
        self._told = 0
        self._file.write_text(PROGRAM)
        self.module: ModuleType = importlib.import_module("recovered_program")

    def edit(self, old: str, new: str) -> None:
        """Change the code and load it again, as a notebook's cell is edited and run again."""
        text = self._file.read_text()
        assert old in text
        self._file.write_text(text.replace(old, new))
        exec(compile(self._file.read_text(), str(self._file), "exec"), vars(self.module))  # noqa: S102 - mtimes are too coarse for reload

    def mend(self) -> None:
        """From now on nothing fails."""
        Path(f"{self.log}.mended").touch()

    def told(self) -> Counter[str]:
        """Side effects since the last look."""
        lines = self.log.read_text().splitlines()
        fresh, self._told = lines[self._told :], len(lines)
        return Counter(fresh)


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Program]:
    """A module of the user's."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield Program(tmp_path)
    del sys.modules["recovered_program"]


def failed_run(program: Program, task: str = "main") -> Run:
    """A first run, in which leaves 3 and 4 fail."""
    return finished(flyte.run(getattr(program.module, task), str(program.log)))


def leaves(told: Counter[str]) -> set[str]:
    """The leaves among side effects."""
    return {line for line in told if line.startswith("leaf")}


def by_phase(run: Run, phase: str) -> list[str]:
    """Short names of the run's actions in a phase, sorted."""
    return sorted(action.short_name for action in Action.listall(run.name, in_phase=(phase,)))


def test_only_what_failed_or_never_ran_runs_again(program: Program) -> None:
    """In the kernel, on workers, below drivers on workers; traces are replayed; the result is that of plain Python."""
    first = failed_run(program)
    told = program.told()
    # A leaf that had begun when the run failed, and was stopped, has left its line and runs again: only what succeeded is done.
    succeeded = Action.listall(first.name, in_phase=("succeeded",))
    done = {f"leaf {action.inputs()['x']}" for action in succeeded if action.short_name == "leaf"}
    program.mend()

    again = finished(flyte.rerun(first.name, recover=True))

    assert (first.phase.value, again.phase.value, again.outputs()[0]) == ("failed", "succeeded", RESULT)
    then = program.told()
    assert leaves(told) & leaves(then) >= FAILING & leaves(told)
    assert leaves(then) & done == set()
    assert leaves(then) | done == {f"leaf {number}" for number in range(9)}
    assert {"main", "branch 3", *FAILING} <= set(then) - leaves(then) | FAILING
    assert set(then) - leaves(then) <= {"main", "branch 0", "branch 3", "branch 6"}
    assert set(then.values()) == {1}
    assert {"plain", "prepare"} <= set(by_phase(again, "recovered"))
    assert (again.relation, again.state.relation) == (f"recover of {first.name}", "recover")


def test_a_run_that_succeeded_is_recovered_at_once(program: Program) -> None:
    """Nothing runs; the outputs are there."""
    program.mend()
    first = failed_run(program)
    program.told()

    again = finished(flyte.rerun(first.name, recover=True))

    assert (again.phase.value, again.outputs()[0], again.state.count, program.told()) == ("recovered", RESULT, 1, Counter())
    again.raise_for_status()


def test_failures_that_a_map_gave_as_values_run_again(program: Program) -> None:
    """A run that succeeded with two failed items: those two are run again, and their caller with them."""
    first = failed_run(program, "tolerant")
    program.told()
    program.mend()

    again = finished(first.rerun(recover=True))

    assert first.outputs()[0] == ["0", "10", "20", "no 3", "no 4"]
    assert again.outputs()[0] == ["0", "10", "20", "30", "40"]
    assert program.told() == Counter({"tolerant": 1, "leaf 3": 1, "leaf 4": 1})


@pytest.mark.parametrize(
    "old, new, result, runs",
    [
        ("return x + 1", "return x + 1 + 0", RESULT, {"plain"}),
        ("FACTOR = 10", "FACTOR = 100", [5, 1, 2, 3, 300, 1200, 2100], {"leaf", "branch"}),
        ("return x * FACTOR", "return FACTOR * x", RESULT, {"leaf", "branch"}),
        ("        return [base, *ones", "        return [base + 1, *ones", [6, *RESULT[1:]], set()),
        ("    return sum(", "    return 1 + sum(", [5, 1, 2, 3, 31, 121, 211], {"branch"}),
        ("    return 5", "    return 6", [6, *RESULT[1:]], {"prepare"}),
    ],
    ids=["a task", "a constant of a helper", "a helper", "the root", "a driver", "a traced function"],
)
def test_what_was_edited_runs_again(program: Program, old: str, new: str, result: list[int], runs: set[str]) -> None:
    """And nothing else, drivers excepted that call it."""
    program.mend()
    first = failed_run(program)
    program.told()
    program.edit(old, new)

    again = finished(flyte.rerun(first.name, recover=True))

    assert again.outputs()[0] == result
    assert {line.split()[0] for line in program.told()} == {"main", *runs}


def test_running_an_unchanged_cell_again_changes_nothing(program: Program) -> None:
    """New function objects, comments and docstrings: the same code."""
    program.mend()
    first = failed_run(program)
    program.told()
    program.edit("def scaled(x):", "# says nothing\n\ndef scaled(x):\n    'Nor this.'")

    assert finished(flyte.rerun(first.name, recover=True)).phase.value == "recovered"
    assert program.told() == Counter()


def test_changed_inputs_run_what_they_make_different(program: Program) -> None:
    """Calls that were made before with the same inputs are recovered."""
    program.mend()
    first = failed_run(program)
    program.told()

    again = finished(flyte.rerun(first.name, recover=True, width=4))

    assert again.outputs()[0] == [5, 1, 2, 3, 4, *RESULT[4:]]
    assert program.told() == Counter({"main": 1, "plain 3": 1})


def test_forced_actions_run_again_and_only_they(program: Program) -> None:
    """A forced driver does not force what it calls."""
    program.mend()
    first = failed_run(program)
    program.told()
    names = {(action.short_name, str(action.inputs())): action.name for action in Action.listall(first.name)}
    forced = [name for (task, inputs), name in names.items() if (task, "'start': 3" in inputs) == ("branch", True) or task == "plain"]

    again = finished(flyte.rerun(first.name, recover=True, force_rerun_actions=["a0", *forced, "nobody"]))

    assert again.outputs()[0] == RESULT
    assert program.told() == Counter({"main": 1, "plain 0": 1, "plain 1": 1, "plain 2": 1, "branch 3": 1})


def test_a_recovery_that_failed_can_be_recovered(program: Program) -> None:
    """What either of the two did counts."""
    first = failed_run(program)
    second = finished(first.rerun(recover=True))
    told = program.told()
    program.mend()

    third = finished(second.rerun(recover=True))

    assert (second.phase.value, third.outputs()[0]) == ("failed", RESULT)
    then = program.told()
    assert leaves(told) & leaves(then) <= FAILING
    assert (then["prepare"], then["plain 0"], then["leaf 3"]) == (0, 0, 1)


def test_an_aborted_run_is_finished_by_a_recovery(space_log: Path) -> None:
    """What had ended before the abort is kept."""
    env = flyte.TaskEnvironment("aborted")

    @env.task
    def wait(x: int, gate: str) -> int:
        while x == 1 and not Path(gate).exists():
            time.sleep(0.01)
        return x

    @env.task
    async def main(gate: str) -> list[int]:
        return [x async for x in flyte.map.aio(wait, [0, 1], [gate] * 2, return_exceptions=False)]

    run = flyte.run(main, str(space_log))
    wait_until(lambda: phases(run).get("succeeded") == 1)
    with pytest.raises(ValueError, match="has not ended"):
        run.rerun(recover=True)
    run.abort()
    finished(run)
    space_log.touch()

    again = finished(run.rerun(recover=True))

    assert (again.outputs()[0], phases(again)) == ([0, 1], {"recovered": 1, "succeeded": 1})


@pytest.fixture
def space_log(tmp_path: Path) -> Path:
    """A path where nothing is yet."""
    return tmp_path / "gate"


def test_an_answered_condition_is_not_asked_again() -> None:
    """Nor is one below an action that runs again; a forced root asks anew... of what was not answered."""
    env = flyte.TaskEnvironment("asking")
    broken = [True]

    @env.task
    async def main() -> str:
        yes = await flyte.new_condition("sure").wait.aio()
        if broken[0]:
            raise ValueError("after the answer")
        return f"answered {yes}"

    first = flyte.run(main)
    wait_until(lambda: bool(first.conditions))
    first.condition("sure").signal(value=True)
    finished(first)
    broken[0] = False

    again = finished(first.rerun(recover=True))

    assert (first.phase.value, again.outputs()[0]) == ("failed", "answered True")
    assert by_phase(again, "recovered") == ["sure"]


def test_one_action_runs_by_itself(program: Program) -> None:
    """With the inputs that it had, or others; below it everything runs."""
    program.mend()
    first = failed_run(program)
    program.told()
    branch = next(action for action in Action.listall(first.name) if action.inputs() == {"start": 3, "log": str(program.log)})

    plain = next(action for action in Action.listall(first.name) if action.short_name == "plain")
    alone = finished(flyte.rerun(first.name, branch.name))
    other = finished(flyte.rerun(first.name, branch.name, start=6))

    assert (alone.outputs()[0], alone.task_name, other.outputs()[0]) == (120, "pipeline.branch", 210)
    assert alone.relation == f"rerun of {first.name}"
    assert program.told() == Counter([*(f"leaf {x}" for x in range(3, 9)), "branch 3", "branch 6"])
    assert finished(flyte.rerun(first.name, plain.name)).root.worker != "kernel"  # where it ran before


def test_settings_of_the_earlier_run_are_kept_unless_given_anew() -> None:
    """Custom context, labels and environment variables."""
    env = flyte.TaskEnvironment("keeping")

    @env.task
    async def main() -> dict[str, str]:
        return dict(flyte.get_custom_context())

    first = finished(flyte.with_runcontext(custom_context={"a": "1", "b": "2"}, labels={"team": "x"}, env_vars={"E": "1"}).run(main))
    again = finished(flyte.with_runcontext(name="kept", custom_context={"b": "3"}, env_vars={"F": "2"}).rerun(first.name))

    assert (again.name, again.outputs()[0], again.labels) == ("kept", {"a": "1", "b": "3"}, {"team": "x"})
    assert dict(again.state.settings.env_vars) == {"E": "1", "F": "2"}


@pytest.mark.parametrize(
    "ask, error, words",
    [
        (lambda _name: flyte.rerun("nobody", recover=True), flyte.errors.RunNotFoundError, "nobody"),
        (lambda name: flyte.rerun(name, "nothing"), flyte.errors.ActionNotFoundError, "no action named 'nothing'"),
        (lambda name: flyte.rerun(name, "x", recover=True), ValueError, "cannot be combined with action_name='x'"),
        (lambda name: flyte.rerun(name, force_rerun_actions=["a"]), ValueError, "requires recover=True"),
        (lambda name: flyte.rerun(name, recover=True, y=1), ValueError, "Known inputs: log, width"),
        (lambda name: flyte.rerun(name, recover=True, width="x"), TypeError, "width"),
    ],
    ids=["run", "action", "recover one", "force", "input", "type"],
)
def test_what_cannot_be_repeated_says_why(program: Program, ask: Callable[[str], Run], error: type[Exception], words: str) -> None:
    """Each names what is wrong."""
    program.mend()
    first = failed_run(program)

    with pytest.raises(error, match=words):
        ask(first.name)


def test_a_task_that_changed_its_parameters_says_so(program: Program) -> None:
    """A parameter that is gone cannot be passed on; a new one with a default can be left out."""
    program.mend()
    first = failed_run(program)
    program.edit("async def main(log: str, width: int = 3)", "async def main(log: str, wide: int = 3, width: int = 3)")
    assert finished(flyte.rerun(first.name, recover=True)).outputs()[0] == RESULT
    program.edit("wide: int = 3, width: int = 3)", "wide: int = 3)")

    with pytest.raises(ValueError, match=r"\['width'\], which pipeline.main no longer takes"):
        flyte.rerun(first.name)
