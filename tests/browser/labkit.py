"""A small kit for tests in a real JupyterLab: a server, a Chromium, and a notebook to run and look at.

`Server` starts JupyterLab on a free port with settings of its own. `tabs` starts a browser that may only talk to this machine and
records every attempt to talk to another, every console message and every page error. `Lab` opens a notebook and does what a person does.
It waits for conditions, never for time. Knows JupyterLab; must know nothing of flyte_nb.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import nbformat
from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, Route, WebSocket, sync_playwright

from tests.tooling import chromium

SCREENSHOTS = Path(__file__).parents[2] / "build" / "screenshots"
HELPER_SCRIPT = Path(__file__).with_name("labkit.js")
SERVER_SECONDS = 60
STOP_SECONDS = 15
POLL_SECONDS = 0.05
OPEN_MS = 60_000
RUN_MS = 120_000

# Chromium's calls home and its GPU process are of no use to a test; /dev/shm is too small in most containers.
FLAGS = (
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
)
LOCAL = ("http://127.0.0.1", "http://localhost", "ws://127.0.0.1", "ws://localhost", "data:", "blob:", "file:", "about:")

Theme = Literal["JupyterLab Light", "JupyterLab Dark"]


def notebook(*cells: str) -> nbformat.NotebookNode:
    """Make a notebook of code cells."""
    made: nbformat.NotebookNode = nbformat.v4.new_notebook()
    made.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    made.cells = [nbformat.v4.new_code_cell(cell) for cell in cells]
    return made


class Server:
    """JupyterLab (or Notebook 7) on a free loopback port, without token, with settings, kernels and files of its own."""

    def __init__(
        self,
        app: Literal["lab", "notebook"] = "lab",
        *,
        env: Mapping[str, str] | None = None,
        arguments: Sequence[str] = (),
        python: Path | None = None,
    ) -> None:
        self.app = app
        self._python = str(python or sys.executable)
        self.url = ""
        self._env = dict(env or {})
        self._arguments = list(arguments)
        self._folder = Path(tempfile.mkdtemp(prefix="labkit-"))
        self.root = self._folder / "root"
        self.root.mkdir()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> str:
        """What the server has said so far."""
        return (self._folder / "server.log").read_text(errors="replace")

    def write(self, name: str, content: nbformat.NotebookNode) -> Path:
        """Put a notebook into the server's folder."""
        path = self.root / name
        nbformat.write(content, path)
        return path

    def __enter__(self) -> Self:
        """Start the server and wait until it can be reached."""
        no_news = {"disabledExtensions": {"@jupyterlab/apputils-extension:announcements": True}}  # a pop-up that asks to be answered
        settings = self._folder / "config" / "labconfig"
        settings.mkdir(parents=True)
        (settings / "page_config.json").write_text(json.dumps(no_news))
        with (self._folder / "server.log").open("wb") as log:
            self._process = subprocess.Popen(
                self._command(), env=self._environment(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        self.url = self._wait_url()
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        """Stop the server, its kernels with it, and remove its folder."""
        process = self._process
        if process is not None and process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _command(self) -> list[str]:
        module, application = ("jupyterlab", "LabApp") if self.app == "lab" else ("notebook", "JupyterNotebookApp")
        return [
            *(self._python, "-m", module, "--no-browser", "--ServerApp.port=0", "--ServerApp.ip=127.0.0.1"),
            *("--IdentityProvider.token=", "--ServerApp.disable_check_xsrf=True", f"--ServerApp.root_dir={self.root}"),
            f"--{application}.expose_app_in_browser=True",  # window.jupyterapp, which labkit.js speaks to
            *(["--allow-root"] if chromium.is_root() else []),
            *self._arguments,
        ]

    def _environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "JUPYTER_PLATFORM_DIRS": "0",
            "JUPYTER_CONFIG_DIR": str(self._folder / "config"),
            "JUPYTER_RUNTIME_DIR": str(self._folder / "runtime"),
            "JUPYTERLAB_SETTINGS_DIR": str(self._folder / "settings"),
            "JUPYTERLAB_WORKSPACES_DIR": str(self._folder / "workspaces"),
            "IPYTHONDIR": str(self._folder / "ipython"),
            "PYDEVD_DISABLE_FILE_VALIDATION": "1",
            **self._env,
        }

    def _wait_url(self) -> str:
        deadline = time.monotonic() + SERVER_SECONDS
        while self._process is not None and self._process.poll() is None and time.monotonic() < deadline:
            for told in (self._folder / "runtime").glob("jpserver-*.json"):
                with contextlib.suppress(json.JSONDecodeError, KeyError):  # still being written
                    return str(json.loads(told.read_text())["url"])
            time.sleep(POLL_SECONDS)
        log = self.log
        self.__exit__(None, None, None)
        raise RuntimeError(f"The Jupyter server did not start within {SERVER_SECONDS} s. It said:\n{log}")


@dataclass(frozen=True, slots=True)
class Tab:
    """One page, and what it did that a good page does not do."""

    page: Page
    external_requests: list[str] = field(default_factory=list)
    console: list[tuple[str, str]] = field(default_factory=list)

    @property
    def errors(self) -> list[str]:
        """Uncaught errors of the page and error messages on its console."""
        return [f"{kind}: {message}" for kind, message in self.console if kind in {"error", "pageerror"}]

    def watch(self, *, offline: bool) -> None:
        """Record from now on; with `offline`, also stop what would leave this machine."""

        def guard(route: Route) -> None:
            if route.request.url.startswith(LOCAL):
                route.continue_()
            else:
                self.external_requests.append(route.request.url)
                route.abort()

        def on_socket(socket: WebSocket) -> None:
            if not socket.url.startswith(LOCAL):
                self.external_requests.append(socket.url)

        def on_console(message: ConsoleMessage) -> None:
            self.console.append((message.type, message.text))

        self.page.on("console", on_console)
        self.page.on("pageerror", lambda error: self.console.append(("pageerror", str(error))))
        self.page.on("websocket", on_socket)
        if offline:
            self.page.context.route("**/*", guard)


@contextlib.contextmanager
def browser(executable: str | None = None) -> Iterator[Browser]:
    """Start a headless Chromium for as long as the context lasts."""
    flags = [*FLAGS, *(["--no-sandbox"] if chromium.is_root() else [])]  # its sandbox refuses to run as root
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=executable or chromium.find(), args=flags, headless=True)
        try:
            yield started
        finally:
            started.close()


