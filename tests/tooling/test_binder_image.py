"""What Binder would build, as repo2docker itself says; no Docker is needed. `make binder-check` also runs the notebooks in it."""

import importlib.util
import os
import subprocess
import tomllib
from pathlib import Path

import pytest

from scripts.binder import image

ROOT = Path(__file__).parents[2]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("default::DeprecationWarning"),  # repo2docker's own
    pytest.mark.skipif(importlib.util.find_spec("repo2docker") is None, reason="needs the `package` extra: pip install -e '.[package]'"),
]


@pytest.fixture(scope="module")
def planned() -> image.Plan:
    """Return what would be built."""
    return image.plan()


def test_the_files_of_binder_decide_what_is_built(planned: image.Plan) -> None:
    """Its Python, its requirements after the repository is there, and its start program for everything that runs in the image."""
    lines = planned.dockerfile.splitlines()
    copied = next(number for number, line in enumerate(lines) if line.startswith("COPY") and line.endswith(" src/ ${REPO_DIR}/"))
    installed = next(number for number, line in enumerate(lines) if 'pip install --no-cache-dir -r "binder/requirements.txt"' in line)

    assert (ROOT / "binder" / "runtime.txt").read_text().strip() == f"python-{planned.python}"
    assert copied < installed
    assert 'ENV R2D_ENTRYPOINT="${REPO_DIR}/binder/start"' in lines
    assert planned.start == "${REPO_DIR}/binder/start"
    assert planned.entrypoint.is_file()


def test_the_base_brings_a_jupyterlab_that_the_live_view_works_in(planned: image.Plan) -> None:
    """The floors of the `demo` extra are met by what is frozen, or raised by pip from there."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf8"))["project"]["optional-dependencies"]

    assert set(planned.servers) >= {"jupyterlab", "jupyterhub", "ipywidgets", "notebook"}
    assert tuple(int(part) for part in planned.frozen["jupyterlab"].split(".")[:2]) >= (4, 4)
    assert any(line.startswith("ipykernel") and "!=7.0.*" in line for line in extras["demo"])  # what is frozen may be 7.0: pip replaces it
    assert {line.partition(">")[0] for line in extras["dashboard"]} == {"bokeh", "jupyter-server-proxy"}


def test_everything_is_started_with_settings_for_a_small_machine() -> None:
    """Two workers that fit, the dashboard by the hub's prefix, and what somebody set themselves left alone."""
    command = [str(ROOT / "binder" / "start"), "env"]
    bare = {"PATH": os.environ["PATH"], "JUPYTERHUB_SERVICE_PREFIX": "/user/x/"}

    said = subprocess.run(command, env=bare, capture_output=True, text=True, check=True).stdout.splitlines()
    own = subprocess.run(command, env={**bare, "FLYTE_NB_WORKERS": "1"}, capture_output=True, text=True, check=True).stdout.splitlines()

    assert {"FLYTE_NB_WORKERS=2", "FLYTE_NB_MEMORY_LIMIT=512MiB", f"JUPYTER_CONFIG_PATH={ROOT}/binder/jupyter"} <= set(said)
    assert "DASK_DISTRIBUTED__DASHBOARD__LINK=/user/x/proxy/{port}/status" in said
    assert "FLYTE_NB_WORKERS=1" in own
