"""Runs of many actions in a real JupyterLab: sort, filter and scroll while they go on, what is sent, and what the page works."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

import pytest
from playwright.sync_api import Browser, Page, ViewportSize, WebSocket

from tests.browser.labkit import Lab, Server, Tab, notebook
from tests.browser.viewkit import longest_task_ms

_log = logging.getLogger(__name__)
OpenLab = Callable[[str], Lab]

SETUP = """%load_ext flyte_nb
import asyncio, time
import flyte_nb as flyte
env = flyte.TaskEnvironment("lab")

@env.task
async def resample(seed: int, k: int) -> float:
    if seed % 1000 == 7:
        raise ValueError(f"Singular matrix for k={k}")
    return seed / 7

@env.task
def slow(seed: int, k: int) -> float:
    time.sleep(0.02)
    return seed / 7

@env.task
async def bootstrap(count: int) -> int:
    for shard in range(20):
        with flyte.group(f"shard-{shard}"):
            await asyncio.gather(*(resample(seed, seed % 9) for seed in range(count // 40)), return_exceptions=True)
    with flyte.group("rest"):
        await asyncio.gather(*(slow.aio(seed, seed % 9) for seed in range(count // 2)))
    return count"""
READY = "(text) => [...document.querySelectorAll('.fnb .pct')].some((node) => node.textContent.endsWith(`of ${text}`))"
#: Presses something and returns how many milliseconds pass until the view says that it has what was asked for.
PRESS = """([kind, name, wanted]) => new Promise((resolve, reject) => {
  const view = [...document.querySelectorAll(".fnb")].find((one) => one.querySelector(".row"));
  const places = { sort: ".main:not([hidden]) .th", phase: ".chip", group: ".grow .nm" };
  const foot = view.querySelector(".foot");
  const began = performance.now();
  [...view.querySelectorAll(places[kind])].find((one) => one.textContent.includes(name)).click();
  const look = () => {
    if (new RegExp(wanted).test(foot.textContent)) resolve(performance.now() - began);
    else if (performance.now() - began > 30000) reject(new Error(`${kind} ${name}: ${foot.textContent}`));
    else requestAnimationFrame(look);
  };
  look();
})"""
ROUNDS, MOST_ROUNDS = 3, 8
MOST_ROWS, MOST_TASK_MS, MOST_BYTES_A_SECOND = 60, 50.0, 10_000
#: Seconds for which a live view is listened to.
LISTEN_SECONDS = 5


class Traffic:
    """Counts what comes to a page through its sockets."""

    def __init__(self, page: Page) -> None:
        self.bytes = 0
        page.on("websocket", self._on_socket)

    def _on_socket(self, socket: WebSocket) -> None:
        socket.on("framereceived", self._on_frame)

    def _on_frame(self, frame: str | bytes) -> None:
        self.bytes += len(frame)


def steps(count: int) -> list[tuple[str, str, str]]:
    """What is pressed, and what the view's last line says then: every sort and filter, and back again."""
    whole = f"of {count:,}, latest"
    there_and_back = [
        ("phase", "failed", rf"of {20 * len(range(7, count // 40, 1_000)):,} \(of"),
        ("phase", "failed", whole),
        ("group", "shard-3", rf"of {count // 40:,} \(of"),
        ("group", "shard-3", whole),
    ]
    for column in ("Time", "seed", "Output", "Phase"):
        there_and_back += [("sort", column, ", descending"), ("sort", column, ", ascending"), ("sort", column, whole)]
    return there_and_back


def slowest_answer(page: Page, count: int, most_ms: float) -> tuple[float, dict[tuple[str, str, str], float]]:
    """The longest that anything takes, in milliseconds from the press to the rows; of each the best of some rounds.

    Other programs share the machine: there are more rounds as long as something takes longer than `most_ms`.
    """
    best: dict[tuple[str, str, str], float] = {}
    for number in range(MOST_ROUNDS):
        if number >= ROUNDS and max(best.values()) < most_ms:
            break
        for step in steps(count):
            best[step] = min(best.get(step, 1e9), page.evaluate(PRESS, list(step)))
    return max(best.values()), best


def follow(server: Server, open_lab: OpenLab, count: int) -> Lab:
    """Start a run of which half goes on, and wait until all of it has been called."""
    server.write(f"large-{count}.ipynb", notebook(SETUP, f"run = flyte.run(bootstrap, {count})"))
    lab = open_lab(f"large-{count}.ipynb")
    lab.page.set_viewport_size(ViewportSize(width=1400, height=1000))
    lab.command("application:toggle-left-area")
    lab.run_cell(0)
    lab.run_cell(1)
    lab.page.wait_for_function(READY, arg=f"{count:,}", timeout=180_000)
    return lab


def scrolled(browser: Browser, lab: Lab) -> tuple[float, int]:
    """Scroll through the whole table while the run goes on: the longest task of the page, and the most rows in it."""
    browser.start_tracing(page=lab.page, categories=["toplevel", "devtools.timeline", "__metadata"])
    rows = 0
    for part in range(10):
        rows = max(
            rows,
            lab.page.evaluate(
                """(part) => {
                  const view = [...document.querySelectorAll(".fnb")].find((one) => one.querySelector(".row"));
                  const list = view.querySelector(".main:not([hidden]) .scroll");
                  list.scrollTop = (list.scrollHeight * part) / 10;
                  return Math.max(view.querySelectorAll(".row").length, view.querySelectorAll(".grow").length);
                }""",
                part,
            ),
        )
        lab.page.wait_for_timeout(150)
    return longest_task_ms(browser.stop_tracing()), rows


@pytest.mark.slow  # it looks at the clock: on a machine that others use it says little
@pytest.mark.timeout(900)
@pytest.mark.parametrize("count, most_ms", [(50_000, 150), (1_000_000, 500)])
def test_a_large_run_is_answered_at_once_and_sends_little(
    browser: Browser, server: Server, tab: Tab, open_lab: OpenLab, count: int, most_ms: int
) -> None:
    """While it goes on: each sort and filter, what the view is sent unasked, the page's work, the rows in it."""
    traffic = Traffic(tab.page)
    lab = follow(server, open_lab, count)
    slowest, each = slowest_answer(lab.page, count, most_ms)
    before, began = traffic.bytes, time.monotonic()
    lab.page.wait_for_timeout(LISTEN_SECONDS * 1000)
    sent = (traffic.bytes - before) / (time.monotonic() - began)
    lab.screenshot(f"lab-large-{count}")
    longest, rows = scrolled(browser, lab)
    lab.evaluate("run.abort()")
    _log.info("%d actions: %.0f ms, %.0f bytes/s, task of %.0f ms, %d rows; %s", count, slowest, sent, longest, rows, each)

    assert slowest < most_ms, each
    assert sent < MOST_BYTES_A_SECOND
    assert longest < MOST_TASK_MS
    assert 0 < rows <= MOST_ROWS
    assert lab.tab.errors == []
    assert lab.tab.external_requests == []
