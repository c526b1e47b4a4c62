"""Decides how a body keeps its progress for its next attempt: one file or folder, below the run's folder.

`save` takes bytes, a file or a folder; `load` gives the next attempt a path: of the file, or of the folder. Workers on
other hosts see it if `with_runcontext(raw_data_path=...)` names a folder that all of them share.

Must not know: attempts; a path is the same for all attempts of an action.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

_PAYLOAD = "payload"


class Checkpoint:
    """What an action keeps for its next attempt: `flyte.ctx().checkpoint`.

    `load` and `save` are to be awaited; sync bodies use `load_sync` and `save_sync`.

    Args:
        destination: where it is kept.
        source: where it is loaded from; the same place, unless it comes from elsewhere.
    """

    def __init__(self, destination: str, source: str | None = None) -> None:
        self.remote_destination = destination
        self.remote_source = source or destination
        self._path: Path | None = None

    @property
    def path(self) -> Path:
        """A local folder to work in; it is this attempt's own."""
        if self._path is None:
            self._path = Path(tempfile.mkdtemp(prefix="flyte-cp-"))
        return self._path

    def prev_exists(self) -> bool:
        """Whether something was saved."""
        return Path(self.remote_source).exists()

    def load_sync(self) -> Path | None:
        """What was saved last: the path of a file, or of a folder; None if nothing was."""
        source = Path(self.remote_source)
        if not source.exists():
            return None
        if source.is_dir():
            shutil.copytree(source, self.path, dirs_exist_ok=True)
            return self.path
        return Path(shutil.copyfile(source, self.path / _PAYLOAD))

    def save_sync(self, data: Path | str | bytes) -> None:
        """Keep `data`, in the place of what was saved before: bytes, or the path of a file or folder.

        Raises:
            FileNotFoundError: there is no such file or folder.
        """
        destination = Path(self.remote_destination)
        destination.parent.mkdir(parents=True, exist_ok=True)
        fresh = destination.with_name(f"{destination.name}.{os.getpid()}.{id(self)}.new")
        if isinstance(data, bytes):
            fresh.write_bytes(data)
        elif Path(data).is_dir():
            shutil.copytree(data, fresh)
        elif Path(data).exists():
            shutil.copyfile(data, fresh)
        else:
            raise FileNotFoundError(f"Checkpoint source path does not exist: {data}")
        if destination.is_dir() or (destination.exists() and fresh.is_dir()):
            shutil.rmtree(destination) if destination.is_dir() else destination.unlink()
        fresh.replace(destination)  # in one go: an attempt that dies here leaves the old one or the new one

    async def load(self) -> Path | None:
        """See `load_sync`."""
        return await asyncio.to_thread(self.load_sync)

    async def save(self, data: Path | str | bytes) -> None:
        """See `save_sync`."""
        await asyncio.to_thread(self.save_sync, data)

    def __repr__(self) -> str:
        return f"<checkpoint {self.remote_destination}>"


def latest_checkpoint(
    root: Path | str,
    glob_pattern: str = "**/last.ckpt",
    *,
    key: Callable[[Path], Any] | None = None,
) -> Path | None:
    """The newest file below a folder that matches a pattern, or the one with the largest `key(path)`; None if none does.

    Args:
        root: the folder.
        glob_pattern: as of `Path.glob`; the default is what PyTorch Lightning writes.
        key: what is compared, instead of the time of the last change.
    """
    found = list(Path(root).glob(glob_pattern))
    return max(found, key=key or (lambda path: path.stat().st_mtime)) if found else None
