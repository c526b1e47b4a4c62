"""How tests run cells in a real kernel: as a runner of notebooks does, and as a front end does."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager, start_new_kernel
from nbclient import NotebookClient

ROOT = Path(__file__).parents[2]
SECONDS = 60

#: The first cell of every notebook here.
SETUP = "%load_ext flyte_nb\nimport asyncio, time\nimport flyte_nb as flyte"

Execute = Callable[..., list[Any]]


def said(cell: Any) -> str:
    """What a cell printed, displayed as text or raised."""
    parts = []
    for output in cell.outputs:
        if output.output_type == "error":
            parts.append(f"{output.ename}: {output.evalue}")
        else:
            parts.append(output.text if output.output_type == "stream" else output.data.get("text/plain", ""))
    return "\n".join(parts)


def mime_types(cell: Any) -> set[str]:
    """The forms of all that a cell displayed."""
    return {mime for output in cell.outputs for mime in output.get("data", {})}


@pytest.fixture
def kernel_environment(tmp_path: Path) -> dict[str, str]:
    """Return the environment of a kernel: this checkout, no settings of the machine, a small cluster in its own threads."""
    store = tmp_path / "store"
    store.mkdir(mode=0o700)
    ours = {name: value for name, value in os.environ.items() if not name.startswith("FLYTE_NB_")}
    return ours | {
        "PYTHONPATH": str(ROOT),
        "IPYTHONDIR": str(tmp_path / "ipython"),
        "JUPYTER_PLATFORM_DIRS": "0",
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
        "FLYTE_NB_CLUSTER": "inline",
        "FLYTE_NB_HOME": str(store),
        "FLYTE_NB_KEY_FILE": str(tmp_path / "key"),
    }


@pytest.fixture
def execute(kernel_environment: dict[str, str], tmp_path: Path) -> Execute:
    """Return a function that runs cells as nbconvert and papermill do: nobody looks. It returns the cells."""

    def run(*cells: str, **environment: str) -> list[Any]:
        notebook = nbformat.v4.new_notebook()
        notebook.cells = [nbformat.v4.new_code_cell(cell) for cell in (SETUP, *cells)]
        client = NotebookClient(notebook, timeout=SECONDS, allow_errors=True, resources={"metadata": {"path": str(tmp_path)}})
        client.execute(env=kernel_environment | environment)
        assert said(notebook.cells[0]) == ""
        return list(notebook.cells[1:])

    return run


class FrontEnd:
    """A kernel with a front end, which can answer `input()` and sees every message."""

    def __init__(self, manager: KernelManager, client: BlockingKernelClient) -> None:
        self.manager = manager
        self.client = client

    def start(self, code: str) -> str:
        """Run a cell; returns its id at once."""
        return str(self.client.execute(code, allow_stdin=True))

    def messages(self, cell: str | None = None, *, until: Callable[[Any], bool]) -> list[Any]:
        """Messages (of one cell), up to the first that is accepted."""
        found: list[Any] = []
        while True:
            message = self.client.get_iopub_msg(timeout=SECONDS)
            if cell is None or message["parent_header"].get("msg_id") == cell:
                found.append(message)
            if until(message):
                return found

    def run(self, code: str) -> list[Any]:
        """Run a cell to its end; returns its messages."""
        cell = self.start(code)
        return self.messages(cell, until=lambda message: is_idle(message, cell))

    def value(self, code: str) -> str:
        """Run a cell; returns its result as text."""
        messages = self.run(code)
        results = [message["content"]["data"]["text/plain"] for message in messages if message["msg_type"] == "execute_result"]
        assert results, [(message["msg_type"], message["content"]) for message in messages]
        return str(results[0])


def is_idle(message: Any, cell: str) -> bool:
    """Whether a message says that a cell is over."""
    over = message["msg_type"] == "status" and message["content"]["execution_state"] == "idle"
    return bool(over and message["parent_header"].get("msg_id") == cell)


@pytest.fixture
def front_end(kernel_environment: dict[str, str], tmp_path: Path) -> Iterator[FrontEnd]:
    """Yield a kernel as a person's front end has it."""
    manager, client = start_new_kernel(startup_timeout=SECONDS, env=kernel_environment, cwd=str(tmp_path))
    try:
        connected = FrontEnd(manager, client)
        connected.run(SETUP)
        yield connected
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
        manager.context.destroy()  # its sockets would stay until the next collection
