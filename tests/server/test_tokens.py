"""Tokens that end: by their time, by their removal from a file, and at the hosts they are for."""

from __future__ import annotations

import asyncio
import json
import logging
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING
from unittest import mock

import httpx
import pytest

from kscope.config import Token, load_tokens
from kscope.errors import DeclarationError
from kscope.server.http.audit import Audit
from kscope.server.http.tokens import token_hash
from tests.commands import command
from tests.serving import ROOT, Serving, few, kscope, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ROW = {"process": "mysqld", "pid": 1234, "stack": "main;futex_wait", "elapsed": 5123}
BODY = {"hostname": "h", "offcputime": [ROW]}
COLUMNS = {name: [value] for name, value in ROW.items()}
PATIENCE = 20.0


def made(file: Path, *options: str) -> str:
    """Return a token that `kscope token` puts into a file."""
    done = command("token", "--file", file, *options)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def post(server: Serving, token: str, host: str = "h", path: str = "/api/v1/ingest") -> int:
    body = {"hostname": host, "offcputime": [ROW]}
    return server.client.post(
        f"{server.ingest}{path}", json=body, headers=bearer(token)
    ).status_code


def becomes(status: int, server: Serving, token: str) -> bool:
    """Return whether requests with the token get this status, soon.

    A wrong token that is sent often gets 429.
    """
    wanted = {status, 429} if status == 401 else {status}
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if post(server, token) in wanted:
            return True
        time.sleep(0.1)
    return False


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tokens")


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Serving]:
    """A server whose tokens are in a file."""
    _, config = few(folder, "profile", "marker")
    file = folder / "tokens.yaml"
    made(file, "--name", "reader", "--scope", "read")
    text = (folder / "few.yaml").read_text()
    (folder / "few.yaml").write_text(
        f"{text}tokens_file: tokens.yaml\ndatabase: {{sqlite: k.db}}\n"
        "receive: {pyroscope: true}\n"
    )
    with serving(folder, "--config", config) as running:
        yield running


def test_a_token_is_accepted_and_revoked_while_the_server_runs(
    server: Serving, folder: Path
) -> None:
    """Nothing is restarted, and other tokens stay."""
    file = folder / "tokens.yaml"
    kept, gone = (made(file, "--name", name) for name in ("kept", "gone"))
    assert becomes(200, server, kept)
    assert post(server, gone) == 200
    listed = command("token", "--file", file, "--list").stdout.splitlines()
    assert [line.split()[0] for line in listed] == ["reader", "kept", "gone"]
    assert command("token", "--file", file, "--revoke", "gone").returncode == 0
    assert becomes(401, server, gone)
    assert post(server, kept) == 200
    assert gone not in file.read_text()
    assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("text", [None, "tokens: [", "tokens: [{name: x}]\n", "x" * 2_000_000])
def test_a_faulty_file_takes_no_token_away(server: Serving, folder: Path, text: str | None) -> None:
    """Its author may be writing it; the log says what is wrong. A right one counts again."""
    file = folder / "tokens.yaml"
    before = file.read_text()
    token = made(file, "--name", f"before-{len(text or '')}")
    assert becomes(200, server, token)
    seen = len(server.log)
    if text is None:
        file.unlink()
    else:
        file.write_text(text)
    end = time.monotonic() + PATIENCE
    while "the tokens stay as they were" not in server.log[seen:] and time.monotonic() < end:
        time.sleep(0.1)
    assert "the tokens stay as they were" in server.log[seen:]
    assert post(server, token) == 200
    file.write_text(before)
    assert becomes(401, server, token)


def test_a_file_without_tokens_lets_no_request_pass(tmp_path: Path) -> None:
    config = tmp_path / "kernelscope.yaml"
    (tmp_path / "tokens.yaml").write_text("tokens: []\n")
    config.write_text("database: {sqlite: k.db}\ntokens_file: tokens.yaml\n")
    with serving(tmp_path, "--config", config) as running:
        assert running.get("/api/v1/categories").status_code == 401
        assert running.client.get(f"{running.read}/healthz").status_code == 200
        assert post(running, "kscope_x") == 401


def test_a_server_does_not_start_with_a_faulty_file(tmp_path: Path) -> None:
    config = tmp_path / "kernelscope.yaml"
    config.write_text("database: {sqlite: k.db}\ntokens_file: tokens.yaml\n")
    for text, fault in ((None, "cannot be read"), ("tokens: [{name: x}]", "'sha256' is missing")):
        if text:
            (tmp_path / "tokens.yaml").write_text(text)
        done = command("serve", "--config", config, "--read", "127.0.0.1:0")
        assert (done.returncode, fault in done.stderr) == (2, True), done.stderr


