"""What a run keeps beside actions: steps, conditions, reports; and what its handle tells of all of them."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

import flyte_nb as flyte
from flyte_nb.remote import Action, ActionDetails, Condition, Run, TimeFilter
from tests.contract.conftest import PATIENCE, finished, output

pytestmark = pytest.mark.usefixtures("space")
env = flyte.TaskEnvironment("asides")


def until_asked(run: Run, name: str) -> Action:
    """The open condition of a name, when it is there."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if any(each.task_name == name for each in run.conditions):
            return run.condition(name)
        run.home.wait_ended(run.name, 0.01)
    raise AssertionError(f"{name} was not asked: {run}")


# ------------------------------------------------------------------ steps
def test_steps_are_children_that_are_not_repeated(tmp_path: Path) -> None:
    """A second attempt takes what the first one traced, and goes on from there."""
    log = tmp_path / "log"

    @flyte.trace
    async def download(url: str) -> str:
        with log.open("a") as file:
            file.write(f"{url} ")
        return url.upper()

    @env.task(retries=1)
    async def fetch() -> str:
        pages = [await download("a"), await download("b")]
        if flyte.ctx().attempt_number == 0:
            raise ValueError("again")
        return "".join([*pages, await download("c")])

    @env.task
    async def main() -> str:
        return await fetch()

    run = finished(flyte.run(main))

    assert (run.outputs()[0], log.read_text()) == ("ABC", "a b c ")
    steps = [action for action in Action.listall(run.name) if action.kind == "trace"]
    assert [(step.task_name, step.parent_name, step.phase.value, step.inputs()) for step in steps] == [
        ("download", run.action(1).name, "succeeded", {"url": url}) for url in "abc"
    ]


# ------------------------------------------------------------------ conditions
def test_a_condition_is_answered_from_the_notebook() -> None:
    """A blocking wait on a worker and one that is awaited in the driver; the answers keep their types."""

    @env.task
    def ask() -> int:
        number = flyte.new_condition("number", prompt="How many?", data_type=int).wait()
        return int(number) + 1

    @env.task
    async def main() -> list[object]:
        condition = await flyte.new_condition.aio("go", prompt="Go on?")
        return [await condition.wait.aio(), await ask.aio()]

    run = flyte.run(main)
    question = until_asked(run, "go")
    assert (question.phase.value, question.inputs()["prompt"]) == ("paused", "Go on?")
    with pytest.raises(TypeError, match="bool"):
        question.signal("yes")
    question.signal(False)  # noqa: FBT003 - the answer
    until_asked(run, "number").signal(41)

    assert output(run) == [False, 42]
    assert run.conditions == []
    with pytest.raises(flyte.errors.ConditionNotFoundError):
        question.signal(True)  # noqa: FBT003 - the answer


def test_a_condition_that_nobody_answers_ends_in_time() -> None:
    """With an error of its own, which can be caught."""

    @env.task
    async def main() -> str:
        try:
            await flyte.new_condition("late", timeout=0.05).wait.aio()
        except flyte.errors.ConditionTimedoutError as error:
            return error.code
        return "answered"

    assert output(flyte.run(main)) == "ConditionTimedoutError"


# ------------------------------------------------------------------ reports
def test_a_report_is_kept_with_its_action() -> None:
    """Tabs and all, also of a task that fails; only tasks that say so write one without a flush."""

    @env.task(report=True)
    async def chart(name: str) -> str:
        flyte.report.get_tab(name).log(f"<b>{name}</b>")
        flyte.report.get_tab(name).log("<i>again</i>")
        if name == "bad":
            raise ValueError("no chart")
        return name

    @env.task
    async def silent() -> None:
        flyte.report.log("not kept")

    @env.task
    async def flushed() -> None:
        await flyte.report.log.aio("<p>kept</p>", do_flush=True)

    @env.task(report=True)
    async def main() -> None:
        flyte.report.log("start")
        await asyncio.gather(chart("loss"), chart("bad"), silent(), flushed(), return_exceptions=True)
        flyte.report.replace("<h1>done</h1>")

    run = finished(flyte.run(main))
    tabs = {(action.short_name, *action.inputs().values()): action.report_tabs for action in Action.listall(run.name)}

    assert tabs == {
        ("main",): {"main": "<h1>done</h1>"},
        ("chart", "loss"): {"loss": "<b>loss</b>\n<i>again</i>"},
        ("chart", "bad"): {"bad": "<b>bad</b>\n<i>again</i>"},
        ("silent",): {},
        ("flushed",): {"main": "<p>kept</p>"},
    }
    assert "<h1>done</h1>" in run.get_report()


