"""The tables over all shards of a ClickHouse cluster: questions go to a server that answers.

If a shard does not answer, the others do, and the answer names the missing one. The engine leaves
out such a shard without a word; so each time the shards are asked before and after.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import sqlalchemy as sa

from kscope.config import ClickHouse
from kscope.generate.clickhouse.statements import OVER_ALL
from kscope.store.backends.clickhouse import (
    READERS,
    ClickHouseBackend,
    ClickHouseReader,
    ClickHouseSession,
)
from kscope.store.backends.clickhouse_client import Clients
from kscope.store.backends.errors import StoreAway, StoreError

_LOOK_SECONDS = 2
# A shard that is away is looked for again at most so often.
_AGAIN_SECONDS = 1.0
# A subquery of a question is about the texts of the shard that answers it.
_OVER_SHARDS = {"distributed_product_mode": "local"}
_WITHOUT_SOME = {**_OVER_SHARDS, "skip_unavailable_shards": 1}


@dataclass(frozen=True)
class Shard:
    """A shard: its number, from 1 on, and its servers, each with the same rows."""

    number: int
    servers: tuple[ClickHouse, ...]

    @property
    def name(self) -> str:
        return f"shard {self.number}"


@dataclass(eq=False)
class _Server:
    shard: Shard
    settings: ClickHouse
    clients: Clients = field(init=False)
    is_up: bool = True

    def __post_init__(self) -> None:
        everywhere = f"{self.settings.database}{OVER_ALL}"
        self.clients = Clients(replace(self.settings, database=everywhere), READERS + 8)


class ClusterBackend(ClickHouseBackend):
    """Reads over all shards; each shard has a backend of the rows on it, see store/sharded.py."""

    def __init__(self, settings: ClickHouse, shards: Sequence[Shard]) -> None:
        super().__init__(replace(settings, database=f"{settings.database}{OVER_ALL}"))
        self.shards = shards
        self._servers = [_Server(shard, each) for shard in shards for each in shard.servers]
        # Whether questions are answered without shards that do not answer.
        self.leaves_out = True
        self._last_away: dict[str, float] = {}
        self._looked = 0.0
        self._looking = asyncio.Lock()

    async def open(self) -> None:
        await self._look()

    async def close(self) -> None:
        await super().close()
        for server in self._servers:
            await server.clients.close()

    def gauges(self) -> Mapping[str, int]:
        return {**super().gauges(), "kscope_shards_missing": len(self._away)}

    def missing(self, since: float) -> list[str]:
        return [name for name, when in sorted(self._last_away.items()) if when >= since]

    @asynccontextmanager
    async def migration(self) -> AsyncIterator[ClickHouseSession]:
        """Refuse: the tables over the shards follow those of each shard, see over_shards.py."""
        raise StoreError("a cluster is migrated by its shards")
        yield

    async def fetch(self, statement: sa.Select[Any], until: float) -> Sequence[Sequence[Any]]:
        for attempt in range(len(self._servers) + 1):
            if self._away and time.monotonic() - self._looked > _AGAIN_SECONDS:
                await self._look()
            try:
                rows = await super().fetch(statement, until)
            except StoreAway:
                # The server that was asked, or a shard that it asked.
                await self._look()
                if attempt == len(self._servers) or not any(each.is_up for each in self._servers):
                    raise
            else:
                if self._away:
                    await self._look()
                return rows
        raise AssertionError

    async def stream(
        self, statement: sa.Select[Any], until: float
    ) -> AsyncGenerator[Sequence[Sequence[Any]], None]:
        yield await self.fetch(statement, until)

    @property
    def _away(self) -> list[Shard]:
        """Return the shards none of whose servers answered when they were last looked for."""
        up = {server.shard.number for server in self._servers if server.is_up}
        return [shard for shard in self.shards if shard.number not in up]

    async def _look(self) -> None:
        """Ask every server whether it is there, and note the shards that are not."""
        async with self._looking:
            answers = await asyncio.gather(*map(self._is_there, self._servers))
            for server, is_up in zip(self._servers, answers, strict=True):
                server.is_up = is_up
            self._looked = time.monotonic()
            for shard in self._away:
                self._last_away[shard.name] = self._looked

    async def _is_there(self, server: _Server) -> bool:
        try:
            async with asyncio.timeout(_LOOK_SECONDS):
                await ClickHouseSession(server.clients, self.dialect).rows("SELECT 1")
        except (*self.faults, TimeoutError) as error:
            # A server that refuses the user or has no such database is there.
            return not isinstance(error, TimeoutError) and not isinstance(
                self.translated(error), StoreAway
            )
        return True

    async def _connect_reader(self, until: float) -> ClickHouseReader:
        server = next((each for each in self._servers if each.is_up), self._servers[0])
        away = self._away
        for shard in away:
            # They may be back before the answer, which is without them all the same.
            self._last_away[shard.name] = time.monotonic()
        further = _WITHOUT_SOME if away and self.leaves_out else _OVER_SHARDS
        return ClickHouseReader(server.clients, self.dialect, until, further)


async def shards_of(settings: ClickHouse) -> list[Shard]:
    """Ask a server of the cluster which shards there are. Raises StoreError."""
    error: StoreError | None = None
    for host in (settings.host, *settings.nodes):
        backend = ClickHouseBackend(replace(settings, host=host))
        try:
            rows = await _asked(backend)
        except StoreAway as away:
            error = away
            continue
        finally:
            await backend.clients.close()
        if not rows:
            raise StoreError(
                f"{backend.where}: there is no cluster '{settings.cluster}': see system.clusters"
            )
        hosts: dict[int, list[ClickHouse]] = {}
        for number, name in rows:
            hosts.setdefault(int(number), []).append(replace(settings, host=str(name)))
        return [Shard(number, tuple(servers)) for number, servers in sorted(hosts.items())]
    assert error is not None
    raise error


async def _asked(backend: ClickHouseBackend) -> Sequence[Sequence[Any]]:
    with backend.translating():
        return await ClickHouseSession(backend.clients, backend.dialect).rows(
            "SELECT shard_num, host_name FROM system.clusters WHERE cluster = {name:String}"
            " ORDER BY shard_num, replica_num",
            {"name": backend.settings.cluster},
        )
