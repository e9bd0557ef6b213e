"""packaging/nginx.conf with a real nginx: all that goes through it."""

from __future__ import annotations

import gzip
import json
import socket
import ssl
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import httpx
import pytest

from kscope.client.endpoint import Endpoint
from kscope.client.logger import Logger
from kscope.client.payload import Payload
from kscope.client.trust import Trust
from tests.commands import command
from tests.nginx import BASE, PROXY, nginx
from tests.server.test_access import make_token
from tests.server.test_tls import Issuer
from tests.serving import Serving, few, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ROW = {"process": "mysqld", "pid": 1234, "stack": "main;futex_wait", "elapsed": 5123}
BODY = {"hostname": "h", "offcputime": [ROW]}
KIB = 1024


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Issuer:
    return Issuer(tmp_path_factory.mktemp("issuer") / "ca").begin()


@pytest.fixture(scope="module")
def tokens() -> dict[str, tuple[str, str]]:
    return {scope: make_token(scope) for scope in ("ingest", "read")}


@pytest.fixture(scope="module")
def server(
    tmp_path_factory: pytest.TempPathFactory, tokens: dict[str, tuple[str, str]]
) -> Iterator[Serving]:
    """As the example's comment says, with a small `max_body`."""
    folder = tmp_path_factory.mktemp("proxied")
    flags = few(folder, "marker", "profile")
    with (folder / "few.yaml").open("a") as file:
        file.write(f"database: {{sqlite: k.db}}\nbase_path: {BASE}\nlinks: links.db\n")
        file.write(f"trusted_proxies: [{PROXY}]\nmax_body: 4MiB\n")
        file.write("receive: {pyroscope: }\nmax_connections_per_address: 2\n")
        file.write(f"tokens:\n{tokens['ingest'][1]}{tokens['read'][1]}")
    with serving(folder, *flags) as running:
        yield running


