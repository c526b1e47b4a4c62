"""Decides what `DataFrame` is: a table on its way between tasks, whatever library made it.

A table that is wrapped travels by value; one that lies in a file (parquet, csv) travels as its path.

Must not know: pandas, pyarrow or polars before one of their tables is asked for or given.
"""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import AsyncIterator
from typing import Any, Self

from flyte_nb.authoring import storage
from flyte_nb.authoring.files import HashMethod

#: The format that tables are kept in unless another is named.
PARQUET = "parquet"


class DataFrame:
    """A table. `await frame.open(pd.DataFrame).all()` gives it as the class that is wanted.

    Attributes:
        uri: Where it lies, if it does.
        format: "parquet" or "csv".
        hash: What the cache goes by, instead of the content.
    """

    def __init__(self, uri: str | None = None, format: str = PARQUET, hash: str | None = None) -> None:  # noqa: A002 - Flyte's words
        self.uri, self.format, self.hash = uri, format or PARQUET, hash
        self._table: Any = None
        self._wanted: type | None = None

    @classmethod
    def wrap_df(cls, val: Any = None, uri: str | None = None) -> Self:
        """Wrap a table of pandas, pyarrow or polars, `val`; with a `uri` it is also written there, as parquet."""
        made = cls(uri)
        made._table = val
        if uri is not None and val is not None:
            _write(val, uri)
        return made

    @classmethod
    def from_df(cls, val: Any = None, uri: str | None = None) -> Self:
        """See `wrap_df`."""
        return cls.wrap_df(val, uri)

    @classmethod
    def from_existing_remote(cls, remote_path: str, format: str | None = None, **_options: Any) -> Self:  # noqa: A002 - Flyte's word
        """Refer to a table in a file, at `remote_path`; its format is "parquet" (default) or "csv"."""
        return cls(remote_path, format or PARQUET)

    @classmethod
    def from_local_sync(
        cls, df: Any, columns: Any = None, remote_destination: str | None = None, hash_method: HashMethod | str | None = None
    ) -> Self:
        """Write a table to the run's folder, or to a destination, and refer to that.

        Args:
            df: the table.
            columns: accepted for Flyte; all columns are kept.
            remote_destination: where to, instead of the run's folder.
            hash_method: its hash as text, or what makes it of the table: a `HashFunction`.
        """
        del columns
        made = cls.wrap_df(df, remote_destination or storage.new_path("table.parquet"))
        made.hash = storage.hash_of(hash_method, lambda method: method.update(df))
        return made

    @classmethod
    async def from_local(
        cls, df: Any, columns: Any = None, remote_destination: str | None = None, hash_method: HashMethod | str | None = None
    ) -> Self:
        """See `from_local_sync`."""
        return await asyncio.to_thread(cls.from_local_sync, df, columns, remote_destination, hash_method)

    @property
    def val(self) -> Any:
        """The table that was wrapped."""
        return self._table

    def open(self, dataframe_type: type) -> Self:
        """Say as which class it is wanted: `dataframe_type`, such as `pd.DataFrame`."""
        self._wanted = dataframe_type
        return self

    def all_sync(self) -> Any:
        """The table as the class that is wanted.

        Raises:
            ValueError: `open` was not called, or there is neither table nor file.
        """
        if self._wanted is None:
            raise ValueError("No dataframe type set. Use open() to set the local dataframe type you want to use.")
        return self.table_as(self._wanted)

    def table_as(self, wanted: type) -> Any:
        """The table as the `wanted` class, of pandas, pyarrow or polars.

        Raises:
            ValueError: there is neither table nor file, or it is none of these classes.
        """
        if isinstance(self._table, wanted):
            return self._table
        if self._table is not None:
            return _from_arrow(_to_arrow(self._table), wanted)
        if self.uri is None:
            raise ValueError("The DataFrame holds no table: wrap one with DataFrame.wrap_df(...).")
        return _from_arrow(_read(self.uri, self.format), wanted)

    async def all(self) -> Any:
        """See `all_sync`."""
        return await asyncio.to_thread(self.all_sync)

    async def iter(self) -> AsyncIterator[Any]:
        """The table, in one piece."""
        yield await self.all()

    def __getstate__(self) -> dict[str, Any]:
        state = dict(self.__dict__)
        if self.uri is not None:
            state["_table"] = None  # it lies in the file
        return state

    def __repr__(self) -> str:
        return f"DataFrame({self.uri or type(self._table).__name__})"


def _library(table_class: type) -> str:
    return table_class.__module__.partition(".")[0]


def _to_arrow(table: Any) -> Any:
    library = _library(type(table))
    arrow = importlib.import_module("pyarrow")
    if library == "pyarrow":
        return table
    if library == "polars":
        return table.to_arrow()
    if library == "pandas":
        return arrow.Table.from_pandas(table)
    raise ValueError(f"A DataFrame wraps a table of pandas, pyarrow or polars, not a {type(table).__name__}.")


def _from_arrow(table: Any, wanted: type) -> Any:
    library = _library(wanted)
    if library == "pyarrow":
        return table
    if library == "pandas":
        return table.to_pandas()
    if library == "polars":
        return importlib.import_module("polars").from_arrow(table)
    raise ValueError(f"A DataFrame opens as a table of pandas, pyarrow or polars, not as {wanted.__name__}.")


def _write(table: Any, uri: str) -> None:
    with storage.open_file(uri, "wb") as target:
        importlib.import_module("pyarrow.parquet").write_table(_to_arrow(table), target)


def _read(uri: str, kind: str) -> Any:
    if kind == "csv" or uri.endswith(".csv"):
        with storage.open_file(uri, "rb") as source:
            return importlib.import_module("pyarrow.csv").read_csv(source)
    path = storage.local_path(uri)
    if path is not None and path.is_dir():
        return importlib.import_module("pyarrow.parquet").read_table(str(path))
    with storage.open_file(uri, "rb") as source:
        return importlib.import_module("pyarrow.parquet").read_table(source)
