"""The catalog while the server runs: a file that is dropped in is declared, and its table made."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from kscope.declare.catalog import BUILTIN, builtin_folder, read_catalog
from kscope.errors import DeclarationError, KscopeError, Problem
from kscope.server.decode import Decoder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kscope.declare.model import Catalog
    from kscope.store.store import Store

POLL_SECONDS = 1.0

Signature = tuple[tuple[str, int, int], ...]

log = logging.getLogger(__name__)


class LiveCatalog:
    """Looks at the folders' files; the last good catalog stays where one has become bad."""

    def __init__(self, folders: Sequence[str | Path], store: Store) -> None:
        self._folders = folders
        self._store = store
        self._seen = signature(folders)
        self._refreshing = asyncio.Lock()
        self._changed = asyncio.Event()
        self.problems: tuple[Problem, ...] = ()
        self.decoder = Decoder.of(store.catalog)

    @property
    def catalog(self) -> Catalog:
        return self._store.catalog

    async def watch(self) -> None:
        while True:
            await asyncio.sleep(POLL_SECONDS)
            try:
                await self.refresh()
            except Exception:
                log.exception("the categories could not be looked at")

    async def refresh(self) -> bool:
        """Look once; tells whether the catalog is another one than before."""
        async with self._refreshing:
            now = await asyncio.to_thread(signature, self._folders)
            if now == self._seen:
                return False
            before = self.catalog
            reading = await asyncio.to_thread(read_catalog, self._folders, before)
            problems = reading.problems
            if reading.catalog != before:
                problems += await self._adopt(reading.catalog)
            # Only now: what failed because the database was busy is tried again.
            self._seen = now
            self._tell(problems)
            return self.catalog != before

    async def _adopt(self, catalog: Catalog) -> tuple[Problem, ...]:
        try:
            await self._store.adopt(catalog)
        except DeclarationError as error:
            return error.problems
        except KscopeError as error:
            log.warning("the changed categories could not be taken up yet: %s", error)
            raise
        self.decoder = Decoder.of(catalog)
        log.info("categories: %s", ", ".join(category.table for category in catalog))
        return ()

    def _tell(self, problems: tuple[Problem, ...]) -> None:
        for problem in problems:
            if problem not in self.problems:
                log.error("%s", problem)
        if self.problems and not problems:
            log.info("the categories have no problems any more")
        self.problems = problems


def signature(folders: Sequence[str | Path]) -> Signature:
    """Name, size and time of every category file: another one tells of a change."""
    found = []
    for folder in folders:
        path = builtin_folder() if folder == BUILTIN else Path(folder)
        try:
            files = sorted(path.iterdir())
        except OSError:
            continue
        for file in files:
            if file.suffix in {".yaml", ".yml"}:
                try:
                    state = file.stat()
                except OSError:
                    continue
                found.append((str(file), state.st_size, state.st_mtime_ns))
    return tuple(found)