@pytest.fixture(scope="module", params=["kept", "stripped"])
def address(
    request: pytest.FixtureRequest,
    server: Serving,
    issuer: Issuer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[str]:
    """The proxy's address, whether it passes the base path on or takes it away."""
    folder = tmp_path_factory.mktemp("nginx") / "own"
    strips = request.param == "stripped"
    with nginx(folder, server.read, server.ingest, issuer.issue("proxy"), strips=strips) as url:
        yield url


@pytest.fixture
def writing(issuer: Issuer, tokens: dict[str, tuple[str, str]]) -> Iterator[httpx.Client]:
    with client_of(issuer, tokens["ingest"][0]) as client:
        yield client


@pytest.fixture
def reading(issuer: Issuer, tokens: dict[str, tuple[str, str]]) -> Iterator[httpx.Client]:
    with client_of(issuer, tokens["read"][0]) as client:
        yield client


def client_of(issuer: Issuer, token: str) -> httpx.Client:
    trusted = ssl.create_default_context(cafile=str(issuer.certificate))
    return httpx.Client(verify=trusted, timeout=60, headers={"Authorization": f"Bearer {token}"})


def stored(reading: httpx.Client, address: str, host: str) -> int:
    """Return the number of stored rows of a host."""
    asked = {"hostname": host, "from": "now-1h", "limit": "10000"}
    answer = reading.get(f"{address}/api/v1/rows/offcputime", params=asked)
    assert answer.status_code == 200, answer.text
    return len(answer.json()["rows"])


def test_an_agent_and_a_script_send_through_it(
    address: str, issuer: Issuer, tokens: dict[str, tuple[str, str]], reading: httpx.Client
) -> None:
    """JSON, MessagePack in columns, and gzip; to the address of the page, with its path."""
    host = f"sends-{address.rpartition(':')[2].partition('/')[0]}"
    trust = Trust(issuer.certificate)
    with Logger(address, tokens["ingest"][0], hostname=host, trust=trust) as logger:
        for number in range(2000):
            logger("offcputime", **{**ROW, "pid": number})
    assert logger.counts.stored == 2000
    endpoint = Endpoint(address, tokens["ingest"][0], trust=trust)
    assert endpoint.health().stored
    text = json.dumps({"hostname": host, "offcputime": [ROW]}).encode()
    assert endpoint.post(Payload("offcputime", host, 1, gzip.compress(text), "gzip")).stored
    endpoint.close()
    assert stored(reading, address, host) == 2001


def test_each_side_gets_its_requests(
    address: str, writing: httpx.Client, reading: httpx.Client
) -> None:
    """Rows in both forms, markers, profiles; questions, checks, links and the API of 2016."""
    for path in ("/", "/api/v1/ingest"):
        assert writing.post(address + path, json=BODY).json()["stored"] == {"offcputime": 1}
    marked = writing.post(f"{address}/api/v1/markers", json={"message": "release 2"})
    assert marked.status_code == 200, marked.text
    pushed = writing.post(f"{address}/ingest?name=shop", content=b"main;work 1\n")
    assert pushed.status_code == 200, pushed.text
    found = reading.get(f"{address}/api/v1/markers").json()["markers"]
    assert "release 2" in {each["message"] for each in found}
    asked = {"offcputime": {"elements": ["process"], "limit": 1}}
    assert reading.post(f"{address}/api", json=asked).json()["offcputime"]
    assert reading.post(f"{address}/api/v1/check", content=b"table: x").json()["problems"]
    made = reading.post(f"{address}/api/v1/links", content=b"/?table=offcputime").json()["path"]
    followed = reading.get(address + made)
    assert followed.headers["location"] == f"{BASE}/?table=offcputime"
    bare = reading.get(address, follow_redirects=True)
    assert (bare.status_code, bare.url.path) == (200, f"{BASE}/")
    assert reading.get(f"{address}/api/v1/server").json()["ingest"] == address


def test_bodies_in_pieces_and_compressed_pass(
    address: str, writing: httpx.Client, reading: httpx.Client
) -> None:
    """Also without a length; a large answer comes whole and compressed."""
    host = f"pieces-{address.rpartition(':')[2].partition('/')[0]}"
    rows = [{**ROW, "stack": f"main;f{number};{'x' * 200}"} for number in range(5000)]
    text = json.dumps({"hostname": host, "offcputime": rows}).encode()
    pieces = (text[at : at + 50_000] for at in range(0, len(text), 50_000))
    url = f"{address}/api/v1/ingest"
    assert writing.post(url, content=pieces).json()["stored"] == {"offcputime": 5000}
    headers = {"Content-Encoding": "gzip"}
    squeezed = gzip.compress(json.dumps({"hostname": host, "offcputime": [ROW]}).encode())
    assert writing.post(url, content=squeezed, headers=headers).status_code == 200
    assert stored(reading, address, host) == 5001
    graph = reading.get(f"{address}/api/v1/flamegraph/offcputime", params={"hostname": host})
    assert len(graph.content) > 100_000
    saved = reading.get(f"{address}/api/v1/rows/offcputime?format=csv&hostname={host}")
    assert "attachment" in saved.headers["content-disposition"]
    assert saved.text.count("\n") == 5002


@pytest.mark.parametrize("size", [5 * KIB * KIB, 15 * KIB * KIB])
def test_a_body_that_is_too_large_gets_the_servers_refusal(
    address: str, writing: httpx.Client, size: int
) -> None:
    """With its reason, with a length and without one."""
    pieces = [b" " * 64 * KIB] * (size // (64 * KIB))
    for content in (b"".join(pieces), iter(pieces)):
        answer = writing.post(f"{address}/api/v1/ingest", content=content)
        assert answer.status_code == 413
        assert "larger than 4096 KiB" in answer.json()["detail"]


def test_a_body_beyond_that_is_refused_by_nginx(address: str, writing: httpx.Client) -> None:
    """With the same status."""
    for size in (17, 200):
        answer = writing.post(f"{address}/api/v1/ingest", content=b" " * size * KIB * KIB)
        assert answer.status_code == 413


def test_long_addresses_pass(address: str, reading: httpx.Client) -> None:
    """As long as the server takes."""
    question = "&".join(f"process__ne=p{number:0200}" for number in range(150))
    answer = reading.get(f"{address}/api/v1/top/offcputime?by=process&{question}")
    assert answer.status_code == 200, answer.text[:300]


def test_a_client_cannot_name_another_address(
    address: str, server: Serving, issuer: Issuer
) -> None:
    """Its wrong tokens count for its own, which is in the log."""
    with client_of(issuer, "wrong") as client:
        for number in range(25):
            headers = {"X-Forwarded-For": f"1.2.3.{number}", "Forwarded": "for=1.2.3.4"}
            answer = client.get(f"{address}/api/v1/categories", headers=headers)
        assert answer.status_code == 429
    assert "read: wrong token from 127.0.0.1" in server.log
    assert "1.2.3." not in server.log


def test_commands_ask_through_it(
    address: str,
    issuer: Issuer,
    tokens: dict[str, tuple[str, str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """`kscope query` and `kscope changes`, with the certificate's issuer in SSL_CERT_FILE."""
    monkeypatch.setenv("SSL_CERT_FILE", str(issuer.certificate))
    (tmp_path / "token").write_text(tokens["read"][0])
    there = ("--server", address, "--token-file", tmp_path / "token")
    done = command("query", "offcputime", "--top", "process", *there)
    assert (done.returncode, "mysqld" in done.stdout) == (0, True), done.stderr
    assert command("changes", *there).returncode == 0


@contextmanager
def dripping() -> Iterator[tuple[str, threading.Event]]:
    """A server whose answer has a second piece once the event is set."""
    event = threading.Event()
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nConnection: close\r\n\r\n"

    def answer(listener: socket.socket) -> None:
        with suppress(OSError):
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(head + b'{"piece": 1}\n')
                if event.wait(60):
                    connection.sendall(b'{"piece": 2}\n')

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=answer, args=[listener], daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", event
        event.set()
        thread.join(60)


def test_a_stream_is_not_kept_back(issuer: Issuer, tmp_path: Path) -> None:
    """The first piece arrives while the server has not written the second."""
    certificate = issuer.issue("streaming")
    with (
        dripping() as (upstream, event),
        nginx(tmp_path / "nginx", upstream, upstream, certificate) as url,
        client_of(issuer, "none") as client,
        client.stream("GET", f"{url}/api/v1/changes") as answer,
    ):
        lines = answer.iter_lines()
        assert next(lines) == '{"piece": 1}'
        assert not event.is_set()
        event.set()
        assert next(lines) == '{"piece": 2}'
