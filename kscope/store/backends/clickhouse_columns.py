"""Columns as the store hands them over -> columns as ClickHouse keeps them."""

from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from typing import Any

import sqlalchemy as sa

from kscope.declare.types.base import Storage
from kscope.declare.types.histogram import histogram_counts
from kscope.generate.clickhouse.dialect import ClickHouseDDL
from kscope.generate.clickhouse.layout import Use, layout_of, storage_of
from kscope.generate.clickhouse.tables import (
    COMMIT,
    LATE,
    STATE,
    TWIN,
    UNTIL,
    VERSION,
    column_type,
)

_OWN = {
    LATE: "UInt64",
    TWIN: "UInt16",
    UNTIL: "Int64",
    COMMIT: "Int64",
    STATE: "UInt8",
    VERSION: "Int64",
}


@lru_cache(maxsize=1000)
def kinds_of(table: sa.Table) -> Mapping[str, str]:
    """Return the type of each column, by its name."""
    dialect = ClickHouseDDL()
    return {column.name: column_type(column, dialect) for column in table.columns} | _OWN


def stored_columns(
    table: sa.Table, columns: Mapping[str, Collection[Any]]
) -> dict[str, Sequence[Any]]:
    """Return the columns to insert: histograms as maps, and no `seq`."""
    kept = {name: _sequence(values) for name, values in columns.items() if name != "seq"}
    for name, values in kept.items():
        match storage_of(table.c[name]) if name in table.c else None:
            case Storage.HISTOGRAM:
                kept[name] = list(map(_map, values))
            case Storage.REAL:
                # As a group, -0.0 would be another number than 0.0.
                kept[name] = [value or 0.0 if value is not None else None for value in values]
    if layout_of(table).use is Use.TEXTS and "hash" in kept:
        kept["id"] = kept.pop("hash")
    return kept


def _sequence(values: Collection[Any]) -> Sequence[Any]:
    return values if isinstance(values, list | tuple) else list(values)


# Many rows have the same histogram: its text is read once.
@lru_cache(maxsize=10_000)
def _map(text: str) -> Mapping[int, int]:
    return histogram_counts(text)
