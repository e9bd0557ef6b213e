"""The data of a catalog on several shards: the rows of a host are on one of them.

Each shard is a store of the rows, texts and sums of its hosts, with a separate writer and
background work. The questions go to tables over all of them.
"""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce

from kscope.config import ClickHouse
from kscope.declare.model import Catalog
from kscope.generate.tables import Schema, schema
from kscope.store.backends.clickhouse import ClickHouseBackend
from kscope.store.backends.clickhouse_cluster import ClusterBackend, Shard
from kscope.store.backends.errors import StoreAway, StoreBusy, StoreError
from kscope.store.every_shard import check_all_answer, one_by_one
from kscope.store.over_shards import make_tables_over_shards
from kscope.store.reader import DEADLINE
from kscope.store.schema.interning import text_hash
from kscope.store.schema.migrate import Migration
from kscope.store.store import Store
from kscope.store.write.batch import Batch, Stored
from kscope.store.write.cardinality import NewTextLimits
from kscope.store.write.group_commit import Counters

log = logging.getLogger(__name__)


@dataclass(eq=False)
class _Part:
    """One shard's store, and whether it has the present catalog."""

    shard: Shard
    store: Store
    is_ready: bool = False
    # Whether all its servers have the tables over all shards, as any of them may be asked.
    is_whole: bool = False


class ShardedWriter:
    """The writers of all shards as one; see GroupWriter."""

    def __init__(self, parts: list[_Part], limits: NewTextLimits) -> None:
        self._parts = parts
        self.limits = limits

    @property
    def counters(self) -> Counters:
        """Return the sums of all shards."""
        each = (part.store.writer.counters for part in self._parts)
        return reduce(Counters.plus, each, Counters())

    @property
    def waiting_rows(self) -> int:
        return sum(part.store.writer.waiting_rows for part in self._parts)

    @property
    def waiting_limit(self) -> int:
        return sum(part.store.writer.waiting_limit for part in self._parts)

    @property
    def oldest_seconds(self) -> float:
        return max(part.store.writer.oldest_seconds for part in self._parts)

    async def write(self, batch: Batch) -> Stored:
        part = self._parts[shard_of(batch.host, len(self._parts))]
        text = f"{part.shard.name} does not answer"
        if not part.is_ready:
            raise StoreAway(text, public=text)
        try:
            return await part.store.writer.write(batch)
        except StoreAway as error:
            raise StoreAway(f"{part.shard.name}: {error}", public=text) from error


class ShardedStore(Store):
    """A store of several shards."""

    def __init__(
        self,
        settings: ClickHouse,
        shards: list[Shard],
        catalog: Catalog,
        deadline: float = DEADLINE,
        limits: NewTextLimits | None = None,
    ) -> None:
        limits = limits or NewTextLimits()
        self._over_all = ClusterBackend(settings, shards)
        super().__init__(self._over_all, catalog, deadline, limits)
        self._settings = settings
        self._parts = [
            _Part(
                each,
                Store(
                    ClickHouseBackend(each.servers[0], each.servers[1:]), catalog, deadline, limits
                ),
            )
            for each in shards
        ]
        self.writer = ShardedWriter(self._parts, limits)

    @property
    def parts(self) -> Mapping[str, Store]:
        return {part.shard.name: part.store for part in self._parts}

    async def check_whole(self) -> None:
        self._over_all.leaves_out = False
        await check_all_answer(self.parts)

    async def connect(self) -> None:
        await self.backend.open()
        for part in self._parts:
            part.store.group.start()

    async def close(self) -> None:
        await asyncio.gather(*(part.store.close() for part in self._parts))
        await self.backend.close()

    async def ping(self) -> None:
        """Raise StoreError unless some shard responds."""
        outcomes = await asyncio.gather(
            *(part.store.ping() for part in self._parts), return_exceptions=True
        )
        faults = [each for each in outcomes if isinstance(each, BaseException)]
        if len(faults) == len(outcomes):
            raise faults[0]

    async def adopt(self, catalog: Catalog) -> None:
        """Migrate every shard that answers; the others follow once they do."""
        wanted = schema(catalog)
        outcomes = await asyncio.gather(
            *(self._bring_up(part, wanted) for part in self._parts), return_exceptions=True
        )
        for outcome in outcomes:
            if isinstance(outcome, BaseException) and not isinstance(
                outcome, StoreAway | StoreBusy
            ):
                raise outcome
        if not any(part.is_ready for part in self._parts):
            raise next(each for each in outcomes if isinstance(each, BaseException))
        self.schema = wanted

    async def catch_up(self) -> None:
        """Migrate shards that were away and answer now."""
        for part in self._parts:
            try:
                if not part.is_ready:
                    await self._bring_up(part, self.schema)
                    log.info("%s answers again", part.shard.name)
                elif not part.is_whole:
                    part.is_whole = await _complete(part.shard, self.schema)
            except StoreError as error:
                log.debug("%s: %s", part.shard.name, error)

    async def remembered(self) -> Catalog:
        error: StoreError | None = None
        for part in self._parts:
            try:
                return await part.store.remembered()
            except StoreAway as away:
                error = away
        assert error is not None
        raise error

    async def migrate_parts(
        self, catalog: Catalog, *, dry_run: bool = False, discard_sums: bool = False
    ) -> Mapping[str, Migration]:
        """Migrate all shards, or none if one of them refuses: then none is changed yet."""
        await self.check_whole()
        wanted = schema(catalog)
        plans = {
            name: await Store(part.backend, catalog).plan_migration(discard_sums=discard_sums)
            for name, part in self.parts.items()
        }

        async def migrate(name: str, part: Store) -> Migration:
            steps = await Store(part.backend, catalog).migrate(discard_sums=discard_sums)
            assert isinstance(part.backend, ClickHouseBackend)
            await make_tables_over_shards(part.backend, wanted)
            await _complete(shards[name], wanted)
            return steps

        shards = {part.shard.name: part.shard for part in self._parts}
        return plans if dry_run else await one_by_one(self.parts, migrate)

    async def _bring_up(self, part: _Part, wanted: Schema) -> None:
        """Migrate a shard. Until it has answered, rows for it are refused."""
        try:
            await part.store.backend.open()
            await part.store.adopt(wanted.catalog)
            assert isinstance(part.store.backend, ClickHouseBackend)
            await make_tables_over_shards(part.store.backend, wanted)
        except (StoreAway, StoreBusy):
            part.is_ready = False
            raise
        part.is_ready = True
        part.is_whole = await _complete(part.shard, wanted)


async def _complete(shard: Shard, wanted: Schema) -> bool:
    """Make the tables over all shards on the other servers of a shard; return whether all did."""
    is_whole = True
    for settings in shard.servers[1:]:
        backend = ClickHouseBackend(settings)
        try:
            await make_tables_over_shards(backend, wanted)
        except StoreError as error:
            # It is away, or has not heard of all tables yet.
            log.debug("%s: %s", shard.name, error)
            is_whole = False
        finally:
            await backend.close()
    return is_whole


def shard_of(host: str, shards: int) -> int:
    """Return the place of a host's shard, as the tables over the shards find it."""
    return (text_hash(host) & (2**64 - 1)) % shards
