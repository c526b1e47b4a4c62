"""Decides who cleans up after a kernel that was killed: a shell that waits for the kernel's end.

A killed process cannot clean up after itself, and its workers end a moment after it, their own children and files not at
all. So the kernel starts `/bin/sh` once for a cluster; when the pipe between them breaks, the shell ends the workers'
process groups and removes the folder. Where there is no such shell nothing is started, and a crash may leave something.

Must not know: clusters.
"""

from __future__ import annotations

import os
import subprocess
from contextlib import suppress

_SHELL = "/bin/sh"
#: Reads `add GROUP`, `drop GROUP`, `path PATH` and `done`, a line each. Without `done` the writer was killed.
#: (No `--` before a group: dash takes that for a number.)
_SCRIPT = """
groups=""
while read -r word group; do
  case $word in
    add) groups="$groups $group" ;;
    drop) kept=""; for each in $groups; do [ "$each" = "$group" ] || kept="$kept $each"; done; groups=$kept ;;
    path) set -- "$@" "$group" ;;
    done) exit 0 ;;
  esac
done
for each in $groups; do kill -9 "-$each"; done
for each in "$@"; do [ -z "$each" ] || rm -rf -- "$each" || { sleep 1; rm -rf -- "$each"; }; done
"""


class Reaper:
    """Ends process groups and removes a folder, should this process be killed.

    Args:
        folder: what to remove; "" for nothing.
    """

    def __init__(self, folder: str) -> None:
        self._shell: subprocess.Popen[bytes] | None = None
        if os.path.exists(_SHELL):  # noqa: PTH110 - one look
            self._shell = subprocess.Popen(  # noqa: S603 - a shell of the system and our own script
                [_SHELL, "-c", _SCRIPT, "flyte_nb-reaper", folder],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # an interrupt at the terminal is not for it
                bufsize=0,
            )

    def add(self, group: int) -> None:
        """A process group that must not outlive this process."""
        self._write(f"add {group}\n")

    def drop(self, group: int) -> None:
        """A process group that has ended."""
        self._write(f"drop {group}\n")

    def add_path(self, path: str) -> None:
        """A folder more to remove."""
        if "\n" not in path:
            self._write(f"path {path}\n")

    def _write(self, line: str) -> None:
        if self._shell is not None and self._shell.stdin is not None:
            with suppress(OSError, ValueError):  # somebody ended the shell: then nobody cleans up
                self._shell.stdin.write(line.encode())

    def close(self) -> None:
        """All is clean: the shell ends."""
        self._write("done\n")
        if self._shell is not None:
            if self._shell.stdin is not None:
                self._shell.stdin.close()
            with suppress(subprocess.TimeoutExpired):
                self._shell.wait(5)
            self._shell = None
