"""Decides nothing: `flyte.io` under its Flyte name; files are in `authoring.files`, tables in `authoring.tables`."""

from flyte_nb.authoring.files import Dir, File, HashFunction
from flyte_nb.authoring.tables import PARQUET, DataFrame

EmptyDir = Dir.empty

__all__ = ["PARQUET", "DataFrame", "Dir", "EmptyDir", "File", "HashFunction"]
