"""Fixtures of the databases; a folder's conftest takes them in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests import clickhouse as clickhouse_nodes
from tests import mariadb as mariadb_servers
from tests import needs
from tests.databases import ClickHouseDatabase, Database, MariaDBDatabase, SQLiteFile
from tests.old_clickhouse import old_cluster
from tests.serving import Serving, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.clickhouse import Node
    from tests.mariadb import MariaDB
    from tests.old_clickhouse import OldCluster

ENGINES = [
    "sqlite",
    pytest.param("mysql", marks=pytest.mark.mysql),
    pytest.param("clickhouse", marks=pytest.mark.clickhouse),
]
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
    node = clickhouse_nodes.install(tmp_path_factory.mktemp("clickhouse"))
    try:
        yield node
    finally:
        node.stop()


@pytest.fixture(scope="session")
def old_clickhouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OldCluster]:
    """Yield a cluster of two shards; a test that ends one starts it again."""
    needs.old_clickhouse()
    with old_cluster(tmp_path_factory.mktemp("old_clickhouse")) as cluster:
        yield cluster


@pytest.fixture(params=ENGINES)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Database:
    """Yield an empty database of each engine in turn."""
    return _empty(request, tmp_path)


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
    database = _empty(request, folder)
    with serving(folder, *database.options) as server:
        yield Served(server, database)


def _empty(request: pytest.FixtureRequest, folder: Path) -> Database:
    if request.param == "sqlite":
        return SQLiteFile(folder / "kernelscope.db")
    if request.param == "clickhouse":
        node: Node = request.getfixturevalue("clickhouse")
        return ClickHouseDatabase(node, node.new_database())
    server: MariaDB = request.getfixturevalue("mariadb")
    return MariaDBDatabase(server, server.new_database())
