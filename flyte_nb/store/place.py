"""Decides where a project's store lies, and whether it is safe to use: one folder that only its owner can write.

What is read back from a store is unpickled, and unpickling runs code. So the folder and what is in it must belong to this
user and be closed to all others, nothing of it may be a link, and everything is authenticated with a key that lies
outside of the project (`keys`). A folder that breaks a rule is refused, never mended: what is in it may be planted.

Must not know: what is kept.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path

from flyte_nb.store.refusals import UnsafeStoreError

#: The folder's name in a project.
FOLDER = ".flyte_nb"
#: Setting of `store` that keeps nothing on disk.
MEMORY = ":memory:"
#: Inside of the folder.
DATABASE, VALUES, FILES, PASSING = "store.sqlite3", "values", "files", "passing"

_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
_OTHERS_ANY = stat.S_IRWXG | stat.S_IRWXO
#: Kinds of filesystem that other machines share: memory that is mapped on one of them is not seen on the others.
# fmt: off
_SHARED = frozenset((
    "nfs", "nfs4", "cifs", "smb2", "smb3", "smbfs", "ncpfs", "afs", "coda", "ceph", "glusterfs", "lustre", "gpfs", "beegfs",
    "orangefs", "pvfs2", "9p", "virtiofs", "davfs", "drvfs", "vboxsf", "prl_fs",
    "fuse.sshfs", "fuse.glusterfs", "fuse.ceph", "fuse.gcsfuse", "fuse.s3fs", "fuse.rclone", "fuse.juicefs", "fuse.goofys",
    "fuse.mount-s3",
))
# fmt: on


def folder_of(setting: str | None, environment: Mapping[str, str] = os.environ, start: Path | None = None) -> Path | None:
    """The folder of the store; it need not be there yet. None is no folder: runs are kept in memory.

    Args:
        setting: what the user set: a folder, ":memory:", or None to find it.
        environment: where `FLYTE_NB_HOME` may name the folder.
        start: where the search begins; the current directory by default.

    The search: a `.flyte_nb` in this directory or one above; else beside the nearest `.git`; else in this directory.
    A `.flyte_nb` in a directory that everybody may write to (/tmp) counts only if that is where the search begins.
    """
    if setting == MEMORY:
        return None
    chosen = setting or environment.get("FLYTE_NB_HOME")
    if chosen:
        return None if chosen == MEMORY else Path(chosen).expanduser().absolute()
    try:
        here = start or Path.cwd()
    except OSError:  # it was removed
        return None
    for folder in (here, *here.parents):
        if os.path.lexists(folder / FOLDER) and (folder == here or not _everybody_writes(folder)):
            return folder / FOLDER
    for folder in (here, *here.parents):
        if (folder / ".git").exists() and not _everybody_writes(folder):
            return folder / FOLDER
    return here / FOLDER


def prepare(folder: Path) -> bool:
    """Make the folder if need be, and check it; true if it was made.

    Raises:
        UnsafeStoreError: somebody else could have written what is in it.
        OSError: it cannot be made.
    """
    made = False
    if not os.path.lexists(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        try:
            folder.mkdir(mode=0o700)
            made = True
        except FileExistsError:  # another kernel was faster
            pass
    check_folder(folder)
    if made:
        _write_new(folder / ".gitignore", b"# What runs of flyte_nb leave behind: nothing for a repository.\n*\n")
    for name in (VALUES, FILES, PASSING):
        inner = folder / name
        if not os.path.lexists(inner) and os.access(folder, os.W_OK):
            inner.mkdir(mode=0o700, exist_ok=True)
        if os.path.lexists(inner):
            check_folder(inner)
    for name in (DATABASE, f"{DATABASE}-wal", f"{DATABASE}-shm", f"{DATABASE}-journal"):
        if os.path.lexists(folder / name):
            check_file(folder / name)
    if not os.path.lexists(folder / DATABASE):
        _write_new(folder / DATABASE, b"")
    return made


def check_folder(path: Path) -> None:
    """Refuse a folder that is a link, another user's, or open to writers; close it to readers.

    Raises:
        UnsafeStoreError: it is one of these.
    """
    found = path.lstat()
    if stat.S_ISLNK(found.st_mode):
        raise UnsafeStoreError(str(path), "it is a symbolic link")
    if not stat.S_ISDIR(found.st_mode):
        raise UnsafeStoreError(str(path), "it is not a directory")
    _check_owner(path, found)
    if found.st_mode & _OTHERS_ANY and _is_mine(found):
        path.chmod(0o700)


def check_file(path: Path) -> None:
    """Refuse a file that is a link, another user's, or open to writers; close it to readers.

    Raises:
        UnsafeStoreError: it is one of these.
    """
    found = path.lstat()
    if not stat.S_ISREG(found.st_mode):
        raise UnsafeStoreError(str(path), "it is a symbolic link" if stat.S_ISLNK(found.st_mode) else "it is not a regular file")
    _check_owner(path, found)
    if found.st_mode & _OTHERS_ANY and _is_mine(found):
        path.chmod(0o600)


def _check_owner(path: Path, found: os.stat_result) -> None:
    if not hasattr(os, "geteuid"):  # Windows: its access lists are what they are
        return
    if found.st_uid not in {os.geteuid(), 0}:
        raise UnsafeStoreError(str(path), f"it belongs to another user (uid {found.st_uid}, and this is uid {os.geteuid()})")
    if found.st_mode & _OTHERS_WRITE:
        raise UnsafeStoreError(str(path), f"other users may write to it (mode {stat.S_IMODE(found.st_mode):04o})")


def _is_mine(found: os.stat_result) -> bool:
    return hasattr(os, "geteuid") and found.st_uid == os.geteuid()


def _everybody_writes(folder: Path) -> bool:
    try:
        return bool(folder.stat().st_mode & stat.S_IWOTH)
    except OSError:
        return True


def _write_new(path: Path, data: bytes) -> None:
    try:
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:  # noqa: PTH123 - the mode
            file.write(data)
    except FileExistsError:  # another kernel was faster
        pass


def is_shared(folder: Path, mounts: str | None = None) -> bool:
    """Whether a folder lies on a filesystem that other machines may share.

    Args:
        folder: the folder.
        mounts: what `/proc/self/mountinfo` says; read by default. Where there is no such file nothing counts as shared.
    """
    if mounts is None:
        try:
            mounts = Path("/proc/self/mountinfo").read_text(encoding="utf8", errors="replace")
        except OSError:
            return False
    path, best, kind = str(folder.resolve()), "", ""
    for line in mounts.splitlines():
        before, _, after = line.partition(" - ")
        fields = before.split()
        if len(fields) < _MOUNT_FIELDS or not after:
            continue
        mount = fields[4].replace("\\040", " ")
        inside = path == mount or path.startswith(mount.rstrip("/") + "/")
        if inside and len(mount) >= len(best):
            best, kind = mount, after.split()[0]
    return kind in _SHARED


_MOUNT_FIELDS = 5
