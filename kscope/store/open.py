"""Open the store that the settings name."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from kscope.config import ClickHouse, MySQL, Settings, SQLite
from kscope.declare.model import Catalog
from kscope.errors import KscopeError
from kscope.store.backends.base import Backend
from kscope.store.backends.errors import StoreError
from kscope.store.backends.sqlite import SQLiteBackend
from kscope.store.backends.sqlite_foreign import check_ours
from kscope.store.store import Store
from kscope.store.write.cardinality import NewTextLimits


def backend_of(settings: Settings, *, alone: bool = False) -> Backend:
    """Return the backend. If `alone`, opening fails while a server has the SQLite file open."""
    match settings.database:
        case MySQL() as chosen:
            return _mysql(chosen)
        case ClickHouse() as chosen:
            return _clickhouse(chosen)
        case SQLite() as chosen:
            return SQLiteBackend(chosen.path, alone=alone)


def _mysql(chosen: MySQL) -> Backend:
    try:
        from kscope.store.backends.mysql import MySQLBackend  # noqa: PLC0415 - an extra that few need
    except ModuleNotFoundError as error:
        raise KscopeError(
            f"MySQL needs the Python package {error.name}: pip install {error.name}"
        ) from None
    return MySQLBackend(chosen)


def _clickhouse(chosen: ClickHouse) -> Backend:
    with _saying_what_to_install():
        from kscope.store.backends.clickhouse import ClickHouseBackend  # noqa: PLC0415 - as above
    return ClickHouseBackend(chosen)


@contextmanager
def _saying_what_to_install() -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError:
        raise KscopeError(
            "ClickHouse needs the Python package clickhouse-connect:"
            " pip install 'kernelscope[clickhouse]'"
        ) from None


async def store_of(
    settings: Settings,
    catalog: Catalog,
    limits: NewTextLimits | None = None,
    *,
    alone: bool = False,
) -> Store:
    """Return the store; of a cluster, one of its shards, which a server of it tells."""
    chosen, deadline = settings.database, settings.query_deadline
    if isinstance(chosen, ClickHouse) and chosen.cluster:
        with _saying_what_to_install():
            from kscope.store.backends.clickhouse_cluster import shards_of  # noqa: PLC0415
            from kscope.store.sharded import ShardedStore  # noqa: PLC0415

        return ShardedStore(chosen, await shards_of(chosen), catalog, deadline, limits)
    return Store(backend_of(settings, alone=alone), catalog, deadline, limits)


def check_there(settings: Settings) -> None:
    """Raise StoreError if opening would create a new SQLite file."""
    if isinstance(settings.database, SQLite) and not settings.database.path.exists():
        raise StoreError(
            f"{settings.database.path}: there is no such database;"
            " `--sqlite PATH` names another one"
        )


@asynccontextmanager
async def open_to_read(settings: Settings, catalog: Catalog) -> AsyncIterator[Store]:
    """Open the store without creating or migrating anything; a server may be using the database."""
    store = await store_of(settings, catalog)
    # SQLite would create the file; its readers open by themselves.
    check_there(settings)
    if isinstance(settings.database, SQLite):
        await asyncio.to_thread(check_ours, settings.database.path)
    else:
        await store.backend.open()
    try:
        yield store
    finally:
        await store.backend.close()
