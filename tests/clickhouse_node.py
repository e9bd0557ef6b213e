"""Today's ClickHouse engine behind HTTP: clickhouse_node.py FOLDER PORT USER PASSWORD.

The engine is the library chdb, which is ClickHouse without its server. This program adds what the
ordinary client needs of the server: users, bound values, settings, inserts, and errors with codes.
"""

from __future__ import annotations

import base64
import email
import gzip
import hmac
import re
import socketserver
import sys
import uuid
import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import chdb
import lz4.frame
import zstandard

# Parameters of an address that are no settings of the engine.
NO_SETTINGS = {
    *("buffer_size", "client_protocol_version", "compress", "database", "decompress"),
    *("default_format", "password", "query", "query_id", "quota_key", "role", "session_check"),
    *("session_id", "session_timeout", "user", "wait_end_of_query"),
}
AUTHENTICATION_FAILED = 516
NO_DATA_TO_INSERT = 108
NOT_IMPLEMENTED = 48
# HTTP statuses of codes; 500 stands for all others.
STATUSES = {
    AUTHENTICATION_FAILED: 403,
    NOT_IMPLEMENTED: 501,
    NO_DATA_TO_INSERT: 400,
    **dict.fromkeys((27, 36, 43, 53, 62, 457), 400),
    **dict.fromkeys((46, 47, 50, 60, 81, 115), 404),
    159: 408,
}
UNPACKED: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    "deflate": zlib.decompress,
    "gzip": gzip.decompress,
    "lz4": lz4.frame.decompress,
    "zstd": lambda body: zstandard.ZstdDecompressor().decompressobj().decompress(body),
}
# An INSERT whose rows follow the name of their format, and a format at a statement's end.
ROWS_FOLLOW = re.compile(rb"(?is)\s*(INSERT\b.*?)\s*\bFORMAT\s+(\w+)[ \t;]*(\r?\n|\Z)")
LAST_FORMAT = re.compile(r"(?i)\bFORMAT\s+(\w+)[\s;]*\Z")
INPUT = re.compile(r"(?i)\binput\s*\(")
# The engine gives queries other ids than the client: a setting carries the client's.
KILLED = re.compile(r"(?i)\A(\s*KILL\s+QUERY\b.*?)\bquery_id\b", re.DOTALL)


