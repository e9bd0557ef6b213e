"""The statements of a cluster: replicated tables on each shard, and tables over all shards."""

from collections.abc import Iterable, Iterator

import sqlalchemy as sa

from kscope.generate.clickhouse.dialect import ClickHouseDDL
from kscope.generate.clickhouse.layout import Use, layout_of
from kscope.generate.clickhouse.statements import (
    OVER_ALL,
    creation,
    lease_creation,
    on_cluster,
    over_shards,
    over_shards_views,
)


def cluster_statements(
    tables: Iterable[sa.Table], meta: sa.Table, progress: sa.Table, database: str, cluster: str
) -> Iterator[str]:
    """Yield the statements up to the tables over all shards; each is safe to run repeatedly."""
    dialect = ClickHouseDDL(cluster)
    quote, on = dialect.identifier_preparer.quote, on_cluster(dialect)
    for name in (database, f"{database}{OVER_ALL}"):
        yield f"CREATE DATABASE IF NOT EXISTS {quote(name)}{on}"
    yield f"USE {quote(database)}"
    yield lease_creation(dialect)
    ordered = list(tables)
    for table in ordered:
        yield creation(table, dialect)
    for table in ordered:
        if layout_of(table).use is not Use.PROGRESS:
            yield over_shards(table, database, dialect, on)
    yield from over_shards_views(meta, progress, database, dialect, on)
