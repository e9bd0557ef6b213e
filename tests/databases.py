"""The databases that one suite of behaviour runs against."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.mariadb import MariaDB


@dataclass(frozen=True)
class SQLiteFile:
    path: Path
    name: str = "sqlite"

    @property
    def options(self) -> list[str]:
        return ["--sqlite", str(self.path)]

    def rows(self, query: str) -> list[list[str]]:
        """Ask as a person with the engine's own shell would."""
        with closing(sqlite3.connect(self.path)) as connection:
            return [[str(value) for value in row] for row in connection.execute(query)]

    def run(self, *statements: str) -> None:
        with closing(sqlite3.connect(self.path)) as connection, connection:
            for statement in statements:
                connection.execute(statement)

    def load(self, dump: str) -> None:
        with closing(sqlite3.connect(self.path)) as connection:
            connection.executescript(dump)


@dataclass(frozen=True)
class MariaDBDatabase:
    server: MariaDB
    database: str
    name: str = "mysql"

    @property
    def options(self) -> list[str]:
        return self.server.options(self.database)

    def rows(self, query: str) -> list[list[str]]:
        lines = self.server.sql(query, self.database).splitlines()
        return [line.split("\t") for line in lines]

    def run(self, *statements: str) -> None:
        self.server.sql("; ".join(statements), self.database)

    def load(self, dump: str) -> None:
        self.server.load(dump, self.database)


Database = SQLiteFile | MariaDBDatabase


def scalar(database: Database, query: str) -> int:
    return int(database.rows(query)[0][0])


def column(rows: Sequence[Sequence[str]], index: int = 0) -> list[str]:
    return [row[index] for row in rows]
