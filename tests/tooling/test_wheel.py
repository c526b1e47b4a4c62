"""What a person gets who installs the package: the built wheel, in an environment that has nothing else, outside of the checkout.

Needs the `package` extra (`make test-all` installs it) and a package index; each Python that this machine has is tried.
"""

import faulthandler
import importlib.util
import os
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from email import message_from_bytes
from email.message import Message
from pathlib import Path

import pytest

from tests.cluster import test_readme
from tests.tooling import pythons

ROOT = Path(__file__).parents[2]
BUILD_SECONDS = 300
INSTALL_SECONDS = 900
RUN_SECONDS = 300
TRIED = re.findall(r'"Programming Language :: Python :: (3\.\d+)"', (ROOT / "pyproject.toml").read_text(encoding="utf8"))

#: Executes a notebook with the kernel of the environment that it runs in, and prints what the notebook's cells said.
EXECUTE = """
import sys, nbclient, nbformat
notebook = nbformat.read(sys.argv[1], 4)
nbclient.NotebookClient(notebook, timeout=240, kernel_name="python3").execute()
for cell in notebook.cells:
    for output in cell.get("outputs", ()):
        print(output.get("text") or output.get("data", {}).get("text/plain", ""))
"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(BUILD_SECONDS + INSTALL_SECONDS + 2 * RUN_SECONDS),
    pytest.mark.skipif(
        any(importlib.util.find_spec(name) is None for name in ("build", "twine")),
        reason="needs the `package` extra: pip install -e '.[package]'",
    ),
]


def run(*command: str | Path, cwd: Path, seconds: float, **environment: str) -> str:
    """Run a command with nothing of this checkout in its environment; return what it printed."""
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith(("FLYTE_NB_", "PYTHON", "JUPYTER", "VIRTUAL_ENV"))
    }
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**inherited, "PIP_DISABLE_PIP_VERSION_CHECK": "1", **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the source distribution, and the wheel that was built from it."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--outdir", folder, ROOT, cwd=folder, seconds=BUILD_SECONDS)
    return folder


@pytest.fixture(scope="module")
def wheel(dist: Path) -> Path:
    """Return the wheel."""
    (found,) = dist.glob("*.whl")
    return found


def metadata(wheel: Path) -> Message:
    """Return a wheel's metadata."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return message_from_bytes(archive.read(name))


def test_the_wheel_holds_the_package_and_nothing_else(wheel: Path) -> None:
    """Every module, the live view's files, the mark of a typed package and the licence; no tests, notebooks or scripts."""
    with zipfile.ZipFile(wheel) as archive:
        held = set(archive.namelist())
    tracked = subprocess.run(["git", "ls-files", "flyte_nb"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()

    assert {name for name in held if ".dist-info/" not in name} == set(tracked)
    assert {"flyte_nb/py.typed", "flyte_nb/views/static/run.js", "flyte_nb/views/static/run.css"} <= held
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in held)


def test_the_source_distribution_holds_what_its_tests_and_pages_need(dist: Path) -> None:
    """Whoever packages it elsewhere finds tests, notebooks and documentation in it."""
    (source,) = dist.glob("*.tar.gz")
    with tarfile.open(source) as archive:
        held = {name.partition("/")[2] for name in archive.getnames()}

    assert {
        "LICENSE",
        "Makefile",
        "README.md",
        "binder/start",
        "docs/settings.md",
        "notebooks/quickstart.ipynb",
        "tests/conftest.py",
    } <= held
    assert not {name for name in held if name.startswith((".venv", "build/", ".flyte_nb"))}


def test_the_metadata_tells_what_a_person_looks_for(wheel: Path) -> None:
    """Name, version, licence, address, Pythons, a readme, and what it needs; an index accepts it."""
    told = metadata(wheel)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf8"))["project"]

    assert (told["Name"], told["License-Expression"], told["Requires-Python"]) == ("flyte_nb", "Apache-2.0", ">=3.11")
    assert re.fullmatch(r"\d+\.\d+\.\d+\S*", told["Version"])
    assert told.get_all("Project-URL") == [f"Repository, {project['urls']['Repository']}"]
    assert told["Description-Content-Type"] == "text/markdown"
    assert {line for line in told.get_all("Requires-Dist", []) if "extra ==" not in line} == set(project["dependencies"])
    assert len(TRIED) > 2
    run(sys.executable, "-m", "twine", "check", "--strict", wheel, cwd=wheel.parent, seconds=RUN_SECONDS)


@pytest.mark.parametrize("version", TRIED)
def test_the_wheel_runs_the_quickstart_in_an_empty_environment(version: str, wheel: Path, tmp_path: Path) -> None:
    """Alone it runs the README's program; with the `demo` extra, in a kernel without a front end, the quickstart."""
    python = pythons.find(version)
    if python is None:
        pytest.skip(f"this machine has no Python {version}")
    run(python, "-m", "venv", tmp_path / "venv", cwd=tmp_path, seconds=INSTALL_SECONDS)
    installed = tmp_path / "venv" / "bin" / "python"
    work = tmp_path / "work"
    work.mkdir()
    faulthandler.cancel_dump_traceback_later()  # nothing hangs: pip takes its time
    own = {"FLYTE_NB_HOME": str(tmp_path / "store"), "FLYTE_NB_KEY_FILE": str(tmp_path / "key"), "HOME": str(tmp_path)}

    run(installed, "-m", "pip", "install", "--quiet", wheel, cwd=work, seconds=INSTALL_SECONDS)
    (work / "hello.py").write_text(test_readme.code())
    said = run(installed, "hello.py", cwd=work, seconds=RUN_SECONDS, **own)
    where = run(installed, "-c", "import flyte_nb; print(flyte_nb.__file__, flyte_nb.__version__)", cwd=work, seconds=RUN_SECONDS)

    assert said.splitlines()[0] == "332833.5"
    assert where.startswith(str(tmp_path / "venv"))
    assert where.split()[-1] == metadata(wheel)["Version"]

    run(installed, "-m", "pip", "install", "--quiet", f"{wheel}[demo]", cwd=work, seconds=INSTALL_SECONDS)
    (work / "quickstart.ipynb").write_bytes((ROOT / "notebooks" / "quickstart.ipynb").read_bytes())
    said = run(installed, "-c", EXECUTE, "quickstart.ipynb", cwd=work, seconds=RUN_SECONDS, **own)

    assert "464 actions; the last five features: worst symmetry, worst concavity, worst texture, worst smoothness, worst area" in said
    assert "24 succeeded  ✕ 6 failed" in said
