"""Decides where the bytes of values are kept: small ones in the log, middling ones in the store's file, large ones in files.

Beyond the log they are kept by their content (BLAKE2b), so a value that a thousand actions got is kept once. Reading one
back checks that it is still what its digest says; the digest itself stands in a log that is authenticated. Values go when
nobody refers to them.

Must not know: events, or who refers to values.
"""

from __future__ import annotations

import errno
import hashlib
import os
import pickle
import secrets
import sqlite3
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from flyte_nb.core.payloads import PROTOCOL, Blob, Item, StoredBlob
from flyte_nb.store.codec import Written
from flyte_nb.store.database import Database
from flyte_nb.store.refusals import StoredValueError

#: Values up to this size are part of the log; from the second on they are files.
IN_LOG_BYTES, IN_FILE_BYTES = 16 * 1024, 256 * 1024
#: Once one batch holds so many bytes of values, the rest of it is kept outside of the log: a batch is read as one.
MOST_IN_BATCH, LEAST_OUTSIDE = 32 * 2**20, 256
_READ_BYTES = 2**20
#: What stands in the log for a value that was gone before it could be kept.
GONE: Written = (b"", 0, False)


def digest_of(data: bytes | memoryview) -> bytes:
    """The digest that a value is kept under."""
    return hashlib.blake2b(data, digest_size=32).digest()


class KeptBlob(StoredBlob):
    """A value in the store: it is read, and checked, when somebody asks for it.

    Args:
        digest: of its bytes.
        size: how many there are.
        raw: the value is these bytes (and not what they unpickle to).
        load: gives the bytes.
    """

    __slots__ = ("_load",)

    def __init__(self, digest: bytes, size: int, *, raw: bool, load: Callable[[bytes], bytes]) -> None:
        super().__init__("", size, raw=raw, digest=digest)
        self._load = load

    @property
    def data(self) -> bytes:  # type: ignore[override]  # as of the class above
        """The bytes."""
        return self._load(self.digest)

    def adopt(self) -> None:
        """The store owns it."""

    def __reduce__(self) -> tuple[Any, ...]:  # what travels is the value: the store is not at hand elsewhere
        return Blob, (pickle.dumps(self.data, PROTOCOL) if self.raw else self.data,)


class Outbox:
    """Values of one batch that are kept outside of the log. Made without a lock, written in a transaction."""

    def __init__(self, values: Values) -> None:
        self._values = values
        self._in_log = 0
        self._small: dict[bytes, bytes] = {}
        self._large: dict[bytes, tuple[int, bytes | str]] = {}
        self._known: set[bytes] = set()

    def keep(self, value: Blob | bytes) -> Written:
        """How a value is written into the log; see `codec.Keep`."""
        if isinstance(value, KeptBlob):
            self._known.add(value.digest)
            return (value.digest, value.size, value.raw)
        if isinstance(value, StoredBlob):
            return self._keep_file(value)
        data, raw = (value, True) if isinstance(value, bytes) else (value.data, False)
        least = IN_LOG_BYTES if self._in_log < MOST_IN_BATCH else LEAST_OUTSIDE
        if len(data) < least and not raw:
            self._in_log += len(data)
            return (data,)
        digest = digest_of(data)
        if len(data) < IN_FILE_BYTES:
            self._small[digest] = data
        else:
            self._large[digest] = (len(data), data)
        return (digest, len(data), raw)

    def _keep_file(self, value: StoredBlob) -> Written:
        try:
            digest = value.digest or _digest_of_file(value.path)
        except FileNotFoundError:
            return GONE
        self._large[digest] = (value.size, value.path)
        return (digest, value.size, value.raw)

    @property
    def size_bytes(self) -> int:
        """How many bytes they have."""
        return sum(map(len, self._small.values())) + sum(size for size, _where in self._large.values())

    def write(self, connection: sqlite3.Connection, kind: str, owner: int) -> None:
        """Keep them, and say who refers to them."""
        connection.executemany(
            "INSERT OR IGNORE INTO blobs (digest, size, data) VALUES (?, ?, ?)",
            [(digest, len(data), data) for digest, data in self._small.items()],
        )
        for digest, (size, where) in self._large.items():
            if not _is_there(connection, digest):
                self._values.put_file(digest, where)
                connection.execute("INSERT INTO blobs (digest, size) VALUES (?, ?)", (digest, size))
        digests = [*self._small, *self._large, *(each for each in self._known if _is_there(connection, each))]
        connection.executemany(
            "INSERT OR IGNORE INTO refs (kind, owner, digest) VALUES (?, ?, ?)", [(kind, owner, each) for each in digests]
        )


