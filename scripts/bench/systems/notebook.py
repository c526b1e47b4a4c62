"""Decides how flyte_nb does the workloads inside a notebook's kernel, with a front end that listens.

The kernel is a real one; the front end is a client that takes every message and draws nothing. A run that a cell starts has its view
open below it. Must not know: what the workloads do.
"""

import json
import os
import tempfile
from collections.abc import Mapping
from typing import Any

from jupyter_client.manager import start_new_kernel

from scripts.bench.model import Figures, Slots
from scripts.bench.systems import System

MARK = "bench-figures:"
CELL_SECONDS = 600
#: A widget exists wherever `FLYTE_NB_STATIC` is 0, also for a client that is no browser.
ENVIRONMENT = {"FLYTE_NB_STATIC": "0", "JUPYTER_PLATFORM_DIRS": "1", "PYDEVD_DISABLE_FILE_VALIDATION": "1"}
SETUP = """
%load_ext flyte_nb
import json
import flyte_nb as flyte
from flyte_nb.notebook.hooks import MAX_VIEWS_PER_CELL
from flyte_nb.views.painter import PAINTER
from scripts.bench.model import Slots
from scripts.bench.systems import ours
system = ours.start(Slots({workers}, {threads}))
"""
#: Views are shown of the first runs of a cell only; they are over, and their thread has ended, before anything is timed.
UNSEEN = "for _ in range(MAX_VIEWS_PER_CELL): flyte.run(ours.noop, 0).wait()\nPAINTER.join(10)\n"


class NotebookKernel(System):
    """A kernel in which flyte_nb runs."""

    def __init__(self, slots: Slots) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="flyte_nb-bench-")
        environment = {**os.environ, **ENVIRONMENT, "IPYTHONDIR": self._folder.name}
        self._manager, self._client = start_new_kernel(env=environment)
        self._execute(SETUP.format(workers=slots.workers, threads=slots.threads))

    def warm_up(self) -> None:
        """Have the cluster started and the tasks known."""
        self._execute("system.warm_up()")

    def close(self) -> None:
        """End the kernel, and with it its cluster."""
        self._client.stop_channels()
        self._manager.shutdown_kernel()
        self._folder.cleanup()

    def measure(self, workload: str, arguments: Mapping[str, Any]) -> Figures:
        """Do a workload in a cell; also count the messages that it sent."""
        options = dict(arguments)
        before = UNSEEN if options.pop("unseen", False) else ""
        said, messages = self._execute(f"{before}print({MARK!r} + json.dumps(system.measure({workload!r}, {options!r})))")
        figures: Figures = json.loads(said.rpartition(MARK)[2].partition("\n")[0])
        return {**figures, "view_messages": messages}

    def _execute(self, code: str) -> tuple[str, int]:
        """Run a cell; return what it printed, and how many messages drew views."""
        cell = self._client.execute(code, allow_stdin=True)
        said: list[str] = []
        drawn = 0
        while True:
            message = self._client.get_iopub_msg(timeout=CELL_SECONDS)
            if message["parent_header"].get("msg_id") != cell:
                continue
            kind, content = message["msg_type"], message["content"]
            if kind == "stream":
                said.append(content["text"])
            elif kind == "error":
                raise RuntimeError("\n".join(content["traceback"]))
            elif kind in {"comm_msg", "display_data", "update_display_data"}:
                drawn += 1
            elif kind == "status" and content["execution_state"] == "idle":
                return "".join(said), drawn


def start(slots: Slots) -> NotebookKernel:
    """Start a kernel, and flyte_nb in it."""
    return NotebookKernel(slots)
