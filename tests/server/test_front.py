"""A proxy in front: the path that it puts before ours, and the client that it names."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from ipaddress import ip_network
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from kscope.client.logger import Logger
from kscope.config import parse_settings
from kscope.errors import DeclarationError
from kscope.server.http.front import Front
from kscope.server.read import (
    admin_routes,
    api_2016,
    category_routes,
    links,
    marker_routes,
    routes,
    static_files,
)
from kscope.server.receive import otlp, pyroscope
from tests.commands import command
from tests.server.test_access import BODY, make_token
from tests.server.test_hostile_clients import connected, ended, is_well
from tests.serving import Serving, few, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from starlette.types import Receive, Scope, Send

BASE = "/kernelscope"


@pytest.fixture(scope="module")
def below(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """A server with a base path; `read` and `ingest` have it at their ends."""
    folder = tmp_path_factory.mktemp("below")
    flags = few(folder)
    with (folder / "few.yaml").open("a") as file:
        file.write("database: {sqlite: k.db}\nlinks: links.db\n")
    with serving(folder, *flags, "--base-path", BASE, "--insecure") as running:
        yield running


def bare(url: str) -> str:
    return url.removesuffix(BASE)


def test_a_server_answers_below_its_base_path_and_without_it(below: Serving) -> None:
    """A proxy passes the path on, or takes it away; a path that only begins alike is another."""
    assert below.read.endswith(BASE)
    for base in (below.ingest, bare(below.ingest)):
        assert below.client.post(f"{base}/", json=BODY).status_code == 200
        assert below.client.post(f"{base}/api/v1/ingest", json=BODY).status_code == 200
        assert below.client.post(f"{base}/ingest", json=BODY).status_code == 404
    for base in (below.read, bare(below.read)):
        for path in ("/", "/new", "/icon.svg", "/healthz", "/metrics", "/api/v1/categories"):
            assert below.client.get(base + path).status_code == 200, base + path
    for path in (f"{BASE}x/healthz", f"{BASE}%2F..%2Fhealthz", f"/x{BASE}/healthz"):
        assert below.client.get(bare(below.read) + path).status_code == 404, path
    assert below.client.post(below.ingest, json=BODY).status_code == 200


def test_the_base_path_without_a_slash_leads_to_the_page(below: Serving) -> None:
    """Its addresses are relative to the folder that the page is in."""
    answer = below.client.get(f"{below.read}?table=offcputime")
    assert answer.status_code == 308
    assert answer.headers["location"] == f"{BASE}/?table=offcputime"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert below.client.get(below.read, follow_redirects=True).status_code == 200


def test_addresses_that_the_server_writes_have_the_base_path(below: Serving) -> None:
    """A short link's, those of the OpenAPI document, and that of the listener for rows."""
    made = below.client.post(f"{below.read}/api/v1/links", content="/?table=offcputime").json()
    answer = below.client.get(below.read + made["path"])
    assert answer.headers["location"] == f"{BASE}/?table=offcputime"
    assert below.get("/api/v1/openapi.json").json()["servers"] == [{"url": BASE}]
    assert below.get("/api/v1/server").json()["ingest"] == below.ingest


def test_commands_take_an_address_with_a_path(below: Serving, tmp_path: Path) -> None:
    """Those that ask, and those that send; also with the slash that people copy along."""
    for base in (below.read, f"{below.read}/"):
        for asked_for in (("--top", "process"), ("-q", "hosts"), ("--format", "csv")):
            done = command("query", "offcputime", *asked_for, "--server", base)
            assert (done.returncode, done.stderr) == (0, ""), asked_for
        assert command("changes", "--server", base).returncode == 0
    stacks = tmp_path / "made.folded"
    stacks.write_text("sent;main;read 5\n")
    sent = command("import", "offcputime", stacks, "--server", f"{below.ingest}/")
    assert sent.returncode == 0, sent.stderr
    with Logger(below.ingest) as logger:
        logger("offcputime", process="logged", pid=1, stack="main", elapsed=5)
    found = command("query", "offcputime", "--top", "process", "--server", below.read)
    assert "sent" in found.stdout
    assert "logged" in found.stdout