class Values:
    """Values that are kept outside of the log.

    Args:
        folder: for those that are files.
        database: the store's file.
    """

    def __init__(self, folder: Path, database: Database) -> None:
        self._folder, self._database = folder, database
        self._reader: sqlite3.Connection | None = None
        self._lock = threading.Lock()

    def restore(self, written: Written) -> Item:
        """A value from what stands in the log; see `codec.Restore`."""
        if len(written) == 1:
            return Blob(written[0])
        return KeptBlob(written[0], written[1], raw=written[2], load=self.load)

    def load(self, digest: bytes) -> bytes:
        """The bytes under a digest.

        Raises:
            StoredValueError: they are not there, or not what they were.
        """
        what = f"The value {digest.hex()[:12]}"
        if not digest:
            raise StoredValueError("A value", "it was gone before it could be kept")
        with self._lock:
            if self._reader is None:
                self._reader = self._database.open_reader()
            found = self._reader.execute("SELECT data FROM blobs WHERE digest = ?", (digest,)).fetchone()
        if found is None:
            raise StoredValueError(what, "it is not there any more (its run was pruned)")
        try:
            data: bytes = found[0] if found[0] is not None else _read_file(self._path(digest))
        except OSError as error:
            raise StoredValueError(what, f"its file cannot be read ({error.strerror or error})") from error
        if digest_of(data) != digest:
            raise StoredValueError(what, "its content is not what was stored, somebody or something has changed it")
        return data

    def _path(self, digest: bytes) -> Path:
        name = digest.hex()
        return self._folder / name[:2] / name

    def put_file(self, digest: bytes, where: bytes | str) -> None:
        """Make the file of a digest, from bytes or from another file."""
        path = self._path(digest)
        path.parent.mkdir(mode=0o700, exist_ok=True)
        draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
        try:
            if isinstance(where, str):
                _link_or_copy(where, draft)
            else:
                _write(draft, where)
            draft.replace(path)
            draft.unlink(missing_ok=True)  # renaming one name of a file to another name of it does nothing
        except OSError:
            with suppress(OSError):
                draft.unlink(missing_ok=True)
            raise

    def collect(self, connection: sqlite3.Connection) -> int:
        """Remove what nobody refers to; returns the bytes that it had."""
        gone = connection.execute(
            "SELECT digest, size, data IS NULL FROM blobs WHERE NOT EXISTS (SELECT 1 FROM refs WHERE refs.digest = blobs.digest)"
        ).fetchall()
        for digest, _size, is_file in gone:
            connection.execute("DELETE FROM blobs WHERE digest = ?", (digest,))
            if is_file:
                self._path(digest).unlink(missing_ok=True)
        return sum(size for _digest, size, _is_file in gone)

    def collect_strays(self, connection: sqlite3.Connection, paths: Iterable[Path]) -> None:
        """Remove files that the store does not know: what a process left that died while it wrote."""
        for path in paths:
            try:
                known = _is_there(connection, bytes.fromhex(path.name))
            except ValueError:
                known = False
            if not known:
                path.unlink(missing_ok=True)

    def files(self) -> list[Path]:
        """All files."""
        return [path for folder in self._folder.iterdir() if folder.is_dir() for path in folder.iterdir()]

    def close(self) -> None:
        """Give the connection back; reading opens another one."""
        with self._lock:
            reader, self._reader = self._reader, None
        if reader is not None:
            reader.close()


def _is_there(connection: sqlite3.Connection, digest: bytes) -> bool:
    return connection.execute("SELECT 1 FROM blobs WHERE digest = ?", (digest,)).fetchone() is not None


def _digest_of_file(path: str) -> bytes:
    hashed = hashlib.blake2b(digest_size=32)
    with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - unbuffered
        while part := file.read(_READ_BYTES):
            hashed.update(part)
    return hashed.digest()


def _read_file(path: Path) -> bytes:
    """Read a file, and never through a link that somebody put there."""
    with open(os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0)), "rb") as file:  # noqa: PTH123 - the flag
        return file.read()


def _write(path: Path, data: bytes) -> None:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb", buffering=0) as file:  # noqa: PTH123 - the mode
        view = memoryview(data)
        while view:
            view = view[file.write(view) :]


def _link_or_copy(source: str, target: Path) -> None:
    """Another name for a file; its content, where there cannot be one (another filesystem)."""
    try:
        os.link(source, target)
    except FileNotFoundError:
        raise
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise
        _copy(source, target)


def _copy(source: str, target: Path) -> None:
    with (
        open(source, "rb", buffering=0) as reader,  # noqa: PTH123 - unbuffered
        open(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb", buffering=0) as writer,  # noqa: PTH123 - the mode
    ):
        while part := reader.read(_READ_BYTES):
            view = memoryview(part)
            while view:
                view = view[writer.write(view) :]
