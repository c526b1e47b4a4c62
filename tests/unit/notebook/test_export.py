"""`flyte.export` of stored notebooks: what is in the module, what is said about it, and which files are left alone."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from IPython.core.completer import provisionalcompleter
from IPython.core.error import UsageError

import flyte_nb as flyte
from flyte_nb.exporting.findings import ExportRefusedError
from flyte_nb.notebook import export as exporter
from flyte_nb.notebook.export import Exported
from tests.fakes.notebook_shapes import DOUBLE, SHAPES, START, Shape, write_notebook
from tests.unit.notebook.conftest import Cells


@pytest.fixture(autouse=True)
def _as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """The text without a formatter: a process for each test would take long, and what a formatter does is tried by itself."""
    monkeypatch.setattr(exporter, "_formatted", lambda text, _target: text)


def exported(folder: Path, *cells: str, **options: Any) -> Exported:
    """Export a notebook with these cells."""
    return flyte.export(notebook=write_notebook(folder / "n.ipynb", cells), **options)


def about(found: Exported, word: str) -> list[str]:
    """What is said with a word in it."""
    return [str(each) for each in (*found.problems, *found.notes) if word in str(each)]


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_a_module_has_what_it_needs_and_nothing_else(shape: Shape, tmp_path: Path) -> None:
    """Every name is defined or imported, every import is used, and nothing is left of the notebook's own ways."""
    found = exported(tmp_path, *shape.cells)
    (tmp_path / "m.py").write_text(found.text)
    lint = [sys.executable, "-m", "ruff", "check", "--isolated", "--select", "F", "--output-format", "concise", "--no-cache", "m.py"]
    done = subprocess.run(lint, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout) == (0, "All checks passed!\n"), found.text
    assert found.problems == ()
    assert [word for word in (*shape.absent, "get_ipython", "import flyte_nb") if word in found.text] == []
    assert [word for word in shape.present if word not in found.text] == []


def test_an_export_of_an_export_says_the_same(tmp_path: Path) -> None:
    """A module is a script that can be exported: nothing is lost on the way."""
    first = exported(tmp_path, *SHAPES[3].cells)
    script = tmp_path / "script.py"
    script.write_text(first.text.replace("import flyte\n", "import flyte_nb as flyte\n"))
    again = flyte.export(notebook=script)

    def definitions(text: str) -> set[str]:
        return {ast.dump(node) for node in ast.parse(text).body if not isinstance(node, ast.If | ast.Expr)}

    assert definitions(again.text) == definitions(first.text)
    assert again.driver == "main"


def test_a_mapped_frame_that_no_stand_in_can_do_is_told(tmp_path: Path) -> None:
    """Arguments that the function in the module has not are no call of it, and `strict` refuses them."""
    task = "@env.task\ndef double(n: list[int]) -> list[int]:\n    return [2 * each for each in n]"
    call = "run = flyte.map_frame(double, pd.DataFrame({'n': [1, 2, 3]}), batch_size=2)"
    cells = (f"import pandas as pd\n{START}", task, call)

    found = exported(tmp_path, *cells)
    assert any("flyte.map_frame" in str(each) for each in found.problems), found.text
    assert "async def map_frame" not in found.text
    with pytest.raises(ExportRefusedError, match=r"flyte\.map_frame"):
        exported(tmp_path, *cells, strict=True)


def test_chosen_tasks_come_alone(tmp_path: Path) -> None:
    """With what they use, and without a driver unless one is named."""
    cells = (START, DOUBLE, "K = 1\n@env.task\nasync def other(x: int) -> int:\n    return x + K", "flyte.run(other, 1)")

    alone = exported(tmp_path, *cells, tasks="double")
    named = exported(tmp_path, *cells, tasks=["e.double"], driver="other")

    assert (alone.tasks, alone.driver) == (("double",), "")
    assert "__main__" not in alone.text
    assert "K = 1" not in alone.text
    assert (named.tasks, named.driver) == (("double", "other"), "other")


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    """Tasks, drivers, tasks at all, and notebooks."""
    with pytest.raises(ExportRefusedError, match=r"no task 'triple' in the notebook\. Tasks: double"):
        exported(tmp_path, START, DOUBLE, tasks=["triple"])
    with pytest.raises(ExportRefusedError, match="no driver 'nobody': double, first"):
        exported(tmp_path, START, DOUBLE, "%%flyte_run --out first\n1", driver="nobody")
    with pytest.raises(ExportRefusedError, match="defines no task"):
        exported(tmp_path, "x = 1")
    with pytest.raises(ExportRefusedError, match="cannot be read"):
        flyte.export(notebook=tmp_path / "none.ipynb")
    (tmp_path / "old.ipynb").write_text(json.dumps({"worksheets": []}))
    with pytest.raises(ExportRefusedError, match="no notebook of nbformat 4"):
        flyte.export(notebook=tmp_path / "old.ipynb")


