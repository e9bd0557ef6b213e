"""The attacks of `benchmarks.attack`: a function for each, and their table at the end.

A function gets the attacker, and does one thing: it sends one request, or opens one connection.
It is called again and again, by so many threads as the table says. Bodies are built once, before
the time runs.
"""

from __future__ import annotations

import gzip
import http.client
import json
import random
import socket
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable

MIB = 1024 * 1024
_TIMEOUT = 60
ROW = {"process": "mysqld", "pid": 1234, "stack": "main;futex_wait", "elapsed": 5123}
_JSON = {"Content-Type": "application/json"}
_GZIP = {**_JSON, "Content-Encoding": "gzip"}


@dataclass
class Attacker:
    """One client of both listeners; `answers` counts statuses, 0 for a connection that ended."""

    read: str
    ingest: str
    read_token: str
    ingest_token: str
    answers: Counter[int] = field(default_factory=Counter)
    _kept: list[socket.socket] = field(default_factory=list)
    _connections: dict[tuple[int, str], http.client.HTTPConnection] = field(default_factory=dict)

    def ask(self, path: str) -> None:
        self._send("GET", self.read, path, b"", self._bearer(self.read_token))

    def post(self, path: str, body: bytes, kind: str = "application/json") -> None:
        self._send(
            "POST", self.read, path, body, self._bearer(self.read_token) | {"Content-Type": kind}
        )

    def rows(self, body: bytes, headers: dict[str, str] | None = None, token: str = "") -> None:
        bearer = self._bearer(token or self.ingest_token)
        self._send("POST", self.ingest, "/api/v1/ingest", body, bearer | (headers or _JSON))

    def open(self, side: str) -> socket.socket:
        parts = urlsplit(side)
        place = (parts.hostname or "", parts.port or 0)
        return socket.create_connection(place, _TIMEOUT)

    def keep(self, side: str, start: bytes, drip: bytes = b"", most: int = 1100) -> None:
        """Open one more connection, up to a bound; then send a little on each of them."""
        if len(self._kept) >= most:
            time.sleep(0.1)
            for connection in self._kept if drip else ():
                with suppress(OSError):
                    connection.send(drip, socket.MSG_DONTWAIT)
            return
        with suppress(OSError):
            connection = self.open(side)
            self._kept.append(connection)
            connection.send(start, socket.MSG_DONTWAIT)
            self.answers[0] += 1

    def flood(self, side: str, start: bytes, piece: bytes, times: int) -> None:
        """Send pieces until the server ends the connection."""
        with suppress(OSError), self.open(side) as connection:
            connection.sendall(start)
            for _ in range(times):
                connection.sendall(piece)
        self.answers[0] += 1

    def _send(
        self, method: str, side: str, path: str, body: bytes, headers: dict[str, str]
    ) -> None:
        connection = self._connection(side)
        try:
            connection.request(method, path, body or None, headers)
            answer = connection.getresponse()
            while answer.read(MIB):
                pass
            self.answers[answer.status] += 1
        except (OSError, http.client.HTTPException):
            connection.close()
            self.answers[0] += 1

    def _connection(self, side: str) -> http.client.HTTPConnection:
        key = threading.get_ident(), side
        if key not in self._connections:
            parts = urlsplit(side)
            self._connections[key] = http.client.HTTPConnection(
                parts.hostname or "", parts.port, timeout=_TIMEOUT
            )
        return self._connections[key]

    def _bearer(self, token: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {token}"}


@dataclass(frozen=True)
class Attack:
    """`workers` requests are in flight; each worker waits `pause` seconds between two.

    `build` builds the bodies before the time runs. `loaded`: the database has many process ids.
    """

    name: str
    act: Callable[[Attacker], None]
    workers: int = 4
    pause: float = 0.0
    build: Callable[[], object] = lambda: None
    loaded: bool = False


# Ingest


@cache
def _lists(size: int) -> bytes:
    """Rows that are empty lists: so many bytes of JSON, compressed a thousandfold."""
    text = b'{"hostname":"a","offcputime":[' + b"[]," * (size // 3) + b"[]]}"
    return gzip.compress(text)


@cache
def _names() -> bytes:
    unknown = {f"column_{number}": 1 for number in range(400_000)}
    return gzip.compress(json.dumps({"hostname": "a", "offcputime": [ROW | unknown]}).encode())


@cache
def _tables() -> bytes:
    return gzip.compress(
        json.dumps(
            {"hostname": "a", **{f"offcputime{number}": [] for number in range(400_000)}}
        ).encode()
    )


@cache
def _hostname(deep: int) -> bytes:
    half = 8 * MIB
    value = b"[" * half + b"]" * half if deep else b"[" + b"[]," * (16 * MIB // 3) + b"[]]"
    return b'{"hostname":' + value + b',"offcputime":[]}'


@cache
def _small() -> bytes:
    return b'{"hostname":"a","offcputime":[' + b"[]," * 5300 + b"[]]}"


@cache
def _misfits() -> bytes:
    rows = [ROW | {"elapsed": -1 - number} for number in range(300_000)]
    return gzip.compress(json.dumps({"hostname": "a", "offcputime": rows}).encode())


def lists_8(attacker: Attacker) -> None:
    attacker.rows(_lists(8_000_000), _GZIP)


def lists_72(attacker: Attacker) -> None:
    attacker.rows(_lists(72_000_000), _GZIP)


def small(attacker: Attacker) -> None:
    attacker.rows(_small())


def misfits(attacker: Attacker) -> None:
    attacker.rows(_misfits(), _GZIP)


def names(attacker: Attacker) -> None:
    attacker.rows(_names(), _GZIP)
    attacker.rows(_tables(), _GZIP)


def hostname(attacker: Attacker) -> None:
    attacker.rows(_hostname(0))
    attacker.rows(_hostname(1))


def new_stacks(attacker: Attacker) -> None:
    """Valid rows, each with a new stack."""
    rows = [ROW | {"stack": f"main;f{random.getrandbits(60):x};g"} for _ in range(2000)]
    attacker.rows(json.dumps({"hostname": "cardinal", "offcputime": rows}).encode())


# Connections, before any token


_HEAD = b"GET /api/v1/categories HTTP/1.1\r\nHost: localhost\r\n"
_POST = b"POST /api/v1/ingest HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n"


def silent(attacker: Attacker) -> None:
    attacker.keep(random.choice((attacker.read, attacker.ingest)), b"")


def partial(attacker: Attacker) -> None:
    attacker.keep(random.choice((attacker.read, attacker.ingest)), _HEAD, b"X: 1\r\n")


def slow_bodies(attacker: Attacker) -> None:
    token = f"Authorization: Bearer {attacker.ingest_token}\r\n\r\n".encode()
    attacker.keep(attacker.ingest, _POST + token, b" ")


def unread(attacker: Attacker) -> None:
    token = f"Authorization: Bearer {attacker.read_token}\r\n\r\n".encode()
    attacker.keep(attacker.read, (_HEAD + token) * 3, most=300)


def endless_head(attacker: Attacker) -> None:
    attacker.flood(attacker.ingest, _HEAD, b"X: 1\r\n" * 1000, 100_000)


def endless_chunk(attacker: Attacker) -> None:
    start = _POST.replace(b"Content-Length: 1000000", b"Transfer-Encoding: chunked")
    token = f"Authorization: Bearer {attacker.ingest_token}\r\n\r\n".encode()
    attacker.flood(attacker.ingest, start + token, b"1\r\n \r\n" * 1000, 100_000)


def pipelined(attacker: Attacker) -> None:
    attacker.flood(attacker.read, b"", b"GET /healthz HTTP/1.1\r\n\r\n" * 1000, 1000)


def wrong_tokens(attacker: Attacker) -> None:
    attacker.rows(_small(), token=f"wrong{random.random()}")


def wrong_token_endless(attacker: Attacker) -> None:
    start = _POST.replace(b"1000000", b"9999999999") + b"Authorization: Bearer wrong\r\n\r\n"
    attacker.flood(attacker.ingest, start, b" " * 65536, 10_000)


# Reads. A process id in each row makes as many groups as rows.


def top_of_pids(attacker: Attacker) -> None:
    attacker.ask("/api/v1/top/offcputime?from=now-1h&by=pid")
    attacker.ask("/api/v1/timeseries/offcputime?from=now-1h&by=pid")


def regexes(attacker: Attacker) -> None:
    kinds = ("stack__regex", "stack__not_regex", "process__regex", "cgroup__regex")
    filters = "&".join(
        f"{kinds[number % 4]}={quote(f'(a|b|[^{number}])*x{{0,{10 + number}}}')}"
        for number in range(40)
    )
    attacker.ask(f"/api/v1/flamegraph/offcputime?from=now-1h&{filters}")


def parameters(attacker: Attacker) -> None:
    unknown = "&".join(f"parameter{number}=1" for number in range(5000))
    attacker.ask(f"/api/v1/top/offcputime?{unknown[:60_000]}")


@cache
def _category() -> bytes:
    columns = "\n".join(f"  - {{name: c{number}, type: int}}" for number in range(400))
    return f"table: mine\nprettyname: Mine\ncolumns:\n{columns}\n".encode()


def checks(attacker: Attacker) -> None:
    attacker.post("/api/v1/check", _category(), "application/yaml")


@cache
def _elements() -> bytes:
    asked: dict[str, Any] = {"elements": ["stack", "pid"] * 5000}
    return json.dumps({"offcputime": asked}).encode()


def elements(attacker: Attacker) -> None:
    attacker.post("/api", _elements())


ATTACKS = (
    Attack("lists as rows, 7.8 KB of gzip", lists_8, build=lambda: _lists(8_000_000)),
    Attack("lists as rows, 71 KB of gzip", lists_72, build=lambda: _lists(72_000_000)),
    Attack("400,000 unknown names", names, build=lambda: (_names(), _tables())),
    Attack("16 MiB of [] as hostname", hostname, build=lambda: (_hostname(0), _hostname(1))),
    Attack("16 senders of wrong bodies, 16 KB", small, 16, build=_small),
    Attack("300,000 rows that do not fit", misfits, build=_misfits),
    Attack("a new stack in each row", new_stacks, 2, 0.1),
    Attack("1,100 silent connections", silent, 1),
    Attack("partial heads, byte by byte", partial, 1),
    Attack("slow bodies", slow_bodies, 1),
    Attack("answers that are not read", unread, 1, 0.02),
    Attack("endless heads", endless_head),
    Attack("endless small chunks", endless_chunk),
    Attack("pipelined requests", pipelined, 1),
    Attack("wrong tokens", wrong_tokens, 8, build=_small),
    Attack("wrong tokens, endless bodies", wrong_token_endless),
    Attack("top and timeseries of 400,000 pids", top_of_pids, loaded=True),
    Attack("40 regular expressions", regexes, loaded=True),
    Attack("5,000 unknown parameters", parameters, loaded=True),
    Attack("category files to check", checks, 8, build=_category),
    Attack("10,000 elements of the 2016 API", elements, build=_elements, loaded=True),
)
