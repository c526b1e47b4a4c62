"""Notebooks that a person looks at: cells return at once, views stay live, Tab and the stop button work."""

import time

from flyte_nb.views.live import WIDGET_MIME
from tests.notebook.conftest import SECONDS, FrontEnd, is_idle

TASK = """%%flyte_task
async def slow(n: int) -> int:
    await asyncio.sleep({seconds})
    return n"""


def test_a_cell_returns_while_its_run_goes_on_and_the_end_is_sent_later(front_end: FrontEnd) -> None:
    """The view is a widget; its final bundle comes under the same display id, for whoever saves the notebook."""
    front_end.run(TASK.format(seconds=1.5))
    cell = front_end.start("%%flyte_run --out run\nawait slow(1)")
    messages = front_end.messages(until=lambda message: message["msg_type"] == "update_display_data")
    (shown,) = [message for message in messages if message["msg_type"] == "display_data"]
    ended = messages[-1]
    order = [message["msg_type"] for message in messages if message["parent_header"].get("msg_id") == cell]

    assert WIDGET_MIME in shown["content"]["data"]
    assert "run: running" in shown["content"]["data"]["text/plain"]
    assert "run: succeeded" in ended["content"]["data"]["text/plain"]
    assert ended["content"]["transient"] == shown["content"]["transient"]
    assert ended["parent_header"]["msg_id"] == cell
    assert order.index("execute_input") < order.index("display_data") < order.index("update_display_data")


def test_the_live_panel_is_updated_while_another_cell_runs(front_end: FrontEnd) -> None:
    """From a thread of its own."""
    front_end.run(TASK.format(seconds=1))
    front_end.run("%%flyte_run --out run\nawait slow(1)")
    cell = front_end.start("time.sleep(3)")
    messages = front_end.messages(until=lambda message: is_idle(message, cell))
    heads = [
        message["content"]["data"]["state"]["head"]
        for message in messages
        if message["msg_type"] == "comm_msg" and "head" in message["content"]["data"].get("state", {})
    ]

    assert any(head["words"] == "Succeeded" for head in heads)


def test_the_stop_button_ends_a_wait_and_aborts_the_run(front_end: FrontEnd) -> None:
    """At once, and nothing is left running."""
    front_end.run(TASK.format(seconds=60))
    cell = front_end.start("%%flyte_run --block --out run\nawait asyncio.sleep(1)\nprint('started')\nawait slow(1)")
    front_end.messages(cell, until=lambda message: "started" in str(message["content"].get("text", "")))
    began = time.monotonic()
    front_end.manager.interrupt_kernel()
    messages = front_end.messages(cell, until=lambda message: is_idle(message, cell))

    assert [message["content"]["ename"] for message in messages if message["msg_type"] == "error"] == ["KeyboardInterrupt"]
    assert time.monotonic() - began < 5
    assert front_end.value("run.wait(); run.phase.value") == "'aborted'"


def test_tab_completes_options_in_a_kernel(front_end: FrontEnd) -> None:
    """As JupyterLab asks for it."""
    answer = front_end.client.complete("%%flyte_task --re", reply=True, timeout=SECONDS)["content"]
    values = front_end.client.complete("%%flyte_task --cache ", reply=True, timeout=SECONDS)["content"]
    names = front_end.client.complete("%%flyte_", reply=True, timeout=SECONDS)["content"]

    assert answer["matches"] == ["--retries"]
    assert answer["cursor_start"] == len("%%flyte_task ")
    assert {"auto", "override", "disable"} <= set(values["matches"])
    assert {"%%flyte_task", "%%flyte_run"} <= set(names["matches"])


def test_help_of_a_magic_is_shown(front_end: FrontEnd) -> None:
    """`%%flyte_task?` explains the options."""
    cell = front_end.start("%%flyte_task?")
    reply = front_end.client.get_shell_msg(timeout=SECONDS)
    while reply["parent_header"]["msg_id"] != cell:
        reply = front_end.client.get_shell_msg(timeout=SECONDS)
    (page,) = reply["content"]["payload"]

    assert "--retries N" in page["data"]["text/plain"]


def test_nothing_is_left_when_the_runs_are_over(front_end: FrontEnd) -> None:
    """The views' thread ends with the last live view."""
    front_end.run(TASK.format(seconds=0))
    front_end.run("%%flyte_run --out run\nawait slow(1)")
    front_end.messages(until=lambda message: message["msg_type"] == "update_display_data")
    threads = front_end.value(
        "from flyte_nb.views.painter import PAINTER\nPAINTER.join(10)\nimport threading\n"
        "[thread.name for thread in threading.enumerate() if 'views' in thread.name]"
    )

    assert threads == "[]"
