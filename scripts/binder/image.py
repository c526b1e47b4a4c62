"""What Binder would build from this repository, as repo2docker's own code says, and the same without a container.

Decides how the image's parts are made on this machine: the frozen versions of repo2docker's base environment come from the package index
instead of conda-forge, at the same versions; then the image's own pip lines run on a copy of the repository.
Must not know what is run in it.
"""

import contextlib
import json
import re
import shlex
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tests.tooling import pythons

ROOT = Path(__file__).parents[2]
#: Where conda-forge's name for a package differs from the index's.
INDEX_NAMES = {
    "brotli-python": "brotli",
    "jupyterhub-base": "jupyterhub",
    "nbconvert-core": "nbconvert",
    "python-fastjsonschema": "fastjsonschema",
}
PLATFORM = "linux/amd64"  # what mybinder.org has
_LOCKED = re.compile(r"/(?:noarch|linux-64)/(?P<name>[^/]+)-(?P<version>[^-/]+)-(?P<build>[^-/]+?)\.(?:conda|tar\.bz2)")
_OF_PYTHON = re.compile(r"py\d*h|py3\d+|pyh|py_")
_WANTED = re.compile(r"^\s*- (?P<name>[\w-]+)==", re.MULTILINE)
_PIP = re.compile(r"^RUN \$\{KERNEL_PYTHON_PREFIX\}/bin/(?P<command>pip install .*)$", re.MULTILINE)


@dataclass(frozen=True)
class Plan:
    """What would be built.

    Attributes:
        python: the version that the image has, such as "3.11".
        dockerfile: the build, as repo2docker renders it.
        servers: what the base environment is made for: JupyterLab and what belongs to it.
        frozen: version of each Python package of the base environment, by its name on the index.
        commands: what the image's build does with pip, in the repository.
        start: the program that everything in the image is started through, in the repository.
        entrypoint: repo2docker's own, which runs `start`.
    """

    python: str
    dockerfile: str
    servers: tuple[str, ...]
    frozen: dict[str, str]
    commands: tuple[str, ...]
    start: str
    entrypoint: Path


def plan(root: Path = ROOT) -> Plan:
    """Return what repo2docker would build from a repository; needs no Docker.

    Raises:
        ModuleNotFoundError: repo2docker is not installed.
        ValueError: It would not use the files of binder/.
    """
    from repo2docker import buildpacks  # noqa: PLC0415 - of the `package` extra
    from repo2docker.app import Repo2Docker  # noqa: PLC0415 - as above

    with contextlib.chdir(root):
        app = Repo2Docker()
        pack = next(pack for pack in (kind(app.base_image) for kind in app.buildpacks) if pack.detect())
        if not isinstance(pack, buildpacks.PythonBuildPack) or pack.binder_dir != "binder":
            raise ValueError(f"repo2docker would build this repository as {type(pack).__name__} from {pack.binder_dir or 'its root'}.")
        pack.platform = PLATFORM
        dockerfile, start = str(pack.render()), str(pack.get_start_script() or "")
        locks = [Path(path) for path in pack.get_build_script_files() if str(path).endswith(".lock")]
    (lock,) = (path if path.is_absolute() else Path(buildpacks.__file__).parent / path for path in locks)
    made_for = lock.with_name(lock.name.removesuffix("-linux-64.lock") + ".yml").read_text(encoding="utf8")
    return Plan(
        python=str(pack.python_version),
        dockerfile=dockerfile,
        servers=tuple(found["name"].replace("jupyterhub-singleuser", "jupyterhub") for found in _WANTED.finditer(made_for)),
        frozen=frozen(lock.read_text(encoding="utf8")),
        commands=tuple(found["command"] for found in _PIP.finditer(dockerfile)),
        start=start,
        entrypoint=Path(buildpacks.__file__).parent / "repo2docker-entrypoint",
    )


def frozen(lock: str) -> dict[str, str]:
    """Return the Python packages of a conda lock file, and their versions."""
    return {
        INDEX_NAMES.get(found["name"], found["name"]): found["version"]
        for found in _LOCKED.finditer(lock)
        if _OF_PYTHON.match(found["build"])
    }


@dataclass(frozen=True)
class Image:
    """What stands for the built image.

    Attributes:
        folder: of the repository's copy, where the image's user lands.
        python: its interpreter.
    """

    folder: Path
    python: Path

    @classmethod
    def at(cls, folder: Path) -> Self:
        """Return the image whose parts are in a folder."""
        return cls(folder.resolve() / "repository", folder.resolve() / "environment" / "bin" / "python")

    def versions(self) -> dict[str, str]:
        """Return what is installed in it, by name."""
        listed = subprocess.run([self.python, "-m", "pip", "list", "--format=json"], capture_output=True, text=True, check=True).stdout
        return {each["name"].lower(): each["version"] for each in json.loads(listed)}


def build(planned: Plan, folder: Path) -> Image:
    """Make the environment and the copy of the repository anew in a folder.

    Raises:
        RuntimeError: There is no such Python on this machine, or pip failed.
    """
    folder = folder.resolve()
    shutil.rmtree(folder, ignore_errors=True)
    image = Image.at(folder)
    interpreter = pythons.find(planned.python)
    if interpreter is None:
        raise RuntimeError(f"The image has Python {planned.python}, and this machine has none to try it with.")
    image.folder.mkdir(parents=True)
    copy_repository(image.folder)
    (folder / "Dockerfile").write_text(planned.dockerfile, encoding="utf8")
    constraints = folder / "frozen.txt"
    constraints.write_text("".join(f"{name}=={version}\n" for name, version in sorted(planned.frozen.items())), encoding="utf8")
    _run([interpreter, "-m", "venv", str(folder / "environment")], folder)
    _run([str(image.python), "-m", "pip", "install", "--quiet", "--constraint", str(constraints), *planned.servers], folder)
    for command in planned.commands:
        _run([str(image.python), "-m", *shlex.split(command)], image.folder)
    return image


def copy_repository(folder: Path) -> None:
    """Copy what git knows of the repository, as it stands in the work tree."""
    known = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    for name in filter(None, known):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)


def _run(command: list[str], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{shlex.join(command)} failed:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")