@pytest.mark.parametrize(
    "text",
    [
        "kernelscope", "/kernelscope/", "/", "", "//kernelscope", "/a//b", "/a?b=c", "/a#b", "/..",
        "/a/../b", "/./a", "/a%2fb", "/a b", "/a\tb", "/a\x1b", "/\N{EURO SIGN}", "https://x/a",
        "/" + "a" * 255, "/a;b", '/a"b',
    ],
)  # fmt: skip
def test_a_bad_base_path_is_refused_at_the_start(tmp_path: Path, text: str) -> None:
    """By the option and by the setting, with a message that shows the form."""
    done = command("serve", "--sqlite", tmp_path / "k.db", "--base-path", text)
    assert done.returncode == 2
    assert "--base-path: " in done.stderr
    assert "such as /kernelscope" in done.stderr or "at most 255" in done.stderr or not text
    assert "Traceback" not in done.stderr
    with pytest.raises(DeclarationError, match="base_path: "):
        parse_settings(f"base_path: {text!r}", "kernelscope.yaml", tmp_path)


def test_the_servers_own_paths_are_no_base_path(tmp_path: Path) -> None:
    """A proxy that takes one away would make another address of what is left."""
    modules = (admin_routes, api_2016, category_routes, links, marker_routes, routes, static_files)
    paths = {route.path for module in modules for route in module.routes}
    paths |= {"/healthz", "/readyz", "/metrics", otlp.PATH, pyroscope.PUSH, pyroscope.INGEST}
    for first in {path.split("/")[1] for path in paths} - {""}:
        for text in (f"/{first}", f"/{first}/x"):
            with pytest.raises(
                DeclarationError, match=f"the server's own addresses below /{first}"
            ):
                parse_settings(f"base_path: {text}", "kernelscope.yaml", tmp_path)


@pytest.mark.parametrize("text", ["/kernelscope", "/a/b-c/d_e.f~g", "/...", "/.a", "/9"])
def test_a_good_base_path_is_taken(tmp_path: Path, text: str) -> None:
    settings = parse_settings(f"base_path: {text!r}", "kernelscope.yaml", tmp_path)
    assert settings.base_path == text


@pytest.mark.parametrize(
    "text", ["localhost", "10.0.0.1/8", "0.0.0.0/0", "::/0", "*", "10.0.0.0/33", "unix:", ""]
)
def test_what_is_no_network_is_not_trusted(tmp_path: Path, text: str) -> None:
    """A name, everyone, or an address with bits beyond its network."""
    with pytest.raises(DeclarationError, match="trusted_proxies"):
        parse_settings(f"trusted_proxies: [{text!r}]", "kernelscope.yaml", tmp_path)


def seen(peer: str, *fields: tuple[str, str]) -> tuple[str, str]:
    """Return the client's address and the scheme of a request as the server takes it."""
    networks = tuple(map(ip_network, ("127.0.0.1", "10.0.0.0/8", "fd00::/8")))
    found = []

    async def app(scope: Scope, _receive: Receive, _send: Send) -> None:
        found.append((scope["client"][0], scope["scheme"]))

    headers = [(name.lower().encode(), value.encode("latin-1")) for name, value in fields]
    scope = {"type": "http", "path": "/", "client": (peer, 5), "scheme": "http", "headers": headers}
    nothing: Any = None
    asyncio.run(Front(proxies=networks).answer(app, scope, nothing, nothing))
    (only,) = found
    return only


FOR, PROTO = "X-Forwarded-For", "X-Forwarded-Proto"
STRANGER, CLIENT = "192.0.2.9", "198.51.100.7"


