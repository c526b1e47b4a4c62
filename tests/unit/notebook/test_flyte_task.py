"""`%%flyte_task`: a cell becomes a task."""

import inspect
import traceback

import pytest
from IPython.core.error import UsageError

from flyte_nb.authoring.task import Task
from tests.unit.notebook.conftest import Cells


def test_the_function_of_the_cell_becomes_a_task(nb: Cells, capsys: pytest.CaptureFixture[str]) -> None:
    """It is bound under its own name, and one line says what was defined."""
    nb.run("%%flyte_task\ndef double(x: int) -> int:\n    return 2 * x")

    assert isinstance(nb["double"], Task)
    assert nb["double"].name == "notebook.double"
    assert nb["double"](4) == 8
    assert capsys.readouterr().out == "task notebook.double(x: int) -> int\n"


def test_all_options_reach_the_task(nb: Cells, capsys: pytest.CaptureFixture[str]) -> None:
    """What the decorator can do, the magic can."""
    nb.run(
        "%%flyte_task --env etl --retries 2 --timeout 1.5 --cache auto --cpu 2 --memory 512Mi --short-name get -o also\n"
        "async def fetch(user_id: int) -> dict:\n    return {}"
    )
    task = nb["fetch"]

    assert task.name == "etl.fetch"
    assert task.short_name == "get"
    assert task.retries.count == 2
    assert task.facts.timeout.max_runtime_seconds == 1.5
    assert task.cache.behavior == "auto"
    assert task.resources.memory == "512Mi"
    assert task.resources.cpu == "2"
    assert nb["also"] is task
    assert "(retries 2, timeout 1.50 s, cache auto)" in capsys.readouterr().out


def test_imports_and_helpers_may_stand_in_the_cell(nb: Cells) -> None:
    """The last function at the top level is the task."""
    nb.run(
        "%%flyte_task\nimport math\nK = 3\ndef helper(x):\n    return math.floor(x) + K\ndef work(x: float) -> int:\n    return helper(x)"
    )

    assert nb["work"](1.5) == 4
    assert not isinstance(nb["helper"], Task)


def test_environments_are_found_by_name_and_made_once(nb: Cells) -> None:
    """One of the notebook's own is used with its settings; else the magic keeps one."""
    nb.run("from flyte_nb import TaskEnvironment\nmine = TaskEnvironment('mine', env_vars={'A': '1'})")
    nb.run("%%flyte_task --env mine\ndef f() -> None: ...")
    nb.run("%%flyte_task --env other\ndef g() -> None: ...")
    nb.run("%%flyte_task --env other\ndef h() -> None: ...")

    assert nb["f"].parent_env is nb["mine"]
    assert nb["g"].parent_env is nb["h"].parent_env


def test_source_and_tracebacks_show_the_cell_s_lines(nb: Cells) -> None:
    """Numbered as in the notebook, where the magic is line 1; blank lines count."""
    nb.run("%%flyte_task\n\n# a comment\ndef fail(x: int) -> int:\n    y = x\n    raise ValueError('no')")
    function = nb["fail"].func
    with pytest.raises(ValueError, match="no") as caught:
        nb["fail"](1)
    last = traceback.extract_tb(caught.tb)[-1]

    assert inspect.getsource(function) == "def fail(x: int) -> int:\n    y = x\n    raise ValueError('no')\n"
    assert (last.lineno, last.line, last.name) == (6, "raise ValueError('no')", "fail")
    assert inspect.getsourcelines(function)[1] == 4


def test_magics_and_shell_lines_work_inside(nb: Cells) -> None:
    """The body is transformed as any cell is."""
    nb.run("%%flyte_task\nanswer = !echo 42\ndef f() -> int:\n    return int(answer[0])")

    assert nb["f"]() == 42


def test_a_task_of_its_own_decorator_is_kept_without_options(nb: Cells) -> None:
    """With options it is an error, since they would be lost."""
    nb.run("from flyte_nb import TaskEnvironment\nenv = TaskEnvironment('own')")
    cell = "\n@env.task\ndef f() -> int:\n    return 1"
    nb.run("%%flyte_task" + cell)
    assert nb["f"].name == "own.f"

    assert "is a task already" in nb.fails("%%flyte_task --retries 2" + cell, UsageError)


@pytest.mark.parametrize(
    "cell, message",
    [
        ("%%flyte_task\nx = 1", "needs a function"),
        ("%%flyte_task\nclass A: ...", "defines the class A, which cannot be a task"),
        ("%%flyte_task\nimport asyncio\nawait asyncio.sleep(0)\ndef f(): ...", "cannot await anything itself"),
        ("%%flyte_task\nx = [i async for i in y()]\ndef f(): ...", "cannot await anything itself"),
        ("%%flyte_task --retrys 2\ndef f(): ...", "unknown option --retrys. Did you mean --retries?"),
        ("%%flyte_task --retries two\ndef f(): ...", "argument --retries: invalid int value: 'two'"),
        ("%%flyte_task --retr 2\ndef f(): ...", "unknown option --retr. Did you mean --retries?"),
        ("%%flyte_task etl\ndef f(): ...", "'etl' is one word too many"),
        ("%%flyte_task --cache maybe\ndef f(): ...", "--cache: invalid choice: 'maybe'"),
        ("%%flyte_task --env 'Not Kebab'\ndef f(): ...", "Environment name 'Not Kebab' must be in snake_case or kebab-case format."),
        ("%%flyte_task --retries -1\ndef f(): ...", "-1"),
        ("%%flyte_task --timeout inf\ndef f(): ...", "infinity"),
        ("%%flyte_task --memory lots\ndef f(): ...", "lots"),
        ("%%flyte_task --out 2x\ndef f(): ...", "'2x' is not a name for a variable"),
        ("%%flyte_task --out class\ndef f(): ...", "'class' is not a name for a variable"),
        ("%%flyte_task\ndef f(*args): ...", "variable positional or keyword arguments"),
    ],
)
def test_mistakes_get_a_clear_usage_error(nb: Cells, cell: str, message: str) -> None:
    """Each says what is wrong; nothing is half defined."""
    assert message in nb.fails(cell, UsageError)


def test_a_bad_option_is_found_before_the_cell_runs(nb: Cells) -> None:
    """The body may be slow, or have effects."""
    nb.fails("%%flyte_task --env 'Not Kebab'\nran = True\ndef f(): ...", UsageError)

    assert "ran" not in nb


def test_errors_of_the_user_s_code_are_raised_as_they_are(nb: Cells) -> None:
    """The cell fails as any other cell would."""
    assert nb.fails("%%flyte_task\nraise KeyError('mine')\ndef f(): ...", KeyError) == "'mine'"
    assert "invalid syntax" in nb.fails("%%flyte_task\ndef f(:\n    pass", SyntaxError)


def test_help_explains_the_options(nb: Cells) -> None:
    """What `%%flyte_task?` shows."""
    doc = nb.shell.find_cell_magic("flyte_task").__doc__

    assert "Make the function in this cell a task" in doc
    assert "--retries N" in doc
    assert "Attempts beyond the first" in doc


def test_running_the_cell_again_makes_the_task_anew(nb: Cells) -> None:
    """The newest code counts."""
    nb.run("%%flyte_task\ndef f() -> int:\n    return 1")
    nb.run("%%flyte_task\ndef f() -> int:\n    return 2")

    assert nb["f"]() == 2
