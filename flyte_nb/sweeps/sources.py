"""Decides how a frame of any library is read: as pandas frames, one after the other, no more of it at once than need be.

What lies in memory already (pandas, polars.DataFrame, pyarrow.Table) is one frame, so all of it is looked at before anything
starts. What is lazy is a stream: a partition of dask at a time, a batch of polars or arrow, what an iterator yields.

Must not know: tasks. It imports no library but pandas that the frame at hand does not come from.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from flyte_nb.authoring.versions import Limited, TooLargeError
from flyte_nb.core.payloads import dump_into
from flyte_nb.sweeps.cells import column_of

#: Rows that a batch of a lazy frame should have, where we are asked.
CHUNK_ROWS = 10_000
#: What a stream can be read from again is kept with its run, unless it takes more than this: it may hold data.
MOST_BYTES_OF_SOURCE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Stream:
    """A frame that is read little by little.

    Attributes:
        kind: what it is, for people.
        chunks: its parts as pandas frames, in order; read when asked for.
        source: the same frame, to be read again; None if that cannot be, or would take too much to keep.
    """

    kind: str
    chunks: Iterator[pd.DataFrame]
    source: Any = None


def opened(given: Any) -> pd.DataFrame | Stream:
    """What was given to `flyte.map_frame`: a frame in memory, or a stream.

    Raises:
        TypeError: it is no frame.
        ImportError: a library is missing that reading it needs.
    """
    if isinstance(given, pd.DataFrame):
        return pd.DataFrame(given)  # a live table, such as run.results, becomes a plain one
    for applies, make in _KINDS:
        if applies(given):
            return make(given)
    hint = "for a list of items there is flyte.map" if isinstance(given, list | tuple | range | set) else "pass a DataFrame"
    got = f"got {_article(type(given).__name__)}: {hint}."
    raise TypeError(f"flyte.map_frame maps a frame of pandas, polars, dask or arrow, or an iterator of frames; {got}")


def _is(library: str, *names: str) -> Callable[[Any], bool]:
    """Whether something is an object of a library, told without importing it."""
    return lambda given: any(cls.__module__.partition(".")[0] == library and cls.__name__ in names for cls in type(given).__mro__)


def _of_records(given: Any) -> pd.DataFrame:
    if isinstance(given, Mapping) and given and not any(map(pd.api.types.is_list_like, given.values())):
        raise TypeError("flyte.map_frame got one row, a dict of single values: pass a list of such dicts, or a dict of lists.")
    return pd.DataFrame(given)


def _is_records(given: Any) -> bool:
    return isinstance(given, Mapping) or (isinstance(given, list) and bool(given) and all(isinstance(row, Mapping) for row in given))


# ------------------------------------------------------------------ polars
def _of_polars(given: Any) -> pd.DataFrame:
    """Whole numbers stay whole where some are missing; pyarrow is not needed."""
    columns = {name: column_of(values) for name, values in given.to_dict(as_series=False).items()}
    return pd.DataFrame(columns, index=pd.RangeIndex(given.height))


def _of_lazy_polars(given: Any) -> Stream:
    def chunks() -> Iterator[pd.DataFrame]:
        yield _of_polars(given.head(0).collect())  # the columns, also where there are no rows
        if hasattr(given, "collect_batches"):
            yield from map(_of_polars, given.collect_batches(chunk_size=CHUNK_ROWS, maintain_order=True))
        else:
            yield from map(_of_polars, given.collect(engine="streaming").iter_slices(CHUNK_ROWS))

    return Stream("polars.LazyFrame", chunks(), _kept(given))


# ------------------------------------------------------------------ arrow
def _of_arrow(given: Any) -> pd.DataFrame:
    """A table or batch of pyarrow; whole numbers stay whole where some are missing."""
    frame: pd.DataFrame = given.to_pandas(integer_object_nulls=True)
    return frame


def _of_reader(given: Any) -> Stream:
    def chunks() -> Iterator[pd.DataFrame]:
        yield _of_arrow(given.schema.empty_table())
        for batch in given:
            yield _of_arrow(batch)

    return Stream("pyarrow.RecordBatchReader", chunks())


def _of_dataset(given: Any) -> Stream:
    reader = given.scanner() if hasattr(given, "scanner") else given
    return Stream(f"pyarrow {type(given).__name__}", _of_reader(reader.to_reader()).chunks, _kept(given))


def _of_parquet(given: Any) -> Stream:
    def chunks() -> Iterator[pd.DataFrame]:
        yield _of_arrow(given.schema_arrow.empty_table())
        for batch in given.iter_batches(batch_size=CHUNK_ROWS):
            yield _of_arrow(batch)

    return Stream("pyarrow.ParquetFile", chunks())


def _of_arrow_stream(given: Any) -> Stream:
    try:
        arrow = importlib.import_module("pyarrow")
    except ImportError as error:
        raise ImportError(f"Reading a {type(given).__name__} takes pyarrow: pip install pyarrow") from error
    return Stream(
        f"{type(given).__module__.partition('.')[0]}.{type(given).__name__}", _of_reader(arrow.RecordBatchReader.from_stream(given)).chunks
    )


# ------------------------------------------------------------------ dask, iterators
def _of_dask(given: Any) -> Stream:
    chunks = (given.get_partition(number).compute() for number in range(given.npartitions))
    return Stream("dask.DataFrame", chunks, _kept(given))


def _of_iterator(given: Any) -> Stream:
    def chunks() -> Iterator[pd.DataFrame]:
        for number, each in enumerate(given):
            part = opened(each) if not isinstance(each, list) or each else pd.DataFrame()
            if isinstance(part, Stream):
                raise TypeError(f"An iterator of frames yielded a lazy one (the {number + 1}. is a {part.kind}): collect it first.")
            yield part

    return Stream(f"{type(given).__name__} of frames", chunks())


_KINDS: tuple[tuple[Callable[[Any], bool], Callable[[Any], pd.DataFrame | Stream]], ...] = (
    (_is_records, _of_records),
    (_is("polars", "DataFrame"), _of_polars),
    (_is("polars", "LazyFrame"), _of_lazy_polars),
    (_is("pyarrow", "Table", "RecordBatch"), _of_arrow),
    (_is("pyarrow", "RecordBatchReader"), _of_reader),
    (_is("pyarrow", "Dataset", "Scanner"), _of_dataset),
    (_is("pyarrow", "ParquetFile"), _of_parquet),
    (_is("dask", "DataFrame"), _of_dask),
    (lambda given: hasattr(given, "__arrow_c_stream__") and not isinstance(given, pd.Series), _of_arrow_stream),
    (lambda given: isinstance(given, Iterator), _of_iterator),
)


def _kept(source: Any) -> Any:
    """What a stream is read from again, if it is small and can be pickled."""
    target = Limited(MOST_BYTES_OF_SOURCE)
    try:
        dump_into(source, target)
    except TooLargeError:
        return None
    except Exception:  # noqa: BLE001 - an open file, say
        return None
    return source


def _article(word: str) -> str:
    return f"an {word}" if word[:1].lower() in set("aeiou") else f"a {word}"
