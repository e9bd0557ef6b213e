"""Names for build ids that readers met, from debuginfod servers: one file at a time."""

import asyncio
import logging
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kscope.config import SymbolSettings
from kscope.errors import KscopeError
from kscope.server.symbols.debuginfod import UnreachableError, download
from kscope.server.symbols.files import NoNamesError, read_symbols
from kscope.store.store import Store
from kscope.store.symbols.table import NoRoomError, SymbolTable

# Between two build ids, and between two questions for the same one.
PAUSE_SECONDS = 1.0
_AGAIN_SECONDS = 86400.0
# So long a server that cannot be reached is left alone.
REST_SECONDS = 600.0
_MOST_WAITING = 1000
_MOST_TRIED = 100_000
# All functions, else those that other files may call.
_KINDS = ("debuginfo", "executable")

log = logging.getLogger(__name__)


@dataclass(eq=False)
class Fetcher:
    """Asks the servers, in their order, for each wanted build id once a day."""

    store: Store
    settings: SymbolSettings
    # Build id -> the file that a frame names, of those without names; and the time of the last try.
    _waiting: dict[str, str] = field(default_factory=dict)
    _tried: dict[str, float] = field(default_factory=dict)
    # Faults that were logged, by server: each is logged once.
    _logged: dict[str, str] = field(default_factory=dict)
    # Servers that could not be reached, and when they are asked again.
    _resting: dict[str, float] = field(default_factory=dict)

    async def run(self) -> None:
        """Run until cancelled; return immediately if no server is configured."""
        while self.settings.debuginfod:
            await asyncio.sleep(PAUSE_SECONDS)
            build = self._next() if self._awake() else ""
            if build:
                try:
                    await self._fetch(build)
                except KscopeError as error:
                    self._log_once("the symbol table", error)
                except Exception:
                    log.exception("fetching names of build id %s failed", build)

    def _awake(self) -> list[str]:
        """Return the servers that can be asked now."""
        now = time.monotonic()
        return [each for each in self.settings.debuginfod if self._resting.get(each, now) <= now]

    def _next(self) -> str:
        """Return a build id to ask for, empty if there is none."""
        for build, file in self.store.reader.names.wanted().items():
            self._waiting.setdefault(build, file)
        _cut(self._waiting, _MOST_WAITING)
        now = time.monotonic()
        for build in self._waiting:
            if build not in self._tried or now - self._tried[build] >= _AGAIN_SECONDS:
                self._tried.pop(build, None)
                self._tried[build] = now
                _cut(self._tried, _MOST_TRIED)
                return build
        return ""

    async def _fetch(self, build: str) -> None:
        schema = self.store.schema
        table = SymbolTable(self.store.home.backend, schema, self.settings.max_bytes)
        if await table.has(build) or await self._found(table, build):
            self._waiting.pop(build, None)

    async def _found(self, table: SymbolTable, build: str) -> bool:
        for server in self._awake():
            try:
                found = await self._ask(table, server.rstrip("/"), build)
            except NoRoomError:
                raise
            except KscopeError as error:
                self._log_once(server, error)
                if isinstance(error, UnreachableError):
                    self._resting[server] = time.monotonic() + REST_SECONDS
                continue
            self._logged.pop(server, None)
            if found:
                return True
        return False

    async def _ask(self, table: SymbolTable, server: str, build: str) -> bool:
        for kind in _KINDS:
            with tempfile.NamedTemporaryFile(prefix="kscope-") as file:
                address = f"{server}/buildid/{build}/{kind}"
                if not await download(address, file.file, self.settings.max_download):
                    continue
                await asyncio.to_thread(file.flush)
                name = self._waiting.get(build, "")
                try:
                    found = await asyncio.to_thread(
                        read_symbols, Path(file.name), name, is_installed=False
                    )
                except NoNamesError:
                    continue
            if found.build != build:
                raise KscopeError(f"sent a file of build id {found.build} for {build}")
            await table.add(found, fetched=True)
            log.info("%s: %d functions of %s from %s", build, found.functions, name, server)
            return True
        return False

    def _log_once(self, place: str, error: KscopeError) -> None:
        if self._logged.get(place) != str(error):
            self._logged[place] = str(error)
            log.warning("%s: %s", place, error)


def _cut(entries: dict[str, Any], most: int) -> None:
    """Forget the oldest entries."""
    while len(entries) > most:
        del entries[next(iter(entries))]
