"""Parquet and Arrow: tables with typed columns, which DuckDB, pandas and polars read."""

from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.util import find_spec

from kscope.query.answers.question import TableColumn
from kscope.query.export.base import Encoder, TableFormat

_PACKAGES = ("arro3.core", "arro3.io")


def _lacking() -> str:
    """Return the command that installs what is missing."""
    if all(map(_is_there, _PACKAGES)):
        return ""
    return (
        "Parquet and Arrow need the Python package arro3 where the question is answered:"
        " pip install 'kernelscope[parquet]'; csv and ndjson need nothing"
    )


def _is_there(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:
        return False


def _encoder(write: str) -> Callable[[Sequence[TableColumn]], Encoder]:
    """Return the encoder that writes with this function; its module needs the package."""

    def encoder(columns: Sequence[TableColumn]) -> Encoder:
        files = import_module("kscope.query.columnar.files")
        made: Encoder = files.FileEncoder(columns, getattr(files, write))
        return made

    return encoder


FORMATS = (
    TableFormat(
        name="parquet",
        media_type="application/vnd.apache.parquet",
        ending="parquet",
        help="a Parquet file; needs the extra `parquet`",
        lacking=_lacking,
        encoder=_encoder("parquet"),
        title="Parquet",
    ),
    TableFormat(
        name="arrow",
        media_type="application/vnd.apache.arrow.file",
        ending="arrow",
        help="an Arrow file, also called Feather; needs the extra `parquet`",
        lacking=_lacking,
        encoder=_encoder("arrow"),
        title="Arrow",
    ),
    TableFormat(
        name="arrow-stream",
        media_type="application/vnd.apache.arrow.stream",
        ending="arrows",
        help="an Arrow stream, to be read while it comes; needs the extra `parquet`",
        lacking=_lacking,
        encoder=_encoder("arrow_stream"),
    ),
)
