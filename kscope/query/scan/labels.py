"""Ids back to what they stand for, and values to what a person reads."""

import asyncio
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from itertools import islice
from types import MappingProxyType
from typing import Any

import sqlalchemy as sa

from kscope.declare.model import Column
from kscope.declare.types.base import Storage
from kscope.generate.tables import texts_of
from kscope.query.parse.timerange import iso
from kscope.query.scan.freed_memory import consumed, discard
from kscope.query.sql.expressions import ids
from kscope.store.reader import Frames, Reader

# 20 digits each: half a megabyte of statement, far below MySQL's packet.
_CHUNK = 20_000
_PER_TURN = 2000
# The label of a text that a damaged database has lost: it still answers.
LOST = "[lost]"


async def labels(reader: Reader, column: Column, values: Collection[Any]) -> Mapping[Any, str]:
    """Value as stored -> its text."""
    if stored := texts_of(column, reader.schema.dictionaries):
        return await _texts(reader, stored.key, stored.text, values)
    write = _WRITTEN.get(column.type.storage, str)
    return await asyncio.to_thread(lambda: {value: write(value) for value in values})


_WRITTEN: Mapping[Storage, Callable[[Any], str]] = MappingProxyType(
    {
        Storage.BOOLEAN: lambda value: "true" if value else "false",
        Storage.TIME: lambda value: "" if value is None else iso(value),
    }
)


async def frames(reader: Reader, wanted: Collection[int]) -> Mapping[int, Frames]:
    """Stack id -> its frames, root first."""
    known: dict[int, Frames] = {}
    for piece in batched(wanted, _PER_TURN):
        known |= reader.stacks.find(piece)
        await asyncio.sleep(0)
    missing = await asyncio.to_thread(lambda: [key for key in wanted if key not in known])
    if missing:
        stacks = reader.schema.dictionaries.stack
        texts = await _texts(reader, stacks.c.id, stacks.c.frames, missing)
        found = await consumed(_split, texts)
        for piece in batched(found.items(), _PER_TURN):
            reader.stacks.add(dict(piece))
            await asyncio.sleep(0)
        known |= found
        discard(found, missing)
    return known


def batched(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    """Cut into pieces, so that a loop over very many lets others run in between."""
    rest = iter(items)
    while piece := list(islice(rest, size)):
        yield piece


def _split(texts: Mapping[int, str]) -> dict[int, Frames]:
    # Stacks share their frames: one text for each, which is also quick to compare.
    shared: dict[str, str] = {}
    found: dict[int, Frames] = {}
    for key, text in texts.items():
        frames = text.split(";") if text else []
        found[key] = tuple(map(shared.setdefault, frames, frames))
    return found


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
    return found if len(found) == len(listed) else dict.fromkeys(listed, LOST) | found
