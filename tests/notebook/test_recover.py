"""A notebook goes on after its kernel was restarted, or killed: what it did is not done again."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

from tests.notebook.conftest import SECONDS, SETUP, Execute, FrontEnd, said

HELPER = """
import os
def tell(what):
    file = os.open("ledger", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(file, f"{what}\\n".encode())
    os.close(file)
def scaled(x):
    return x * 10
"""
TASK = """%%flyte_task --env pipeline
def step(x: int) -> int:
    tell(f"step {x}")
    if x == 3 and not os.path.exists("mended"):
        raise ValueError("no 3")
    return scaled(x)
"""
#: The same, but that step 3 takes long until the cause of that is gone.
_WAIT = ("while x == 3", "time.sleep(0.01)", "import time\ndef step")
WAITING = TASK.replace("if x == 3", _WAIT[0]).replace('raise ValueError("no 3")', _WAIT[1]).replace("def step", _WAIT[2])
MAIN = """
env = flyte.TaskEnvironment("pipeline")
@env.task
async def main(n: int) -> list[int]:
    tell("main")
    return [x async for x in flyte.map.aio(step, range(n), return_exceptions=False)]
"""
FIRST = "run = flyte.with_runcontext(name='first').run(main, 6); run.wait(); print(run.phase)"
AGAIN = "again = flyte.rerun('first', recover=True); again.wait(); print(again.outputs()[0], again.summary().counts)"


def told(folder: Path) -> Counter[str]:
    """What the tasks did so far; the ledger starts anew."""
    ledger = folder / "ledger"
    lines = Counter(ledger.read_text().splitlines()) if ledger.exists() else Counter()
    ledger.unlink(missing_ok=True)
    return lines


def test_new_kernels_go_on_with_the_code_that_was_kept_or_as_it_is_now(execute: Execute, tmp_path: Path) -> None:
    """Without the cells; with unchanged ones, which run nothing again; with an edited helper, which does."""
    *_cells, first = execute(HELPER, TASK, MAIN, FIRST)
    assert said(first).splitlines()[-1] == "failed", said(first)
    (tmp_path / "mended").touch()
    done = set(told(tmp_path)) - {"main", "step 3"}

    (again,) = execute(AGAIN)
    assert "[0, 10, 20, 30, 40, 50]" in said(again)
    assert set(told(tmp_path)) == {"main", *(f"step {x}" for x in range(6))} - done

    edited = HELPER.replace("x * 10", "x * 100")
    *_cells, same, _helper, changed, story = execute(
        HELPER.replace("import os", "import os  # again"), TASK, MAIN, AGAIN, edited, AGAIN, "step.version_story()"
    )
    assert "[0, 10, 20, 30, 40, 50]" in said(same)
    assert "[0, 100, 200, 300, 400, 500]" in said(changed)
    assert set(told(tmp_path).values()) <= {1, 2}
    assert "scaled (in step): changed" in said(story)


def test_a_cell_that_drove_a_run_goes_on(execute: Execute, tmp_path: Path) -> None:
    """In another kernel, where it has another number: by the name of the run."""
    driver = "%%flyte_run --block{}\nfound = await asyncio.gather(*(step.aio(x) for x in range(6)))"
    *_cells, name = execute(HELPER, TASK, driver.format(""), "print(next(flyte.remote.Run.listall(limit=1)).name)")
    (tmp_path / "mended").touch()
    done = set(told(tmp_path)) - {"step 3"}

    *_cells, drove, shown = execute("1", HELPER, TASK, driver.format(f" --recover {said(name).strip()}"), "print(found)")

    assert "Error" not in said(drove)
    assert said(shown).strip() == "[0, 10, 20, 30, 40, 50]"
    assert set(told(tmp_path)) & done == set()


def test_a_kernel_that_was_killed_in_the_middle_goes_on(front_end: FrontEnd, tmp_path: Path) -> None:
    """As the button that restarts it does it."""
    for cell in (HELPER, WAITING, MAIN):
        front_end.run(cell)
    front_end.run("run = flyte.with_runcontext(name='first').run(main, 6)")
    front_end.run("while run.summary().counts.get(flyte.ActionPhase.SUCCEEDED, 0) < 3: time.sleep(0.01)")
    succeeded = front_end.value("sorted(action.inputs()['x'] for action in flyte.remote.Action.listall('first', in_phase=('succeeded',)))")
    front_end.manager.restart_kernel(now=True)
    front_end.client.wait_for_ready(timeout=SECONDS)
    (tmp_path / "mended").touch()
    before = told(tmp_path)

    front_end.run(SETUP)
    for cell in (HELPER, WAITING, MAIN):
        front_end.run(cell)
    output = front_end.value("again = flyte.rerun('first', recover=True)\nagain.wait()\nagain.outputs()[0]")

    done = {f"step {x}" for x in json.loads(succeeded)}
    assert (output, before["main"], len(done) >= 3) == ("[0, 10, 20, 30, 40, 50]", 1, True)
    assert set(told(tmp_path)) & done == set()
