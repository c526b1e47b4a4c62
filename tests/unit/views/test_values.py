"""How one value reads: short in a cell, whole in a detail, and never an exception of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from flyte_nb.core.payloads import Blob, StoredBlob, pack
from flyte_nb.views.values import CELL_BYTES, Texts, amount, item_text, peek_class


class Rude:
    """Its repr raises."""

    def __repr__(self) -> str:
        raise RuntimeError("no")


@pytest.mark.parametrize(
    "value, cell",
    [
        (1, "1"),
        (0.1 + 0.2, "0.3"),
        (None, "None"),
        (True, "True"),
        ("a\nb\u202ec", "a b\ufffdc"),
        (b"raw", "b'raw'"),
        pytest.param(10**5000, "int of 16,610 bits", id="huge"),
        ([1, 2], "[1, 2]"),
        (list(range(84)), "list of 84: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, …"),
        ({"k": 1}, "{'k': 1}"),
        (np.zeros((20, 30)), "ndarray, 20 × 30"),
        (np.array([1, 2]), "array([1, 2])"),
        (pd.DataFrame({"a": range(2_000)}), "DataFrame, 2,000 × 1"),
        (Rude(), "<Rude, whose repr raised RuntimeError>"),
    ],
)
def test_a_cell_is_short(value: Any, cell: str) -> None:
    """One line, containers and tables by their size."""
    assert Texts().cell(pack(value), 160) == cell


def test_a_large_value_is_not_unpacked_for_a_cell() -> None:
    """Its class and size are told from its first bytes."""
    frame = pd.DataFrame({"a": np.arange(CELL_BYTES)})
    item = pack(frame)

    assert isinstance(item, Blob)
    assert peek_class(item) == "DataFrame"
    assert Texts().cell(item, 160) == f"DataFrame, {amount(item.size_bytes)}"


def test_a_value_in_a_file_is_told_without_reading_all_of_it(tmp_path: Path) -> None:
    """Only the head of the file is looked at."""
    item = pack(pd.DataFrame({"a": np.arange(CELL_BYTES)}))
    assert isinstance(item, Blob)
    path = tmp_path / "value"
    path.write_bytes(item.data[:4_000])  # the rest is missing: reading it all would fail

    assert Texts().cell(StoredBlob(str(path), 10_000_000, raw=False), 160) == "DataFrame, 9.5 MiB"


def test_an_unreadable_value_says_why() -> None:
    """Bytes that are no pickle, and a class that is not there any more."""
    assert Texts().cell(Blob(b"junk"), 160).startswith("<cannot be read here: ")
    assert item_text(Blob(b"junk"))[1].startswith("<cannot be read here: ")


def test_a_detail_shows_all_of_a_value() -> None:
    """The type in words, and the text over several lines."""
    kind, text = item_text(pack({f"key{number}": number for number in range(50)}))

    assert kind == "dict of 50"
    assert text.count("\n") == 49
    assert item_text("plain\ntext") == ("str", "plain\ntext")
    assert item_text(pack(Rude())) == ("Rude", "<Rude, whose repr raised RuntimeError>")


def test_a_text_is_made_once_and_the_oldest_is_forgotten() -> None:
    """A page is drawn five times a second; its values are unpacked once."""
    texts, item = Texts(), pack([1])
    assert isinstance(item, Blob)
    first = texts.cell(item, 160)
    item.data = b"junk"

    assert texts.cell(item, 160) == first
    for number in range(3_000):
        texts.cell(pack([number]), 160)
    assert len(texts._kept) == 2_000
