"""Every test of this ring runs twice: on threads of this process, and on worker processes of the embedded cluster."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from flyte_nb.workspace import Workspace
from tests.fakes.spaces import PATIENCE, Spaces, current, finished, output, phases
from tests.leaks import LeakCheck

__all__ = ["PATIENCE", "finished", "output", "phases"]

KINDS = ("inline", "dask")
#: Descriptors that a workspace which outlives a test may add in it: loops of workers are made when they are first needed
#: (three each, at most four in two workers), and a replaced worker process has other connections than the one before.
DESCRIPTORS = 30


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the workspaces of the session keep what they opened; `test_closing` sees to it that they give it back."""
    for item in items:
        if item.path.parent == Path(__file__).parent and not item.get_closest_marker("leaves"):
            item.add_marker(pytest.mark.leaves(descriptors=DESCRIPTORS))


@pytest.fixture(scope="session")
def spaces(leak_check: LeakCheck) -> Iterator[Spaces]:
    """All workspaces of the session; closed at its end."""
    with contextlib.ExitStack() as stack:
        yield Spaces(leak_check, stack)


@pytest.fixture(params=KINDS, scope="session", autouse=True)
def kind(request: pytest.FixtureRequest, spaces: Spaces) -> str:
    """The kind of cluster. Its workspaces are started before the first test that is watched for leaks."""
    for workers in (1, 2):
        spaces.get(request.param, workers)
    return str(request.param)


@pytest.fixture
def space(kind: str, spaces: Spaces) -> Iterator[Workspace]:
    """The workspace of the test: two workers with one thread each."""
    with current(spaces.get(kind, 2)) as made:
        yield made


@pytest.fixture
def narrow_space(kind: str, spaces: Spaces) -> Iterator[Workspace]:
    """One worker with one thread."""
    with current(spaces.get(kind, 1)) as made:
        yield made