@pytest.mark.parametrize(
    ("peer", "named", "client"),
    [
        # A stranger may say anything.
        (STRANGER, (CLIENT,), STRANGER),
        (STRANGER, ("10.0.0.1",), STRANGER),
        # A proxy's word counts; entries before that of the last stranger are the stranger's.
        ("127.0.0.1", (CLIENT,), CLIENT),
        ("127.0.0.1", (f"1.2.3.4, {CLIENT}",), CLIENT),
        ("127.0.0.1", (f"10.0.0.9, 127.0.0.1, {CLIENT}",), CLIENT),
        ("127.0.0.1", ("1.2.3.4", CLIENT), CLIENT),
        ("127.0.0.1", (f"x, {CLIENT}, 10.1.1.1, 10.2.2.2",), CLIENT),
        ("127.0.0.1", (f" {CLIENT} , 10.1.1.1",), CLIENT),
        # All are proxies: the outermost.
        ("127.0.0.1", ("10.1.1.1, 10.2.2.2",), "10.1.1.1"),
        # Nothing that is an address: the proxy that is known.
        ("127.0.0.1", (), "127.0.0.1"),
        ("127.0.0.1", ("",), "127.0.0.1"),
        ("127.0.0.1", (" , ,",), "127.0.0.1"),
        ("127.0.0.1", ("unknown",), "127.0.0.1"),
        ("127.0.0.1", (f"{CLIENT}, _hidden",), "127.0.0.1"),
        ("127.0.0.1", (f"{CLIENT}, evil\x9b31m, 10.1.1.1",), "10.1.1.1"),
        ("127.0.0.1", ("1" * 5000,), "127.0.0.1"),
        # Forms of an address.
        ("127.0.0.1", (f"{CLIENT}:4711",), CLIENT),
        ("127.0.0.1", ("[2001:db8::1]:4711",), "2001:db8::1"),
        ("127.0.0.1", ("[2001:db8::1]",), "2001:db8::1"),
        ("127.0.0.1", ("2001:DB8:0::1",), "2001:db8::1"),
        ("127.0.0.1", (f"::ffff:{CLIENT}",), CLIENT),
        ("::ffff:127.0.0.1", (CLIENT,), CLIENT),
        ("fd00::5", (CLIENT,), CLIENT),
        ("fe80::5%eth0", (CLIENT,), "fe80::5%eth0"),
        # No more proxies one behind the other than the server reads.
        ("127.0.0.1", (", ".join([CLIENT] + ["10.1.1.1"] * 15),), CLIENT),
        ("127.0.0.1", (", ".join([CLIENT] + ["10.1.1.1"] * 5000),), "10.1.1.1"),
    ],
)
def test_the_client_is_the_last_address_that_no_trusted_proxy_has(
    peer: str, named: tuple[str, ...], client: str
) -> None:
    """Of the header that trusted proxies sent, in all of its lines."""
    assert seen(peer, *((FOR, each) for each in named))[0] == client


@pytest.mark.parametrize(
    ("peer", "fields", "scheme"),
    [
        ("127.0.0.1", [(PROTO, "https")], "https"),
        ("127.0.0.1", [(PROTO, "http, https")], "https"),
        ("127.0.0.1", [(PROTO, "javascript")], "http"),
        ("127.0.0.1", [("Forwarded", "for=1.2.3.4;proto=https")], "http"),
        (STRANGER, [(PROTO, "https")], "http"),
    ],
)
def test_the_scheme_is_that_of_a_trusted_proxy(
    peer: str, fields: list[tuple[str, str]], scheme: str
) -> None:
    """`Forwarded` does not count: a proxy passes on that of its client."""
    assert seen(peer, *fields) == (peer, scheme)


@pytest.fixture(scope="module")
def token() -> tuple[str, str]:
    return make_token("ingest")


@pytest.fixture(scope="module")
def behind(tmp_path_factory: pytest.TempPathFactory, token: tuple[str, str]) -> Iterator[Serving]:
    """A server whose proxies are 127.0.0.3 and 127.0.0.4."""
    folder = tmp_path_factory.mktemp("behind")
    flags = few(folder)
    with (folder / "few.yaml").open("a") as file:
        file.write("database: {sqlite: k.db}\ntrusted_proxies: [127.0.0.3, 127.0.0.4]\n")
        file.write("hosts: [Scope.example.com]\nmax_connections_per_address: 2\n")
        file.write(f"tokens:\n{token[1]}{make_token('read')[1]}")
    with serving(folder, *flags) as running:
        yield running


