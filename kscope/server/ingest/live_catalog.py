"""The catalog while the server runs: a new file is read, and its table created."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Sequence
from pathlib import Path

from kscope.declare.files.catalog import folder_of, list_files
from kscope.declare.model import Catalog, Category
from kscope.errors import KscopeError, Problem
from kscope.query.declared_filters import refuse_bad_filters
from kscope.server.ingest.decode import Decoder
from kscope.store.drop import leftover, leftovers
from kscope.store.store import Store
from kscope.store.usable_categories import adopt_folders

POLL_SECONDS = 1.0
# Seconds between two reads of the folders, whatever asks for them.
_PAUSE_SECONDS = 0.1

Signature = tuple[tuple[object, ...], ...]

log = logging.getLogger(__name__)


class LiveCatalog:
    """Watches the folders' files. If a file becomes invalid, its last good category stays."""

    def __init__(self, folders: Sequence[str | Path], store: Store) -> None:
        self._folders = folders
        self._store = store
        self._seen: Signature | None = signature(folders)
        self._looking = asyncio.Lock()
        self._looked = 0.0
        self.leftovers: tuple[str, ...] = ()
        self.problems: tuple[Problem, ...] = ()
        self.decoder = Decoder(store.catalog)

    @property
    def catalog(self) -> Catalog:
        return self._store.catalog

    async def begin(self) -> None:
        """Adopt all valid files. For an invalid one, the database remembers the category.

        Raises StoreError.
        """
        before = await self._store.remembered()
        self._report(await adopt_folders(self._folders, before, self._adopt))

    async def watch(self) -> None:
        while True:
            await asyncio.sleep(POLL_SECONDS)
            with contextlib.suppress(KscopeError):
                async with self._looking:
                    await self._look()
                    if self.leftovers:
                        await self._find_leftovers()

    async def has_newer(self, than: Decoder) -> bool:
        """Read changed files; return whether the catalog is newer than that of `than`.

        One read serves all callers that wait for it, and two reads have a pause between them, so
        that wrong rows do not make the server read files all the time. Raises StoreError.
        """
        asked = time.monotonic()
        async with self._looking:
            if self._looked < asked:
                await asyncio.sleep(max(0.0, self._looked + _PAUSE_SECONDS - asked))
                await self._look()
        return self.decoder is not than

    async def _look(self) -> None:
        """Read changed files, and report their problems.

        Raises StoreError if the database failed: the next call tries again.
        """
        self._looked = time.monotonic()
        try:
            now = await asyncio.to_thread(signature, self._folders)
            if now != self._seen:
                problems = await adopt_folders(self._folders, self.catalog, self._adopt)
                self._seen = now
                self._report(problems)
        except KscopeError as error:
            self._seen = None
            self._report((self._problem(f"cannot be applied yet: {error}"),))
            raise
        except Exception as error:
            self._seen = None
            unexpected = self._problem(f"cannot be applied: {type(error).__name__}: {error}")
            if unexpected not in self.problems:
                log.exception("the categories cannot be applied")
            self._report((unexpected,))

    async def _adopt(self, catalog: Catalog) -> None:
        if catalog.categories and _identity(catalog) == _identity(self.catalog):
            return
        refuse_bad_filters(catalog)
        decoder = Decoder(catalog)
        await self._store.adopt(catalog)
        self.decoder = decoder
        log.info("categories: %s", ", ".join(category.table for category in catalog) or "none")
        await self._find_leftovers()

    async def _find_leftovers(self) -> None:
        """Log each table whose rows no category declares, once."""
        found = await leftovers(self._store)
        for name in found:
            if name not in self.leftovers:
                log.warning("%s", leftover(name))
        self.leftovers = tuple(found)

    def _problem(self, message: str) -> Problem:
        return Problem(", ".join(map(str, self._folders)), 0, "", message)

    def _report(self, problems: tuple[Problem, ...]) -> None:
        for problem in problems:
            if problem not in self.problems:
                log.error("%s", problem)
        if self.problems and not problems:
            log.info("the categories have no problems any more")
        self.problems = problems


def _identity(catalog: Catalog) -> Sequence[tuple[Category, str]]:
    """Return a value that also changes if a category moves to another file."""
    return [(category, category.file) for category in catalog]


def signature(folders: Sequence[str | Path]) -> Signature:
    """Return name, size and times of every category file. If a file changes, so does this.

    No file is opened. The time of the inode's last change also shows a changed mode.
    """
    found: list[tuple[object, ...]] = []
    for path in map(folder_of, folders):
        files, problems = list_files(path)
        found += [(problem.file, problem.message) for problem in problems]
        for file in files:
            try:
                state = file.stat()
            except OSError as error:
                found.append((str(file), error.errno))
                continue
            times = (state.st_mtime_ns, state.st_ctime_ns)
            found.append((str(file), state.st_ino, state.st_size, *times))
    return tuple(found)
