"""Decides what a test may leave behind: nothing.

Compares threads (daemon threads excepted), child processes and open file descriptors from before a test with those after it,
giving what is still shutting down time until a deadline. What exists before a test (session and module fixtures) is never its leak.
A fixture whose own resources come and go, such as a cluster whose nannies replace workers, names them with `allow_child` or `allow_thread`,
as narrowly as it can: `leak_check.allow_child(lambda process: process.pid in {nanny.pid for nanny in cluster.workers.values()})`.
Must know nothing of flyte_nb: it judges it.
"""

import contextlib
import gc
import multiprocessing
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil

POLL_SECONDS = 0.02
# Longest orderly end of something that a test has closed without waiting: a worker process on a loaded two-core machine.
DEADLINE_SECONDS = 10.0

# Started by the standard library or joblib on first use, one per process, ended with it.
HELPER_PROCESSES = ("multiprocessing.resource_tracker", "loky.backend.resource_tracker")

ChildRule = Callable[[psutil.Process], bool]
ThreadRule = Callable[[threading.Thread], bool]


@dataclass(frozen=True, slots=True)
class Resources:
    """What this process holds at one instant."""

    threads: frozenset[threading.Thread]
    children: frozenset[psutil.Process]
    descriptors: frozenset[str]  # "number -> target"; where the system does not tell, only as many as there are

    @classmethod
    def now(cls) -> "Resources":
        """Take stock."""
        return cls(
            threads=frozenset(thread for thread in threading.enumerate() if not thread.daemon),
            children=frozenset(psutil.Process().children(recursive=True)),
            descriptors=frozenset(_open_descriptors()),
        )


@dataclass(slots=True)
class LeakCheck:
    """The rules of one test session: what may appear during a test and stay, and how long the rest has to go."""

    deadline_seconds: float = DEADLINE_SECONDS
    child_rules: list[ChildRule] = field(default_factory=list)
    thread_rules: list[ThreadRule] = field(default_factory=list)

    @contextlib.contextmanager
    def allow_child(self, rule: ChildRule) -> Iterator[None]:
        """Let child processes that `rule` accepts stay, while the context lasts."""
        self.child_rules.append(rule)
        try:
            yield
        finally:
            self.child_rules.remove(rule)

    @contextlib.contextmanager
    def allow_thread(self, rule: ThreadRule) -> Iterator[None]:
        """Let threads that `rule` accepts stay, while the context lasts."""
        self.thread_rules.append(rule)
        try:
            yield
        finally:
            self.thread_rules.remove(rule)

    def leaks(self, before: Resources, *, descriptors: int = 0) -> list[str]:
        """Return one line for each thing left behind since `before`, once everything has had time to end.

        Args:
            before: What was there before the test.
            descriptors: How many more open file descriptors are no leak.
        """
        deadline = time.monotonic() + self.deadline_seconds
        found = self._compare(before, descriptors)
        while found and time.monotonic() < deadline:
            multiprocessing.active_children()  # reaps those that have ended
            gc.collect()
            time.sleep(POLL_SECONDS)
            found = self._compare(before, descriptors)
        return found

    def _compare(self, before: Resources, descriptors: int) -> list[str]:
        after = Resources.now()
        threads = [thread for thread in after.threads - before.threads if not any(rule(thread) for rule in self.thread_rules)]
        children = [child for child in after.children - before.children if not self._is_allowed(child)]
        more = len(after.descriptors) - len(before.descriptors)
        lines = [f"thread {thread.name!r}" for thread in sorted(threads, key=lambda thread: thread.name)]
        lines += [f"process {child.pid}: {_command_line(child)}" for child in sorted(children, key=lambda child: child.pid)]
        if more > descriptors:
            new = ", ".join(sorted(after.descriptors - before.descriptors))
            lines.append(f"{more} open file descriptors ({descriptors} allowed), among these: {new}")
        return lines

    def _is_allowed(self, child: psutil.Process) -> bool:
        line = _command_line(child)
        if not line or any(helper in line for helper in HELPER_PROCESSES):
            return True
        try:
            return any(rule(child) for rule in self.child_rules)
        except psutil.NoSuchProcess:  # it ended while the rule looked
            return True


def _command_line(process: psutil.Process) -> str:
    """Return the command line of a process, empty if it has ended meanwhile."""
    try:
        if process.status() == psutil.STATUS_ZOMBIE:
            return f"(ended, not waited for) {process.name()}"
        return " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return ""


def _open_descriptors() -> Iterator[str]:
    """Name each open descriptor and what it points to."""
    folder = Path("/proc/self/fd")
    if not folder.is_dir():
        process = psutil.Process()
        count = process.num_handles() if sys.platform == "win32" else process.num_fds()
        yield from (f"descriptor {number}" for number in range(count))
        return
    for entry in folder.iterdir():
        with contextlib.suppress(FileNotFoundError):  # the one that lists this folder
            target = str(entry.readlink())
            if not target.endswith("/fd"):
                yield f"{entry.name} -> {target}"
