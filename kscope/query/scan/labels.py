"""Ids back to what they stand for, and values to what a person reads.

Here frames that agents could not name get their names: see `shown_texts`.
"""

import asyncio
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from itertools import islice
from types import MappingProxyType
from typing import Any, TypeVar

import sqlalchemy as sa

from kscope.declare.model import Column
from kscope.declare.types.base import Storage
from kscope.generate.dialects import DIALECTS
from kscope.generate.tables import texts_of
from kscope.query.parse.timerange import iso
from kscope.query.scan.freed_memory import consumed, discard
from kscope.query.scan.names import name_frames, nameless_stacks, shown_frames
from kscope.query.sql.expressions import ids
from kscope.store.reader import Reader
from kscope.store.schema.interning import Known
from kscope.store.symbols.nameless import BUILD, Frames, ShownFrames, has_nameless

Key = TypeVar("Key")
Value = TypeVar("Value")

# 20 digits each: half a megabyte of statement, far below MySQL's packet.
_CHUNK = 20_000
_PER_TURN = 2000
# The label of a text that a damaged database has lost: it still answers.
LOST = "[lost]"


async def labels(reader: Reader, column: Column, values: Collection[Any]) -> Mapping[Any, str]:
    """Value as stored -> its text."""
    if stored := texts_of(column, reader.schema.dictionaries):
        texts = await texts_by_id(reader, stored.key, stored.text, values)
        if column.type.storage is Storage.STACK_ID:
            texts |= await shown_texts(reader, texts)
        return texts
    write = _WRITTEN.get(column.type.storage, str)
    return await asyncio.to_thread(lambda: {value: write(value) for value in values})


_WRITTEN: Mapping[Storage, Callable[[Any], str]] = MappingProxyType(
    {
        Storage.BOOLEAN: lambda value: "true" if value else "false",
        Storage.TIME: lambda value: "" if value is None else iso(value),
    }
)


async def frames(reader: Reader, wanted: Collection[int]) -> Mapping[int, Frames]:
    """Stack id -> its frames as they are shown, root first."""
    known = await _known(reader.stacks, wanted)
    missing = await asyncio.to_thread(lambda: [key for key in wanted if key not in known])
    if not missing:
        return known
    shown = await shown_frames(reader)
    known |= await _known(shown.stacks, missing)
    missing = await asyncio.to_thread(lambda: [key for key in missing if key not in known])
    if missing:
        stacks = reader.schema.dictionaries.stack
        texts = await _read_texts(reader, stacks.c.id, stacks.c.frames, missing)
        has_names, has_none = await consumed(_split, texts)
        named = await _named(reader, shown, has_none)
        for cache, found in ((reader.stacks, has_names), (shown.stacks, named)):
            for piece in batched(found.items(), _PER_TURN):
                cache.add(dict(piece))
                await asyncio.sleep(0)
            known |= found
        discard(has_names, has_none, named, missing)
    return known


async def shown_texts(reader: Reader, stacks: Mapping[Key, str]) -> dict[Key, str]:
    """Return, as they are shown, those of the stacks that have a frame without a name."""
    _, found = await asyncio.to_thread(_split, stacks)
    if not found:
        return {}
    named = await _named(reader, await shown_frames(reader), found)
    return {key: ";".join(frames) for key, frames in named.items()}


async def nameless_among(reader: Reader, wanted: Collection[int]) -> set[int]:
    """Return those of these stacks that have, it seems, a frame without a name.

    The database is asked once for each stack that has none.
    """
    plain = set(await _known(reader.names.plain, wanted))
    plain.update(await _known(reader.stacks, wanted))
    asked = await asyncio.to_thread(lambda: [key for key in wanted if key not in plain])
    stack = reader.schema.dictionaries.stack.c.id
    found: set[int] = set()
    for piece in batched(asked, _CHUNK):
        rows = await reader.fetch(nameless_stacks(reader, stack).where(ids(stack, piece)))
        found |= {int(key) for (key,) in rows}
        for part in batched((key for key in piece if key not in found), _PER_TURN):
            reader.names.plain.add(dict.fromkeys(part, True))
            await asyncio.sleep(0)
    return found


async def _known(cache: Known[int, Value], wanted: Iterable[int]) -> dict[int, Value]:
    known: dict[int, Value] = {}
    for piece in batched(wanted, _PER_TURN):
        known |= cache.find(piece)
        await asyncio.sleep(0)
    return known


async def _named(
    reader: Reader, shown: ShownFrames, stacks: Mapping[Key, Frames]
) -> dict[Key, Frames]:
    """Name the frames of stacks."""
    if not stacks:
        return {}
    distinct = await asyncio.to_thread(lambda: set().union(*stacks.values()))
    texts = await name_frames(reader, shown, distinct)
    put = texts.get
    return await asyncio.to_thread(
        lambda: {key: tuple(map(put, frames, frames)) for key, frames in stacks.items()}
    )


def batched(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    """Cut into pieces, so that a loop over very many lets others run in between."""
    rest = iter(items)
    while piece := list(islice(rest, size)):
        yield piece


def _split(texts: Mapping[Key, str]) -> tuple[dict[Key, Frames], dict[Key, Frames]]:
    """Return the frames of stacks whose frames have all a name, and those of the others."""
    # Stacks share their frames: one text for each, which is also quick to compare.
    shared: dict[str, str] = {}
    has_names: dict[Key, Frames] = {}
    has_none: dict[Key, Frames] = {}
    for key, text in texts.items():
        frames = text.split(";") if text else []
        chosen = has_none if BUILD in text and has_nameless(text) else has_names
        chosen[key] = tuple(map(shared.setdefault, frames, frames))
    return has_names, has_none


async def texts_by_id(
    reader: Reader, key: sa.ColumnElement[int], text: sa.ColumnElement[str], wanted: Collection[int]
) -> dict[int, str]:
    """Return the text of each id; LOST if the database has none."""
    if not DIALECTS[reader.dialect].texts_by_hash or len(wanted) > _CHUNK:
        return await _read_texts(reader, key, text, wanted)
    # An id is the hash of its text: what was read stays true.
    known = await _known(reader.texts, wanted)
    missing = [each for each in wanted if each not in known]
    if missing:
        found = await _read_texts(reader, key, text, missing)
        reader.texts.add({each: text for each, text in found.items() if text != LOST})
        known |= found
    return known


async def _read_texts(
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
