"""The data of a catalog in one database."""

from collections.abc import Mapping
from typing import Protocol

from kscope.declare.model import Catalog
from kscope.generate.dialects import DIALECTS
from kscope.generate.tables import Schema
from kscope.generate.tables import schema as schema_of
from kscope.store.backends.base import Backend
from kscope.store.backends.errors import StoreDamaged
from kscope.store.backends.last_fault import LastFault
from kscope.store.reader import DEADLINE, Reader
from kscope.store.schema.kept_categories import stored_catalog
from kscope.store.schema.migrate import Held, Migration, apply, held, plan, planned
from kscope.store.write.batch import Batch, Stored
from kscope.store.write.cardinality import NewTextLimits
from kscope.store.write.group_commit import Counters, GroupWriter


class Writer(Protocol):
    """Takes batches, and answers once they are stored."""

    @property
    def counters(self) -> Counters:
        """Return what was done since the start."""

    @property
    def waiting_rows(self) -> int:
        """Return the number of rows that wait for a commit."""

    @property
    def waiting_limit(self) -> int:
        """Return the most rows that may wait."""

    @property
    def oldest_seconds(self) -> float:
        """Return for how long the oldest batch waits; 0 if none waits."""

    async def write(self, batch: Batch) -> Stored:
        """Store a batch. Raises StoreError."""


class Store:
    def __init__(
        self,
        backend: Backend,
        catalog: Catalog,
        deadline: float = DEADLINE,
        limits: NewTextLimits | None = None,
    ) -> None:
        self.backend = backend
        self.schema = schema_of(catalog)
        self.last_fault = LastFault()
        current = lambda: self.schema  # noqa: E731
        self.reader = Reader(backend, current, self.last_fault, deadline)
        self.group = GroupWriter(backend, current, self.last_fault, limits or NewTextLimits())
        self.writer: Writer = self.group

    @property
    def parts(self) -> "Mapping[str, Store]":
        """Return the stores that rows are in: this one, or one for each shard by its name."""
        return {"": self}

    @property
    def home(self) -> "Store":
        """Return the store of what belongs to no host: this one, or the first shard."""
        return next(iter(self.parts.values()))

    async def check_whole(self) -> None:
        """Raise StoreError if a shard does not answer, now or later: questions of a server are
        answered without it, and a command must not take the others for all.
        """
        return

    async def catch_up(self) -> None:
        """Bring shards up to date that were away."""
        return

    @property
    def catalog(self) -> Catalog:
        return self.schema.catalog

    async def connect(self) -> None:
        """Connect only: the caller adopts a catalog before rows arrive."""
        await self.backend.open()
        self.group.start()

    async def close(self) -> None:
        await self.group.stop()
        await self.backend.close()

    async def ping(self) -> None:
        """Raise StoreError unless the database responds and the last write succeeded."""
        try:
            await self.backend.ping()
        except StoreDamaged as error:
            self.last_fault.note(error)
            raise
        self.last_fault.check()

    async def adopt(self, catalog: Catalog) -> None:
        """Migrate to the catalog, then use it; on an error the previous one stays."""
        schema = schema_of(catalog)
        await self._migrate_to(schema)
        self.schema = schema

    async def remembered(self) -> Catalog:
        """Return the categories that this database was last used with."""
        async with self.backend.snapshot(DEADLINE) as session:
            found = await held(session, self.schema)
        return stored_catalog(found.notes, found.relations)

    async def migrate(self, *, discard_sums: bool = False) -> Migration:
        """Migrate the database to the catalog; return the steps. See migrate.plan."""
        return await self._migrate_to(self.schema, discard_sums=discard_sums)

    async def migrate_parts(
        self, catalog: Catalog, *, dry_run: bool = False, discard_sums: bool = False
    ) -> Mapping[str, Migration]:
        """Migrate each part to a catalog, or plan to; return the steps by the part's name."""
        own = Store(self.backend, catalog)
        work = own.plan_migration if dry_run else own.migrate
        return {"": await work(discard_sums=discard_sums)}

    async def plan_migration(self, *, discard_sums: bool = False) -> Migration:
        async with self.backend.snapshot(DEADLINE) as session:
            return await planned(session, self.schema, discard_sums=discard_sums)

    def plan_from_nothing(self) -> Migration:
        return plan(self.schema, Held(DIALECTS[self.backend.dialect.name].sqlalchemy()))

    async def _migrate_to(self, schema: Schema, *, discard_sums: bool = False) -> Migration:
        async with self.backend.migration() as session:
            migration = await planned(session, schema, discard_sums=discard_sums)
            await apply(session, schema, migration)
        return migration
