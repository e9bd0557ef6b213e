"""ClickHouse's HTTP interface, as far as the ordinary client uses it, in front of any engine.

It checks users, unpacks bodies and forms, and answers errors with their codes.
"""

from __future__ import annotations

import base64
import email
import gzip
import hmac
import re
import socketserver
import uuid
import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol
from urllib.parse import parse_qsl, urlsplit

import lz4.frame
import zstandard

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


def _unpacked_frames(body: bytes, decompressor: Callable[[], Any]) -> bytes:
    """Unpack all frames of a body: the client sends each block of rows as a frame."""
    pieces = []
    while body:
        frame = decompressor()
        pieces.append(frame.decompress(body))
        if not frame.eof:
            raise ValueError("a compressed body ends early")
        body = frame.unused_data
    return b"".join(pieces)


UNPACKED: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    "deflate": zlib.decompress,
    "gzip": gzip.decompress,
    "lz4": lambda body: _unpacked_frames(body, lz4.frame.LZ4FrameDecompressor),
    "zstd": lambda body: _unpacked_frames(body, zstandard.ZstdDecompressor().decompressobj),
}
# Parameters of an address that are no settings of the engine.
_NO_SETTINGS = {
    *("buffer_size", "client_protocol_version", "compress", "database", "decompress"),
    *("default_format", "password", "query", "query_id", "quota_key", "role", "session_check"),
    *("session_id", "session_timeout", "user", "wait_end_of_query"),
}
# An INSERT whose rows follow the name of their format, and a format at a statement's end.
_ROWS_FOLLOW = re.compile(rb"(?is)\s*(INSERT\b.*?)\s*\bFORMAT\s+(\w+)[ \t;]*(?:\r?\n|\Z)")
_LAST_FORMAT = re.compile(r"(?i)\bFORMAT\s+(\w+)[\s;]*\Z")


@dataclass(frozen=True)
class Asked:
    """A statement and its parameters; `rows` follow an INSERT in the format of that name."""

    statement: str
    parameters: dict[str, str]
    rows: bytes = b""
    rows_format: str = ""

    @property
    def database(self) -> str:
        return self.parameters.get("database") or "default"

    @property
    def answer_format(self) -> str:
        named = _LAST_FORMAT.search(self.statement)
        return named[1] if named else self.parameters.get("default_format", "TabSeparated")

    @property
    def bound(self) -> dict[str, str]:
        named = ((name.partition("param_"), value) for name, value in self.parameters.items())
        return {name: value for (before, found, name), value in named if found and not before}

    @property
    def settings(self) -> dict[str, str]:
        return {
            name: value
            for name, value in self.parameters.items()
            if name not in _NO_SETTINGS and not name.startswith("param_")
        }


class Engine(Protocol):
    def run(self, asked: Asked) -> bytes:
        """Run one statement; gives the bytes of its rows."""


@dataclass(frozen=True)
class User:
    name: str
    password: str


class RefusedError(Exception):
    """An answer with an error of the server."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"Code: {code}. DB::Exception: {text}")
        self.code = code


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    engine: Engine
    user: User

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
            asked = self._asked(body, parameters)
            rows = self.engine.run(asked)
        except (RefusedError, RuntimeError, UnicodeDecodeError) as error:
            self._refuse(str(error))
        else:
            self._send(
                200,
                rows,
                parameters.get("query_id", ""),
                {"X-ClickHouse-Format": asked.answer_format},
            )

    def _authenticate(self, parameters: dict[str, str]) -> None:
        user, password = parameters.get("user", "default"), parameters.get("password", "")
        authorization = self.headers.get("Authorization", "")
        if authorization.startswith("Basic "):
            with suppress(ValueError):
                both = base64.b64decode(authorization.removeprefix("Basic ")).decode()
                user, _, password = both.partition(":")
        user = self.headers.get("X-ClickHouse-User", user)
        password = self.headers.get("X-ClickHouse-Key", password)
        known = hmac.compare_digest(user.encode(), self.user.name.encode())
        right = hmac.compare_digest(password.encode(), self.user.password.encode())
        if not (known and right):
            reason = "password is incorrect, or there is no user with such name"
            raise RefusedError(
                AUTHENTICATION_FAILED,
                f"{user}: Authentication failed: {reason}. (AUTHENTICATION_FAILED)",
            )

    def _asked(self, body: bytes, parameters: dict[str, str]) -> Asked:
        kind = self.headers.get("Content-Type", "")
        if kind.startswith("multipart/form-data"):
            parameters |= _form(kind, body)
            body = b""
        unpack = UNPACKED.get(self.headers.get("Content-Encoding", ""))
        if unpack is None:
            raise RefusedError(NOT_IMPLEMENTED, "this compression is unknown. (NOT_IMPLEMENTED)")
        named = parameters.get("query", "").encode()
        text = named + (b"\n" if named and body else b"") + unpack(body)
        found = _ROWS_FOLLOW.match(text)
        if not found:
            return Asked(text.decode(), parameters)
        rows = text[found.end() :]
        if not rows:
            raise RefusedError(NO_DATA_TO_INSERT, "No data to insert. (NO_DATA_TO_INSERT)")
        return Asked(found[1].decode(), parameters, rows, found[2].decode())

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


def _form(kind: str, body: bytes) -> dict[str, str]:
    """Return the fields of a form: the client sends long values so."""
    form = email.message_from_bytes(f"Content-Type: {kind}\r\n\r\n".encode() + body)
    return {
        part.get_param("name", header="content-disposition"): part.get_payload(decode=True).decode()
        for part in form.get_payload()
    }


class Server(ThreadingHTTPServer):
    request_queue_size = 256

    def server_bind(self) -> None:
        # HTTPServer's asks a name server for this host's name.
        socketserver.TCPServer.server_bind(self)


def serve(address: tuple[str, int], user: User, engine: Engine) -> None:
    Handler.engine, Handler.user = engine, user
    Server(address, Handler).serve_forever()
