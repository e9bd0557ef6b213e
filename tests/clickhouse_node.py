"""Today's ClickHouse engine behind HTTP: clickhouse_node.py FOLDER PORT USER PASSWORD.

The engine is the library chdb, which is ClickHouse without its server.
"""

from __future__ import annotations

import re
import sys
import uuid
from dataclasses import dataclass
from pathlib import Path

import chdb

from tests.clickhouse_http import Asked, User, serve

_INPUT = re.compile(r"(?i)\binput\s*\(")
# The engine gives queries other ids than the client: a setting carries the client's.
_KILLED = re.compile(r"(?i)\A(\s*KILL\s+QUERY\b.*?)\bquery_id\b", re.DOTALL)


@dataclass(frozen=True)
class Library:
    folder: Path

    def run(self, asked: Asked) -> bytes:
        """Run one statement in a separate session."""
        with chdb.connect(str(self.folder / "data")) as session:
            session.query(f"USE {_quoted(asked.database, '`')}")
            settings = _settings(asked)
            if settings:
                session.query(f"SET {settings}")
            if asked.rows:
                self._insert(session, asked)
                return b""
            statement = _KILLED.sub(r"\1Settings['log_comment']", asked.statement)
            answer = session.query(statement, asked.answer_format, params=asked.bound)
            return answer.bytes() or b""

    def _insert(self, session: chdb.Connection, asked: Asked) -> None:
        """Insert rows through a file: the engine takes none of a body."""
        path = self.folder / "received" / str(uuid.uuid4())
        path.write_bytes(asked.rows)
        try:
            session.query(_from_file(asked, path), params=asked.bound)
        finally:
            path.unlink()


def _from_file(asked: Asked, path: Path) -> str:
    if _INPUT.search(asked.statement):
        return _INPUT.sub(f"file('{path}', '{asked.rows_format}', ", asked.statement)
    head, settings, rest = re.split(r"(?i)(\bSETTINGS\b|\Z)", asked.statement, maxsplit=1)
    return f"{head} FROM INFILE '{path}' {settings}{rest} FORMAT {asked.rows_format}"


def _settings(asked: Asked) -> str:
    chosen = asked.settings
    if asked.parameters.get("query_id"):
        chosen["log_comment"] = asked.parameters["query_id"]
    return ", ".join(f"{_quoted(name, '`')} = {_quoted(value)}" for name, value in chosen.items())


def _quoted(text: str, mark: str = "'") -> str:
    return mark + text.replace("\\", "\\\\").replace(mark, f"\\{mark}") + mark


def main() -> None:
    folder, port, name, password = sys.argv[1:]
    library = Library(Path(folder))
    (library.folder / "received").mkdir(exist_ok=True)
    # The engine stays loaded as long as one session is open.
    with chdb.connect(str(library.folder / "data")):
        serve(("127.0.0.1", int(port)), User(name, password), library)


if __name__ == "__main__":
    main()
