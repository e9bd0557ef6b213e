"""A new database for a benchmark, as flags of `kscope serve`."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests import clickhouse, mariadb

ENGINES = ("mariadb", "clickhouse")


@contextmanager
def database(engine: str, folder: Path) -> Iterator[Sequence[str]]:
    """Start the engine in a new folder, and yield the flags that name an empty database on it."""
    if engine == "clickhouse":
        server = clickhouse.install(folder)
    else:
        # Room for the rows that are new, as a server of the fleet's size would have.
        server = mariadb.install(folder, "--innodb-buffer-pool-size=1G")
    try:
        yield server.options(server.new_database())
    finally:
        server.stop()
