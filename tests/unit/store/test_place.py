"""Where a store lies, and which places are refused."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from flyte_nb.store import keys, place
from flyte_nb.store.kernels import started_by
from flyte_nb.store.refusals import UnsafeStoreError


def mode(path: Path) -> int:
    """Who may do what with a file."""
    return stat.S_IMODE(path.lstat().st_mode)


def test_the_folder_is_found_upwards_like_that_of_git(tmp_path: Path) -> None:
    """The nearest one; else beside the nearest `.git`; else here."""
    deep = tmp_path / "project" / "notebooks" / "old"
    deep.mkdir(parents=True)
    assert place.folder_of(None, {}, deep) == deep / ".flyte_nb"
    (tmp_path / "project" / ".git").mkdir()
    assert place.folder_of(None, {}, deep) == tmp_path / "project" / ".flyte_nb"
    (tmp_path / "project" / "notebooks" / ".flyte_nb").mkdir()
    assert place.folder_of(None, {}, deep) == tmp_path / "project" / "notebooks" / ".flyte_nb"


def test_a_folder_where_everybody_may_write_counts_only_if_one_is_there(tmp_path: Path) -> None:
    """Nobody plants a store above other people's work."""
    (tmp_path / "shared" / "mine").mkdir(parents=True)
    (tmp_path / "shared").chmod(0o1777)
    (tmp_path / "shared" / ".flyte_nb").mkdir()
    assert place.folder_of(None, {}, tmp_path / "shared" / "mine") == tmp_path / "shared" / "mine" / ".flyte_nb"
    assert place.folder_of(None, {}, tmp_path / "shared") == tmp_path / "shared" / ".flyte_nb"


def test_settings_go_over_the_variable_and_both_over_the_search(tmp_path: Path) -> None:
    """Each may also say that nothing is to be kept on disk."""
    home = {"FLYTE_NB_HOME": str(tmp_path / "home")}
    assert place.folder_of(None, home, tmp_path) == tmp_path / "home"
    assert place.folder_of(str(tmp_path / "set"), home, tmp_path) == tmp_path / "set"
    assert place.folder_of(":memory:", home, tmp_path) is None
    assert place.folder_of(None, {"FLYTE_NB_HOME": ":memory:"}, tmp_path) is None


def test_a_new_folder_is_closed_to_others_and_to_git(tmp_path: Path) -> None:
    """Folders 0700, files 0600; and it is there already the second time."""
    folder = tmp_path / "a" / ".flyte_nb"
    assert place.prepare(folder)
    assert not place.prepare(folder)
    assert {mode(each) for each in (folder, *folder.iterdir()) if each.is_dir()} == {0o700}
    assert {mode(each) for each in folder.iterdir() if each.is_file()} == {0o600}
    assert (folder / ".gitignore").read_text().splitlines()[-1] == "*"


def test_what_others_may_only_read_is_closed(tmp_path: Path) -> None:
    """They could not have changed anything."""
    folder = tmp_path / ".flyte_nb"
    place.prepare(folder)
    folder.chmod(0o755)
    (folder / place.DATABASE).chmod(0o644)
    place.prepare(folder)
    assert (mode(folder), mode(folder / place.DATABASE)) == (0o700, 0o600)


