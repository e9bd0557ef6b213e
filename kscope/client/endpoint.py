"""One server's ingest listener over HTTP, with bounds for the time and size of an answer."""

import http.client
import io
import ipaddress
import os
import random
import re
import socket
import ssl
import time
import urllib.parse
from collections.abc import Mapping
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from types import MappingProxyType
from typing import Any

from kscope import __version__
from kscope.client.answers import INGEST_PATH, Answer, Outcome, Reply, clock_ahead, judge, one_line
from kscope.client.payload import Payload
from kscope.client.trust import Trust
from kscope.errors import KscopeError, UsageError
from kscope.files import MissingSecretError, UnreadableError, read_secret

DEFAULT_PORT = 8081
# The variable that holds a token where no file is named: other users cannot read it.
TOKEN_VARIABLE = "KSCOPE_TOKEN"  # noqa: S105 - its name
# Seconds after which an endpoint uses a new connection, at the latest.
LONGEST_OPEN = 600.0
# The size of an answer with its header: the longest one lists 100 faults.
MOST_BYTES = 256 * 1024
_SYSTEM = Trust()
# RFC 6750's token characters, which every library can send in a header.
_TOKEN = re.compile(r"[A-Za-z0-9._~+/=-]+")
_NO_TLS = frozenset(
    {"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG"}
)
# The first bytes of a TLS alert.
_ALERT = "\x15\x03"


def read_token(file: Path | None) -> str:
    """Return the token in a file; without a file that of the environment, or an empty text.

    Raises UsageError.
    """
    if file is None:
        return os.environ.get(TOKEN_VARIABLE, "").strip()
    try:
        return read_secret(file)
    except MissingSecretError as error:
        raise UsageError(f"the token's file: {error}; `kscope token` makes a token") from None
    except UnreadableError as error:
        text = f"{file}: holds no token: it {error.fault}; `kscope token` makes one"
        raise UsageError(text) from None


class EndlessAnswerError(OSError):
    """An answer is longer than any answer of a Kernelscope server."""


