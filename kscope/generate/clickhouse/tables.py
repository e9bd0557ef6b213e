"""A declared table -> its columns and engine on ClickHouse.

The order of rows decides their size and what a question reads: hours, and in each of them like
rows together. `kscope_*` columns are for the store alone. A histogram is a map of slots to events.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import sqlalchemy as sa

from kscope.declare.types.base import Storage
from kscope.generate.clickhouse.layout import Use, layout_of, storage_of

_HOUR, _DAY = 3600 * 1_000_000, 86400 * 1_000_000
# A rollup of longer buckets has fewer rows: so many days share a partition.
_DAYS_OF_LONG_BUCKETS = 28
# A group's sums of so many buckets lie together.
_BUCKETS_TOGETHER = 48
# Bytes that are compressed together, of columns that repeat: sixteen times as many as of others,
# which are read faster in blocks that a processor's cache holds.
_LARGE_BLOCK = 1 << 20
# Blocks whose tokens the engine remembers: a statement that is sent again is found among them.
_DURABLE = "fsync_after_insert = 1, fsync_part_directory = 1"
_WINDOW = "non_replicated_deduplication_window = 10000"
_REPLICATED_WINDOW = (
    "replicated_deduplication_window = 10000, replicated_deduplication_window_seconds = 604800"
)

# The marks of the levels that a late row or sum was added to apart from the others.
LATE = "kscope_late"
# Numbers rows that are alike in time and in every column that `seq` hashes.
TWIN = "kscope_twin"
# The column whose default refuses rows.
CHECKED = "kscope_checked"
# Until when, in us, the engine takes the rows of an INSERT; 0 is always.
UNTIL = "kscope_until"
# The commit that added late sums, or stored a batch.
COMMIT = "kscope_commit"
# Of two notes with one key the larger one counts.
VERSION = "kscope_version"
# Of an attempt to store a batch: begun, done, or left to another one before it stored any row.
STATE = "kscope_state"
BEGUN, DONE, LEFT = 1, 2, 3

# The leases of work that one server does at a time: who has it in which slot of time.
LEASE = "kscope_lease"


@dataclass(frozen=True, slots=True)
class ColumnText:
    """A column of a statement; `stored` is false if the engine computes it from others."""

    name: str
    text: str
    stored: bool = True


@dataclass(frozen=True, slots=True)
class Engine:
    """`name` is that of the MergeTree, with its arguments; `keeps` ends INSERTs that come twice."""

    name: str
    order: str
    arguments: tuple[str, ...] = ()
    partition: str = ""
    keeps: bool = False


def columns(table: sa.Table, dialect: sa.engine.Dialect) -> list[ColumnText]:
    """Return the columns in their order, those of the store last."""
    declared = [_column(each, dialect) for each in table.columns if each.name != "seq"]
    return [*declared, *_own_columns(table, dialect)]


def engine(table: sa.Table, dialect: sa.engine.Dialect) -> Engine:
    """Return the engine of a table."""
    quote = dialect.identifier_preparer.quote
    layout = layout_of(table)
    keys = [quote(column.name) for column in table.primary_key.columns]
    match layout.use:
        case Use.ROWS:
            order = [f"intDiv(time, {_HOUR})", *map(quote, layout.sorted_by), "time"]
            return Engine("MergeTree", _tuple(order), (), f"intDiv(time, {_DAY})", keeps=True)
        case Use.SUMS:
            days = _DAYS_OF_LONG_BUCKETS if layout.bucket * 1_000_000 >= _DAY else 1
            order = [*map(quote, layout.sorted_by), "time"]
            if (stretch := _BUCKETS_TOGETHER * layout.bucket * 1_000_000) < days * _DAY:
                order = [f"intDiv(time, {stretch})", *order]
            partition = f"intDiv(time, {days * _DAY})"
            return Engine("MergeTree", _tuple(order), (), partition, keeps=True)
        case Use.TEXTS:
            return Engine("ReplacingMergeTree", "id", ("day",))
        case Use.BATCHES:
            partition = f"intDiv(received, {_DAY})"
            # Each attempt has a row: a server must see that another one has begun as well.
            return Engine("ReplacingMergeTree", _tuple([*keys, COMMIT]), (STATE,), partition)
        case Use.PROGRESS:
            return Engine("AggregatingMergeTree", _tuple(keys))
        case Use.NOTES:
            unique = [quote(column.name) for column in table.columns if column.unique]
            return Engine("ReplacingMergeTree", _tuple(unique or keys), (VERSION,))


def seq(table: sa.Table, dialect: sa.engine.Dialect) -> str:
    """Return the expression of `seq`: 62 bits that tell rows of one microsecond apart."""
    parts = [_hashed(table.c[name], dialect) for name in hashed_columns(table)]
    return f"toInt64(bitShiftRight(sipHash64({', '.join([*parts, TWIN])}), 2))"


def hashed_columns(table: sa.Table) -> list[str]:
    """Return the columns that `seq` hashes; rows alike in them have different twin numbers."""
    return [
        column.name
        for column in table.columns
        if column.name not in ("time", "seq") and storage_of(column) is not Storage.HISTOGRAM
    ]


def _tuple(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"({', '.join(parts)})"


def _hashed(column: sa.Column[object], dialect: sa.engine.Dialect) -> str:
    name = dialect.identifier_preparer.quote(column.name)
    if not column.nullable:
        return name
    nothing = "''" if storage_of(column) is Storage.TEXT else "0"
    return f"isNull({name}), ifNull({name}, {nothing})"


def _column(column: sa.Column[object], dialect: sa.engine.Dialect) -> ColumnText:
    name = dialect.identifier_preparer.quote(column.name)
    use = layout_of(column.table).use
    if use is Use.TEXTS and column.name == "hash":
        return ColumnText(column.name, f"{name} Int64 ALIAS id", stored=False)
    kind = column_type(column, dialect)
    if use is Use.PROGRESS and not column.primary_key:
        return ColumnText(column.name, f"{name} SimpleAggregateFunction(max, {kind})")
    if use is Use.NOTES and column.autoincrement is True:
        (unique,) = (each.name for each in column.table.columns if each.unique)
        number = f"toInt64(bitShiftRight(sipHash64({unique}), 1))"
        return ColumnText(column.name, f"{name} {kind} DEFAULT {number}")
    text = f"{name} {kind}{_comment(column.comment, dialect)} {kept(column)}"
    return ColumnText(column.name, text)


def kept(column: sa.Column[object]) -> str:
    """Return the clauses that make the column small and quick to read."""
    layout, storage = layout_of(column.table), storage_of(column)
    if storage is Storage.HISTOGRAM:
        return "CODEC(ZSTD(5))"
    if layout.use not in (Use.ROWS, Use.SUMS):
        return "CODEC(ZSTD(3))" if column.name == "frames" else "CODEC(ZSTD(1))"
    if column.name in ("time", *layout.sorted_by):
        return f"CODEC(ZSTD({_level(column)})) SETTINGS (min_compress_block_size = {_LARGE_BLOCK})"
    # Of sums, the number of rows is a column of the store.
    is_number = storage is Storage.INTEGER or storage is None
    # T64 leaves out the bits that no value has.
    return "CODEC(T64, ZSTD(1))" if is_number and not column.nullable else "CODEC(ZSTD(1))"


def _level(column: sa.Column[object]) -> int:
    """Return how far a column that repeats is searched: names stand in long runs."""
    if column.name == "time":
        return 5
    return 1 if storage_of(column) is Storage.STRING_ID else 3


def column_type(column: sa.Column[object], dialect: sa.engine.Dialect) -> str:
    kind = column.type.compile(dialect=dialect)
    return f"Nullable({kind})" if column.nullable else kind


def _own_columns(table: sa.Table, dialect: sa.engine.Dialect) -> Iterator[ColumnText]:
    match layout_of(table).use:
        case Use.ROWS:
            yield ColumnText(LATE, f"{LATE} UInt64 CODEC(ZSTD(1))")
            yield ColumnText(TWIN, f"{TWIN} UInt16 CODEC(ZSTD(1))")
            yield from _guard()
            yield ColumnText("seq", f"seq Int64 ALIAS {seq(table, dialect)}", stored=False)
        case Use.SUMS:
            yield ColumnText(LATE, f"{LATE} UInt64 CODEC(ZSTD(1))")
            yield ColumnText(COMMIT, f"{COMMIT} Int64 CODEC(ZSTD(1))")
            yield from _guard()
            yield ColumnText("seq", f"seq Int64 ALIAS toInt64({LATE})", stored=False)
        case Use.BATCHES:
            yield ColumnText(
                STATE, f"{STATE} UInt8 DEFAULT {DONE} COMMENT '1 begun, 2 done, 3 left'"
            )
            yield ColumnText(COMMIT, f"{COMMIT} Int64 DEFAULT 0 CODEC(ZSTD(1))")
        case Use.NOTES:
            yield ColumnText(VERSION, f"{VERSION} Int64 DEFAULT toUnixTimestamp64Micro(now64(6))")


def _guard() -> Iterator[ColumnText]:
    """Refuse rows that come after their time: their sender may have stood still."""
    yield ColumnText(UNTIL, f"{UNTIL} Int64 EPHEMERAL 0", stored=False)
    late = f"{UNTIL} != 0 AND {UNTIL} < toUnixTimestamp64Micro(now64(6))"
    checked = f"{CHECKED} UInt8 DEFAULT throwIf({late}, 'kscope: too late') CODEC(ZSTD(1))"
    yield ColumnText(CHECKED, checked)


def _comment(text: str | None, dialect: sa.engine.Dialect) -> str:
    return f" COMMENT {literal(text, dialect)}" if text else ""


def literal(text: str, dialect: sa.engine.Dialect) -> str:
    """Return a text as a statement has it."""
    rendered = sa.literal(text, sa.Text()).compile(
        dialect=dialect, compile_kwargs={"literal_binds": True}
    )
    return str(rendered)


def settings(found: Engine, *, replicated: bool) -> str:
    """Return the settings of a table: what is acknowledged is on the disk; replicas follow."""
    window = _REPLICATED_WINDOW if replicated else _WINDOW
    return f"\nSETTINGS {_DURABLE}{f', {window}' if found.keeps else ''}"