def _link(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    path.symlink_to(path.with_name("elsewhere"))


#: By what is wrong: what was done to which part of the store.
POISON: dict[str, Callable[[Path], None]] = {
    "it is a symbolic link": _link,
    r"other users may write to it \(mode 0722\)": lambda path: path.chmod(0o722),
    r"other users may write to it \(mode 0770\)": lambda path: path.chmod(0o770),
    r"it belongs to another user \(uid 4242": lambda path: os.chown(path, 4242, 4242),
}


@pytest.mark.parametrize("part", ["", place.VALUES, place.FILES, place.PASSING, place.DATABASE])
@pytest.mark.parametrize("reason", POISON)
def test_a_poisoned_store_is_refused(tmp_path: Path, part: str, reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the part, what is wrong with it, and what to do."""
    folder = tmp_path / ".flyte_nb"
    place.prepare(folder)
    if "uid" in reason and os.geteuid():
        monkeypatch.setattr(os, "geteuid", lambda: 4242)  # only root can give files away: be another user instead
        reason = "it belongs to another user"
        part = ""
    else:
        POISON[reason](folder / part)
    with pytest.raises(UnsafeStoreError, match=reason) as refused:
        place.prepare(folder)
    assert str(folder / part) in str(refused.value)
    assert "FLYTE_NB_HOME" in str(refused.value)


def test_a_file_in_the_place_of_a_folder_is_refused(tmp_path: Path) -> None:
    """And the other way round."""
    (tmp_path / ".flyte_nb").write_text("no folder")
    with pytest.raises(UnsafeStoreError, match="not a directory"):
        place.prepare(tmp_path / ".flyte_nb")
    folder = tmp_path / "other"
    place.prepare(folder)
    (folder / place.DATABASE).unlink()
    (folder / place.DATABASE).mkdir()
    with pytest.raises(UnsafeStoreError, match="not a regular file"):
        place.prepare(folder)


# ------------------------------------------------------------------ the key
def test_the_key_is_made_once_and_closed_to_others(tmp_path: Path) -> None:
    """Outside of the store, in the user's data directory unless a variable names another place."""
    path = tmp_path / "data" / "flyte_nb" / "store.key"
    first = keys.load_seal(path, tmp_path / "store")
    assert mode(path) == 0o600
    assert keys.load_seal(path, tmp_path / "store").fits(first.mark(b"a", b"b"), b"a", b"b")
    assert keys.key_path({"XDG_DATA_HOME": str(tmp_path / "data")}) == path
    assert keys.key_path({"FLYTE_NB_KEY_FILE": "/somewhere"}) == Path("/somewhere")
    assert keys.key_path({}).name == "store.key"
    assert list(path.parent.iterdir()) == [path]


def test_a_mark_fits_only_its_own_bytes_and_key() -> None:
    """Also the borders between parts count."""
    seal = keys.Seal(b"k" * 32)
    mark = seal.mark(b"ab", b"c")
    assert seal.fits(mark, b"ab", b"c")
    assert not seal.fits(mark, b"a", b"bc")
    assert not seal.fits(mark, b"abc")
    assert not keys.Seal(b"x" * 32).fits(mark, b"ab", b"c")


def test_a_key_that_others_can_read_or_that_lies_in_the_store_is_refused(tmp_path: Path) -> None:
    """It would protect nothing; and one of another length is no key."""
    path = tmp_path / "key"
    keys.load_seal(path, tmp_path / "store")
    path.chmod(0o640)
    with pytest.raises(UnsafeStoreError, match="other users may read the key"):
        keys.load_seal(path, tmp_path / "store")
    path.chmod(0o600)
    with pytest.raises(UnsafeStoreError, match="must not lie in the store"):
        keys.load_seal(path, tmp_path)
    path.write_bytes(b"short")
    with pytest.raises(UnsafeStoreError, match="must be 32 bytes"):
        keys.load_seal(path, tmp_path / "store")


# ------------------------------------------------------------------ filesystems, and who works
@pytest.mark.parametrize("kind, shared", [("ext4", False), ("nfs4", True), ("fuse.sshfs", True), ("overlay", False), ("9p", True)])
def test_a_network_filesystem_is_recognised(kind: str, shared: bool) -> None:  # noqa: FBT001 - a case
    """By the mount that is nearest above the folder."""
    mounts = (
        "22 1 0:21 / / rw,relatime shared:1 - overlay overlay rw\n"
        f"31 22 0:27 / /data\\040here rw,nosuid shared:7 master:2 - {kind} server:/export rw\n"
        "32 22 0:28 / /data rw - cifs //server/share rw\n"
    )
    assert place.is_shared(Path("/data here/project/.flyte_nb"), mounts) is shared
    assert place.is_shared(Path("/database/.flyte_nb"), mounts) is False
    assert place.is_shared(Path("/data/.flyte_nb"), mounts) is True


def test_a_run_knows_the_notebook_or_script_that_started_it() -> None:
    """As far as that can be known."""
    assert started_by({"JPY_SESSION_NAME": "/home/me/a.ipynb"}, ["ipykernel_launcher.py"]) == "/home/me/a.ipynb"
    assert started_by({}, ["/x/ipykernel_launcher.py"]) == ""
    assert started_by({}, ["/x/etl.py"]) == "/x/etl.py"
    assert started_by({}, ["-c"]) == ""
