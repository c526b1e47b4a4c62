"""Checkpoints: what one attempt saves, the next one loads."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from flyte_nb.authoring.checkpoints import Checkpoint, latest_checkpoint


def test_there_is_nothing_before_the_first_save(tmp_path: Path) -> None:
    """The first attempt starts from the beginning."""
    checkpoint = Checkpoint(str(tmp_path / "kept"))

    assert (checkpoint.load_sync(), checkpoint.prev_exists()) == (None, False)


def test_the_latest_save_counts(tmp_path: Path) -> None:
    """Bytes, files and folders, in any order; each attempt has a folder of its own to work in."""
    (tmp_path / "file").write_text("file")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "part").write_text("part")
    kept = str(tmp_path / "deep" / "kept")
    loaded = []
    for data in (b"bytes", tmp_path / "file", str(tmp_path / "folder"), b"again"):
        Checkpoint(kept).save_sync(data)
        found = Checkpoint(kept).load_sync()
        assert found is not None
        loaded.append((found / "part" if found.is_dir() else found).read_text())

    assert loaded == ["bytes", "file", "part", "again"]


def test_the_async_forms_do_the_same(tmp_path: Path) -> None:
    """As Flyte's are awaited."""

    async def body() -> str:
        checkpoint = Checkpoint(str(tmp_path / "kept"))
        await checkpoint.save(b"x")
        found = await checkpoint.load()
        assert found is not None
        return found.read_text()

    assert asyncio.run(body()) == "x"


def test_what_is_not_there_cannot_be_saved(tmp_path: Path) -> None:
    """The error names the path; what was saved before stays."""
    checkpoint = Checkpoint(str(tmp_path / "kept"))
    checkpoint.save_sync(b"x")

    with pytest.raises(FileNotFoundError, match="nowhere"):
        checkpoint.save_sync(str(tmp_path / "nowhere"))

    assert (tmp_path / "kept").read_bytes() == b"x"


def test_the_newest_file_that_matches_is_the_latest_checkpoint(tmp_path: Path) -> None:
    """By time, or by a key."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "last.ckpt").touch()

    assert latest_checkpoint(tmp_path, key=str) == tmp_path / "b" / "last.ckpt"
    assert latest_checkpoint(tmp_path, "**/*.pt") is None
