"""When a worker whose process is held counts as lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

from flyte_nb.engine.frozen import FROZEN_SECONDS, Frozen, is_stopped


def test_a_worker_is_given_up_once_when_it_was_held_long_enough() -> None:
    """Shorter pauses cost nothing, and count anew each time."""
    held, now = {7}, 0.0
    frozen = Frozen(held.__contains__, lambda: now)
    pids = {"a": 7, "b": 8}

    assert frozen.look(pids) == []
    now = FROZEN_SECONDS - 1
    assert frozen.look(pids) == []
    held.clear()  # it goes on for a moment
    assert frozen.look(pids) == []
    held.add(7)
    now = FROZEN_SECONDS + 1
    assert frozen.look(pids) == []
    now = 2 * FROZEN_SECONDS + 1
    assert frozen.look(pids) == ["a"]
    now = 9 * FROZEN_SECONDS
    assert frozen.look(pids) == []


def test_a_process_is_held_by_a_stop_signal_and_by_nothing_else() -> None:
    """One that runs is not held, nor one that is gone."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        assert not is_stopped(process.pid)
        os.kill(process.pid, signal.SIGSTOP)
        os.waitpid(process.pid, os.WUNTRACED)
        assert is_stopped(process.pid)
    finally:
        process.kill()
        process.communicate()

    assert not is_stopped(process.pid)
