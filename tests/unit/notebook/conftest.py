"""What notebook tests share: an IPython shell of their own, with the magics and a workspace without an engine."""

from __future__ import annotations

import atexit
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

from flyte_nb.notebook import magics
from flyte_nb.views import painter, value
from tests.fakes.fake_workspace import FakeWorkspace
from tests.unit.views.conftest import FakePainter


class Cells:
    """A shell that runs cells as a notebook does."""

    def __init__(self, shell: InteractiveShell, workspace: FakeWorkspace, views: FakePainter) -> None:
        self.shell: Any = shell
        self.workspace = workspace
        self.views = views

    def run(self, text: str) -> Any:
        """Run a cell that must succeed; returns its value."""
        result = self.attempt(text)
        result.raise_error()
        return result.result

    def attempt(self, text: str) -> Any:
        """Run a cell; returns IPython's result."""
        return self.shell.run_cell(text, store_history=True)

    def fails(self, text: str, kind: type[BaseException]) -> str:
        """Run a cell that must raise; returns the message."""
        error = self.attempt(text).error_in_exec
        assert isinstance(error, kind), error
        return str(error)

    def __getitem__(self, name: str) -> Any:
        """A variable."""
        return self.shell.user_ns[name]

    def __contains__(self, name: str) -> bool:
        """Whether there is such a variable."""
        return name in self.shell.user_ns


@pytest.fixture
def shell() -> Iterator[InteractiveShell]:
    """Return an IPython shell that is gone after the test."""
    main, displayhook, excepthook = sys.modules["__main__"], sys.displayhook, sys.excepthook
    config = Config()
    config.HistoryManager.enabled = False
    config.InteractiveShell.colors = "nocolor"
    made: InteractiveShell = InteractiveShell.instance(config=config)
    yield made
    atexit.unregister(made.atexit_operations)
    made.atexit_operations()
    made.restore_sys_module_state()
    InteractiveShell.clear_instance()
    sys.modules["__main__"], sys.displayhook, sys.excepthook = main, displayhook, excepthook


@pytest.fixture
def nb(shell: InteractiveShell, monkeypatch: pytest.MonkeyPatch) -> Cells:
    """Return a notebook with the magics loaded."""
    workspace, views = FakeWorkspace(), FakePainter()
    monkeypatch.setattr(painter, "PAINTER", views)
    monkeypatch.setattr(value, "PAINTER", views)
    magics.register(shell, workspace, workspace.map_frame)
    return Cells(shell, workspace, views)
