"""Sends rows to a server: `Logger` for scripts, `Endpoint` for the agent. Standard library only.

from kscope.client import Logger

with Logger("http://127.0.0.1:8081") as log:
    log("cpu", process="mysqld", usage=0.7)
"""

from __future__ import annotations

import gzip
import http.client
import json
import random
import re
import socket
import ssl
import threading
import time
import urllib.parse
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self

from kscope import __version__
from kscope.errors import KscopeError
from kscope.files import UnreadableError, read_secret

if TYPE_CHECKING:
    from pathlib import Path

try:  # the server reads both; zstd is smaller and cheaper where it is to be had
    import zstandard
except ImportError:  # pragma: no cover - depends on the machine
    zstandard = None  # type: ignore[assignment, unused-ignore]

INGEST_PATH = "/api/v1/ingest"
DEFAULT_PORT = 8081
# RFC 6750's token characters: what a header carries whatever the library.
_TOKEN = re.compile(r"[A-Za-z0-9._~+/=-]+")
# Answers after which the same bytes may well be taken later.
_AGAIN = frozenset({401, 403, 404, 408, 425, 429})


def read_token(file: Path | None) -> str:
    """Return the token in a file, or an empty text without a file. Raises KscopeError."""
    try:
        return read_secret(file) if file else ""
    except UnreadableError as error:
        text = f"{file}: holds no token: it {error.fault}; `kscope token` makes one"
        raise KscopeError(text) from None


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one request; `status` 0 means that no server answered, `detail` why.

    `retry_after` is in seconds, `clock_ahead` how far the server's clock is ahead of ours.
    """

    status: int
    detail: str = ""
    retry_after: float | None = None
    clock_ahead: float | None = None

    @property
    def accepted(self) -> bool:
        return self.status == 200

    @property
    def retry(self) -> bool:
        """Whether to send the same bytes again; otherwise the server will never take them."""
        return self.status == 0 or self.status in _AGAIN or self.status >= 500


class Endpoint:
    """One server's ingest listener, over a connection that is kept open. Not for two threads.

    `timeout` is how long to wait for each sign of life, in seconds.
    """

    def __init__(self, url: str, token: str = "", timeout: float = 30.0) -> None:
        parts, host, port = _address(url)
        if token and not _TOKEN.fullmatch(token):
            raise KscopeError("the token holds what no token may: `kscope token` makes one")
        self.url = f"{parts.scheme}://{parts.netloc}"
        self._path = parts.path.rstrip("/")
        self._headers = {"User-Agent": f"kscope/{__version__}"}
        if token:
            self._headers["Authorization"] = f"Bearer {token}"
        if parts.scheme == "https":
            context = ssl.create_default_context()
            self._connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                host, port, timeout=timeout, context=context
            )
        else:
            self._connection = http.client.HTTPConnection(host, port, timeout=timeout)

    def health(self) -> Answer:
        """Whether a server is there and well, whoever asks."""
        return self._try("GET", "/healthz", b"", self._headers)

    def metrics(self) -> Answer:
        """What the server counts; the start of it, if it is long."""
        return self._try("GET", "/metrics", b"", self._headers)

    def post(self, body: bytes, encoding: str, key: str) -> Answer:
        """Send a request body; the server stores what comes twice under one `key` once."""
        headers = {**self._headers, "Content-Type": "application/json", "Idempotency-Key": key}
        if encoding:
            headers["Content-Encoding"] = encoding
        fresh = self._connection.sock is None
        answer = self._try("POST", INGEST_PATH, body, headers)
        # An idle connection may have been closed by the other side: that says nothing about it.
        if answer.status or fresh:
            return answer
        return self._try("POST", INGEST_PATH, body, headers)

    def _try(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> Answer:
        try:
            self._connection.request(method, self._path + path, body, headers)
            response = self._connection.getresponse()
            text = response.read(65536).decode("utf-8", "replace")
            response.read()
        except (OSError, http.client.HTTPException, ValueError) as error:
            # ValueError: a host name or a path that cannot be written in a request.
            self.close()
            return Answer(0, f"{self.url}: {error or type(error).__name__}")
        return Answer(
            response.status,
            text,
            _seconds(response.headers.get("Retry-After")),
            clock_ahead(response.headers.get("Date")),
        )

    def close(self) -> None:
        self._connection.close()


def _address(url: str) -> tuple[urllib.parse.SplitResult, str, int]:
    try:
        parts = urllib.parse.urlsplit(url if "://" in url else f"http://{url}")
        port = parts.port or (443 if parts.scheme == "https" else DEFAULT_PORT)
    except ValueError as error:
        raise KscopeError(f"'{url}': {error}") from None
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise KscopeError(f"'{url}' is not the address of a server, such as http://host:8081")
    return parts, parts.hostname, port


def _seconds(header: str | None) -> float | None:
    try:
        return max(0.0, float(header)) if header else None
    except ValueError:
        return None


def clock_ahead(header: str | None) -> float | None:
    try:
        theirs = datetime.strptime(header or "", "%a, %d %b %Y %H:%M:%S GMT").replace(tzinfo=UTC)
    except ValueError:
        return None
    return theirs.timestamp() - time.time()


def encode(body: dict[str, Any]) -> tuple[bytes, str]:
    """A request body, compressed, and its Content-Encoding."""
    raw = json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "replace")
    if zstandard:
        return zstandard.ZstdCompressor(level=3).compress(raw), "zstd"
    return gzip.compress(raw, compresslevel=5), "gzip"


def decode(body: bytes, encoding: str) -> dict[str, Any]:
    """What `encode` made. Raises ValueError where this machine cannot read it."""
    if encoding == "zstd":
        if not zstandard:
            raise ValueError("zstandard is not installed")
        body = zstandard.ZstdDecompressor().decompressobj().decompress(body)
    elif encoding == "gzip":
        body = gzip.decompress(body)
    decoded: dict[str, Any] = json.loads(body)
    return decoded


def timestamp(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


def backoff(attempt: int, longest: float) -> float:
    """Seconds to wait before attempt `attempt` (from 1): doubling, and random so that a fleet
    which lost its server at one moment does not come back at one moment.
    """
    return random.uniform(0.5, 1.0) * min(longest, 2.0 ** min(attempt - 1, 16))  # noqa: S311


def patience(answer: Answer, attempt: int, longest: float) -> float:
    """Seconds to leave the server in peace after an answer. What it asks for is stretched at
    random too: it may have told a whole fleet the same.
    """
    asked = min(answer.retry_after or 0.0, 10 * longest)
    return max(asked * random.uniform(1.0, 1.5), backoff(attempt, longest))  # noqa: S311


@dataclass(slots=True)
class _Batch:
    rows: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    key: str = field(default_factory=lambda: uuid.uuid4().hex)
    count: int = 0


class Logger:
    """Collects rows and sends them together, from a thread of its own.

    Rows go out after `interval` seconds or when `batch` of them wait. While no server answers up
    to `most` rows are kept; then calling raises KscopeError, so that nothing is lost unseen. A
    request that the server refuses raises at the next call, flush or close.
    """

    def __init__(  # noqa: PLR0913 - each with a default that fits
        self,
        url: str,
        token: str = "",
        *,
        hostname: str = "",
        interval: float = 1.0,
        batch: int = 1000,
        most: int = 100_000,
    ) -> None:
        self._endpoint = Endpoint(url, token)
        self._hostname = hostname or socket.gethostname()
        self._interval = interval
        self._size = batch
        self._most = most
        self._open = _Batch()
        self._sealed: list[_Batch] = []
        self._waiting = 0
        self._refused = ""
        self._lock = threading.Lock()
        self._sending = threading.Lock()
        self._wake = threading.Event()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="kscope-logger", daemon=True)
        self._thread.start()

    def __call__(self, table: str, /, **columns: Any) -> None:
        """Log one row of category `table`. Its time is now, unless a `time` is given."""
        self._raise_refused()
        columns.setdefault("time", timestamp(time.time()))
        with self._lock:
            if self._closed:
                raise KscopeError("this Logger is closed")
            if self._waiting >= self._most:
                raise KscopeError(f"{self._endpoint.url}: {self._waiting} rows wait to be sent")
            self._open.rows.setdefault(table, []).append(columns)
            self._open.count += 1
            self._waiting += 1
            full = self._open.count >= self._size
            if full:
                self._seal()
        if full:
            self._wake.set()

    def flush(self, timeout: float = 30.0) -> None:
        """Return when all rows so far are stored; KscopeError when that could not be done."""
        end = time.monotonic() + timeout
        attempt = 0
        while (answer := self._send_all()) is not None:
            attempt += 1
            wait = patience(answer, attempt, 10)
            if time.monotonic() + wait > end:
                raise KscopeError(f"rows were not sent: {explain(answer)}")
            time.sleep(wait)
        self._raise_refused()

    def close(self, timeout: float = 30.0) -> None:
        with self._lock:
            self._closed = True
        self._wake.set()
        try:
            self.flush(timeout)
        finally:
            self._thread.join(timeout)
            self._endpoint.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _seal(self) -> None:
        if self._open.count:
            self._sealed.append(self._open)
            self._open = _Batch()

    def _run(self) -> None:
        attempt = 0
        while not self._closed:
            answer = self._send_all()
            attempt = attempt + 1 if answer else 0
            self._wake.wait(patience(answer, attempt, 30) if answer else self._interval)
            self._wake.clear()

    def _send_all(self) -> Answer | None:
        """None when nothing is left to send, else the answer that asks for patience."""
        with self._sending:
            with self._lock:
                self._seal()
            while self._sealed:
                batch = self._sealed[0]
                answer = self._send(batch)
                if answer and answer.retry:
                    return answer
                with self._lock:
                    self._sealed.pop(0)
                    self._waiting -= batch.count
        return None

    def _send(self, batch: _Batch) -> Answer | None:
        body = {"hostname": self._hostname, "time": timestamp(time.time()), **batch.rows}
        try:
            encoded = encode(body)
        except (TypeError, ValueError) as error:
            self._refused = f"rows hold what JSON has no form for: {error}"
            return None
        answer = self._endpoint.post(*encoded, batch.key)
        if not answer.accepted and not answer.retry:
            self._refused = f"the server refused rows: {explain(answer)}"
        return answer

    def _raise_refused(self) -> None:
        refused, self._refused = self._refused, ""
        if refused:
            raise KscopeError(refused)


def explain(answer: Answer) -> str:
    """One line on what the server said, from its problem document where it sent one."""
    if not answer.status:
        return answer.detail
    try:
        problem = json.loads(answer.detail)
        text = str(problem.get("detail") or problem.get("title") or "")
        errors = [f"{e.get('pointer', '')}: {e.get('detail', '')}" for e in problem["errors"][:3]]
        # The sentence holds the first of them.
        errors = [each for each in errors if each not in text]
    except (ValueError, AttributeError, KeyError, TypeError):
        text, errors = answer.detail[:300].replace("\n", " "), []
    return " ".join([f"HTTP {answer.status}", text, *errors]).strip()
