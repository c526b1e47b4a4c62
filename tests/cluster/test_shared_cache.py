"""Two kernels and one store: nothing is computed twice, nobody waits for a kernel that died, and one sees what the other does."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest

from flyte_nb.core.index import RunFilter
from flyte_nb.remote import Run
from flyte_nb.settings import Settings
from flyte_nb.workspace import Workspace
from tests.fakes import sharing_program
from tests.fakes.spaces import current, wait_until

ROOT = Path(__file__).parents[2]
PATIENCE = 60


@dataclass
class Project:
    """A store that kernels share, a ledger of what they compute, and a gate at which every computation waits."""

    folder: Path

    def kernel(self, count: int) -> subprocess.Popen[str]:
        """A kernel at work."""
        paths = [self.folder / "store", self.folder / "ledger", count, self.folder / "gate"]
        environment = {**os.environ, "FLYTE_NB_KEY_FILE": str(self.folder / "key"), "PYTHONPATH": str(ROOT)}
        return subprocess.Popen(
            [sys.executable, sharing_program.__file__, *map(str, paths)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
            cwd=self.folder,
        )

    def ran(self) -> Counter[int]:
        """How often each number was computed."""
        ledger = self.folder / "ledger"
        return Counter(map(int, ledger.read_text().split())) if ledger.exists() else Counter()

    def open_gate(self) -> None:
        """Let everything go on."""
        (self.folder / "gate").touch()


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A new project."""
    return Project(tmp_path)


def result(kernel: subprocess.Popen[str]) -> tuple[list[int], int]:
    """(The run's output, how many of its results were taken from the cache) of a kernel that ended well."""
    out, err = kernel.communicate(timeout=PATIENCE)
    assert kernel.returncode == 0, err
    output, hits = json.loads(out.splitlines()[-1])
    return output, hits


def test_two_kernels_compute_each_result_once(project: Project) -> None:
    """While one computes the other waits; a third one, later, takes everything."""
    first = project.kernel(100)
    wait_until(lambda: len(project.ran()) >= 4)
    second = project.kernel(120)
    wait_until(lambda: len(set(project.ran()) - set(range(100))) >= 4)  # it waits for the others, which the first has leased
    project.open_gate()

    (one, hits), (two, more_hits) = result(first), result(second)

    assert (one, two) == ([x * x for x in range(100)], [x * x for x in range(120)])
    assert project.ran() == Counter(range(120))
    assert (hits, more_hits) == (0, 100)
    assert result(project.kernel(120)) == (two, 120)


def test_a_kernel_that_died_is_waited_for_no_longer(project: Project) -> None:
    """What it had begun begins anew elsewhere; the results of the others are computed once."""
    first = project.kernel(20)
    wait_until(lambda: len(project.ran()) >= 4)
    second = project.kernel(22)
    wait_until(lambda: set(project.ran()) - set(range(20)) != set())
    begun = set(project.ran())
    first.kill()
    first.communicate()
    project.open_gate()

    output, _hits = result(second)

    assert output == [x * x for x in range(22)]
    ran = project.ran()
    assert set(ran) == set(range(22))
    assert {number for number, times in ran.items() if times > 1} <= begun - {20, 21}
    assert max(ran.values()) <= 2


def test_a_run_of_another_kernel_is_followed_while_it_is_watched(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its view here moves on and shows the end, though nobody asks for the run again."""
    monkeypatch.setenv("FLYTE_NB_KEY_FILE", str(project.folder / "key"))
    kernel = project.kernel(8)
    wait_until(lambda: len(project.ran()) >= 4)
    with contextlib.closing(Workspace(Settings(store=str(project.folder / "store")))) as space, current(space):
        wait_until(lambda: len(space.entries(RunFilter())) == 1)
        run = Run.get(space.entries(RunFilter())[0].name)
        told = threading.Event()
        assert not run.done()

        def changed() -> None:
            if run.state.ended_at is not None:
                told.set()

        unwatch = run.on_change(changed)
        project.open_gate()
        assert told.wait(PATIENCE)
        unwatch()
    assert result(kernel)[0] == [x * x for x in range(8)]
