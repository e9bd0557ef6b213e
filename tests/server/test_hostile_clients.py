"""Clients without a token that send too much, too slowly or nothing: what they cost is bounded."""

from __future__ import annotations

import io
import logging
import re
import resource
import socket
import struct
import time
import tracemalloc
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from kscope.cli.logs import Escaping
from kscope.server.http.log_throttle import ThrottledLog
from kscope.server.http.wrong_tokens import WrongTokens
from tests.server.test_access import BODY, make_token
from tests.serving import Serving, serving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MIB = 1024 * 1024
GET = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"
POST = b"POST / HTTP/1.1\r\nHost: localhost\r\n"
CHUNKED = POST + b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with serving(tmp_path_factory.mktemp("hostile"), files=1024) as running:
        yield running


@contextmanager
def connected(url: str, source: str = "") -> Iterator[socket.socket]:
    parts = urlsplit(url)
    place = (parts.hostname or "", parts.port or 0)
    own = (source, 0) if source else None
    with socket.create_connection(place, 60, source_address=own) as connection:
        yield connection


def status(connection: socket.socket) -> int:
    """Return the status of the next answer, 0 if the connection ends without one."""
    with suppress(ConnectionError):
        line = connection.recv(12)
        return int(line[9:]) if line else 0
    return 0


def is_well(connection: socket.socket, fields: bytes = b"") -> bool:
    """Ask for /healthz, and read the whole answer."""
    connection.sendall(GET + fields + b"\r\n")
    answer = b""
    while not answer.endswith(b"\r\n\r\nok\n") and (more := connection.recv(65536)):
        answer += more
    return answer.startswith(b"HTTP/1.1 200 ")


def ended(connection: socket.socket) -> bool:
    with suppress(ConnectionError):
        while connection.recv(65536):
            pass
    return True


def peak(server: Serving) -> int:
    """The most memory that the server has had, in bytes."""
    text = Path(f"/proc/{server.process.pid}/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", text)
    assert found
    return int(found[1]) * 1024


def log_size(server: Serving) -> int:
    return server.log_file.stat().st_size


def metric(server: Serving, line: str) -> int:
    found = re.search(rf"^{re.escape(line)} (\d+)$", server.get("/metrics").text, re.MULTILINE)
    return int(found[1]) if found else 0


def flood(connection: socket.socket, piece: bytes, times: int) -> int:
    """Send `piece` until the server ends the connection; return the bytes that it took."""
    taken = 0
    with suppress(ConnectionError):
        for _ in range(times):
            connection.sendall(piece)
            taken += len(piece)
    return taken


def well(server: Serving) -> None:
    for side in (server.read, server.ingest):
        with connected(side) as connection:
            assert is_well(connection)


def test_silent_connections_lock_nobody_out(server: Serving) -> None:
    """More of them than the process may open files: a client that asks gets their place."""
    before = log_size(server)
    with ExitStack() as stack:
        for _ in range(1100):
            for side in (server.read, server.ingest):
                with suppress(OSError):
                    stack.enter_context(connected(side))
        well(server)
        server.post(BODY)
        assert metric(server, 'kscope_connections_open{listener="read"}') <= 448
        reason = 'listener="ingest",reason="for_another"'
        assert metric(server, f"kscope_connections_ended_total{{{reason}}}") > 0
    assert log_size(server) - before < 2000


def test_one_listener_does_not_starve_the_other(server: Serving) -> None:
    """Each has places that are its own."""
    with ExitStack() as stack:
        for _ in range(600):
            connection = stack.enter_context(connected(server.ingest))
            with suppress(ConnectionError):
                connection.sendall(POST + b"Content-Length: 10\r\n\r\n1")
        assert metric(server, 'kscope_connections_open{listener="read"}') < 10
        well(server)


def test_an_address_that_takes_all_places_takes_only_its_own(tmp_path: Path) -> None:
    """Connections that others keep open stay open."""
    config = tmp_path / "kernelscope.yaml"
    config.write_text("max_connections: 20\nmax_connections_per_address: 10\n")
    with serving(tmp_path, "--config", config) as server, ExitStack() as stack:
        kept = [stack.enter_context(connected(server.read, "127.0.0.2")) for _ in range(5)]
        assert all(map(is_well, kept))
        for _ in range(200):
            stack.enter_context(connected(server.read, "127.0.0.3"))
        assert all(map(is_well, kept))