PROBLEMS = {
    "no return annotation": ("@env.task\nasync def t(x: int):\n    return x", "task `t` has no return annotation"),
    "a tuple of any length": ("@env.task\nasync def t() -> tuple[int, ...]:\n    return (1,)", "a tuple of any length"),
    "a tuple of one": ("@env.task\nasync def t() -> tuple[int]:\n    return (1,)", "a tuple of one"),
    "a bare tuple": ("@env.task\nasync def t() -> tuple:\n    return (1, 2)", "`tuple`, which has to say what is in it"),
    "a tuple as anything": ("from typing import Any\n@env.task\nasync def t() -> Any:\n    return 1, 2", "takes for several outputs"),
    "an enum of numbers": (
        "import enum\nclass C(enum.Enum):\n    A = 1\n@env.task\nasync def t(c: C) -> int:\n    return 1",
        "an enum whose values",
    ),
    "a blocking call": ("@env.task\ndef s() -> int:\n    return 1\n@env.task\nasync def t() -> int:\n    return s()", "`await s.aio(...)`"),
    "a blocking map": ("@env.task\nasync def t() -> list[int]:\n    return list(flyte.map(double, [1]))", "flyte.map.aio"),
    "a blocking run": ("@env.task\nasync def t() -> int:\n    flyte.run(double, 1)\n    return 1", "`await flyte.run.aio(...)`"),
    "a name of ours": ("@env.task\nasync def t() -> int:\n    return len(flyte.runs())", "`flyte.runs` is a name that only flyte_nb has"),
    "an error of ours": (
        "@env.task\nasync def t() -> str:\n    return flyte.errors.WorkerLostError.__name__",
        "`flyte.errors.WorkerLostError`",
    ),
    "an argument of ours": (
        "@env.task\ndef t() -> int:\n    flyte.with_runcontext(driver='kernel').run(double, 1)\n    return 1",
        "`driver=`",
    ),
    "a run's own": (
        "@env.task\ndef t() -> int:\n    r = flyte.run(double, 1)\n    return len(r.results)",
        "only runs of flyte_nb have `results`",
    ),
    "what a run found": ("out = flyte.run(double, 1).outputs()[0]\n@env.task\nasync def t() -> int:\n    return out", "starting a run"),
    "what a cell awaited": ("data = await double(1)\n@env.task\nasync def t() -> int:\n    return data", "a module cannot await"),
    "a shell command": ("files = !ls\n@env.task\nasync def t() -> int:\n    return len(files)", "a magic or a shell command"),
    "a deleted name": ("a = 1\ndel a\n@env.task\nasync def t() -> int:\n    return a", "no cell that ran defines it"),
    "IPython's own names": ("@env.task\nasync def t() -> int:\n    return len(Out)", "a name of IPython's"),
}


@pytest.mark.parametrize("case", PROBLEMS)
def test_what_the_sdk_cannot_run_is_listed(case: str, tmp_path: Path) -> None:
    """By line, with what to do; and `strict` writes nothing."""
    code, said = PROBLEMS[case]
    found = exported(tmp_path, START, DOUBLE, code)

    assert len(found.problems) == 1, found
    assert said in str(found.problems[0])
    with pytest.raises(ExportRefusedError, match="Nothing was written"):
        exported(tmp_path, START, DOUBLE, code, path=tmp_path / "m.py", strict=True)
    assert not (tmp_path / "m.py").exists()


def test_a_problem_names_its_line_and_its_cell(tmp_path: Path) -> None:
    """The line is that of the file, below the mark."""
    found = exported(tmp_path, START, DOUBLE, "@env.task\nasync def t(x: int):\n    return x", path=tmp_path / "m.py")
    (problem,) = found.problems

    assert (tmp_path / "m.py").read_text().split("\n")[problem.line - 1] == "async def t(x: int):"
    assert problem.cell == "cell 3"


