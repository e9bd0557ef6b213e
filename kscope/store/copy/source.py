"""The database that is copied: opened read-only, while a server may use it."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

import sqlalchemy as sa

from kscope.config import Settings
from kscope.declare.model import Catalog, Category
from kscope.declare.types.base import Storage
from kscope.errors import KscopeError
from kscope.generate.dialects import DIALECTS
from kscope.generate.tables import Schema
from kscope.generate.tables import schema as schema_of
from kscope.store.backends.base import BACKGROUND_SECONDS, Backend
from kscope.store.copy.memo import Place
from kscope.store.copy.spans import Slots, Span
from kscope.store.open import open_to_read
from kscope.store.schema.interning import STACKS, STRINGS, Known, TextKind
from kscope.store.schema.kept_categories import stored_catalog
from kscope.store.schema.meta import IDENTITY, known_categories
from kscope.store.schema.migrate import LAYOUT, Held, held
from kscope.store.write.batch import TableRows

_TEXT_BYTES = 32 << 20


@dataclass(frozen=True)
class Source:
    """`identity` names the database, wherever it is: a copy of its file has the same."""

    backend: Backend
    schema: Schema
    identity: str
    texts: Mapping[TextKind, "Texts"]

    async def fetch(self, statement: sa.Select[Any]) -> Sequence[Sequence[Any]]:
        return await self.backend.fetch_in_background(statement)

    async def stream(self, statement: sa.Select[Any]) -> AsyncIterator[Sequence[Any]]:
        """Yield the rows one by one, with as long a deadline as housekeeping has."""
        until = asyncio.get_running_loop().time() + BACKGROUND_SECONDS
        async with aclosing(self.backend.stream(statement, until)) as portions:
            async for rows in portions:
                for row in rows:
                    yield row

    async def slots(self, table: sa.Table, slots: Slots, start: int) -> Counter[int]:
        """Return the number of rows in each slot that has any."""
        slot = (table.c.time - table.c.time % sa.literal_column(str(slots.width))).label("slot")
        select = sa.select(slot, sa.func.count()).where(table.c.time >= start).group_by(slot)
        return Counter({int(each): int(count) for each, count in await self.fetch(select)})

    async def rows(
        self, table: sa.Table, names: Sequence[str], span: Span
    ) -> AsyncIterator[tuple[int, int, tuple[Any, ...]]]:
        """Yield time, seq and the columns of these names, in the order of the first two."""
        columns = [table.c.time, table.c.seq, *(table.c[name] for name in names)]
        within = table.c.time >= span[0], table.c.time < span[1]
        select = sa.select(*columns).where(*within).order_by(table.c.time, table.c.seq)
        async for time, seq, *row in self.stream(select):
            yield time, seq, tuple(row)

    def place(self, time: int, seq: int, row: tuple[Any, ...]) -> Place:
        """Return what tells a row from others; rows that are alike may have the same."""
        if DIALECTS[self.backend.dialect.name].seq_is_unique:
            return time, seq
        digest = blake2b(repr(row).encode(), digest_size=8).digest()
        return time, int.from_bytes(digest, "big", signed=True)

    async def named(
        self, category: Category, columns: Mapping[str, Sequence[Any]], bucket: int
    ) -> tuple[TableRows, Mapping[int, str]]:
        """Return stored rows, or the sums of a level, as a writer takes them, and their stacks."""
        names = TableRows(category, (), bucket).names
        rows = TableRows(category, [columns[name] for name in names], bucket)
        texts = await self.texts[STRINGS].of(_values(rows, Storage.STRING_ID))
        stacks = await self.texts[STACKS].of(_values(rows, Storage.STACK_ID))
        strings = {*rows.places(Storage.STRING_ID)}
        named = [
            [texts[value] for value in values] if place in strings else values
            for place, values in enumerate(rows.columns)
        ]
        return TableRows(category, named, bucket), stacks


def _values(rows: TableRows, storage: Storage) -> set[int]:
    return {value for place in rows.places(storage) for value in rows.columns[place]}


@dataclass(frozen=True)
class Texts:
    """The texts of one kind by the numbers that the source's rows hold."""

    backend: Backend
    key: sa.Column[Any]
    text: sa.Column[Any]
    known: Known[int, str] = field(
        default_factory=lambda: Known(_TEXT_BYTES, lambda text: len(text) + 100)
    )

    async def of(self, numbers: Iterable[int]) -> Mapping[int, str]:
        """Return the texts. Raises KscopeError if the source is missing one."""
        wanted = {*numbers}
        found = self.known.find(wanted)
        if missing := sorted(wanted - found.keys()):
            async with self.backend.snapshot(BACKGROUND_SECONDS) as session:
                rows = await session.look_up(self.key, [self.key, self.text], missing)
            new = {int(number): str(text) for number, text in rows}
            self.known.add(new)
            found.update(new)
        if len(found) < len(wanted):
            lost = min(wanted - found.keys())
            raise KscopeError(
                f"the source is damaged: {self.key.table.name} has no text {lost}, and rows refer"
                " to it; restore a backup"
            )
        return found


@asynccontextmanager
async def opened_source(settings: Settings, name: str) -> AsyncIterator[Source]:
    """Open a database to copy it. Raises KscopeError if this version cannot; `name` is shown."""
    async with open_to_read(settings, Catalog(())) as store:
        await store.check_whole()
        async with store.backend.snapshot(BACKGROUND_SECONDS) as session:
            found = await held(session, store.schema)
        schema = schema_of(_catalog(found, name))
        yield source_of(store.backend, schema, found.notes[IDENTITY])


def source_of(backend: Backend, schema: Schema, identity: str = "") -> Source:
    string, stack = schema.dictionaries.string, schema.dictionaries.stack
    texts = {
        STRINGS: Texts(backend, string.c.id, string.c.text),
        STACKS: Texts(backend, stack.c.id, stack.c.frames),
    }
    return Source(backend, schema, identity, texts)


def _catalog(found: Held, name: str) -> Catalog:
    if not found.notes:
        raise KscopeError(f"{name}: has no tables of kscope; there is nothing to copy")
    layout = int(found.notes.get("layout", 0))
    if layout > LAYOUT:
        raise KscopeError(f"{name}: was made by a newer kscope (layout {layout}): use that version")
    if layout < LAYOUT or IDENTITY not in found.notes:
        raise KscopeError(
            f"{name}: was last used by an older kscope; run `kscope migrate` of this version on it"
            " once, a server may keep running"
        )
    catalog = stored_catalog(found.notes, found.relations)
    known = {category.table for category in catalog}
    if lost := sorted(known_categories(found.notes).keys() - known):
        raise KscopeError(
            f"{name}: this version cannot read the declaration of '{lost[0]}'; drop its data"
            f" (`kscope migrate --drop {lost[0]}`), or use the version that made it"
        )
    return catalog