HEADS = {
    "many fields": (GET, b"X: 1\r\n", 431),
    "one long field": (GET + b"X: ", b"a" * 1000, 431),
    "a field without a colon": (GET, b"a" * 1000, 431),
    "a folded field": (GET + b"X: a\r\n", b" a\r\n", 400),
    "a long target": (b"GET /", b"a" * 1000, 414),
    "a long query": (b"GET /?", b"a=1&", 414),
    "a long method": (b"", b"A" * 1000, 400),
    "empty lines": (b"", b"\r\n" * 500, 400),
    "empty lines between requests": (GET + b"\r\n", b"\r\n" * 500, 200),
    "extensions of a chunk": (CHUNKED + b"1", b";a=b" * 300, 400),
    "trailers": (CHUNKED + b"1\r\n{\r\n0\r\n", b"X: 1\r\n" * 200, 400),
    "one long trailer": (CHUNKED + b"1\r\n{\r\n0\r\nX: ", b"a" * 1000, 400),
    "small chunks": (CHUNKED, b"1\r\n \r\n" * 200, 400),
    "a chunk size of many digits": (CHUNKED, b"0" * 1000, 400),
    "no HTTP": (b"", b"\x16\x03\x01\x00" * 100, 400),
}


@pytest.mark.parametrize("kind", [*HEADS])
def test_a_request_without_end_is_refused(server: Serving, kind: str) -> None:
    """The server reads little of it, says why, and keeps nothing."""
    start, piece, expected = HEADS[kind]
    before, log_before = peak(server), log_size(server)
    with connected(server.ingest) as connection:
        connection.sendall(start)
        taken = flood(connection, piece, 32 * MIB // len(piece))
        assert status(connection) == expected
        assert ended(connection)
    # Bytes in both sockets' buffers count as accepted.
    assert taken < 24 * MIB
    assert peak(server) - before < 8 * MIB
    assert log_size(server) == log_before
    well(server)


LEFT = {
    "not HTTP": b"\x16\x03\x01\r\n\r\n",
    "an upgrade": GET + b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    "HTTP/2": GET + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\r\n",
    "one request": GET + b"Connection: close\r\n\r\n",
    "many requests": (GET + b"\r\n") * 50,
    "half a head": GET,
    "half a body": POST + b"Content-Length: 100\r\n\r\n{",
    "half a chunk": CHUNKED + b"ff\r\n{",
    "a wrong type": POST + b"Content-Type: image/png\r\nContent-Length: 9\r\n\r\n",
}


@pytest.mark.parametrize("reset", [True, False])
@pytest.mark.parametrize("kind", [*LEFT])
def test_clients_that_leave_fill_no_log(server: Serving, kind: str, *, reset: bool) -> None:
    """Before their request, in the middle of it, before its answer and after."""
    before = log_size(server)
    for number in range(100):
        for url in (server.read, server.ingest):
            with connected(url) as connection:
                if reset:
                    linger = struct.pack("ii", 1, 0)
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                connection.sendall(LEFT[kind])
                connection.settimeout(0.01)
                if number % 2:
                    with suppress(OSError):
                        connection.recv(1)
    with connected(server.read) as read, connected(server.ingest) as ingest:
        assert is_well(read)
        assert is_well(ingest)
    assert server.log_file.read_text()[before:] == ""


def test_a_hundred_fields_are_fine(server: Serving) -> None:
    """So are long ones: proxies and single sign-on add some kilobytes."""
    with connected(server.read) as connection:
        for _ in range(3):
            assert is_well(connection, b"X: " + b"a" * 15_000 + b"\r\n" + b"X: 1\r\n" * 98)
        connection.sendall(GET + b"X: 1\r\n" * 100 + b"\r\n")
        assert status(connection) == 431


def test_trailers_are_no_headers(server: Serving) -> None:
    """A field after the body cannot pretend that a proxy let it through."""
    with connected(server.ingest) as connection:
        body = b"1\r\n{\r\n0\r\nOrigin: http://evil.example\r\n\r\n"
        connection.sendall(CHUNKED + body)
        assert status(connection) == 400


def test_requests_that_do_not_arrive_are_ended(server: Serving) -> None:
    """Also one that sends a byte now and then; its time runs from the first byte."""
    with ExitStack() as stack:
        silent, partial, dripping = (stack.enter_context(connected(server.read)) for _ in range(3))
        partial.sendall(GET)
        dripping.sendall(GET + b"X: ")
        dripping.settimeout(0.5)
        answer = b""
        while not answer:
            with suppress(TimeoutError):
                answer = dripping.recv(12)
            if not answer:
                dripping.sendall(b"a")
        assert answer == b"HTTP/1.1 408"
        assert status(partial) == 408
        assert status(silent) == 0
    reason = 'listener="read",reason="head"'
    assert metric(server, f"kscope_connections_ended_total{{{reason}}}") >= 3


def test_many_requests_in_one_go_are_answered_in_order(server: Serving) -> None:
    """As many as its answers are read, and no more: the rest waits in the sockets."""
    before = peak(server)
    with connected(server.read) as connection:
        connection.settimeout(0)
        requests, sent, answers = (GET + b"\r\n") * 500, 0, 0
        waiting = b""
        stop = time.monotonic() + 120
        while answers < 20_000 and time.monotonic() < stop:
            with suppress(BlockingIOError):
                if sent < 40 * len(requests):
                    sent += connection.send(requests[sent % len(requests) :])
            with suppress(BlockingIOError):
                waiting += connection.recv(MIB)
            parts = waiting.split(b"\r\n\r\nok\n")
            answers += len(parts) - 1
            waiting = parts[-1]
        assert answers == 20_000
    assert peak(server) - before < 8 * MIB


def test_requests_behind_a_body_of_chunks_are_bounded(server: Serving) -> None:
    """A piece of a body is large: behind its end it has room for many requests."""
    body = CHUNKED + b"12c\r\n" + b" " * 300 + b"\r\n0\r\n\r\n"
    for waiting, refused in ((60, False), (200, True)):
        with connected(server.ingest) as connection:
            connection.sendall(body + (GET + b"\r\n") * waiting)
            connection.shutdown(socket.SHUT_WR)
            answers = b""
            while more := connection.recv(65536):
                answers += more
        assert answers.count(b"HTTP/1.1 200 ") == min(waiting, 64 if refused else waiting)
        assert (b"more than 64 requests wait for earlier answers" in answers) is refused
    well(server)


def test_answers_that_nobody_reads_do_not_pile_up(server: Serving) -> None:
    """A hundred clients that ask a thousand times each, and read nothing."""
    ask = b"GET /api/v1/categories HTTP/1.1\r\nHost: localhost\r\n\r\n"
    before = peak(server)
    with ExitStack() as stack:
        for _ in range(100):
            connection = stack.enter_context(connected(server.read))
            connection.settimeout(0)
            with suppress(BlockingIOError, ConnectionError):
                connection.send(ask * 1000)
        for _ in range(20):
            well(server)
    assert peak(server) - before < 100 * MIB


def test_a_server_without_free_files_recovers(tmp_path: Path) -> None:
    """It neither spins nor fills its log, and accepts again as soon as it can."""
    with serving(tmp_path) as server:
        process = server.process.pid
        limits = resource.prlimit(process, resource.RLIMIT_NOFILE)
        used = len(list(Path(f"/proc/{process}/fd").iterdir()))
        resource.prlimit(process, resource.RLIMIT_NOFILE, (used + 3, limits[1]))
        before = log_size(server)
        with ExitStack() as stack:
            for _ in range(300):
                stack.enter_context(connected(server.ingest))
            cpu = cpu_seconds(process)
            time.sleep(2)
            assert cpu_seconds(process) - cpu < 1
            text = server.log_file.read_text()[before:]
            # Its housekeeping, which needs files as well, may have a line for each table.
            assert 1 <= text.count("no connection can be accepted: Too many open files") <= 3
            assert len(text) < 20_000
            # Connections that wait for their clients make room even so.
            well(server)
            resource.prlimit(process, resource.RLIMIT_NOFILE, limits)
            well(server)


def cpu_seconds(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


@pytest.fixture(scope="module")
def token() -> tuple[str, str]:
    return make_token("ingest")


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory, token: tuple[str, str]) -> Iterator[Serving]:
    folder = tmp_path_factory.mktemp("guarded")
    config = folder / "kernelscope.yaml"
    config.write_text(f"database: {{sqlite: k.db}}\ntokens:\n{token[1]}")
    with serving(folder, "--config", config) as running:
        yield running


REFUSED: dict[str, tuple[bytes, Callable[[Serving, Serving], str], int]] = {
    "no token": (b"", lambda _, guarded: guarded.ingest, 401),
    "a wrong token": (b"Authorization: Bearer x\r\n", lambda _, guarded: guarded.ingest, 401),
    "a foreign name": (b"Host: evil.example\r\n", lambda open_, _: open_.ingest, 403),
    "a web page": (b"Origin: http://evil.example\r\n", lambda open_, _: open_.ingest, 403),
    "a wrong type": (b"Content-Type: image/png\r\n", lambda open_, _: open_.ingest, 415),
    "a wrong encoding": (b"Content-Encoding: br\r\n", lambda open_, _: open_.ingest, 415),
    "the page's listener": (b"", lambda open_, _: open_.read, 405),
    "no such address": (b"", lambda open_, _: open_.ingest + "/nothing", 404),
}


@pytest.mark.parametrize("framing", ["Content-Length: 9999999999", "Transfer-Encoding: chunked"])
@pytest.mark.parametrize("why", [*REFUSED])
def test_what_is_refused_is_not_read(
    server: Serving, guarded: Serving, why: str, framing: str
) -> None:
    """The answer comes before the body; a client that sends on and on is cut off."""
    fields, listener, expected = REFUSED[why]
    url = listener(server, guarded)
    host = b"" if b"Host:" in fields else b"Host: localhost\r\n"
    path = (urlsplit(url).path or "/").encode()
    piece = b"a" * 65536
    if "chunked" in framing:
        piece = b"10000\r\n" + piece + b"\r\n"
    with connected(url) as connection:
        connection.sendall(b"POST " + path + b" HTTP/1.1\r\n" + host + fields)
        connection.sendall(framing.encode() + b"\r\n\r\n")
        assert status(connection) == expected
        assert b"\r\nconnection: close\r\n" in connection.recv(65536).lower()
        taken = flood(connection, piece, 2000)
        assert taken < 24 * MIB
    well(server)


def test_a_client_reads_why_after_sending_all(guarded: Serving) -> None:
    """Up to some megabytes: http.client and urllib read no answer before."""
    with connected(guarded.ingest) as connection:
        connection.sendall(POST + b"Content-Length: 3000000\r\n\r\n" + b"a" * 3_000_000)
        assert status(connection) == 401


def test_wrong_tokens_are_throttled_and_right_ones_pass(
    guarded: Serving, token: tuple[str, str]
) -> None:
    """Those who share the address, or a proxy, are not locked out; no token is logged."""
    before = log_size(guarded)
    wrong = [{"Authorization": f"Bearer secret{number}"} for number in range(2000)]
    url = f"{guarded.ingest}/"
    got = [guarded.client.post(url, json=BODY, headers=each) for each in wrong]
    assert {each.status_code for each in got[25:]} == {429}
    assert got[-1].headers["retry-after"] == "60"
    right = {"Authorization": f"Bearer {token[0]}"}
    assert guarded.client.post(url, json=BODY, headers=right).status_code == 200
    assert guarded.client.post(url, json=BODY).status_code == 401
    text = guarded.log_file.read_text()[before:]
    assert len(text) < 2000
    assert "secret" not in text
    metrics = guarded.client.get(f"{guarded.ingest}/metrics", headers=right).text
    assert re.search(
        r'^kscope_tokens_wrong_total{listener="ingest"} 20\d\d$', metrics, re.MULTILINE
    )
    assert re.search(
        r'^kscope_tokens_throttled_total{listener="ingest"} 19\d\d$', metrics, re.MULTILINE
    )


@pytest.mark.parametrize("field", ["X-Forwarded-For", "X-Real-IP", "Forwarded"])
def test_a_header_does_not_change_a_clients_address(guarded: Serving, field: str) -> None:
    """Wrong tokens count for the socket's address, and no header's text reaches the log."""
    before = log_size(guarded)
    for number in range(60):
        named = f"for=10.1.2.{number}" if field == "Forwarded" else f"10.1.2.{number}\x9b31m"
        request = f"Authorization: Bearer x\r\n{field}: {named}\r\n\r\n".encode("latin-1")
        with connected(guarded.ingest) as connection:
            connection.sendall(POST + b"Content-Length: 2\r\n" + request + b"{}")
            assert status(connection) in {401, 429}
    assert status_of_a_wrong_token(guarded) == 429
    time.sleep(0.1)
    text = guarded.log_file.read_bytes()[before:]
    assert b"10.1.2." not in text
    assert not re.search(rb"[\x00-\x09\x0b-\x1f\x7f-\x9f]", text)


def status_of_a_wrong_token(server: Serving) -> int:
    headers = {"Authorization": "Bearer x", "X-Forwarded-For": "192.0.2.1"}
    return server.client.post(f"{server.ingest}/", json=BODY, headers=headers).status_code


def test_no_text_from_outside_starts_a_line_of_the_log() -> None:
    """Control characters are escaped, and a message's or an error's further lines are indented."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(Escaping("%(levelname)s %(message)s"))
    log = logging.getLogger("kscope.escaping")
    log.addHandler(handler)
    log.warning("%s", "a\r\n\x1b[2JINFO forged\x9b\u202e\u2028")
    error = ValueError("b\nINFO forged\x07")
    log.error("failed\nINFO forged", exc_info=error)
    log.removeHandler(handler)
    lines = stream.getvalue().splitlines()
    assert [line for line in lines if not line.startswith("    ")] == [
        "WARNING a\\r",
        "ERROR failed",
    ]
    assert all(line.isprintable() for line in lines)
    assert "    \\x1b[2JINFO forged\\x9b\\u202e\\u2028" in lines


def test_wrong_tokens_of_many_addresses_take_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """The table has a bound; a proxy may name any number of clients."""
    monkeypatch.setattr(ThrottledLog, "warning", lambda *_: None)
    tokens = WrongTokens("ingest")
    tracemalloc.start()
    for number in range(200_000):
        tokens.add(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}")
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert tokens.wrong == 200_000
    assert size < 2 * MIB


def test_paths_and_methods_add_no_metrics(server: Serving) -> None:
    """Labels come from a small set, whatever is asked for."""
    before = len(server.get("/metrics").text.splitlines())
    for number in range(300):
        server.client.request(f"M{number}".replace("0", "A"), f"{server.read}/{number}")
        server.get(f"/{number}")
    assert len(server.get("/metrics").text.splitlines()) < before + 6


def test_a_large_body_and_a_small_one_on_one_connection(server: Serving) -> None:
    """Counts start again with each request, however its end and the next one's head arrive."""
    large, small = (
        POST + b"Content-Length: %d\r\n\r\n" % size + b" " * size for size in (300_000, 10)
    )
    chunked = CHUNKED + (b"%x\r\n" % 90_000 + b" " * 90_000 + b"\r\n") * 3 + b"0\r\n\r\n"
    last = POST + b"Connection: close\r\nContent-Length: 0\r\n\r\n"
    with connected(server.ingest) as connection:
        connection.sendall((large + small + chunked + small) * 3 + last)
        answers = b""
        while more := connection.recv(65536):
            answers += more
    # Each is refused for what is in it.
    assert answers.count(b"HTTP/1.1 4") == 13
    assert b"chunks" not in answers
    assert b"not HTTP" not in answers
