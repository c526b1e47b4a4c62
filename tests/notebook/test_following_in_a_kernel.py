"""A run is followed in a real kernel: functions are told in the main thread, between cells, while a cell awaits, and while one waits."""

from __future__ import annotations

from tests.notebook.conftest import Execute, FrontEnd, is_idle, said

DEFINE = """
import threading
env = flyte.TaskEnvironment("following")
gate = None
@env.task
async def nap(x: int) -> dict[str, int]:
    await asyncio.sleep(0.02 * x)
    return {"double": 2 * x}
@env.task
async def main(n: int) -> int:
    return len(await asyncio.gather(*(nap(x) for x in range(n))))
threads, seen = set(), []
def look(summary):
    threads.add(threading.current_thread() is threading.main_thread())
    seen.append(summary.ended)
"""


def test_a_function_is_told_while_the_end_of_a_cell_waits(execute: Execute) -> None:
    """Where nobody looks, the cell's end waits for its runs; the last call is made by then, and rows stream in a cell."""
    cells = execute(
        DEFINE,
        'updates = run = None\nrun = flyte.run(main, 12)\nupdates = run.on_update(look, give="summary", every=0.05)',
        "print(seen[-1], updates.done(), threads, updates.error)",
        'rows = [row.double async for row in run.stream(task="nap")]\nprint(sorted(rows))',
        "print(len([action for action in run.as_completed()]))",
    )

    assert said(cells[2]).strip() == "12 True {True} None"
    assert said(cells[3]).strip() == str([2 * n for n in range(12)])
    assert said(cells[4]).strip() == "12"


def test_a_function_is_told_between_cells_and_while_one_awaits(front_end: FrontEnd) -> None:
    """By the kernel's loop; an error in it is shown under the cell that asked."""
    front_end.run(DEFINE)
    front_end.run('run = flyte.run(main, 10)\nupdates = run.on_update(look, give="summary", every=0.05)')
    assert front_end.value("await updates\n(seen[-1], threads, run.done())") == "(10, {True}, True)"

    cell = front_end.start('run = flyte.run(main, 3)\nfailing = run.on_update(lambda frame: frame["none"], every=0.05)')
    front_end.messages(cell, until=lambda message: is_idle(message, cell))
    front_end.start("await failing")
    told = front_end.messages(cell, until=lambda message: message["msg_type"] == "stream" and "KeyError" in message["content"]["text"])
    assert "on_update of run" in told[-1]["content"]["text"]


def test_a_cell_that_waits_makes_the_calls(front_end: FrontEnd) -> None:
    """`run.wait()` holds up the loop, and calls itself."""
    front_end.run(DEFINE)
    front_end.run('run = flyte.run(main, 10)\nupdates = run.on_update(look, give="summary", every=0.02)\nrun.wait()\ncalls = updates.calls')
    assert front_end.value("(seen[-1], calls > 0, updates.calls == calls, threads)") == "(10, True, True, {True})"
