"""Decides how paths and URIs are read and written: local paths by Python itself, others (`s3://...`) by fsspec.

Must not know: what is in the files.
"""

from __future__ import annotations

import asyncio
import fnmatch
import importlib
import os
import secrets
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from flyte_nb.core.current import CURRENT, Frame

_MODES_THAT_WRITE = frozenset("wax+")


def local_path(uri: str) -> Path | None:
    """The path on this host that a URI names; None if it is elsewhere."""
    if uri.startswith("file:"):
        return Path("/" + uri[5:].lstrip("/"))
    return None if "://" in uri else Path(uri)


def elsewhere(uri: str) -> tuple[Any, str]:
    """(fsspec's file system, path in it) of a URI that is not on this host."""
    found: tuple[Any, str] = importlib.import_module("fsspec.core").url_to_fs(uri)
    return found


def new_path(name: str | None = None) -> str:
    """A path that nobody has, below the folder of the running action's run; outside of runs in the temporary folder."""
    frame = CURRENT.get()
    base = frame.action.settings.raw_data_path if frame is not None else tempfile.gettempdir()
    path = Path(base) / secrets.token_hex(16)
    path = path / name if name else path
    path.parent.mkdir(parents=True, exist_ok=True)
    return str(path)


def own_folder(frame: Frame, kind: str) -> Path:
    """The path of an action for one kind of thing, the same in all its attempts; the folder above may be other runs' too."""
    action = frame.action
    return Path(action.settings.raw_data_path) / kind / action.run / f"row-{action.row}"


def open_file(uri: str, mode: str, **options: Any) -> Any:
    """An open file."""
    path = local_path(uri)
    if path is None:
        system, inner = elsewhere(uri)
        return system.open(inner, mode)
    if _MODES_THAT_WRITE & set(mode):
        path.parent.mkdir(parents=True, exist_ok=True)
    return path.open(mode, **options)


def exists(uri: str) -> bool:
    """Whether there is a file or folder."""
    path = local_path(uri)
    if path is not None:
        return path.exists()
    system, inner = elsewhere(uri)
    return bool(system.exists(inner))


def copy(source: str, destination: str) -> None:
    """Copy a file or a folder, from here or elsewhere to here or elsewhere."""
    there, here = local_path(source), local_path(destination)
    if there is not None and here is not None:
        here.parent.mkdir(parents=True, exist_ok=True)
        if there.is_dir():
            shutil.copytree(there, here, dirs_exist_ok=True)
        elif not (here.exists() and here.samefile(there)):
            shutil.copyfile(there, here)
    elif here is not None:
        system, inner = elsewhere(source)
        here.parent.mkdir(parents=True, exist_ok=True)
        system.get(inner, str(here), recursive=bool(system.isdir(inner)))
    else:
        system, inner = elsewhere(destination)
        system.put(str(there) if there is not None else source, inner, recursive=there is not None and there.is_dir())


def files_below(uri: str, *, recursive: bool, pattern: str = "*", max_depth: int | None = None) -> Iterator[str]:
    """The files below a folder, by name; `max_depth` 1 is the folder itself."""
    depth = 1 if not recursive else max_depth
    path = local_path(uri)
    if path is None:
        system, inner = elsewhere(uri)
        for folder, _folders, names in system.walk(inner, maxdepth=depth):
            yield from (str(system.unstrip_protocol(f"{folder}/{name}")) for name in sorted(names) if fnmatch.fnmatch(name, pattern))
        return
    for folder, folders, names in os.walk(path):
        folders.sort()
        if depth is not None and len(Path(folder).relative_to(path).parts) >= depth - 1:
            folders.clear()
        yield from (str(Path(folder) / name) for name in sorted(names) if fnmatch.fnmatch(name, pattern))


class AsyncFile:
    """An open file whose methods are awaited; the work is done in a thread."""

    def __init__(self, opened: Any) -> None:
        self._opened = opened

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._opened, name)
        if not callable(found):
            return found

        async def method(*args: Any) -> Any:
            return await asyncio.to_thread(found, *args)

        return method

    async def __aiter__(self) -> AsyncIterator[Any]:
        while line := await asyncio.to_thread(self._opened.readline):
            yield line


@asynccontextmanager
async def open_async(uri: str, mode: str, **options: Any) -> AsyncIterator[AsyncFile]:
    """An open file for `async with`."""
    opened = await asyncio.to_thread(open_file, uri, mode, **options)
    try:
        yield AsyncFile(opened)
    finally:
        await asyncio.to_thread(opened.close)


def hash_of(method: Any, feed: Callable[[Any], None]) -> str | None:
    """What a `hash_method` says: a text is the hash; anything else is updated with what `feed` gives it."""
    if method is None or isinstance(method, str):
        return method
    feed(method)
    return str(method.result())
