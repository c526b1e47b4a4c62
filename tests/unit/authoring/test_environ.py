"""Environment variables of bodies: each body sees its own, and nothing is left when it ends."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading

from flyte_nb.authoring.environ import variables
from flyte_nb.core.current import CURRENT, ActionFacts, Frame
from tests.fakes.no_submitter import NoSubmitter

NAME = "FLYTE_NB_TEST_VARIABLE"


def enter_a_body() -> None:
    """Make the code that follows that of an action."""
    CURRENT.set(Frame(ActionFacts("run", 1, 1, "", 0, 0.0), NoSubmitter()))


def test_bodies_on_one_loop_see_their_own_values() -> None:
    """Two bodies with values and one without take turns: none sees another's."""
    seen: dict[str, list[str | None]] = {"a": [], "b": [], "none": []}

    async def body(value: str) -> None:
        enter_a_body()
        with variables({NAME: value}):
            for _ in range(3):
                await asyncio.sleep(0)
                seen[value].append(os.environ[NAME])

    async def without() -> None:
        enter_a_body()
        for _ in range(3):
            await asyncio.sleep(0)
            seen["none"].append(os.getenv(NAME))

    async def main() -> None:
        await asyncio.gather(body("a"), without(), body("b"))

    asyncio.run(main())

    assert seen == {"a": ["a"] * 3, "b": ["b"] * 3, "none": [None] * 3}
    assert NAME not in os.environ


def test_the_value_of_before_comes_back() -> None:
    """A variable that was set is set again, to its own value; the class of os.environ is as it was."""
    kind = type(os.environ)
    os.environ[NAME] = "mine"
    try:
        with variables({NAME: "task's"}):
            assert os.environ[NAME] == "task's"

        assert (os.environ[NAME], type(os.environ)) == ("mine", kind)
    finally:
        del os.environ[NAME]


def test_processes_and_threads_of_a_body_find_its_variables() -> None:
    """What a body starts has them, as in a container of its own."""
    from_thread: list[str | None] = []
    with variables({NAME: "x"}):
        printed = subprocess.run(
            [sys.executable, "-c", f"import os; print(os.environ['{NAME}'])"], capture_output=True, text=True, check=True
        )
        thread = threading.Thread(target=lambda: from_thread.append(os.getenv(NAME)))
        thread.start()
        thread.join()

    assert (printed.stdout.strip(), from_thread) == ("x", ["x"])


def test_a_body_may_change_and_delete_its_variables() -> None:
    """It sees what it did; when it ends, that is gone too."""
    with variables({NAME: "x"}):
        os.environ[NAME] = "y"
        changed = os.environ[NAME]
        del os.environ[NAME]

        assert (changed, NAME in os.environ, NAME in os.environ.copy()) == ("y", False, False)
    assert NAME not in os.environ


def test_copies_of_the_environment_are_the_bodys_own() -> None:
    """`os.environ.copy()`, given to subprocesses, holds what the body sees."""
    with variables({NAME: "x"}):
        assert (os.environ.copy()[NAME], dict(os.environ)[NAME], len(os.environ) == len(dict(os.environ))) == ("x", "x", True)
