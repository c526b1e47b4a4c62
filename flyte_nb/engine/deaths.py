"""Decides what is said of a worker's end: its connection tells that it is gone, others tell why, a moment later.

The operating system has its exit code, its nanny tells (through the scheduler) when it was ended for using too much
memory. So a closed connection is held back for a short time, until the cause is known; then it is told once.

Must not know: Dask. Who knows an exit code, and who hears of nannies, is handed in.
"""

from __future__ import annotations

import asyncio
import signal
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

from flyte_nb.engine.hello import Hello
from flyte_nb.engine.stimuli import AgentLost

#: How long a cause is waited for, and how often it is looked for.
HOLD_SECONDS, LOOK_SECONDS = 0.3, 0.01
#: Where nobody can tell an exit code, only the nanny's word is waited for, and that comes with the end.
BLIND_HOLD_SECONDS = 0.1
#: Words of nannies that are kept until the connection ends.
_MOST_WORDS = 1_000
_MEMORY_EVENTS = Path("/sys/fs/cgroup/memory.events")


class Deaths:
    """Finds out why workers are gone.

    Args:
        exit_code: a process's exit code by pid; None while it is not known, or for ever.
        sees_codes: whether exit codes can be known at all.
        tell: called once for each worker.
        forget: called with its pid before that.
    """

    def __init__(
        self,
        exit_code: Callable[[int], int | None],
        *,
        sees_codes: bool,
        tell: Callable[[AgentLost], None],
        forget: Callable[[int], None] = lambda _pid: None,
    ) -> None:
        self._exit_code, self._sees_codes, self._tell, self._forget = exit_code, sees_codes, tell, forget
        self._memory: OrderedDict[int, int] = OrderedDict()
        self._causes: dict[int, str] = {}
        self._system_kills = system_kills()
        self._looking: set[asyncio.Task[None]] = set()

    def used_too_much(self, pid: int, rss: int) -> None:
        """A nanny ends a worker that used so many bytes."""
        self._memory[pid] = rss
        while len(self._memory) > _MOST_WORDS:
            self._memory.popitem(last=False)

    def explain(self, pid: int, cause: str) -> None:
        """A worker is about to be ended, or hung up on, by us; say why."""
        self._causes[pid] = cause

    def closed(self, hello: Hello, reason: str) -> None:
        """A worker's connection is closed; call on the loop."""
        look = asyncio.get_running_loop().create_task(self._look(hello, reason))
        self._looking.add(look)
        look.add_done_callback(self._looking.discard)

    async def _look(self, hello: Hello, reason: str) -> None:
        left = HOLD_SECONDS if self._sees_codes else BLIND_HOLD_SECONDS
        code = self._exit_code(hello.pid)
        while left > 0 and hello.pid not in self._memory and (code is None or code == -signal.SIGTERM):
            await asyncio.sleep(LOOK_SECONDS)
            left -= LOOK_SECONDS
            code = self._exit_code(hello.pid)
        self._forget(hello.pid)
        rss = self._memory.pop(hello.pid, 0)
        if rss:
            self._tell(AgentLost(hello.agent, "it used up its memory", rss, hello.memory_limit))
        else:
            self._tell(AgentLost(hello.agent, self._causes.pop(hello.pid, "") or self._words(code) or reason))

    def _words(self, code: int | None) -> str:
        text = exit_text(code)
        if code == -signal.SIGKILL:
            kills = system_kills()
            if kills > self._system_kills:
                text += ", probably by the system because memory ran out"
            self._system_kills = kills
        return text

    async def close(self) -> None:
        """Stop looking; what is not told yet is not told any more."""
        for look in list(self._looking):
            look.cancel()


def exit_text(code: int | None) -> str:
    """What an exit code says, in words; empty if it says nothing."""
    if code is None or code == 255:  # noqa: PLR2004 - what is reported when somebody else has read the code
        return ""
    if code >= 0:
        return f"its process ended with exit code {code}"
    try:
        name = f" ({signal.Signals(-code).name})"
    except ValueError:
        name = ""
    return f"its process was killed by signal {-code}{name}"


def system_kills() -> int:
    """How many processes of this container the system has killed for lack of memory; 0 where it does not tell."""
    try:
        lines = _MEMORY_EVENTS.read_text().splitlines()
    except OSError:
        return 0
    counts = dict(line.split(None, 1) for line in lines if line.strip())
    return int(counts.get("oom_kill", "0"))
