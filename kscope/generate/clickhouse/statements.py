"""The statements that create and change tables on ClickHouse, for one server or for a cluster.

On a cluster each shard has the tables of one server, replicated. Tables over all shards have the
same names in a second database: the questions go there.
"""

from collections.abc import Iterator, Sequence

import sqlalchemy as sa

from kscope.declare.types.base import Storage
from kscope.generate.clickhouse.dialect import ClickHouseDDL
from kscope.generate.clickhouse.layout import Use, layout_of, storage_of
from kscope.generate.clickhouse.tables import (
    LEASE,
    VERSION,
    Engine,
    column_type,
    columns,
    engine,
    kept,
    literal,
    seq,
    settings,
)

# Leases are only of interest for minutes.
_LEASE_DAYS = 1
# The constraint of a table that takes no rows while it changes.
CHANGING = "kscope_changing"
_BEFORE_ALL_TIME = -(2**63) + 1
# The database of the tables over all shards: this behind the name of the other one.
OVER_ALL = "_all"


def creation(table: sa.Table, dialect: ClickHouseDDL) -> str:
    """Return the statement that creates a table, if it is missing."""
    name = str(table.name)
    return _creation(table, _head(name, dialect), name, dialect)


def copy_creation(table: sa.Table, name: str, token: str, dialect: ClickHouseDDL) -> str:
    """Return the statement that creates a table like another one, on one shard.

    The token is in its path in the Keeper, which it keeps when it takes the other one's name.
    """
    head = _head(name, ClickHouseDDL())
    return _creation(table, head, f"{table.name}-{token}", dialect)


def _creation(table: sa.Table, head: str, path: str, dialect: ClickHouseDDL) -> str:
    lines = ",\n\t".join(each.text for each in columns(table, dialect))
    if layout_of(table).use in (Use.ROWS, Use.SUMS):
        lines += (
            f",\n\tINDEX kscope_by_time time TYPE minmax GRANULARITY 1{_indexes(table, dialect)}"
        )
    comment = literal(str(table.comment), dialect)
    return f"{head}\n\t{lines}\n){_engine(table, path, dialect)}\nCOMMENT {comment}"


def lease_creation(dialect: ClickHouseDDL) -> str:
    """Return the statement of the leases: of several equal tokens the first INSERT counts."""
    found = Engine("MergeTree", "(work, slot)", keeps=True)
    body = (
        "work String,\n\tslot Int64 COMMENT 'its end, us since 1970, UTC',\n\tturn Int32,\n\t"
        "holder String,\n\treleased UInt8"
    )
    ttl = f"\nTTL toDateTime(intDiv(slot, 1000000)) + INTERVAL {_LEASE_DAYS} DAY"
    rest = settings(found, replicated=bool(dialect.cluster))
    engine_text = _engine_text(LEASE, found, dialect)
    return f"{_head(LEASE, dialect)}\n\t{body}\n){engine_text}{ttl}{rest}"


def over_shards(table: sa.Table, database: str, dialect: ClickHouseDDL, on: str = "") -> str:
    """Return the statement of the table over all shards; a host's rows are on one shard.

    `on` is the clause of the servers that run it, without it the one that is asked.
    """
    quote = dialect.identifier_preparer.quote
    name, use = str(table.name), layout_of(table).use
    sharding = ", toUInt64(hostname)" if use in (Use.ROWS, Use.SUMS) else ""
    here = renamed_over_shards(table)
    of = ", ".join(literal(text, dialect) for text in (dialect.cluster, database, name))
    return (
        f"CREATE TABLE IF NOT EXISTS {quote(database + OVER_ALL)}.{quote(here)}{on}"
        f" AS {quote(database)}.{quote(name)}\nENGINE = Distributed({of}{sharding})"
    )


def renamed_over_shards(table: sa.Table) -> str:
    """Return the name of the table over all shards; a view has the name of some."""
    named = layout_of(table).use is Use.PROGRESS or table.name == "kscope_meta"
    return f"{table.name}_of_shards" if named else str(table.name)


def over_shards_views(
    meta: sa.Table, progress: sa.Table, database: str, dialect: ClickHouseDDL, on: str = ""
) -> Iterator[str]:
    """Yield the statements of what all shards have in common: notes, and the least progress."""
    quote = dialect.identifier_preparer.quote
    own, everywhere = quote(database), quote(database + OVER_ALL)
    notes, levels = renamed_over_shards(meta), renamed_over_shards(progress)
    here = f"{progress.name}_here"
    of_shard = f"{literal(dialect.cluster, dialect)}, {literal(database, dialect)}, '{here}'"
    yield (
        f"CREATE OR REPLACE VIEW {own}.{here}{on} AS SELECT p.category AS category,"  # noqa: S608
        " p.bucket AS bucket, max(p.closed) AS closed, max(p.removed) AS removed"
        f" FROM {own}.{progress.name} AS p GROUP BY p.category, p.bucket"
    )
    yield (
        f"CREATE TABLE IF NOT EXISTS {everywhere}.{levels}{on} AS {own}.{here}"
        f"\nENGINE = Distributed({of_shard})"
    )
    yield (
        f"CREATE OR REPLACE VIEW {everywhere}.{progress.name}{on}"  # noqa: S608
        " AS SELECT s.category AS category,"
        " s.bucket AS bucket, min(s.closed) AS closed, max(s.removed) AS removed"
        f" FROM {everywhere}.{levels} AS s GROUP BY s.category, s.bucket"
    )
    yield (
        f"CREATE OR REPLACE VIEW {everywhere}.{meta.name}{on} AS SELECT n.name AS name,"  # noqa: S608
        f" argMax(n.value, n.{VERSION}) AS value FROM {everywhere}.{notes} AS n GROUP BY n.name"
    )