def asked(server: Serving, own: str, client: str, **headers: str) -> httpx.Response:
    """Send a row from an address, through which a client of another came."""
    fields = {FOR: client, **headers}
    with httpx.Client(transport=httpx.HTTPTransport(local_address=own), timeout=30) as sender:
        return sender.post(f"{server.ingest}/", json=BODY, headers=fields)


def test_wrong_tokens_count_for_the_client_behind_the_proxy(
    behind: Serving, token: tuple[str, str]
) -> None:
    """One of its clients is throttled and the others not; it does not help to name another first,
    nor to come past the proxy.
    """
    wrong = {"Authorization": "Bearer x"}
    several = [asked(behind, "127.0.0.3", f"1.2.3.{n}, {CLIENT}", **wrong) for n in range(22)]
    assert several[0].status_code == 401
    assert several[-1].status_code == 429
    assert asked(behind, "127.0.0.4", CLIENT, **wrong).status_code == 429
    assert asked(behind, "127.0.0.3", STRANGER, **wrong).status_code == 401
    assert asked(behind, "127.0.0.2", CLIENT, **wrong).status_code == 401
    right = {"Authorization": f"Bearer {token[0]}"}
    assert asked(behind, "127.0.0.3", CLIENT, **right).status_code == 200
    assert f"wrong token from {CLIENT}" in behind.log


def test_the_audit_log_names_the_client_behind_the_proxy(
    behind: Serving, token: tuple[str, str]
) -> None:
    """A stranger's header is not in it."""
    fields = {"Authorization": f"Bearer {token[0]}", "Content-Encoding": "zip"}
    assert asked(behind, "127.0.0.3", f"1.2.3.4, {CLIENT}", **fields).status_code == 415
    assert f"POST / from {CLIENT}, token ingest: 415" in behind.log
    assert "1.2.3.4" not in behind.log


def test_connections_of_a_proxy_are_those_of_many_clients(behind: Serving) -> None:
    """They have no bound for one address; a stranger's do."""
    with ExitStack() as stack:
        proxied = [stack.enter_context(connected(behind.read, "127.0.0.3")) for _ in range(30)]
        own = [stack.enter_context(connected(behind.read, "127.0.0.2")) for _ in range(4)]
        assert all(map(is_well, proxied))
        well = [is_well(each) for each in own[2:]]
        assert well == [True, True]
        assert ended(own[0])


def test_the_page_gives_the_proxys_address_for_rows(tmp_path: Path) -> None:
    """With its scheme, its name and the base path; a name that is not the page's is refused."""
    flags = few(tmp_path)
    with (tmp_path / "few.yaml").open("a") as file:
        file.write(f"database: {{sqlite: k.db}}\nbase_path: {BASE}\n")
        file.write("trusted_proxies: [127.0.0.1]\nhosts: [scope.example.com]\n")
    with serving(tmp_path, *flags, "--insecure") as server:
        fields = {FOR: CLIENT, PROTO: "https", "Host": "scope.example.com:8443"}
        url = f"{server.read}/api/v1/server"
        found = server.client.get(url, headers=fields).json()["ingest"]
        assert found == f"https://scope.example.com:8443{BASE}"
        direct = server.client.get(url).json()["ingest"]
        assert direct == server.ingest
        refused = server.client.get(url, headers={**fields, "Host": "evil.example"})
        assert refused.status_code == 403


@pytest.mark.parametrize("setting", ["trusted_proxies: [127.0.0.1]", f"base_path: {BASE}"])
def test_a_proxy_needs_tokens_as_other_machines_do(tmp_path: Path, setting: str) -> None:
    """Or the word --insecure, if it asks for passwords itself."""
    flags = few(tmp_path)
    with (tmp_path / "few.yaml").open("a") as file:
        file.write(f"{setting}\n")
    done = command("serve", *flags)
    assert done.returncode == 2
    assert "kscope token --scope ingest" in done.stderr
    assert "--insecure" in done.stderr