class RefusedError(Exception):
    """An answer with an error of the server."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"Code: {code}. DB::Exception: {text}")


@dataclass(frozen=True)
class Engine:
    folder: Path
    user: str
    password: str

    @property
    def files(self) -> Path:
        return self.folder / "received"

    def run(self, statement: bytes, parameters: dict[str, str]) -> tuple[str, bytes]:
        """Run one statement in a separate session; gives the format and the bytes of its rows."""
        with chdb.connect(str(self.folder / "data")) as session:
            session.query(f"USE {_quoted(parameters.get('database') or 'default', '`')}")
            settings = _settings(parameters)
            if settings:
                session.query(f"SET {settings}")
            bound = {
                name.removeprefix("param_"): value
                for name, value in parameters.items()
                if name.startswith("param_")
            }
            rows_follow = ROWS_FOLLOW.match(statement)
            if rows_follow:
                return self._insert(session, rows_follow, statement, bound)
            return self._answer(session, statement.decode(), parameters, bound)

    def _answer(
        self,
        session: chdb.Connection,
        statement: str,
        parameters: dict[str, str],
        bound: dict[str, str],
    ) -> tuple[str, bytes]:
        statement = KILLED.sub(r"\1Settings['log_comment']", statement)
        named = LAST_FORMAT.search(statement)
        chosen = named[1] if named else parameters.get("default_format", "TabSeparated")
        answer = session.query(statement, chosen, params=bound)
        return chosen, answer.bytes() or b""

    def _insert(
        self,
        session: chdb.Connection,
        rows_follow: re.Match[bytes],
        statement: bytes,
        bound: dict[str, str],
    ) -> tuple[str, bytes]:
        """Insert rows that follow their statement: by way of a file, the engine reads no others."""
        rows = statement[rows_follow.end() :]
        if not rows:
            raise RefusedError(NO_DATA_TO_INSERT, "No data to insert. (NO_DATA_TO_INSERT)")
        insert, kind = rows_follow[1].decode(), rows_follow[2].decode()
        path = self.files / str(uuid.uuid4())
        path.write_bytes(rows)
        try:
            session.query(_from_file(insert, kind, path), params=bound)
        finally:
            path.unlink()
        return "", b""


def _from_file(statement: str, kind: str, path: Path) -> str:
    if INPUT.search(statement):
        return INPUT.sub(f"file('{path}', '{kind}', ", statement)
    head, settings, rest = re.split(r"(?i)(\bSETTINGS\b|\Z)", statement, maxsplit=1)
    return f"{head} FROM INFILE '{path}' {settings}{rest} FORMAT {kind}"


def _settings(parameters: dict[str, str]) -> str:
    chosen = {
        name: value
        for name, value in parameters.items()
        if name not in NO_SETTINGS and not name.startswith("param_")
    }
    if parameters.get("query_id"):
        chosen["log_comment"] = parameters["query_id"]
    return ", ".join(f"{_quoted(name, '`')} = {_quoted(value)}" for name, value in chosen.items())


def _quoted(text: str, mark: str = "'") -> str:
    return mark + text.replace("\\", "\\\\").replace(mark, f"\\{mark}") + mark


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    engine: Engine

    def do_GET(self) -> None:
        self._respond()

    def do_POST(self) -> None:
        self._respond()

    def log_message(self, *_: object) -> None:
        """Log nothing: tests read the log of a node that does not start."""

    def _respond(self) -> None:
        url = urlsplit(self.path)
        body = self._body()
        if url.path == "/ping":
            self._send(200, b"Ok.\n")
            return
        parameters = dict(parse_qsl(url.query, keep_blank_values=True))
        try:
            self._authenticate(parameters)
            statement = self._statement(body, parameters)
            kind, rows = self.engine.run(statement, parameters)
        except (RefusedError, RuntimeError, UnicodeDecodeError) as error:
            self._refuse(str(error))
        else:
            self._send(200, rows, parameters.get("query_id", ""), {"X-ClickHouse-Format": kind})

    def _authenticate(self, parameters: dict[str, str]) -> None:
        user, password = parameters.get("user", "default"), parameters.get("password", "")
        authorization = self.headers.get("Authorization", "")
        if authorization.startswith("Basic "):
            with suppress(ValueError):
                both = base64.b64decode(authorization.removeprefix("Basic ")).decode()
                user, _, password = both.partition(":")
        user = self.headers.get("X-ClickHouse-User", user)
        password = self.headers.get("X-ClickHouse-Key", password)
        known = hmac.compare_digest(user.encode(), self.engine.user.encode())
        right = hmac.compare_digest(password.encode(), self.engine.password.encode())
        if not (known and right):
            reason = "password is incorrect, or there is no user with such name"
            raise RefusedError(
                AUTHENTICATION_FAILED,
                f"{user}: Authentication failed: {reason}. (AUTHENTICATION_FAILED)",
            )

    def _statement(self, body: bytes, parameters: dict[str, str]) -> bytes:
        """Give the statement and the rows that follow it; adds a form's fields to parameters."""
        kind = self.headers.get("Content-Type", "")
        if kind.startswith("multipart/form-data"):
            form = email.message_from_bytes(f"Content-Type: {kind}\r\n\r\n".encode() + body)
            for part in form.get_payload():
                name = part.get_param("name", header="content-disposition")
                parameters[name] = part.get_payload(decode=True).decode()
            body = b""
        unpack = UNPACKED.get(self.headers.get("Content-Encoding", ""))
        if unpack is None:
            raise RefusedError(NOT_IMPLEMENTED, "this compression is unknown. (NOT_IMPLEMENTED)")
        asked = parameters.get("query", "").encode()
        return asked + (b"\n" if asked and body else b"") + unpack(body)

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        chunks = []
        while size := int(self.rfile.readline(), 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(chunks)

    def _refuse(self, text: str) -> None:
        found = re.search(r"Code: (\d+)", text)
        code = int(found[1]) if found else 1001
        headers = {"X-ClickHouse-Exception-Code": str(code)}
        self._send(STATUSES.get(code, 500), f"{text}\n".encode(), headers=headers)

    def _send(
        self, status: int, body: bytes, query_id: str = "", headers: dict[str, str] | None = None
    ) -> None:
        self.send_response(status)
        sent = {
            "Content-Length": str(len(body)),
            "X-ClickHouse-Query-Id": query_id or str(uuid.uuid4()),
            "X-ClickHouse-Summary": "{}",
            "X-ClickHouse-Timezone": "UTC",
        }
        for name, value in (sent | (headers or {})).items():
            self.send_header(name, value)
        # One write: the head alone would wait for an acknowledgement.
        self._headers_buffer.append(b"\r\n" + body)
        self.flush_headers()


class Server(ThreadingHTTPServer):
    request_queue_size = 256

    def server_bind(self) -> None:
        # HTTPServer's asks a name server for this host's name.
        socketserver.TCPServer.server_bind(self)


def main() -> None:
    folder, port, user, password = sys.argv[1:]
    Handler.engine = Engine(Path(folder), user, password)
    Handler.engine.files.mkdir(exist_ok=True)
    # The engine stays loaded as long as one session is open.
    with chdb.connect(str(Path(folder) / "data")):
        Server(("127.0.0.1", int(port)), Handler).serve_forever()


if __name__ == "__main__":
    main()