# ------------------------------------------------------------------ handles
def test_handles_tell_what_flytes_details_tell() -> None:
    """Errors, times, parents, filters; blocking, awaited and watched."""

    @env.task
    async def child(x: int) -> int:
        if x == 2:
            raise ValueError("two")
        return x

    @env.task
    async def main() -> int:
        got = await asyncio.gather(*(child(x) for x in range(4)), return_exceptions=True)
        return len(got)

    run = finished(flyte.with_runcontext(labels={"team": "a"}).run(main))

    async def ask() -> dict[str, object]:
        (failed,) = [action async for action in Action.listall.aio(for_run_name=run.name, in_phase=("failed",))]
        details = await failed.details()
        info = details.error_info
        assert isinstance(details, ActionDetails)
        assert info is not None
        return {
            "error": (info.kind, info.code, info.message, details.abort_info, details.error_message),
            "inputs": await details.inputs(),
            "outputs": await (await run.details.aio()).outputs(),
            "get": (await Action.get.aio(run.name, failed.name)).name == failed.name,
            "watched": [action.phase.value async for action in run.watch()],
            "metadata": (details.metadata.funtask_name, details.metadata.parent, details.runtime.total_seconds() >= 0),
        }

    assert asyncio.run(ask()) == {
        "error": ("user", "ValueError", "two", None, "two"),
        "inputs": {"x": 2},
        "outputs": (4,),
        "get": True,
        "watched": ["succeeded"],
        "metadata": ("asides.child", "a0", True),
    }
    assert [action.inputs()["x"] for action in Action.listall(run.name, parent_name="a0", in_phase=("succeeded",))] == [0, 1, 3]
    assert run.name in {each.name for each in Run.listall(task_name="asides.main", with_labels={"team": "a"})}
    assert list(Run.listall(with_labels={"team": "b"})) == []
    assert run.name not in {each.name for each in Run.listall(created_at=TimeFilter(before=run.start_time))}
    first, *_rest = Action.listall(run.name, sort_by=("created_at", "desc"))
    assert first.parent_name == "a0"


def test_a_run_is_repeated_with_other_inputs() -> None:
    """A new run; what is not given anew is as it was."""

    @env.task
    async def add(x: int, y: int = 2) -> int:
        return x + y

    first = finished(flyte.with_runcontext(name="repeated").run(add, 1))
    again = finished(flyte.rerun("repeated", y=10))

    assert (first.outputs()[0], again.outputs()[0], again.inputs(), again.name != "repeated") == (3, 11, {"x": 1, "y": 10}, True)
    with pytest.raises(ValueError, match=r"Unknown input\(s\) \['z'\] for repeated/a0. Known inputs: x, y."):
        flyte.rerun("repeated", z=1)
    with pytest.raises(flyte.errors.RunNotFoundError):
        flyte.rerun("no such run")


def test_a_body_that_cancels_itself_cancels_the_call() -> None:
    """Not tried again; its caller sees a cancellation."""

    @env.task(retries=2)
    async def leave() -> int:
        raise asyncio.CancelledError

    @env.task
    async def main() -> str:
        try:
            await leave()
        except asyncio.CancelledError:
            return "cancelled"
        return "returned"

    run = finished(flyte.run(main))

    assert (run.outputs()[0], run.action(1).attempts, run.action(1).phase.value) == ("cancelled", 1, "failed")


