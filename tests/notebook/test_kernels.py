"""The same notebook on the ipykernels that people have: views are live, requests are answered, the stop button works."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import KernelManager

from flyte_nb.views.live import WIDGET_MIME
from tests.notebook.conftest import SECONDS, SETUP, FrontEnd, is_idle
from tests.tooling.environments import python_with

#: The oldest that is supported, those whose first subshells people still have, and today's latest.
VERSIONS = ("6.31.*", "7.0.1", "7.1.*", "")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

TASK = """%%flyte_task
async def slow(n: int) -> int:
    await asyncio.sleep({seconds})
    return n"""


@pytest.fixture(params=VERSIONS, ids=[version or "latest" for version in VERSIONS])
def other(request: pytest.FixtureRequest, kernel_environment: dict[str, str], tmp_path: Path) -> Iterator[FrontEnd]:
    """Yield a kernel of one version, as a person's front end has it."""
    try:
        python = python_with(f"ipykernel=={request.param}" if request.param else "ipykernel")
    except subprocess.CalledProcessError as error:
        pytest.skip(f"ipykernel {request.param} cannot be installed here: {error.stderr.decode()[-300:]}")
    manager = KernelManager()
    manager._kernel_spec = KernelSpec(argv=[str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"], language="python")
    manager.start_kernel(env=kernel_environment, cwd=str(tmp_path))
    client: BlockingKernelClient = manager.client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=SECONDS)
        connected = FrontEnd(manager, client)
        connected.run(SETUP)
        shown = connected.value("import ipykernel; ipykernel.__version__").strip("'")
        assert shown.startswith(request.param.removesuffix("*"))
        yield connected
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
        manager.context.destroy()


def shown_view(front: FrontEnd, seconds: float) -> tuple[str, str]:
    """Start a run; returns its view's model and its display id."""
    front.run(TASK.format(seconds=seconds))
    messages = front.run("%%flyte_run --out run\nawait asyncio.gather(slow(1), slow(2))")
    (shown,) = [message["content"] for message in messages if message["msg_type"] == "display_data"]
    return shown["data"][WIDGET_MIME]["model_id"], shown["transient"]["display_id"]


def send(front: FrontEnd, model: str, content: dict[str, Any], subshell: str | None = None) -> None:
    """Send a view's request as a browser does, to a subshell where there is one."""
    message = front.client.session.msg("comm_msg", {"comm_id": model, "data": {"method": "custom", "content": content}})
    message["header"]["subshell_id"] = subshell
    front.client.shell_channel.send(message)


def subshell_of(front: FrontEnd) -> str | None:
    """A subshell, as JupyterLab asks for one; None where the kernel has none."""
    if front.value("import ipykernel; ipykernel.__version__") < "'7":
        return None
    front.client.control_channel.send(front.client.session.msg("create_subshell_request", {}))
    while True:
        reply = front.client.get_control_msg(timeout=SECONDS)
        if reply["msg_type"] == "create_subshell_reply":
            return str(reply["content"]["subshell_id"])


def answers(messages: list[Any], kind: str) -> list[Any]:
    """Answers of one kind among messages."""
    contents = [message["content"]["data"].get("content") for message in messages if message["msg_type"] == "comm_msg"]
    return [content for content in contents if isinstance(content, dict) and content.get("kind") == kind]


def test_a_view_is_live_and_the_end_is_kept(other: FrontEnd) -> None:
    """The cell returns, the header moves while another cell is busy, and the last bundle comes under the same id."""
    _, display = shown_view(other, 1)
    cell = other.start("time.sleep(3)")
    messages = other.messages(until=lambda message: is_idle(message, cell))
    heads = [message["content"]["data"].get("state", {}).get("head") for message in messages if message["msg_type"] == "comm_msg"]
    (ended,) = [message["content"] for message in messages if message["msg_type"] == "update_display_data"]

    assert any(head and head["words"] == "Succeeded" for head in heads)
    assert ended["transient"]["display_id"] == display
    assert "succeeded" in ended["data"]["text/plain"]


def test_a_request_is_answered(other: FrontEnd) -> None:
    """Rows of the table, asked for as the browser does."""
    model, _ = shown_view(other, 0)
    send(other, model, {"kind": "rows", "view": "v", "id": 3, "count": 20, "query": {}})
    messages = other.messages(until=lambda message: bool(answers([message], "rows")))

    assert answers(messages, "rows")[-1]["total"] == 2


def test_abort_is_heard_while_a_cell_is_busy(other: FrontEnd) -> None:
    """Within a second where the kernel has subshells; otherwise when the cell is over, or by the stop button at once."""
    model, _ = shown_view(other, 60)
    subshell = subshell_of(other)
    cell = other.start("print('busy', flush=True); time.sleep(8)")
    other.messages(cell, until=lambda message: "busy" in str(message["content"].get("text", "")))
    began = time.monotonic()
    send(other, model, {"kind": "abort", "view": "v", "id": 4, "row": 0}, subshell)
    if subshell is None:
        other.manager.interrupt_kernel()
    other.messages(until=lambda message: bool(answers([message], "done")))

    assert time.monotonic() - began < 3  # a second, on a machine that does nothing else
    other.messages(cell, until=lambda message: is_idle(message, cell)) if subshell else None
    assert other.value("run.wait(); run.phase.value") == "'aborted'"


def test_the_stop_button_ends_a_wait(other: FrontEnd) -> None:
    """At once, and the run is aborted."""
    other.run(TASK.format(seconds=60))
    cell = other.start("%%flyte_run --block --out run\nawait asyncio.sleep(1)\nprint('started')\nawait slow(1)")
    other.messages(cell, until=lambda message: "started" in str(message["content"].get("text", "")))
    other.manager.interrupt_kernel()
    messages = other.messages(cell, until=lambda message: is_idle(message, cell))

    assert [message["content"]["ename"] for message in messages if message["msg_type"] == "error"] == ["KeyboardInterrupt"]
    assert other.value("run.wait(); run.phase.value") == "'aborted'"
