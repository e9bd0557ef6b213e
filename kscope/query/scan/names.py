"""Names of frames that agents could not name: looked up by build id and address when they are read.

Stored texts and their ids stay as they are.
"""

import asyncio
import logging
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

import sqlalchemy as sa

from kscope.errors import KscopeError
from kscope.generate.dialects import DIALECTS
from kscope.query.sql.expressions import ids, pairs, position, texts
from kscope.store.reader import Reader
from kscope.store.symbols.nameless import ADDRESS, BUILD, Nameless, ShownFrames, nameless
from kscope.store.symbols.packing import names
from kscope.store.symbols.table import state_of

# Of a statement: each is a search of an index, and each page has up to 48 kB.
_FRAMES_AT_ONCE = 5000
_PAGES_AT_ONCE = 200

# The number of a file in the symbol table, and the first address of one of its pages.
Place = tuple[int, int]

log = logging.getLogger(__name__)


async def shown_frames(reader: Reader) -> ShownFrames:
    """Return what is known of the symbol table as it is now."""
    return reader.names.at(await state_of(reader.fetch, reader.schema))


def nameless_stacks(
    reader: Reader, *columns: sa.ColumnElement[Any], parts: Collection[str] = (ADDRESS,)
) -> sa.Select[Any]:
    """Select columns of the stacks that have one of the parts and, it seems, such a frame."""
    frames = reader.schema.dictionaries.stack.c.frames
    has_part = sa.or_(*(position(frames, sa.literal(part)) > 0 for part in sorted(parts)))
    has_build = position(frames, sa.literal(BUILD)) > 0
    return sa.select(*columns).where(has_part, has_build)


async def name_frames(
    reader: Reader, shown: ShownFrames, frames: Collection[str]
) -> Mapping[str, str]:
    """Return the shown text of each frame that has no name as stored; other frames are left out."""
    found = shown.frames.find(frames)
    missing = await asyncio.to_thread(_nameless, frames, found)
    for start in range(0, len(missing), _FRAMES_AT_ONCE):
        part = dict(islice(missing.items(), start, start + _FRAMES_AT_ONCE))
        functions = await _functions(reader, part.values()) if shown.state else {}
        named = {text: each.shown(functions.get(each, "")) for text, each in part.items()}
        shown.frames.add(named)
        found |= named
        if not shown.state:
            reader.names.want(part.values())
    return found


def _nameless(frames: Iterable[str], known: Collection[str]) -> dict[str, Nameless]:
    parts = ((frame, nameless(frame)) for frame in frames if frame not in known)
    return {frame: found for frame, found in parts if found}


async def _functions(reader: Reader, frames: Collection[Nameless]) -> dict[Nameless, str]:
    """Return the names of the functions that the symbol table has."""
    numbers = await _files(reader, {each.build for each in frames})
    reader.names.want(each for each in frames if each.build not in numbers)
    by_place: defaultdict[Place, list[Nameless]] = defaultdict(list)
    for each in frames:
        if each.build in numbers:
            by_place[numbers[each.build], each.address].append(each)
    by_page: defaultdict[Place, list[Nameless]] = defaultdict(list)
    for place, page in (await _places(reader, [*by_place])).items():
        by_page[page] += by_place[place]
    found: dict[Nameless, str] = {}
    wanted = [*by_page]
    for start in range(0, len(wanted), _PAGES_AT_ONCE):
        rows = await _pages(reader, wanted[start : start + _PAGES_AT_ONCE])
        found |= await asyncio.to_thread(_named, rows, by_page)
    return found


def _named(
    rows: Iterable[Sequence[Any]], by_page: Mapping[Place, Sequence[Nameless]]
) -> dict[Nameless, str]:
    found: dict[Nameless, str] = {}
    for file, first, content in rows:
        frames = by_page[int(file), int(first)]
        try:
            functions = names(bytes(content), [each.address for each in frames], int(first))
        except KscopeError as error:
            log.warning("build id %s: %s", frames[0].build, error)
        else:
            found.update(zip(frames, functions, strict=True))
    return found


async def _files(reader: Reader, builds: set[str]) -> dict[str, int]:
    """Build id -> the number of its file, of those that the table has."""
    table = reader.schema.dictionaries.symbols
    select = sa.select(table.c.build, table.c.id).where(texts(table.c.build, sorted(builds)))
    return {str(build): int(number) for build, number in await reader.fetch(select)}


async def _places(reader: Reader, wanted: Sequence[Place]) -> dict[Place, Place]:
    """(File, address) -> the page that names the functions around this address."""
    if not wanted:
        return {}
    table = reader.schema.dictionaries.symbol_page
    if not DIALECTS[reader.dialect].correlates:
        return await _places_among_all(reader, wanted)
    listed = pairs(wanted)
    here = sa.and_(table.c.file == listed.c.first, table.c.first <= listed.c.second)
    first = sa.select(sa.func.max(table.c.first)).where(here).scalar_subquery()
    rows = await reader.fetch(sa.select(listed.c.first, listed.c.second, first))
    return {
        (int(file), int(address)): (int(file), int(page))
        for file, address, page in rows
        if page is not None
    }


async def _places_among_all(reader: Reader, wanted: Sequence[Place]) -> dict[Place, Place]:
    """Find the pages here: the engine has no subquery for each row."""
    table = reader.schema.dictionaries.symbol_page
    among = ids(table.c.file, sorted({file for file, _ in wanted}))
    starts: defaultdict[int, list[int]] = defaultdict(list)
    for file, first in await reader.fetch(sa.select(table.c.file, table.c.first).where(among)):
        starts[int(file)].append(int(first))
    for each in starts.values():
        each.sort()
    found = {}
    for file, address in wanted:
        place = bisect_right(starts[file], address)
        if place:
            found[file, address] = (file, starts[file][place - 1])
    return found


async def _pages(reader: Reader, wanted: Sequence[Place]) -> Sequence[Sequence[Any]]:
    listed = pairs(wanted)
    table = reader.schema.dictionaries.symbol_page
    here = sa.and_(table.c.file == listed.c.first, table.c.first == listed.c.second)
    return await reader.fetch(sa.select(*table.c).select_from(listed.join(table, here)))