@contextlib.contextmanager
def tab(inside: Browser, *, width: int = 1280, height: int = 900, offline: bool = True) -> Iterator[Tab]:
    """Open a page with cookies and storage of its own.

    Args:
        inside: The browser.
        width: Of the page, in CSS pixels.
        height: Of the page, in CSS pixels.
        offline: Whether to stop (and record) every request that would leave this machine.
    """
    context = inside.new_context(viewport={"width": width, "height": height})
    try:
        context.add_init_script(path=HELPER_SCRIPT)
        opened = Tab(context.new_page())
        opened.watch(offline=offline)
        yield opened
    finally:
        context.close()


class Lab:
    """One notebook open in JupyterLab, and what a person does with it."""

    def __init__(self, tab: Tab, server: Server) -> None:
        self.tab = tab
        self.page = tab.page
        self.server = server

    def open(self, name: str, *, timeout_ms: int = OPEN_MS) -> Self:
        """Open a notebook of the server's folder and wait until its kernel is idle."""
        path = f"lab/tree/{name}?reset" if self.server.app == "lab" else f"notebooks/{name}"
        self.page.goto(self.server.url + path, timeout=timeout_ms)
        self.page.wait_for_function("() => window.labkit.isReady()", timeout=timeout_ms)
        return self

    def command(self, name: str, arguments: Mapping[str, Any] | None = None, *, wait: bool = True, timeout_ms: int = RUN_MS) -> None:
        """Give a command of Lab's palette, such as `notebook:interrupt-kernel`; with `wait`, wait until it has ended."""
        self.page.evaluate("([name, args]) => window.labkit.start(name, args)", [name, dict(arguments or {})])
        if wait:
            self.wait_commands(timeout_ms=timeout_ms)

    def wait_commands(self, *, timeout_ms: int = RUN_MS) -> None:
        """Wait until every command given so far has ended: for a run command, until its cells are done."""
        self.page.wait_for_function("() => window.labkit.pending === 0", timeout=timeout_ms)

    def run_all(self, *, wait: bool = True, timeout_ms: int = RUN_MS) -> None:
        """Run all cells; as in Lab, a cell that fails stops the rest."""
        self.command("notebook:run-all-cells", wait=wait, timeout_ms=timeout_ms)

    def run_cell(self, index: int, *, wait: bool = True, timeout_ms: int = RUN_MS) -> None:
        """Run one cell."""
        self.page.evaluate("index => window.labkit.select(index)", index)
        self.command("notebook:run-cell", wait=wait, timeout_ms=timeout_ms)

    def outputs(self, index: int) -> list[dict[str, Any]]:
        """Return a cell's outputs as the notebook file would hold them."""
        found: list[dict[str, Any]] = self.page.evaluate("index => window.labkit.outputs(index)", index)
        return found

    def text(self, index: int) -> str:
        """Return what a cell printed, displayed as text/plain or raised."""
        said = []
        for output in self.outputs(index):
            if output["output_type"] == "error":
                said.append(f"{output['ename']}: {output['evalue']}")
            else:
                part = output["text"] if output["output_type"] == "stream" else output["data"].get("text/plain", "")
                said.append("".join(part))
        return "\n".join(said)

    def wait_output(self, index: int, accept: Callable[[str], bool], *, timeout_ms: int = RUN_MS) -> str:
        """Wait until a cell's text is accepted, and return it; on timeout tell what it was."""
        deadline = time.monotonic() + timeout_ms / 1000
        while not accept(said := self.text(index)):
            if time.monotonic() > deadline:
                raise TimeoutError(f"Cell {index} did not say what was waited for within {timeout_ms} ms. It says:\n{said}")
            self.page.wait_for_timeout(POLL_SECONDS * 1000)  # lets the page's own events through
        return said

    def cell(self, index: int) -> Locator:
        """Return a cell's place in the page, scrolled into view."""
        self.page.evaluate("index => window.labkit.show(index)", index)
        return self.page.locator(f"[data-labkit-cell='{index}']")

    def evaluate(self, code: str) -> str:
        """Run code in the notebook's kernel, beside its cells; return what it printed, returned or raised."""
        said: str = self.page.evaluate("code => window.labkit.evaluate(code)", code)
        return said

    def theme(self, name: Theme) -> None:
        """Change Lab's theme and wait until it shows."""
        self.command("apputils:change-theme", {"theme": name})
        self.page.wait_for_function("name => document.body.dataset.jpThemeName === name", arg=name)

    def saved(self) -> nbformat.NotebookNode:
        """Save the notebook and return what the file holds."""
        self.command("docmanager:save")
        path: str = self.page.evaluate("() => window.labkit.panel().context.path")
        read: nbformat.NotebookNode = nbformat.read(self.server.root / path, as_version=4)
        return read

    def screenshot(self, name: str, *, cell: int | None = None) -> Path:
        """Take a picture of the page, or of one cell, into build/screenshots."""
        path = SCREENSHOTS / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        if cell is None:
            self.page.screenshot(path=path, animations="disabled")
        else:
            self.cell(cell).screenshot(path=path, animations="disabled")
        return path

    def close(self) -> None:
        """End the notebook's kernel; workers that it started must end with it."""
        self.command("kernelmenu:shutdown", timeout_ms=OPEN_MS)