def test_a_magic_in_a_task_is_refused(tmp_path: Path) -> None:
    """There is no kernel where it would run; tasks without one can be exported."""
    shell = "@env.task\nasync def t() -> int:\n    !ls\n    return 1"

    with pytest.raises(ExportRefusedError, match=r"cell 3, line 3: .*magic"):
        exported(tmp_path, START, DOUBLE, shell)
    assert exported(tmp_path, START, DOUBLE, shell, tasks=["double"]).problems == ()


def test_what_is_left_out_is_told(tmp_path: Path) -> None:
    """Packages, modules of one's own, calls that may matter; what only shows something is no news."""
    (tmp_path / "mine.py").write_text("RATE = 2")
    found = exported(
        tmp_path,
        START,
        "!pip install -q polars==1.0\n%matplotlib inline\nimport mine, numpy as np",
        "xs = [1]\nwarm_up(xs)\nprint(xs)\nlen(xs)",
        "@env.task\nasync def t() -> int:\n    return mine.RATE + len(xs) + int(np.int64(1))",
        "double_up(xs);",
    )

    image = "`image=flyte.Image.from_debian_base().with_pip_packages('polars==1.0')`"
    assert about(found, "polars") == [f"cell 2: `!pip install -q polars==1.0` is left out: for a backend: {image}"]
    assert about(found, "`mine` is a module of yours") != []
    assert about(found, "`warm_up(xs)` is left out") != []
    assert about(found, "matplotlib") == about(found, "print") == []


def test_a_file_that_was_run_is_part_of_the_notebook(tmp_path: Path) -> None:
    """`%run` defines names in the notebook, so their code is the module's."""
    (tmp_path / "helpers.py").write_text("import math\ndef area(r):\n    return math.pi * r\nprint('unused')\n")
    found = exported(tmp_path, START, "%run helpers.py", "@env.task\nasync def t(r: float) -> float:\n    return area(r)")

    assert found.problems == ()
    assert "def area(r):" in found.text
    assert "unused" not in found.text


def test_a_star_of_the_package_stays_one(tmp_path: Path) -> None:
    """Names that came with it are known as Flyte's."""
    cells = ("from flyte_nb import *", "env = TaskEnvironment('e')\n@env.task\ndef t() -> int:\n    return 1", "run(t)")
    found = exported(tmp_path, *cells)

    assert (found.tasks, found.driver, found.problems) == (("t",), "t", ())
    assert "from flyte import *" in found.text


def test_files_of_others_are_left_alone(tmp_path: Path) -> None:
    """A file that no export wrote, or that was edited since, is written over only by force."""
    path = tmp_path / "m.py"
    cells = (START, DOUBLE)
    path.write_text("mine = 1\n")
    with pytest.raises(ExportRefusedError, match="was not written by an export"):
        exported(tmp_path, *cells, path=path)
    assert path.read_text() == "mine = 1\n"

    exported(tmp_path, *cells, path=path, force=True)
    exported(tmp_path, *cells, path=path)
    path.write_text(path.read_text() + "# edited\n")
    with pytest.raises(ExportRefusedError, match="was edited since"):
        exported(tmp_path, *cells, path=path)
    with pytest.raises(ExportRefusedError, match="no folder"):
        exported(tmp_path, *cells, path=tmp_path / "none" / "m.py")
    with pytest.raises(ExportRefusedError, match=r"write m\.py"):
        exported(tmp_path, *cells, path=tmp_path / "m.txt")
    assert [each.name for each in tmp_path.iterdir() if each.name.startswith(".")] == []


def test_it_reads_as_a_table(tmp_path: Path) -> None:
    """Text and HTML say the same; what a user wrote is no markup."""
    found = exported(tmp_path, START, "@env.task\nasync def t(x: int):\n    return '<b>'", "!pip install <i>x")

    assert repr(found).splitlines()[0] == "A module: 1 task (t)"
    assert re.search(r"problem: line \d+, cell 2: task `t` has no return annotation", repr(found))
    assert repr(found).splitlines()[-1] == "The real SDK cannot run it yet: 1 problem."
    assert "<i>" not in found._repr_html_()
    assert "no return annotation" in found._repr_html_()


