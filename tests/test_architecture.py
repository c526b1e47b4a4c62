"""The rules that keep the code as ARCHITECTURE.md draws it: who imports whom, what is public, how large and what things are called."""

import ast
import re
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from importlinter.cli import lint_imports

import flyte_nb

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "flyte_nb"
TARGET_LINES = 350
MOST_LINES = 500
BANNED_WORDS = {"util", "helper", "common", "misc", "manager", "base", "data", "info"}
FLYTE_2S_OWN = {  # names that users know, kept
    "AbortInfo",
    "PhaseTransitionInfo",
    "BaseRuntimeError",
    "DataFrame",
    "ErrorInfo",
    "GroupData",
    "RawDataPath",
    "RuntimeDataValidationError",
}

# A change here is a change for users: it needs a line in CHANGELOG.md.
PUBLIC_NAMES: set[str] = {
    "AMD_GPU",
    "APPLE_SILICON",
    "GPU",
    "HABANA_GAUDI",
    "TPU",
    "ActionPhase",
    "AsyncFunctionTaskTemplate",
    "Backoff",
    "Cache",
    "CachePolicy",
    "CacheRequest",
    "Checkpoint",
    "ConditionWebhook",
    "Cron",
    "Device",
    "DeviceClass",
    "Documentation",
    "Environment",
    "FixedRate",
    "Image",
    "ImageBuild",
    "Link",
    "Neuron",
    "OnArtifact",
    "PodTemplate",
    "Resources",
    "RetryStrategy",
    "ReusePolicy",
    "Secret",
    "SecretRequest",
    "Task",
    "TaskEnvironment",
    "TaskTemplate",
    "Timeout",
    "TimeoutType",
    "Trigger",
    "TriggerTime",
    "TriggeredArtifact",
    "TriggeredPartition",
    "best",
    "build",
    "build_images",
    "choice",
    "ctx",
    "current_domain",
    "current_project",
    "custom_context",
    "deploy",
    "durable",
    "errors",
    "export",
    "form",
    "get_custom_context",
    "grid",
    "group",
    "init",
    "init_from_api_key",
    "init_from_config",
    "init_in_cluster",
    "init_passthrough",
    "io",
    "is_control_plane_available",
    "latest_checkpoint",
    "logger",
    "lognormal",
    "loguniform",
    "map",
    "map_frame",
    "models",
    "new_condition",
    "plots",
    "normal",
    "randint",
    "remote",
    "report",
    "rerun",
    "run",
    "runs",
    "sample",
    "system_logger",
    "trace",
    "uniform",
    "version",
    "with_runcontext",
}

# What a worker, or a script that only defines tasks, must not pay for.
HEAVY = ("IPython", "anywidget", "distributed", "ipywidgets", "pandas")

# Absolute paths of some developer's machine say nothing to a reader and break elsewhere. Joined here so that this file has none.
MACHINE_PATHS = re.compile(r"(?<![\w.\-])/(?:{})(?:/|\b)".format("|".join(("wo" + "rk", "ro" + "ot"))))


def modules() -> list[Path]:
    """Return the package's modules."""
    return sorted(PACKAGE.rglob("*.py"))


def line_count(path: Path) -> int:
    """Return how many lines a file has."""
    return len(path.read_text().splitlines())


def words(name: str) -> set[str]:
    """Return the words of a snake_case or CamelCase name, in lower case and without a plural s."""
    parts = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)
    return {part.lower().removesuffix("s") for part in parts}


def tracked_texts() -> Iterator[tuple[str, str]]:
    """Yield name and text of every text file that is, or is about to be, in the repository."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, check=False
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    for name in sorted(filter(None, listed.stdout.decode().split("\0"))):
        path = ROOT / name
        content = path.read_bytes() if path.is_file() else b""
        if b"\0" not in content:
            yield name, content.decode(errors="replace")


def test_the_import_contracts_hold(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Layers, purity, and who may know Dask and Jupyter, as pyproject.toml says."""
    monkeypatch.chdir(ROOT)

    status = lint_imports(config_filename="pyproject.toml", no_cache=True, no_logo=True)

    assert status == 0, capsys.readouterr().out


def test_the_public_names_are_these() -> None:
    """`__all__` is the promise to users: it grows and shrinks only on purpose."""
    assert set(flyte_nb.__all__) == PUBLIC_NAMES


def test_every_public_name_can_be_had_and_is_listed_once() -> None:
    """Nothing in `__all__` is a typing mistake, and lazy names resolve."""
    missing = [name for name in flyte_nb.__all__ if not hasattr(flyte_nb, name)]

    assert (missing, len(flyte_nb.__all__)) == ([], len(set(flyte_nb.__all__)))


def test_importing_the_package_loads_nothing_heavy() -> None:
    """`import flyte_nb` is cheap: no notebook, no widgets, no Dask, no pandas."""
    code = f"import sys, flyte_nb; print(*sorted(set({HEAVY!r}) & set(sys.modules)))"

    done = subprocess.run([sys.executable, "-W", "error", "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)

    assert (done.stdout.split(), done.stderr, done.returncode) == ([], "", 0)


def test_no_module_is_too_long() -> None:
    """A module over the hard limit does two jobs; one over the target is listed."""
    lengths = {str(path.relative_to(ROOT)): line_count(path) for path in modules()}
    large = {name: lines for name, lines in lengths.items() if lines > TARGET_LINES}
    if large:
        warnings.warn(f"modules over {TARGET_LINES} lines: {large}", stacklevel=1)

    assert {name: lines for name, lines in large.items() if lines > MOST_LINES} == {}


def test_no_module_or_class_is_a_drawer() -> None:
    """A name such as `utils` or `Manager` says nothing about what belongs there."""
    named = {str(path.relative_to(ROOT)): words(path.stem) for path in modules()}
    for path in modules():
        classes = [node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ClassDef)]
        classes = [name for name in classes if name not in FLYTE_2S_OWN]
        named |= {f"{path.relative_to(ROOT)}: class {name}": words(name) for name in classes}

    assert {name: found & BANNED_WORDS for name, found in named.items() if found & BANNED_WORDS} == {}


def test_no_file_names_a_path_of_somebodys_machine() -> None:
    """Neither code nor docs nor stored outputs mention where they were made."""
    found = {name: MACHINE_PATHS.findall(text) for name, text in tracked_texts()}
    own = {name for name, text in tracked_texts() if str(ROOT) in text}

    assert {name: paths for name, paths in found.items() if paths} == {}
    assert own == set()


def test_every_magic_is_in_the_documentation() -> None:
    """A magic that the extension registers is one that docs/notebook.md tells of."""
    code = """
from traitlets.config import Config
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell(config=Config({"HistoryManager": {"enabled": False}}))
def names():
    return {(kind, name) for kind, magics in shell.magics_manager.magics.items() for name in magics}
before = names()
shell.run_line_magic("load_ext", "flyte_nb")
print(*("%" * (1 + (kind == "cell")) + name for kind, name in names() - before))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    registered = {word for word in done.stdout.split() if word.startswith("%")}
    page = (ROOT / "docs" / "notebook.md").read_text()

    undocumented = {magic for magic in registered if not re.search(rf"(?<!%){re.escape(magic)}\b", page)}

    assert registered, "the extension registered no magic"
    assert undocumented == set()
