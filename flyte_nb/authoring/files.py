"""Decides what `File` and `Dir` are: references to files and folders, which travel between tasks instead of the content.

`from_local` copies what it is given below the run's folder, so that it outlives the body that made it. Workers on other
hosts see it if `with_runcontext(raw_data_path=...)` names a place that all of them share.

Must not know: how bytes get to a place (`storage`).
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from pathlib import Path
from typing import Any, Generic, Protocol, Self, TypeVar

from flyte_nb.authoring import storage
from flyte_nb.core.current import CURRENT
from flyte_nb.core.hashing import IDENTITY

T = TypeVar("T")
_EMPTY = "flyte://empty-dir"


class HashMethod(Protocol):
    """Makes a hash of what it is updated with, as hashlib's objects do."""

    def update(self, data: Any) -> None:
        """Take something in."""

    def result(self) -> str:
        """The hash."""


class _Reference(Generic[T]):
    """A path or URI with a name; with a hash, that is what it counts as in the cache.

    Args:
        path: where it is: a path, or a URI that fsspec can open.
        name: its name; by default the last part of the path.
        format: what is in it; kept, and not looked at.
        hash: what the cache goes by, instead of path, name and format.
    """

    def __init__(self, path: str | Path, name: str | None = None, format: str = "", hash: str | None = None) -> None:  # noqa: A002 - Flyte's words
        self.path = str(path)
        self.name = name if name is not None else Path(self.path).name
        self.format = format
        self.hash = hash

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, IDENTITY: self.hash or (self.path, self.name, self.format)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        state.pop(IDENTITY, None)
        self.__dict__.update(state)

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and vars(other) == vars(self)

    def __hash__(self) -> int:
        return hash((type(self), self.path))

    def __fspath__(self) -> str:
        path = storage.local_path(self.path)
        if path is None:
            raise TypeError(f"{self.path} is not on this host: download() it first.")
        return str(path)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.path!r})"

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, _handler: Any) -> Any:
        """As a field of a pydantic model: an instance, or a path."""
        from pydantic_core import core_schema  # noqa: PLC0415 - only pydantic asks, so it is there

        def made(value: Any) -> Any:
            return value if isinstance(value, cls) else cls(**value) if isinstance(value, dict) else cls(value)

        plain = core_schema.plain_serializer_function_ser_schema(lambda it: {"path": it.path, "name": it.name, "format": it.format})
        return core_schema.no_info_plain_validator_function(made, serialization=plain)

    def exists_sync(self) -> bool:
        """Whether it is there."""
        return storage.exists(self.path)

    async def exists(self) -> bool:
        """Whether it is there."""
        return await asyncio.to_thread(self.exists_sync)

    def download_sync(self, local_path: str | Path | None = None) -> str:
        """A local path of it; one that is on this host is copied only if a `local_path` is named."""
        here = storage.local_path(self.path)
        if here is not None and local_path is None:
            return str(here)
        target = str(local_path) if local_path is not None else storage.new_path(self.name)
        if isinstance(self, File) and local_path is not None and (str(local_path).endswith("/") or Path(local_path).is_dir()):
            target = str(Path(local_path) / (self.name or "file"))
        storage.copy(self.path, target)
        return target

    async def download(self, local_path: str | Path | None = None) -> str:
        """See `download_sync`."""
        return await asyncio.to_thread(self.download_sync, local_path)


class File(_Reference[T]):
    """A reference to a file. Methods are to be awaited; those ending in `_sync` block.

    Example:
        >>> flyte.io.File.from_existing_remote("s3://bucket/rows.csv").name
        'rows.csv'
    """

    @classmethod
    def from_existing_remote(cls, remote_path: str, file_cache_key: str | None = None) -> Self:
        """Refer to a file that is there, at `remote_path`; `file_cache_key` is its hash."""
        return cls(remote_path, hash=file_cache_key)

    @classmethod
    def new_remote(cls, file_name: str | None = None, hash_method: HashMethod | str | None = None) -> Self:
        """Refer to a file to be written, `file_name`, in a place of its own below the run's folder; `hash_method` may be its hash."""
        return cls(storage.new_path(file_name), hash=hash_method if isinstance(hash_method, str) else None)

    @classmethod
    def named_remote(cls, name: str) -> Self:
        """Refer to a file of the running action by name: the same place in each of its attempts.

        Raises:
            ValueError: outside of a run.
        """
        frame = CURRENT.get()
        if frame is None:
            raise ValueError("File.named_remote() requires an active task execution context.")
        folder = storage.own_folder(frame, "named")
        folder.mkdir(parents=True, exist_ok=True)
        return cls(str(folder / name))

    @classmethod
    def from_local_sync(
        cls, local_path: str | Path, remote_destination: str | None = None, hash_method: HashMethod | str | None = None
    ) -> Self:
        """Copy a local file to the run's folder, or to a destination, and refer to that.

        Args:
            local_path: the file.
            remote_destination: where to, instead of the run's folder.
            hash_method: its hash as text, or what makes it of the content: hashlib's objects, a `HashFunction`.

        Raises:
            ValueError: there is no such file.
        """
        source = Path(local_path)
        if not source.is_file():
            raise ValueError(f"File not found: {source}")
        destination = remote_destination or storage.new_path(source.name)
        storage.copy(str(source), destination)

        def feed(method: HashMethod) -> None:
            method.update(source.read_bytes())

        return cls(destination, name=source.name, hash=storage.hash_of(hash_method, feed))

    @classmethod
    async def from_local(
        cls, local_path: str | Path, remote_destination: str | None = None, hash_method: HashMethod | str | None = None
    ) -> Self:
        """See `from_local_sync`."""
        return await asyncio.to_thread(cls.from_local_sync, local_path, remote_destination, hash_method)

    def open(self, mode: str = "rb", **options: Any) -> AbstractAsyncContextManager[storage.AsyncFile]:
        """`async with file.open("rb") as f: await f.read()`; mode and options as of Python's `open`."""
        return storage.open_async(self.path, mode, **_known(options))

    @contextmanager
    def open_sync(self, mode: str = "rb", **options: Any) -> Iterator[Any]:
        """`with file.open_sync("rb") as f: f.read()`; mode and options as of Python's `open`."""
        with storage.open_file(self.path, mode, **_known(options)) as opened:
            yield opened


