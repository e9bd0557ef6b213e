"""MariaDB's own `LOAD DATA` of the rows as flat text, one statement and commit for each batch."""

from __future__ import annotations

import subprocess
import time
from typing import TYPE_CHECKING

from benchmarks.ingest import Result, cpu_seconds, flat

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from benchmarks.fleet import Minute
    from tests.mariadb import MariaDB

_TABLE = (
    "CREATE TABLE flat (hostname VARCHAR(64), time VARCHAR(27), process VARCHAR(64), pid BIGINT,"
    " reason VARCHAR(32), cgroup VARCHAR(128), stack TEXT, elapsed BIGINT, count BIGINT,"
    " lengths TEXT)"
)


def load_data(engine: MariaDB, folder: Path, batches: Sequence[Sequence[Minute]]) -> Result:
    assert engine.process
    database = engine.new_database()
    engine.sql(_TABLE, database)
    rows, statements = 0, []
    for number, batch in enumerate(batches):
        lines = ["\t".join(map(str, row)) for row in flat(batch)]
        path = folder / f"{number}.tsv"
        path.write_text("\n".join(lines) + "\n")
        statements.append(f"LOAD DATA LOCAL INFILE '{path}' INTO TABLE flat;")
        rows += len(lines)
    command = ["mariadb", "--no-defaults", "--local-infile=1", "-uroot", f"-S{engine.socket}"]
    before, started = cpu_seconds(engine.process.pid), time.perf_counter()
    subprocess.run([*command, database], input="\n".join(statements), text=True, check=True)
    elapsed = time.perf_counter() - started
    used = cpu_seconds(engine.process.pid) - before
    stored = int(engine.sql("SELECT count(*) FROM flat", database))
    if stored != rows:
        raise RuntimeError(f"of {rows} rows {stored} are stored")
    return Result("LOAD DATA", rows / elapsed, used / rows * 1e6)