class Endpoint:
    """One server's ingest listener, over a connection that is kept open. Not thread-safe.

    `timeout`, in seconds, bounds connecting, sending, and the whole answer separately. After
    `longest_open` seconds, or some less, the next request uses a new connection: a load balancer
    can then give it to a server that has returned. A certificate that was renewed counts then, too.
    """

    def __init__(
        self,
        url: str,
        token: str = "",
        timeout: float = 30.0,
        longest_open: float = LONGEST_OPEN,
        trust: Trust = _SYSTEM,
    ) -> None:
        address = server_address(url)
        if token and not _TOKEN.fullmatch(token):
            raise KscopeError(
                "the token has a character that no token has: `kscope token` makes one"
            )
        self.url = address.geturl()
        self._path = address.path
        self._timeout = timeout
        self._longest_open = longest_open
        self._open_until = 0.0
        # When columns are tried again, by table.
        self._rows_until: dict[str, float] = {}
        self._headers = {"User-Agent": f"kscope/{__version__}"}
        if token:
            self._headers["Authorization"] = f"Bearer {token}"
        self._address = address
        self._trust = trust
        self._trusted = trust.state()
        self._connection = self._unconnected()

    def _unconnected(self) -> http.client.HTTPConnection:
        """Return a connection that is not open yet. Raises UsageError for files of TLS."""
        host, port = self._address.hostname or "", self._address.port
        if self._address.scheme == "https":
            made: http.client.HTTPConnection = http.client.HTTPSConnection(
                host, port, timeout=self._timeout, context=self._trust.context()
            )
        else:
            made = http.client.HTTPConnection(host, port, timeout=self._timeout)
        made.response_class = _HttpResponse
        return made

    def health(self) -> Answer:
        """Return whether the server responds. No token is needed."""
        reply = self._try("GET", "/healthz")
        if isinstance(reply, Answer):
            return reply
        outcome = Outcome.STORED if reply.status == 200 else Outcome.LATER
        ahead = clock_ahead(reply.headers.get("date"))
        return Answer(outcome, f"HTTP {reply.status}", reply.status, clock_ahead=ahead)

    def metrics(self) -> str:
        """Return the server's metrics, or an empty text."""
        reply = self._try("GET", "/metrics")
        return reply.body.decode("utf-8", "replace") if isinstance(reply, Reply) else ""

    def post(self, payload: Payload, path: str = INGEST_PATH) -> Answer:
        """Send the payload. A redirect is not followed.

        If the server refuses columns, this returns its answer to the same rows as rows, under the
        same key: its faults name rows. If it stores them, this table's payloads are sent as rows
        for `longest_open` seconds: the server is older.
        """
        if time.monotonic() < self._rows_until.get(payload.table, 0.0):
            return self._post(payload.as_rows() or payload, path)
        answer = self._post(payload, path)
        if answer.status != HTTPStatus.UNPROCESSABLE_ENTITY or not (rows := payload.as_rows()):
            return answer
        answer = self._post(rows, path)
        if answer.stored:
            self._rows_until[payload.table] = time.monotonic() + self._longest_open
        return answer

    def _post(self, payload: Payload, path: str) -> Answer:
        reply = self._try("POST", path, payload.body, payload.headers)
        if isinstance(reply, Answer):
            return reply
        answer = judge(reply, payload.counts, self.url)
        if answer.outcome is Outcome.LATER:
            # Another program may send more, which must not be read as an answer to the next rows.
            self.close()
        return answer

    def close(self) -> None:
        self._connection.close()

    def abort(self) -> None:
        """Cancel a request that another thread waits for."""
        if sock := self._connection.sock:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def _try(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        headers: Mapping[str, str] = MappingProxyType({}),
    ) -> Reply | Answer:
        """Return the reply, or an answer with the reason for which there is none."""
        self._renew()
        idle = self._connection.sock is not None
        try:
            return self._exchange(method, path, body, headers)
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.close()
            # The server may have closed an idle connection: try again.
            if idle and isinstance(error, (ConnectionError, http.client.CannotSendRequest)):
                return self._try(method, path, body, headers)
            return Answer(Outcome.LATER, f"{self.url}: {_why(error, self._timeout)}")

    def _renew(self) -> None:
        """Close a connection that has been open for long; the agents of a fleet differ in when."""
        now = time.monotonic()
        if self._connection.sock is not None and now >= self._open_until:
            self.close()
        if self._connection.sock is None:
            if (trusted := self._trust.state()) != self._trusted:
                # Files that are being written count later.
                with suppress(UsageError):
                    self._connection, self._trusted = self._unconnected(), trusted
            self._open_until = now + random.uniform(0.5, 1.0) * self._longest_open  # noqa: S311

    def _exchange(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        if sock := self._connection.sock:
            sock.settimeout(self._timeout)
        try:
            self._connection.request(method, self._path + path, body, {**self._headers, **headers})
        except (BrokenPipeError, ConnectionResetError):
            # A server that refused before it read all may have sent an answer.
            if self._connection.sock is None:
                raise
        response = self._connection.getresponse()
        # All of it: `_Bounded` ends a longer one. Without a bound, a header could reserve memory.
        content = response.read(MOST_BYTES)
        if response.length:
            raise http.client.IncompleteRead(content, response.length)
        names = {name.lower(): value for name, value in response.headers.items()}
        return Reply(response.status, names, content)


def server_address(text: str) -> urllib.parse.SplitResult:
    """Read `http://host:8081`, `host`, `host:8081`, `::1` or `[::1]:8081`; else UsageError.

    The result has a port; its path is a proxy's prefix, without a slash at the end.
    """
    if not isinstance(text, str):
        raise _wrong_address("is not a text")
    url = text if "://" in text else f"http://{_bracketed(text)}"
    try:
        parts = urllib.parse.urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else DEFAULT_PORT)
    except ValueError:
        raise _wrong_address("has an invalid host or port") from None
    if fault := _address_fault(url, parts):
        raise _wrong_address(fault)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    path = parts.path.rstrip("/").removesuffix(INGEST_PATH)
    return parts._replace(netloc=f"{host}:{port}", path=path)