class TestInAShell:
    """What a kernel knows beyond the text of its cells."""

    @pytest.fixture
    def ready(self, nb: Cells) -> Cells:
        """Return a shell with an environment and a task."""
        nb.run(START.replace("%load_ext flyte_nb\n", ""))
        nb.run(DOUBLE)
        return nb

    def test_the_magic_writes_a_module_and_shows_what_to_know(self, ready: Cells, tmp_path: Path) -> None:
        """Options are those of the function."""
        found = ready.run(f"%flyte_export {tmp_path}/m.py --tasks double --driver double")

        assert (found.path, found.tasks, found.driver) == (tmp_path / "m.py", ("double",), "")
        assert "needs inputs" in str(found.notes)
        assert (tmp_path / "m.py").read_text() == found.text

    def test_mistakes_are_told_as_such(self, ready: Cells, tmp_path: Path) -> None:
        """No such task, problems with --strict, a file of others."""
        (tmp_path / "m.py").touch()

        assert "no task 'x'" in ready.fails("%flyte_export m.py --tasks x", UsageError)
        assert "write m.py" in ready.fails("%flyte_export m.txt", UsageError)
        assert "not written by an export" in ready.fails(f"%flyte_export {tmp_path}/m.py", UsageError)
        ready.run("@env.task\ndef untyped():\n    return 1")
        assert "no return annotation" in ready.fails(f"%flyte_export {tmp_path}/n.py --strict", UsageError)

    def test_cells_count_in_the_order_in_which_they_ran(self, ready: Cells) -> None:
        """Again and edited, whatever their place on the page."""
        ready.run("K = 1")
        ready.run("K = 2")
        ready.run("@env.task\ndef t() -> int:\n    return K")
        ready.run("K = 1")

        assert re.findall(r"^K = .*", flyte.export().text, re.MULTILINE) == ["K = 1"]

    def test_a_cell_that_failed_counts_as_far_as_it_came(self, ready: Cells) -> None:
        """What stood below the line that raised has not happened."""
        ready.run("A = B = 1")
        ready.attempt("A = 2\nnot_there\nB = 2")
        ready.attempt("A = = 3")
        ready.run("@env.task\ndef t() -> int:\n    return A + B")
        found = flyte.export()

        assert "A = 2" in found.text
        assert "B = 2" not in found.text
        assert "A = B = 1" in found.text

    def test_what_cannot_be_made_again_is_written_as_it_is_now(self, ready: Cells) -> None:
        """If it is a plain value and not long; else it is missing."""
        ready.shell.user_ns["found"] = {"lr": 0.1, "layers": [1, 2]}
        ready.shell.user_ns["model"] = object()
        ready.run("@env.task\ndef t() -> float:\n    return found['lr']")
        plain = flyte.export()
        ready.run("@env.task\ndef u() -> str:\n    return str(model)")
        with_object = flyte.export()

        assert "found = {'lr': 0.1, 'layers': [1, 2]}" in plain.text.replace('"', "'")
        assert (plain.problems, about(plain, "`found` is written as the value") != []) == ((), True)
        assert ["`model` is missing" in str(each) for each in with_object.problems] == [True]

    def test_a_star_import_brings_the_names_that_are_used(self, ready: Cells) -> None:
        """And not a star."""
        ready.run("from math import *\nfrom os.path import *")
        ready.run("@env.task\ndef t() -> float:\n    return sqrt(pi) if exists('.') else 0.0")
        found = flyte.export()

        assert "from math import pi, sqrt" in found.text
        assert "from os.path import exists" in found.text
        assert "import *" not in found.text

    def test_tasks_themselves_can_be_named(self, ready: Cells) -> None:
        """As objects, which may stand under another name too."""
        found = flyte.export(tasks=[ready["double"]])

        assert found.tasks == ("double",)
        with pytest.raises(ExportRefusedError, match="is no task"):
            flyte.export(tasks=[1])

    def test_tab_offers_options_and_tasks(self, ready: Cells) -> None:
        """As for the other magics."""
        line = "%flyte_export m.py --driver d"
        with provisionalcompleter():
            offered = {each.text for each in ready.shell.Completer.completions(line, len(line))}

        assert "double" in offered


@pytest.mark.parametrize("formatter", ["ruff", "black"])
def test_a_formatter_that_fails_or_changes_the_meaning_is_not_listened_to(
    formatter: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The text is then as it was put together."""
    monkeypatch.undo()
    plain = exported(tmp_path, START, DOUBLE).text
    fake = tmp_path / formatter
    fake.mkdir()
    (fake / "__init__.py").touch()
    (fake / "__main__.py").write_text("print('x = 1')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(exporter, "FORMATTERS", (formatter,))
    changed = exported(tmp_path, START, DOUBLE).text
    (fake / "__main__.py").write_text("raise SystemExit(1)")

    assert ast.dump(ast.parse(changed)) == ast.dump(ast.parse(plain))
    assert ast.dump(ast.parse(exported(tmp_path, START, DOUBLE).text)) == ast.dump(ast.parse(plain))
