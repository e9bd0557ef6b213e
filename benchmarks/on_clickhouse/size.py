"""Bytes on disk of everything that the store has, by table."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from benchmarks.on_clickhouse.engine import Engine

GOAL = 8
VERDICTS = {True: "ok", False: "MISSED"}
_PARTS = (
    "SELECT table, sum(rows), sum(bytes_on_disk) FROM system.parts"
    " WHERE database = currentDatabase() AND active AND startsWith(table, 'kscope_')"
    " GROUP BY table ORDER BY 3 DESC"
)


def merge(engine: Engine) -> None:
    """Merge the parts of every table, as the engine does in time."""
    tables = "SELECT name FROM system.tables WHERE database = currentDatabase()"
    for (name,) in engine.rows(f"{tables} AND engine LIKE '%MergeTree'"):
        engine.run(f"OPTIMIZE TABLE `{name}` FINAL")


def by_table(engine: Engine) -> dict[str, int]:
    return {table: size for table, _, size in engine.rows(_PARTS)}


def show(engine: Engine, rows: int, before: Mapping[str, int]) -> bool:
    """Print the bytes of a row, and return whether the goal is reached."""
    found = engine.rows(_PARTS)
    each = sum(size for _, _, size in found) / rows
    print(f"bytes a row, everything, merged: {each:.2f}, goal {GOAL}  {VERDICTS[each <= GOAL]}")
    print(f"  before OPTIMIZE FINAL: {sum(before.values()) / rows:.2f}")
    sums = sum(size for table, _, size in found if table.startswith("kscope_rollup_"))
    print(f"  without the sums of hours, days and minutes: {each - sums / rows:.2f}")
    for table, count, size in found:
        if size / rows >= 0.005:
            print(f"  {table:28} {count:>10,} rows {size / rows:6.2f} bytes")
    columns = (
        "SELECT name, sum(data_compressed_bytes) FROM system.columns"
        " WHERE database = currentDatabase() AND table = 'kscope_rows_offcputime'"
        " GROUP BY name ORDER BY 2 DESC"
    )
    listed = ", ".join(f"{name} {size / rows:.2f}" for name, size in engine.rows(columns) if size)
    # Small parts do not keep their columns apart.
    print(f"  columns of rows: {listed or 'not told of small parts'}", flush=True)
    return each <= GOAL
