"""The ClickHouse that is measured: a throw-away node, or a server that is there."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import clickhouse_connect

from kscope.config import ClickHouse, Settings
from tests import clickhouse

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path
    from typing import Any

    from clickhouse_connect.driver.client import Client

_DEADLINE = 300
_PATIENCE = 3600


@dataclass(frozen=True)
class Engine:
    """An empty database, as Kernelscope's settings, and a plain client of it."""

    of: ClickHouse
    name: str

    @property
    def settings(self) -> Settings:
        return Settings(self.of, query_deadline=_DEADLINE)

    @property
    def flags(self) -> list[str]:
        """Name the database to `kscope serve`."""
        return [
            *("--clickhouse", self.of.host, "--dbport", str(self.of.port)),
            *("--dbuser", self.of.user, "--dbpassword", self.of.password),
            *("--dbname", self.of.database),
        ]

    def client(self, database: str = "") -> Client:
        return clickhouse_connect.get_client(
            host=self.of.host,
            port=self.of.port,
            username=self.of.user,
            password=self.of.password,
            database=database or self.of.database,
            send_receive_timeout=_PATIENCE,
            autogenerate_session_id=False,
        )

    def rows(self, statement: str) -> Sequence[Sequence[Any]]:
        client = self.client()
        try:
            return client.query(statement).result_rows
        finally:
            client.close()

    def run(self, statement: str, database: str = "") -> None:
        client = self.client(database)
        try:
            client.command(statement)
        finally:
            client.close()


@contextmanager
def throw_away(folder: Path) -> Iterator[Engine]:
    """Start the tests' node: today's engine, as the library chdb, behind HTTP."""
    node = clickhouse.install(folder)
    of = ClickHouse(node.host, node.port, clickhouse.USER, clickhouse.PASSWORD)
    try:
        yield _named(of, "chdb behind HTTP, ClickHouse")
    finally:
        node.stop()


@contextmanager
def there(of: ClickHouse) -> Iterator[Engine]:
    """Use a server that runs already."""
    yield _named(of, "ClickHouse server")


def _named(of: ClickHouse, kind: str) -> Engine:
    ((version,),) = Engine(replace(of, database="default"), kind).rows("SELECT version()")
    return Engine(of, f"{kind} {version}")


@contextmanager
def empty_database(engine: Engine, purpose: str) -> Iterator[Engine]:
    """Make a database for one purpose, and drop it afterwards."""
    name = f"{engine.of.database}_{purpose}_{int(time.time())}"
    engine.run(f"CREATE DATABASE {name}", "default")
    try:
        yield replace(engine, of=replace(engine.of, database=name))
    finally:
        engine.run(f"DROP DATABASE {name} SYNC", "default")
