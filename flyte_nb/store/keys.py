"""Decides how what is stored is authenticated: keyed BLAKE2b, with a key of this user that lies outside of every project.

A project's folder may be copied, shared or unpacked from an archive; the key is not in it. What was written with another
key is never unpickled.

Must not know: what is authenticated.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import stat
from collections.abc import Mapping
from pathlib import Path

from flyte_nb.store.refusals import UnsafeStoreError

KEY_BYTES = 32
MAC_BYTES = 32


class Seal:
    """Makes and checks marks of authenticity.

    Args:
        key: 32 secret bytes.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key

    def mark(self, *parts: bytes) -> bytes:
        """The mark of some bytes in their order, each with its length."""
        hashed = hashlib.blake2b(key=self._key, digest_size=MAC_BYTES)
        for part in parts:
            hashed.update(len(part).to_bytes(8, "little"))
            hashed.update(part)
        return hashed.digest()

    def fits(self, mark: bytes, *parts: bytes) -> bool:
        """Whether a mark is that of these bytes."""
        return hmac.compare_digest(mark, self.mark(*parts))


def key_path(environment: Mapping[str, str] = os.environ) -> Path:
    """Where the key lies: `FLYTE_NB_KEY_FILE`, or `flyte_nb/store.key` in the user's data directory."""
    chosen = environment.get("FLYTE_NB_KEY_FILE")
    if chosen:
        return Path(chosen).expanduser().absolute()
    data = environment.get("XDG_DATA_HOME")
    return (Path(data) if data else Path.home() / ".local" / "share") / "flyte_nb" / "store.key"


def load_seal(path: Path, store: Path) -> Seal:
    """The seal of this user; the key is made the first time.

    Args:
        path: where the key lies.
        store: the store's folder.

    Raises:
        UnsafeStoreError: the key can be read by others, or lies in the store that it protects.
        OSError: it cannot be read or made.
    """
    if path.resolve().is_relative_to(store.resolve()):
        raise UnsafeStoreError(str(path), "the key must not lie in the store that it protects")
    if not path.exists():
        _make(path)
    found = path.stat()
    if hasattr(os, "geteuid"):
        if found.st_uid not in {os.geteuid(), 0}:
            raise UnsafeStoreError(str(path), f"the key belongs to another user (uid {found.st_uid})")
        if found.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise UnsafeStoreError(str(path), f"other users may read the key (mode {stat.S_IMODE(found.st_mode):04o}; chmod 600 closes it)")
    key = path.read_bytes()
    if len(key) != KEY_BYTES:
        raise UnsafeStoreError(str(path), f"the key must be {KEY_BYTES} bytes, and is {len(key)}")
    return Seal(key)


def _make(path: Path) -> None:
    """Write a new key; of two processes that do so at once one wins, and both use its key."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:  # noqa: PTH123 - the mode
        file.write(secrets.token_bytes(KEY_BYTES))
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    except OSError:  # a filesystem without links
        if not path.exists():
            draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
