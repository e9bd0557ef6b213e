"""Ids back to what they stand for, and values to what a person reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from kscope.declare.columns import Storage
from kscope.query.expressions import ids
from kscope.query.timerange import iso

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from kscope.declare.model import Column
    from kscope.store.base import Reader

# 20 digits each: half a megabyte of statement, far below MySQL's packet.
_CHUNK = 20_000


async def labels(reader: Reader, column: Column, values: Collection[Any]) -> Mapping[Any, str]:
    """Value as stored -> its text."""
    match column.type.storage:
        case Storage.STRING_ID:
            strings = reader.schema.dictionaries.string
            return await _texts(reader, strings.c.id, strings.c.text, values)
        case Storage.STACK_ID:
            stacks = reader.schema.dictionaries.stack
            return await _texts(reader, stacks.c.id, stacks.c.frames, values)
        case Storage.BOOLEAN:
            return {value: "true" if value else "false" for value in values}
        case Storage.TIME:
            return {value: iso(value) for value in values}
    return {value: str(value) for value in values}


async def _texts(
    reader: Reader, key: sa.ColumnElement[int], text: sa.ColumnElement[str], wanted: Collection[int]
) -> dict[int, str]:
    listed = list(wanted)
    found: dict[int, str] = {}
    columns: list[sa.ColumnElement[Any]] = [key, text]
    for start in range(0, len(listed), _CHUNK):
        chunk = listed[start : start + _CHUNK]
        statement: sa.Select[Any] = sa.select(*columns).where(ids(key, chunk))
        found.update(tuple(row) for row in await reader.fetch(statement))
    return found
