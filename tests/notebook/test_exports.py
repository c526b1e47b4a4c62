"""Exported modules, run as programs: with this package, and with the real SDK in an environment of its own. They say the same."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

import flyte_nb as flyte
from flyte_nb.exporting import flytes
from tests.fakes.notebook_shapes import SHAPES, write_notebook
from tests.notebook.conftest import said as printed
from tests.tooling.real_flyte import run_with_flyte

ROOT = Path(__file__).parents[2]
PROGRAM = ROOT / "tests" / "fakes" / "exported_program.py"
EXPECTED = {f"shape_{number}": str(shape.output) for number, shape in enumerate(SHAPES)}


@pytest.fixture(scope="module")
def modules(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Return the modules of all shapes."""
    folder = tmp_path_factory.mktemp("modules")
    for number, shape in enumerate(SHAPES):
        flyte.export(folder / f"shape_{number}.py", notebook=write_notebook(folder / "n.ipynb", shape.cells))
    return sorted(folder.glob("shape_*.py"))


def said(done: subprocess.CompletedProcess[str]) -> dict[str, str]:
    """Return what each module printed last."""
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"module"')]
    return {line["module"]: line["said"] for line in lines}


def test_exported_modules_run_with_this_package(modules: list[Path], tmp_path: Path) -> None:
    """With nothing changed but what `import flyte` stands for."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "FLYTE_NB_CLUSTER": "inline", "FLYTE_NB_STORE": ":memory:"}
    command = [sys.executable, str(PROGRAM), "flyte_nb", *map(str, modules)]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=100, check=False)

    assert said(done) == EXPECTED


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_exported_modules_run_with_the_real_sdk(modules: list[Path], tmp_path: Path) -> None:
    """In local mode, with the same results."""
    assert said(run_with_flyte(PROGRAM, "flyte", *map(str, modules), folder=tmp_path)) == EXPECTED


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_names_of_the_real_sdk_are_those_that_we_know(tmp_path: Path) -> None:
    """A name that is listed as Flyte's is Flyte's, and what we have and do not list is not."""
    program = tmp_path / "names.py"
    names = sorted({*flytes.TOP, *flyte.__all__, *flytes.MODULES})
    inside = {name: sorted({*members, *public(name)}) for name, members in {**flytes.MODULES, **flytes.INCLUDED}.items()}
    program.write_text(
        "import flyte, importlib, json\n"
        f"top = [name for name in {names!r} if hasattr(flyte, name)]\n"
        f"inside = {{k: [n for n in v if hasattr(importlib.import_module('flyte.' + k), n)] for k, v in {inside!r}.items()}}\n"
        "run = [name for name in dir(importlib.import_module('flyte.remote').Run)]\n"
        "print(json.dumps([top, inside, run]))\n"
    )
    done = run_with_flyte(program, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    top, members, run = json.loads(done.stdout.splitlines()[-1])

    assert set(top) == flytes.TOP
    assert {name: set(found) for name, found in members.items()} == {**flytes.MODULES, **flytes.INCLUDED}
    assert flytes.RUN - {"action"} <= set(run)


def public(module: str) -> list[str]:
    """Return what a module of ours offers."""
    ours = getattr(flyte, module)
    return list(getattr(ours, "__all__", [name for name in vars(ours) if not name.startswith("_") and name[0].isupper()]))


#: By notebook, the drivers to export (None: what ran last): what each found there, and in what the module returned (`found`).
NOTEBOOKS = {
    "quickstart": {None: ("{'separations': separations, 'better': better}", "found"), "eliminate": ("order", "found")},
    "hyperparameter-search": {
        None: ("program.outputs()[0]", "found"),
        "evaluate": ("run.results['score'].to_list()", "found['score'].to_list()"),
        "halving": ("left", "found"),
    },
}


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_and_its_exports_find_the_same(name: str, tmp_path: Path) -> None:
    """Executed in a kernel and exported from there; the modules are then run by the real SDK."""
    notebook = nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4)
    probe = ["import json"]
    for number, (driver, (value, _)) in enumerate(NOTEBOOKS[name].items()):
        probe += [f"made = flyte.export('exported_{number}.py', driver={driver!r}, strict=True)", f"print(json.dumps({value}))"]
    notebook.cells.append(nbformat.v4.new_code_cell("\n".join(probe), id="probe"))
    kept = {key: value for key, value in os.environ.items() if not key.startswith("FLYTE_NB_")}
    environment = {**kept, "PYTHONPATH": str(ROOT), "IPYTHONDIR": str(tmp_path / "ipython"), "FLYTE_NB_STORE": ":memory:"}
    client = NotebookClient(notebook, timeout=900, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}})
    client.execute(env=environment)
    lines = printed(notebook.cells[-1]).splitlines()  # a stream may come in parts, with empty lines between
    in_notebook = [json.loads(line) for line in lines if line]

    for number, (_, value) in enumerate(NOTEBOOKS[name].values()):
        program = tmp_path / f"run_{number}.py"
        ran = f"import json, runpy\nfound = runpy.run_path('exported_{number}.py', run_name='__main__')['run'].outputs()[0]\n"
        program.write_text(f"{ran}print(json.dumps({value}))\n")
        done = run_with_flyte(program, folder=tmp_path)
        assert done.returncode == 0, done.stderr
        assert alike(json.loads(done.stdout.splitlines()[-1]), in_notebook[number]), number


def alike(one: Any, other: Any) -> bool:
    """Whether two values are equal but for the rounding of another build of numpy."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(alike(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(alike, one, other))
    return bool(one == pytest.approx(other, rel=1e-9)) if isinstance(one, float) else bool(one == other)
