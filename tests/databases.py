"""The databases that one suite of behaviour runs against."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kscope.config import ClickHouse, MySQL, Settings, SQLite
from tests import clickhouse, mariadb

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


@dataclass(frozen=True)
class SQLiteFile:
    path: Path
    name: str = "sqlite"

    @property
    def settings(self) -> Settings:
        return Settings(SQLite(self.path))

    @property
    def options(self) -> list[str]:
        return ["--sqlite", str(self.path)]

    @property
    def configuration(self) -> dict[str, Any]:
        """The section `database` of kernelscope.yaml."""
        return {"sqlite": str(self.path)}

    def rows(self, query: str) -> list[list[str]]:
        """Ask as a person with the engine's own shell would."""
        with closing(sqlite3.connect(self.path)) as connection:
            return [[str(value) for value in row] for row in connection.execute(query)]

    def run(self, *statements: str) -> None:
        with closing(sqlite3.connect(self.path)) as connection, connection:
            for statement in statements:
                connection.execute(statement)

    def rename(self, table: str, name: str) -> None:
        self.run(f"ALTER TABLE {table} RENAME TO {name}")

    def load(self, dump: str) -> None:
        with closing(sqlite3.connect(self.path)) as connection:
            connection.executescript(dump)


@dataclass(frozen=True)
class MariaDBDatabase:
    server: mariadb.MariaDB
    database: str
    name: str = "mysql"

    @property
    def settings(self) -> Settings:
        return Settings(
            MySQL("127.0.0.1", self.server.port, mariadb.USER, mariadb.PASSWORD, self.database)
        )

    @property
    def options(self) -> list[str]:
        return self.server.options(self.database)

    @property
    def configuration(self) -> dict[str, Any]:
        user = {"user": mariadb.USER, "password": mariadb.PASSWORD}
        place = {"host": "127.0.0.1", "port": self.server.port, "database": self.database}
        return {"mysql": {**place, **user}}

    def rows(self, query: str) -> list[list[str]]:
        lines = self.server.sql(query, self.database).splitlines()
        return [line.split("\t") for line in lines]

    def run(self, *statements: str) -> None:
        self.server.sql("; ".join(statements), self.database)

    def rename(self, table: str, name: str) -> None:
        self.run(f"RENAME TABLE {table} TO {name}")

    def load(self, dump: str) -> None:
        self.server.load(dump, self.database)


@dataclass(frozen=True)
class ClickHouseDatabase:
    server: clickhouse.Node
    database: str
    name: str = "clickhouse"

    @property
    def settings(self) -> Settings:
        return Settings(
            ClickHouse(
                *("127.0.0.1", self.server.port, clickhouse.USER, clickhouse.PASSWORD),
                database=self.database,
            )
        )

    @property
    def options(self) -> list[str]:
        return self.server.options(self.database)

    @property
    def configuration(self) -> dict[str, Any]:
        user = {"user": clickhouse.USER, "password": clickhouse.PASSWORD}
        place = {"host": "127.0.0.1", "port": self.server.port, "database": self.database}
        return {"clickhouse": {**place, **user}}

    def rows(self, query: str) -> list[list[str]]:
        lines = self.server.sql(query, self.database).splitlines()
        return [line.split("\t") for line in lines]

    def run(self, *statements: str) -> None:
        for statement in statements:
            self.server.sql(statement, self.database)

    def rename(self, table: str, name: str) -> None:
        self.run(f"RENAME TABLE {table} TO {name}")

    def load(self, dump: str) -> None:
        """Read statements that end in a semicolon at the end of a line."""
        self.run(*filter(str.strip, dump.split(";\n")))


Database = SQLiteFile | MariaDBDatabase | ClickHouseDatabase


def insertion(database: Database, table: str, **values: int | str) -> str:
    """Return the statement that inserts one row of a category; values are as in SQL.

    ClickHouse computes `seq` itself.
    """
    row = {"time": 1, "hostname": 1, **values}
    if not isinstance(database, ClickHouseDatabase):
        row["seq"] = 1
    return f"INSERT INTO {table} ({', '.join(row)}) VALUES ({', '.join(map(str, row.values()))})"


def changing(database: Database, table: str, change: str, where: str) -> str:
    """Return the statement that changes stored rows, and waits until it has."""
    if isinstance(database, ClickHouseDatabase):
        return f"ALTER TABLE {table} UPDATE {change} WHERE {where} SETTINGS mutations_sync = 2"
    return f"UPDATE {table} SET {change} WHERE {where}"


def aging(database: Database, table: str, day: int = 1) -> list[str]:
    """Return the statements after which all texts were last used on that day since 1970.

    ClickHouse keeps the newest row of a text: the table is filled again.
    """
    if not isinstance(database, ClickHouseDatabase):
        return [f"UPDATE {table} SET day = {day}"]
    return [
        f"CREATE TABLE aged AS {table}",
        f"INSERT INTO aged SELECT * REPLACE ({day} AS day) FROM {table}",
        f"EXCHANGE TABLES aged AND {table}",
        "DROP TABLE aged",
    ]


def scalar(database: Database, query: str) -> int:
    return int(database.rows(query)[0][0])


def column(rows: Sequence[Sequence[str]], index: int = 0) -> list[str]:
    return [row[index] for row in rows]