def test_a_deadline_ends_an_action_that_is_tried_for_ever() -> None:
    """All attempts together have so long; the caller gets an error of its own."""

    @env.task(retries=1_000, timeout=flyte.Timeout(deadline=1))
    async def again() -> int:
        await asyncio.sleep(0.05)
        raise ValueError("again")

    @env.task
    async def main() -> str:
        try:
            await again()
        except flyte.errors.DeadlineExceededError as error:
            return error.code
        return "returned"

    run = finished(flyte.run(main))

    assert (run.outputs()[0], run.action(1).phase.value) == ("DeadlineExceededError", "timed_out")


def test_an_action_tells_its_times_by_phase_and_attempt() -> None:
    """Queued and running for each attempt; a condition is paused; what never started was queued only."""
    phases = flyte.ActionPhase

    @env.task(retries=1)
    async def flaky() -> int:
        if flyte.ctx().attempt_number == 0:
            raise ValueError("again")
        return 1

    @env.task
    async def main() -> int:
        await (await flyte.new_condition.aio("go")).wait.aio()
        return await flaky()

    run = flyte.run(main)
    until_asked(run, "go").signal(True)  # noqa: FBT003 - the answer
    finished(run)
    action = next(each for each in Action.listall(run.name) if each.short_name == "flaky")
    first, second = action.get_phase_transitions(1), action.get_phase_transitions()

    assert [[each.phase for each in told] for told in (first, second)] == [[phases.QUEUED, phases.RUNNING]] * 2
    assert first[1].end_time == second[0].start_time
    assert action.phase_durations == {each.phase: each.duration for each in second}
    assert (action.initializing_time, action.get_phase_transitions(3)) == (None, [])
    assert [each.phase for each in run.action(1).get_phase_transitions()] == [phases.QUEUED, phases.PAUSED]
    assert (run.action.name, run.action(0).name, run.action_id.run_name) == ("a0", "a0", run.name)
    assert (action.to_dict()["task"], run.to_dict()["phase"]) == ("asides.flaky", "succeeded")
    assert run.typed_outputs() == {"o0": 1}


def test_conditions_are_found_and_answered_from_elsewhere() -> None:
    """`flyte.remote.Condition`, by run and name."""

    @env.task
    async def main() -> list[object]:
        size = await flyte.new_condition.aio("size", data_type=float)
        go = await flyte.new_condition.aio("go")
        return [await size.wait.aio(), await go.wait.aio()]

    run = flyte.run(main)
    until_asked(run, "go")
    conditions = list(Condition.listall(run.name))
    assert [(each.name, each.phase, each.expected_type) for each in conditions] == [("size", "PAUSED", float), ("go", "PAUSED", bool)]
    assert [each.name for each in Condition.listall(run_name=run.name, action_name="a0", limit=1)] == ["size"]
    assert Condition.get("other", run_name=run.name) is None
    with pytest.raises(TypeError, match="payload must be bool"):
        conditions[0].signal([])  # type: ignore[arg-type]  # that is the point

    conditions[0].signal(2)
    found = Condition.get("go", run_name=run.name)
    assert found is not None
    found.signal(False)  # noqa: FBT003 - the answer

    assert output(run) == [2.0, False]


def test_logs_are_lines_and_may_be_cut(capsys: pytest.CaptureFixture[str]) -> None:
    """The last ones of a run, or of an action; for `async for` too."""

    @env.task
    async def main() -> None:
        print("one\ntwo\nthree")  # noqa: T201 - that is the point

    run = finished(flyte.run(main))

    async def lines() -> list[str]:
        return [line async for line in run.get_logs.aio()]

    assert list(run.get_logs()) == asyncio.run(lines()) == ["one", "two", "three"]
    capsys.readouterr()
    run.show_logs(max_lines=1)
    run.action.show_logs(max_lines=2)
    assert capsys.readouterr().out == "[main a0] three\ntwo\nthree\n"
