"""The symbol table: kscope_symbols has a row for each file, kscope_symbol_page its functions.

A note in kscope_meta changes with each change of the table, so that every process sees that names
which it looked up before may be others now. Without that note the table was never used.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from kscope.errors import KscopeError
from kscope.generate.tables import Schema
from kscope.store.backends.base import BACKGROUND_SECONDS, Backend, Session
from kscope.store.schema.meta import write_meta
from kscope.store.schema.progress import Fetch
from kscope.store.symbols.packing import Page, Symbols

_STATE = "symbols"
MAX_FILES = 100_000


class NoRoomError(KscopeError):
    """The symbol table is full of files that a user added, which nothing removes by itself."""


@dataclass(frozen=True, slots=True)
class SymbolFile:
    """A file of the symbol table. `fetched` files came from a debuginfod server; `added` is in
    microseconds since 1970, UTC.
    """

    build: str
    file: str
    fetched: bool
    functions: int
    bytes: int
    added: int


@dataclass(frozen=True, slots=True)
class SymbolTable:
    """The symbol table of one database, of at most so many bytes."""

    backend: Backend
    schema: Schema
    most_bytes: int

    async def files(self) -> list[SymbolFile]:
        """Return all files, the newest first."""
        table = self.schema.dictionaries.symbols
        columns = (table.c[name] for name in SymbolFile.__annotations__)
        select = sa.select(*columns).order_by(table.c.added.desc(), table.c.build)
        async with self.backend.snapshot(BACKGROUND_SECONDS) as session:
            rows = await session.fetch(select)
        return [_file(row) for row in rows]

    async def has(self, build: str) -> bool:
        """Return whether the table has a file of this build id."""
        async with self.backend.snapshot(BACKGROUND_SECONDS) as session:
            return await self._find(session, build) is not None

    async def add(
        self, symbols: Symbols, *, fetched: bool = False, added: int | None = None
    ) -> bool:
        """Store the functions of a file; return whether it was stored.

        It replaces a file of the same build id unless that one has as many functions or more: a
        debug file has all, a library the exported ones. The oldest fetched files make room. Raise
        NoRoomError if that is not enough. A file of another database was `added` there at a time.
        """
        files, pages = self.schema.dictionaries.symbols, self.schema.dictionaries.symbol_page
        async with self.backend.transaction() as session:
            if before := await self._find(session, symbols.build):
                number, functions = before
                if functions >= symbols.functions:
                    if not fetched:
                        await self._keep(session, number)
                    return False
                await self._delete(session, number)
            await self._make_room(session, symbols.bytes)
            row = {
                "build": symbols.build,
                "file": symbols.file,
                "fetched": int(fetched),
                "functions": symbols.functions,
                "bytes": symbols.bytes,
                "added": time.time_ns() // 1000 if added is None else added,
            }
            await session.insert(files, {name: [value] for name, value in row.items()})
            found = await self._find(session, symbols.build)
            assert found is not None
            content: dict[str, Sequence[Any]] = {
                "file": [found[0]] * len(symbols.pages),
                "first": [page.first for page in symbols.pages],
                "functions": [page.content for page in symbols.pages],
            }
            if symbols.pages:
                await session.insert(pages, content)
            await self._note_change(session)
        return True

    async def pages(self, build: str) -> list[Page]:
        """Return the functions of a file."""
        files, pages = self.schema.dictionaries.symbols, self.schema.dictionaries.symbol_page
        of_file = pages.join(files, pages.c.file == files.c.id)
        select = sa.select(pages.c.first, pages.c.functions).select_from(of_file)
        async with self.backend.snapshot(BACKGROUND_SECONDS) as session:
            rows = await session.fetch(select.where(files.c.build == build).order_by(pages.c.first))
        return [Page(int(first), bytes(functions)) for first, functions in rows]

    async def remove(self, build: str) -> bool:
        """Remove a file; return whether there was one."""
        async with self.backend.transaction() as session:
            found = await self._find(session, build)
            if found is not None:
                await self._delete(session, found[0])
                await self._note_change(session)
        return found is not None

    async def _find(self, session: Session, build: str) -> tuple[int, int] | None:
        """Return the number of a file, and how many functions it has."""
        table = self.schema.dictionaries.symbols
        select = sa.select(table.c.id, table.c.functions).where(table.c.build == build)
        rows = await session.fetch(select)
        return (int(rows[0][0]), int(rows[0][1])) if rows else None

    async def _keep(self, session: Session, number: int) -> None:
        """Let a fetched file be one that a user added."""
        table = self.schema.dictionaries.symbols
        changed = sa.update(table).where(table.c.id == number).values(fetched=0)
        await session.execute(changed)

    async def _make_room(self, session: Session, size: int) -> None:
        table = self.schema.dictionaries.symbols
        columns: list[sa.ColumnElement[Any]] = [sa.func.count(), sa.func.sum(table.c.bytes)]
        ((count, held),) = await session.fetch(sa.select(*columns))
        count, held = int(count), int(held or 0)
        fetched = sa.select(table.c.id, table.c.bytes).where(table.c.fetched == 1)
        rows: Sequence[Sequence[Any]] = ()
        if held + size > self.most_bytes or count >= MAX_FILES:
            rows = await session.fetch(fetched.order_by(table.c.added, table.c.id))
        for number, freed in rows:
            if held + size <= self.most_bytes and count < MAX_FILES:
                break
            await self._delete(session, int(number))
            held, count = held - int(freed), count - 1
        if held + size > self.most_bytes or count >= MAX_FILES:
            raise NoRoomError(
                f"the symbol table is full: {count} files, {held >> 20} of"
                f" {self.most_bytes >> 20} MiB; remove some (`kscope symbols list`), or raise"
                " symbols: {max_bytes: ...} in kernelscope.yaml"
            )

    async def _delete(self, session: Session, number: int) -> None:
        files, pages = self.schema.dictionaries.symbols, self.schema.dictionaries.symbol_page
        await session.execute(sa.delete(pages).where(pages.c.file == number))
        await session.execute(sa.delete(files).where(files.c.id == number))

    async def _note_change(self, session: Session) -> None:
        await write_meta(session, self.schema, _STATE, str(time.time_ns()))


async def state_of(fetch: Fetch, schema: Schema) -> str:
    """Return a text that is another after each change of the table; empty if it was never used."""
    meta = schema.dictionaries.meta
    rows = await fetch(sa.select(meta.c.value).where(meta.c.name == _STATE))
    return str(rows[0][0]) if rows else ""


def _file(row: Sequence[Any]) -> SymbolFile:
    build, file, fetched, functions, size, added = row
    return SymbolFile(str(build), str(file), bool(fetched), int(functions), int(size), int(added))