def _bracketed(text: str) -> str:
    try:
        return f"[{ipaddress.IPv6Address(text)}]"
    except ValueError:
        return text


def _wrong_address(fault: str) -> UsageError:
    """The address is not shown: its user, its port or its query may be a secret."""
    return UsageError(f"the server's address {fault}; write it as http://host:8081")


def _address_fault(url: str, parts: urllib.parse.SplitResult) -> str:
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        return "is not the address of a server: it starts with http:// or https://"
    if not url.isascii() or not url.isprintable() or " " in url:
        return "has a character that no address has"
    if parts.username is not None:
        return "has a user name or a password; a token goes into a file, see --token-file"
    if parts.query or parts.fragment:
        return "has a query or a fragment"
    return ""


class _HttpResponse(http.client.HTTPResponse):
    """Reads through `_Bounded`, whose time starts now."""

    def __init__(self, sock: socket.socket, *arguments: Any, **named: Any) -> None:
        super().__init__(sock, *arguments, **named)
        raw = self.fp.detach()
        self.fp = io.BufferedReader(_Bounded(raw, sock))


class _Bounded(io.RawIOBase):
    """A socket's stream that ends with an error after the time or the bytes of one answer."""

    def __init__(self, raw: io.RawIOBase, sock: socket.socket) -> None:
        self._raw = raw
        self._sock = sock
        self._deadline = time.monotonic() + (sock.gettimeout() or 30.0)
        self._left = MOST_BYTES

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int | None:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._sock.settimeout(left)
        read = self._raw.readinto(buffer)
        self._left -= read or 0
        if self._left < 0:
            raise EndlessAnswerError
        return int(read)

    def close(self) -> None:
        self._raw.close()
        super().close()


# The reason for which there is no answer, with a fix; the first kind that matches.
_REASONS: tuple[tuple[type[Exception], str], ...] = (
    (ConnectionRefusedError, "{why}; is `kscope serve` running there?"),
    (
        http.client.RemoteDisconnected,
        "closed the connection without an answer; if it speaks TLS, write https:// in --server",
    ),
    (ConnectionResetError, "{why}; if it speaks TLS, write https:// in --server"),
    (socket.gaierror, "{why}; check the host's name in --server"),
    (TimeoutError, "no whole answer within {seconds:g} s"),
    (
        EndlessAnswerError,
        f"an answer of more than {MOST_BYTES} bytes is not a Kernelscope server's",
    ),
    (
        ssl.SSLCertVerificationError,
        "its certificate is not trusted: {why}; name trusted ones in ca_file or SSL_CERT_FILE",
    ),
    (ssl.SSLError, "TLS failed: {why}"),
    (http.client.IncompleteRead, "the answer broke off"),
    (http.client.BadStatusLine, "does not speak HTTP there: it says '{line}'"),
)


def _why(error: Exception, timeout: float) -> str:
    if isinstance(error, ssl.SSLError) and error.reason in _NO_TLS:
        return "does not speak TLS there; write http:// in --server"
    if isinstance(error, http.client.BadStatusLine) and str(error).startswith(_ALERT):
        return "speaks TLS there; write https:// in --server"
    names = ("verify_message", "reason", "strerror") if isinstance(error, OSError) else ()
    details = (getattr(error, name, None) for name in names)
    why = next(filter(None, details), str(error)) or type(error).__name__
    text = next((text for kind, text in _REASONS if isinstance(error, kind)), "{why}")
    return text.format(why=one_line(why), seconds=timeout, line=one_line(str(error).strip(), 60))