def test_an_expired_token_is_refused_and_named_in_the_log(server: Serving, folder: Path) -> None:
    """The message differs from that for a wrong token: the sender knows what to ask for."""
    file = folder / "tokens.yaml"
    token = made(file, "--name", "short-lived", "--expires", "3s")
    assert becomes(200, server, token)
    assert becomes(401, server, token)
    url = f"{server.ingest}/api/v1/ingest"
    answer = server.client.post(url, json={"hostname": "h"}, headers=bearer(token))
    assert answer.json()["detail"] == "this token has expired: ask for a new one"
    assert "the token short-lived has expired" in server.log
    assert token not in server.log


def test_a_host_cannot_log_as_another(server: Serving, folder: Path) -> None:
    """By no way in: rows, columns, the API of 2016, markers, profiles of other senders."""
    token = made(folder / "tokens.yaml", "--name", "web", "--host", "web-*", "--host", "proxy")
    assert becomes(403, server, token)
    headers = bearer(token)
    client = server.client
    for path in ("/", "/api/v1/ingest"):
        for host, status in (("web-1", 200), ("proxy", 200), ("db-1", 403), ("web", 403)):
            assert post(server, token, host, path) == status
    for host, status in (("web-2", 200), ("db-1", 403)):
        body = {"hostname": host, "offcputime": COLUMNS}
        url = f"{server.ingest}/api/v1/ingest"
        assert client.post(url, json=body, headers=headers).status_code == status
        marker = {"text": "deploy", "hostname": host}
        url = f"{server.ingest}/api/v1/markers"
        assert client.post(url, json=marker, headers=headers).status_code == status
    answer = client.post(
        f"{server.ingest}/ingest",
        params={"name": "app", "from": int(time.time()) - 10, "until": int(time.time())},
        content=b"main;work 12\n",
        headers=headers,
    )
    assert (answer.status_code, "not of" in answer.text) == (403, True)


def test_a_token_brings_no_more_than_its_quota(server: Serving, folder: Path) -> None:
    """Of rows, and of bytes before a body is read; others go on. It hears when to come again."""
    file = folder / "tokens.yaml"
    rows = made(file, "--name", "rows", "--rows-per-minute", "60")
    size = made(file, "--name", "bytes", "--bytes-per-minute", "10KiB")
    free = made(file, "--name", "free")
    assert becomes(200, server, free)
    url = f"{server.ingest}/api/v1/ingest"
    many = {"hostname": "h", "offcputime": [ROW] * 120}
    assert server.client.post(url, json=many, headers=bearer(rows)).status_code == 200
    refused = server.client.post(url, json=BODY, headers=bearer(rows))
    assert refused.status_code == 429
    # Of 60 a minute 120 are gone: 61 more come in 61 s.
    assert 55 <= int(refused.headers["retry-after"]) <= 62
    assert "rows_per_minute is 60" in refused.json()["detail"]
    large = {"hostname": "h", "offcputime": [{**ROW, "stack": "x" * 20_000}]}
    assert server.client.post(url, json=large, headers=bearer(size)).status_code == 200
    endless = (b" " * 1000 for _ in range(10**9))
    assert server.client.post(url, content=endless, headers=bearer(size)).status_code == 429
    for path, content in (
        ("/", json.dumps(BODY)),
        ("/api/v1/markers", json.dumps({"text": "deploy"})),
        ("/ingest?name=app", "main;work 12\n"),
    ):
        sent = server.client.post(f"{server.ingest}{path}", content=content, headers=bearer(rows))
        assert sent.status_code == 429, path
    assert post(server, free) == 200
    reader = made(file, "--name", "metrics", "--scope", "read")
    text = ""
    end = time.monotonic() + PATIENCE
    while "kscope_rows_stored" not in text and time.monotonic() < end:
        text = httpx.get(f"{server.read}/metrics", headers=bearer(reader)).text
        time.sleep(0.1)
    assert 'kscope_over_quota_total{token="rows",quota="rows_per_minute"}' in text
    assert 'kscope_over_quota_total{token="bytes",quota="bytes_per_minute"}' in text


def test_each_refused_write_is_in_the_audit_log(server: Serving, folder: Path) -> None:
    """With its token, its address and the reason. Many of one kind share a line."""
    token = made(folder / "tokens.yaml", "--name", "audited", "--host", "web-1")
    assert becomes(403, server, token)
    for _ in range(300):
        assert post(server, token, "web-2") == 403
    url = f"{server.ingest}/api/v1/ingest"
    answer = server.client.post(url, content=b"\x00\r\n{", headers=bearer(token))
    assert answer.status_code == 400
    lines = [line for line in server.log.splitlines() if "kscope.audit" in line]
    (mine, *more) = (line for line in lines if "token audited: 403" in line)
    assert len(more) <= 2
    assert "POST /api/v1/ingest from 127.0.0.1" in mine
    assert "this token is for rows of web-1, not of 'h'" in mine
    assert any("token audited: 400" in line for line in lines)
    reader = made(folder / "tokens.yaml", "--name", "elsewhere", "--scope", "read")
    assert becomes(403, server, reader)
    assert "the token elsewhere has not this scope, from 127.0.0.1" in server.log