def additions(
    table: sa.Table, column: sa.Column[object], default: str, dialect: ClickHouseDDL
) -> Iterator[str]:
    """Yield the statements that add a column; rows that exist have its default, as text of SQL."""
    quote = dialect.identifier_preparer.quote
    kind = f"{quote(column.name)} {column_type(column, dialect)}"
    value = (
        "" if column.nullable or storage_of(column) is Storage.HISTOGRAM else f" DEFAULT {default}"
    )
    after = quote(_before(table, column))
    change = f"ADD COLUMN IF NOT EXISTS {kind}{value} {kept(column)} AFTER {after}"
    yield f"ALTER TABLE {quote(str(table.name))}{on_cluster(dialect)} {change}"


def renumbering(table: sa.Table, dialect: ClickHouseDDL) -> str:
    """Return the statement that lets `seq` hash the columns that the table has now."""
    name = dialect.identifier_preparer.quote(str(table.name))
    alter = f"ALTER TABLE {name}{on_cluster(dialect)}"
    return f"{alter} MODIFY COLUMN seq Int64 ALIAS {seq(table, dialect)}"


def refusing(name: str, dialect: ClickHouseDDL) -> str:
    """Return the statement that lets a table take no rows while it changes."""
    check = f"ADD CONSTRAINT IF NOT EXISTS {CHANGING} CHECK time < {_BEFORE_ALL_TIME}"
    return f"ALTER TABLE {dialect.identifier_preparer.quote(name)} {check}"


def accepting(name: str, dialect: ClickHouseDDL) -> str:
    """Return the statement that lets it take rows again."""
    quoted = dialect.identifier_preparer.quote(name)
    return f"ALTER TABLE {quoted} DROP CONSTRAINT IF EXISTS {CHANGING}"


def index_addition(index: sa.Index, dialect: ClickHouseDDL) -> Iterator[str]:
    """Yield the statements that add an index; rows that exist are in it from then on."""
    quote = dialect.identifier_preparer.quote
    assert index.table is not None
    alter = f"ALTER TABLE {quote(str(index.table.name))}"
    for text in _index(index, dialect):
        yield f"{alter} ADD INDEX IF NOT EXISTS {text}"
        yield f"{alter} MATERIALIZE INDEX {quote(str(index.name))}"


def index_removal(index: str, table: str, dialect: ClickHouseDDL) -> str:
    quote = dialect.identifier_preparer.quote
    return f"ALTER TABLE {quote(table)} DROP INDEX IF EXISTS {quote(index)}"


def removal(name: str, dialect: ClickHouseDDL) -> str:
    """Return the statement that drops a table; each server of a shard drops its own.

    On a cluster it waits until the Keeper has forgotten the table: a new one takes its path.
    """
    sync = " SYNC" if dialect.cluster else ""
    return f"DROP TABLE IF EXISTS {dialect.identifier_preparer.quote(name)}{sync}"


def _before(table: sa.Table, column: sa.Column[object]) -> str:
    """Return the column before a new one, so that old tables and new ones read alike."""
    names = [each.name for each in table.columns if each.name != "seq"]
    return names[names.index(column.name) - 1]


def _head(name: str, dialect: ClickHouseDDL) -> str:
    quoted = dialect.identifier_preparer.quote(name)
    return f"CREATE TABLE IF NOT EXISTS {quoted}{on_cluster(dialect)} ("


def on_cluster(dialect: ClickHouseDDL) -> str:
    """Return the clause that runs a statement on all servers of the cluster, if there is one.

    No statement that removes rows has it: each shard decides for its own.
    """
    return f" ON CLUSTER {literal(dialect.cluster, dialect)}" if dialect.cluster else ""


def _engine(table: sa.Table, path: str, dialect: ClickHouseDDL) -> str:
    found = engine(table, dialect)
    text = _engine_text(path, found, dialect)
    return text + settings(found, replicated=bool(dialect.cluster))


def _engine_text(path: str, found: Engine, dialect: ClickHouseDDL) -> str:
    arguments: Sequence[str] = found.arguments
    kind = found.name
    if dialect.cluster:
        whole = f"/clickhouse/tables/{{shard}}/{{database}}/{path}"
        arguments = (literal(whole, dialect), "'{replica}'", *arguments)
        kind = f"Replicated{kind}"
    text = f"\nENGINE = {kind}({', '.join(arguments)})" if arguments else f"\nENGINE = {kind}"
    if found.partition:
        text += f"\nPARTITION BY {found.partition}"
    return f"{text}\nORDER BY {found.order}"


def _indexes(table: sa.Table, dialect: ClickHouseDDL) -> str:
    if layout_of(table).use is not Use.ROWS:
        return ""
    ordered = sorted(table.indexes, key=lambda each: str(each.name))
    return "".join(f",\n\tINDEX {text}" for index in ordered for text in _index(index, dialect))


def _index(index: sa.Index, dialect: ClickHouseDDL) -> Iterator[str]:
    """Yield a declared index: of each block a filter of the values that are in it."""
    quote = dialect.identifier_preparer.quote
    for column in index.columns:
        yield f"{quote(str(index.name))} {quote(column.name)} TYPE bloom_filter GRANULARITY 4"
