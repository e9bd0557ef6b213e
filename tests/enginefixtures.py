"""Fixtures of the databases; a folder's conftest takes them in."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests import clickhouse as clickhouse_nodes
from tests import mariadb as mariadb_servers
from tests import needs
from tests.databases import ClickHouseDatabase, Database, MariaDBDatabase, SQLiteFile
from tests.old_clickhouse import old_cluster
from tests.serving import Serving, few, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.clickhouse import Node
    from tests.mariadb import MariaDB
    from tests.old_clickhouse import OldCluster

ENGINES = [
    "sqlite",
    pytest.param("mysql", marks=pytest.mark.mysql),
    pytest.param("clickhouse", marks=pytest.mark.clickhouse),
]
MEMORY = Path("/dev/shm")
ROOM = 4 << 30
# Those that change stored rows in transactions. ClickHouse only adds rows.
TRANSACTIONAL = ENGINES[:2]


@pytest.fixture(scope="session")
def mariadb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MariaDB]:
    server = mariadb_servers.install(tmp_path_factory.mktemp("mariadb"))
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def clickhouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    with _in_memory(tmp_path_factory, "clickhouse") as folder:
        node = clickhouse_nodes.install(folder)
        try:
            yield node
        finally:
            node.stop()


@contextmanager
def _in_memory(factory: pytest.TempPathFactory, name: str) -> Iterator[Path]:
    """Return a folder where syncing takes no time, if there is room: each table is several files.

    Tests that a node's files outlast the node hold there too.
    """
    if MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ROOM:
        with tempfile.TemporaryDirectory(prefix=f"kscope-{name}-", dir=MEMORY) as folder:
            yield Path(folder)
    else:
        yield factory.mktemp(name)


@pytest.fixture(scope="session")
def old_clickhouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OldCluster]:
    """Yield a cluster of two shards; a test that ends one starts it again."""
    needs.old_clickhouse()
    with _in_memory(tmp_path_factory, "old_clickhouse") as folder, old_cluster(folder) as cluster:
        yield cluster


@pytest.fixture(params=ENGINES)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """Yield an empty database of each engine in turn."""
    with _empty(request, tmp_path) as found:
        yield found


@pytest.fixture(scope="module", params=ENGINES)
def module_database(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Database]:
    """Yield a database of each engine in turn, at first empty, for a whole module."""
    with _empty(request, tmp_path_factory.mktemp("module")) as found:
        yield found


@dataclass(frozen=True)
class Served:
    """A server and the database behind it."""

    server: Serving
    database: Database


@pytest.fixture(scope="module", params=ENGINES)
def served(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    """Yield a server on each engine in turn, for a whole module; each test uses its own host."""
    folder = tmp_path_factory.mktemp("served")
    known = few(folder, "marker", "execsnoop")
    with _empty(request, folder) as database, serving(folder, *known, *database.options) as server:
        yield Served(server, database)


@contextmanager
def _empty(request: pytest.FixtureRequest, folder: Path) -> Iterator[Database]:
    if request.param == "sqlite":
        yield SQLiteFile(folder / "kernelscope.db")
    elif request.param == "clickhouse":
        node: Node = request.getfixturevalue("clickhouse")
        name = node.new_database()
        yield ClickHouseDatabase(node, name)
        # Each table that is left has its work in the background.
        node.sql(f"DROP DATABASE {name}", "default")
    else:
        server: MariaDB = request.getfixturevalue("mariadb")
        yield MariaDBDatabase(server, server.new_database())
