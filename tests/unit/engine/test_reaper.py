"""Who cleans up after a kernel that was killed."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from flyte_nb.engine.reaper import Reaper

SECONDS = 20
pytestmark = pytest.mark.skipif(not os.path.exists("/bin/sh"), reason="there is no such shell")  # noqa: PTH110 - one look


@pytest.fixture
def group() -> Iterator[subprocess.Popen[bytes]]:
    """The head of a process group."""
    with subprocess.Popen(["/bin/sh", "-c", "sleep 60 & sleep 60"], start_new_session=True) as process:
        yield process
        process.kill()


def folder(tmp_path: Path, name: str) -> Path:
    """A folder with something in it, and a name that a shell would take apart."""
    made = tmp_path / name
    made.mkdir()
    (made / "a file").touch()
    return made


def killed(reaper: Reaper) -> None:
    """What a reaper sees of its kernel's end, and its own."""
    shell = reaper._shell
    assert shell is not None
    assert shell.stdin is not None
    shell.stdin.close()
    shell.wait(SECONDS)


def test_a_kernel_that_is_killed_takes_its_workers_groups_and_folders_along(tmp_path: Path, group: subprocess.Popen[bytes]) -> None:
    """What its workers have started ends too; nothing of its files is left."""
    first, second = folder(tmp_path, "its own $(folder)"), folder(tmp_path, "another 'one'")
    reaper = Reaper(str(first))
    reaper.add(group.pid)
    reaper.add_path(str(second))
    killed(reaper)

    assert group.wait(SECONDS) == -9
    assert list(tmp_path.iterdir()) == []


def test_a_group_that_has_ended_is_not_ended_again(tmp_path: Path, group: subprocess.Popen[bytes]) -> None:
    """Its number may be somebody else's by then."""
    reaper = Reaper(str(folder(tmp_path, "folder")))
    reaper.add(999_999_999)
    reaper.add(group.pid)
    reaper.drop(group.pid)
    killed(reaper)

    assert group.poll() is None
    assert list(tmp_path.iterdir()) == []


def test_a_kernel_that_ends_in_order_cleans_up_itself(tmp_path: Path, group: subprocess.Popen[bytes]) -> None:
    """The shell ends and touches nothing."""
    kept = folder(tmp_path, "folder")
    reaper = Reaper(str(kept))
    reaper.add(group.pid)
    reaper.close()

    assert (group.poll(), kept.exists()) == (None, True)
