"""Decides where large values lie while a run goes on: in files of one folder, if worker and kernel are on one host.

A worker writes a large output there and sends only where it is; whoever needs the value reads it. That is cheaper than
any socket, and the kernel's memory holds nothing of it. The kernel owns the folder, and each file once it was told of.

Must not know: what is in a file.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import tempfile
from pathlib import Path

from flyte_nb.core.payloads import Blob, Item, StoredBlob

#: Values from this size on go into files.
STORE_FROM_BYTES = 256 * 1024
#: A folder is not used when less than this is free there.
LEAST_FREE_BYTES = 256 * 2**20


def make_folder(inside: str | None = None) -> str:
    """A new folder that only this user can read, or "" where there is no room for one; `inside` is where, if not among temporary files."""
    try:
        folder = tempfile.mkdtemp(prefix=f"flyte_nb-{os.getpid()}-", dir=inside)
        if shutil.disk_usage(folder).free < LEAST_FREE_BYTES:
            remove_folder(folder)
            return ""
    except OSError:
        return ""
    return folder


def remove_folder(folder: str) -> None:
    """Remove a folder and all values in it."""
    if folder:
        shutil.rmtree(folder, ignore_errors=True)


class PayloadFiles:
    """Puts large items into files of a folder."""

    def __init__(self, folder: str) -> None:
        self._folder = Path(folder)

    def put(self, item: Item) -> Item:
        """The same item; in a file, if it is large and can be written."""
        kind = type(item)
        if kind is bytes:
            data, raw = item, True
        elif kind is Blob:
            data, raw = item.data, False  # type: ignore[union-attr]  # the test above is the narrowing
        else:
            return item
        if len(data) < STORE_FROM_BYTES:  # type: ignore[arg-type]  # bytes in both cases
            return item
        path = self._folder / secrets.token_hex(12)
        try:
            with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb", buffering=0) as file:  # noqa: PTH123 - the mode
                file.write(data)  # type: ignore[arg-type]  # the same
        except OSError:  # no room: it travels by the link
            with contextlib.suppress(OSError):
                path.unlink()
            return item
        return StoredBlob(str(path), len(data), raw=raw)  # type: ignore[arg-type]  # the same