def _known(options: dict[str, Any]) -> dict[str, Any]:
    """Of the options those that a plain file has; the rest are a remote file system's."""
    return {key: value for key, value in options.items() if key in {"buffering", "encoding", "errors", "newline"}}


class Dir(_Reference[T]):
    """A reference to a folder. Methods are to be awaited; those ending in `_sync` block."""

    @property
    def is_empty(self) -> bool:
        """Whether it stands for no folder at all (`Dir.empty()`)."""
        return self.path == _EMPTY

    @classmethod
    def empty(cls) -> Dir[Any]:
        """What a task returns that made no folder."""
        return Dir(_EMPTY, name="")

    @classmethod
    def new_remote(cls, dir_name: str | None = None, hash: str | None = None) -> Self:  # noqa: A002 - Flyte's word
        """Refer to a folder that is to be written; it is made, and called `dir_name`. `hash` is what the cache goes by."""
        path = storage.new_path(dir_name)
        Path(path).mkdir(parents=True, exist_ok=True)
        return cls(path, name=dir_name, hash=hash)

    @classmethod
    def from_existing_remote(cls, remote_path: str, dir_cache_key: str | None = None) -> Self:
        """Refer to a folder that is there, at `remote_path`; `dir_cache_key` is its hash."""
        return cls(remote_path, hash=dir_cache_key)

    @classmethod
    def from_local_sync(cls, local_path: str | Path, remote_destination: str | None = None, dir_cache_key: str | None = None) -> Self:
        """Copy a local folder to the run's folder, or to a destination, and refer to that.

        Args:
            local_path: the folder.
            remote_destination: where to, instead of the run's folder.
            dir_cache_key: its hash.

        Raises:
            ValueError: there is no such folder.
        """
        source = Path(local_path)
        if not source.is_dir():
            raise ValueError(f"Directory not found: {source}")
        destination = remote_destination or storage.new_path(source.name)
        storage.copy(str(source), destination)
        return cls(destination, name=source.name, hash=dir_cache_key)

    @classmethod
    async def from_local(cls, local_path: str | Path, remote_destination: str | None = None, dir_cache_key: str | None = None) -> Self:
        """See `from_local_sync`."""
        return await asyncio.to_thread(cls.from_local_sync, local_path, remote_destination, dir_cache_key)

    def walk_sync(self, recursive: bool = True, file_pattern: str = "*", max_depth: int | None = None) -> Iterator[File[T]]:  # noqa: FBT001, FBT002 - Flyte's signature
        """The files below, by name: all (`recursive`), down to `max_depth` folders, those that match a `file_pattern`."""
        if not self.is_empty:
            for path in storage.files_below(self.path, recursive=recursive, pattern=file_pattern, max_depth=max_depth):
                yield File(path)

    async def walk(self, recursive: bool = True, max_depth: int | None = None) -> AsyncIterator[File[T]]:  # noqa: FBT001, FBT002 - Flyte's signature
        """See `walk_sync`."""
        for file in await asyncio.to_thread(lambda: list(self.walk_sync(recursive, "*", max_depth))):
            yield file

    def list_files_sync(self) -> list[File[T]]:
        """The files in it, those in folders below left out."""
        return list(self.walk_sync(recursive=False))

    async def list_files(self) -> list[File[T]]:
        """See `list_files_sync`."""
        return await asyncio.to_thread(self.list_files_sync)

    def get_file_sync(self, file_name: str) -> File[T] | None:
        """A file in it, by `file_name`; None if there is none."""
        file: File[T] = File(f"{self.path.rstrip('/')}/{file_name}")
        return file if file.exists_sync() else None

    async def get_file(self, file_name: str) -> File[T] | None:
        """See `get_file_sync`."""
        return await asyncio.to_thread(self.get_file_sync, file_name)


class HashFunction:
    """A hash method around a function: `HashFunction.from_fn(lambda frame: ...)`.

    Args:
        function: gives a text for a value.
    """

    def __init__(self, function: Any) -> None:
        self._function, self._result = function, ""

    @classmethod
    def from_fn(cls, fn: Any) -> HashFunction:
        """Wrap a function, `fn`, that gives a text for a value."""
        return cls(fn)

    def update(self, data: Any) -> None:
        """Hash a value, `data`."""
        self._result = str(self._function(data))

    def result(self) -> str:
        """The hash of the value."""
        return self._result or hashlib.sha256().hexdigest()