def test_the_audit_log_is_bounded() -> None:
    """With any number of tokens, and refusals of any length."""

    async def check() -> None:
        audit = Audit("ingest")
        for number in range(1000):
            token = Token(f"t{number}", token_hash("x"), ("ingest",))
            scope = {
                "kscope.tokens": [token],
                "client": ("10.0.0.1", 1),
                "raw_path": b"/" + b"x" * 60_000,
                "method": "POST",
            }
            audit.refused(scope, 422, "y" * 60_000)

    with mock.patch.object(logging.getLogger("kscope.audit"), "warning") as said:
        asyncio.run(check())
    assert said.call_count <= 257
    assert all(len(str(call)) < 1000 for call in said.mock_calls)


def test_hosts_of_a_token_can_be_as_many_as_a_list_holds(tmp_path: Path) -> None:
    """A flood of patterns, tokens or bytes is refused before anything is compared."""
    file = tmp_path / "tokens.yaml"
    line = f"{{name: a, scopes: [ingest], sha256: {token_hash('x')}"
    for text in (
        f"tokens: [{line}, hosts: [{', '.join(['h'] * 1001)}]}}]",
        f"tokens: [{', '.join([line + '}'] * 1001)}]",
        f"tokens: [{line}, hosts: []}}]",
        f"tokens: [{line}, hosts: [a b]}}]",
        f"tokens: [{line}, expires: soon}}]",
        f"tokens: [{line}, expires: 99999-01-01}}]",
        "tokens:",
        "",
        "- a",
    ):
        file.write_text(text)
        with pytest.raises(DeclarationError):
            load_tokens(file)


def test_a_pattern_with_many_stars_takes_no_time() -> None:
    token = Token("a", token_hash("x"), ("ingest",), hosts=("*a" * 100 + "b",))
    assert not token.may_bring("a" * 255)


def test_commands_at_the_same_time_lose_no_token(tmp_path: Path) -> None:
    file = tmp_path / "tokens.yaml"
    lines = [kscope("token", "--file", file, "--name", f"t{number}") for number in range(6)]
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda line: subprocess.run(line, cwd=ROOT, check=True, stdout=-3), lines))
    assert {each.name for each in load_tokens(file)} == {f"t{number}" for number in range(6)}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("--list", "--list and --revoke need --file"),
        ("--revoke x", "--list and --revoke need --file"),
        ("--file {} --revoke x", "no token of this name"),
        ("--file {} --name taken", "has a token taken"),
        ("--file {}/no/such", "Not a directory"),
        ("--file {} --name new --expires soon", "is not a date"),
        ("--name ../x", "--name: must be"),
        ("--bytes-per-minute many", "--bytes-per-minute:"),
        ("--host http://x", "--host: is not a host's name"),
    ],
)
def test_a_mistake_leaves_the_file_as_it_was(tmp_path: Path, line: str, said: str) -> None:
    file = tmp_path / "tokens.yaml"
    made(file, "--name", "taken")
    before = file.read_bytes()
    done = command("token", *line.format(file).split())
    assert done.returncode != 0
    assert said in done.stderr, done.stderr
    assert "Traceback" not in done.stderr
    assert file.read_bytes() == before


def test_a_file_keeps_its_rights_and_its_link(tmp_path: Path) -> None:
    """A secret's volume shows files through links."""
    real, link = tmp_path / "real.yaml", tmp_path / "link.yaml"
    made(real, "--name", "first")
    real.chmod(0o640)
    link.symlink_to(real)
    made(link, "--name", "second", "--host", "no", "--expires", "2099-01-31")
    assert link.is_symlink()
    assert real.stat().st_mode & 0o777 == 0o640
    first, second = load_tokens(real)
    assert (first.name, first.expires, first.hosts) == ("first", None, ())
    assert (second.name, second.expires, second.hosts) == ("second", 4073500800.0, ("no",))


def test_a_token_comes_from_the_environment(
    server: Serving, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other users see a command's arguments, not its environment."""
    token = made(folder / "tokens.yaml", "--name", "people", "--scope", "read")
    url = f"{server.read}/api/v1/categories"
    end = time.monotonic() + PATIENCE
    while httpx.get(url, headers=bearer(token)).status_code != 200 and time.monotonic() < end:
        time.sleep(0.1)
    asked = ("query", "offcputime", "--server", server.read)
    assert command(*asked, folder=folder).returncode != 0
    monkeypatch.setenv("KSCOPE_TOKEN", f"{token}\n")
    done = command(*asked, folder=folder)
    assert done.returncode == 0, done.stderr
