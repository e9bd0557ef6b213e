"""Acts of administrators: who may do them, and the lines that the audit log has of them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.server.test_access import make_token
from tests.server.test_tokens import BODY, bearer
from tests.serving import Serving, few, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SCOPES = ("ingest", "read", "admin")
ADDRESS = "/?table=offcputime"


@pytest.fixture(scope="module")
def tokens() -> dict[str, tuple[str, str]]:
    return {scope: make_token(scope) for scope in SCOPES}


@pytest.fixture(scope="module")
def server(
    tmp_path_factory: pytest.TempPathFactory, tokens: dict[str, tuple[str, str]]
) -> Iterator[Serving]:
    folder = tmp_path_factory.mktemp("admin")
    flags = few(folder)
    lines = "".join(line for _, line in tokens.values())
    with (folder / "few.yaml").open("a") as file:
        file.write(f"database: {{sqlite: k.db}}\nlinks: links.db\ntokens:\n{lines}")
    with serving(folder, *flags) as running:
        yield running


def made_link(server: Serving, token: str, address: str = ADDRESS) -> str:
    url = f"{server.read}/api/v1/links"
    answer = server.client.post(url, content=address, headers=bearer(token))
    assert answer.status_code == 200, answer.text
    path: str = answer.json()["path"]
    return path.removeprefix("/s/")


def test_an_administrator_may_do_what_others_may(
    server: Serving, tokens: dict[str, tuple[str, str]]
) -> None:
    """Bring rows, and ask questions."""
    headers = bearer(tokens["admin"][0])
    assert server.client.post(f"{server.ingest}/", json=BODY, headers=headers).status_code == 200
    for path in ("/", "/api/v1/categories", "/metrics"):
        assert server.client.get(server.read + path, headers=headers).status_code == 200


def test_tokens_are_listed_without_their_hashes(
    server: Serving, tokens: dict[str, tuple[str, str]]
) -> None:
    """In the order of the configuration."""
    url = f"{server.read}/api/v1/tokens"
    answer = server.client.get(url, headers=bearer(tokens["admin"][0]))
    listed = answer.json()["tokens"]
    assert [(each["name"], each["scopes"]) for each in listed] == [(s, [s]) for s in SCOPES]
    assert listed[0]["expires"] is None
    for _, line in tokens.values():
        digest = line.split("sha256: ")[1][1:65]
        assert digest.strip('"') not in answer.text


def test_only_an_administrator_removes_a_link(
    server: Serving, tokens: dict[str, tuple[str, str]]
) -> None:
    """It is gone for all then; what is no link is not found."""
    reading = bearer(tokens["read"][0])
    name = made_link(server, tokens["read"][0])
    url = f"{server.read}/api/v1/links/{name}"
    refused = server.client.delete(url, headers=reading)
    assert refused.status_code == 403
    assert "scope 'admin'" in refused.json()["detail"]
    assert server.client.get(f"{server.read}/s/{name}", headers=reading).status_code == 302
    admin = bearer(tokens["admin"][0])
    assert server.client.delete(url, headers=admin).status_code == 204
    assert server.client.get(f"{server.read}/s/{name}", headers=reading).status_code == 404
    for other in (name, "x", "0123456789", "%00", "x" * 3000):
        url = f"{server.read}/api/v1/links/{other}"
        assert server.client.delete(url, headers=admin).status_code == 404


def test_the_scopes_of_others_do_not_open_it(
    server: Serving, tokens: dict[str, tuple[str, str]]
) -> None:
    """The list of tokens is for administrators alone."""
    url = f"{server.read}/api/v1/tokens"
    assert server.client.get(url).status_code == 401
    for scope in ("read", "ingest"):
        assert server.client.get(url, headers=bearer(tokens[scope][0])).status_code == 403


def test_each_act_is_in_the_audit_log(server: Serving, tokens: dict[str, tuple[str, str]]) -> None:
    """Those that were done, each in its own line, and those that were refused."""
    name = made_link(server, tokens["read"][0], "/?table=audited")
    url = f"{server.read}/api/v1/links/{name}"
    for scope in ("read", "admin"):
        server.client.delete(url, headers=bearer(tokens[scope][0]))
    lines = [line for line in server.log.splitlines() if "kscope.audit: read: " in line]
    act = f"DELETE /api/v1/links/{name} from 127.0.0.1"
    assert any(f"{act}, token admin: 204 request=" in line for line in lines)
    assert any("token read: 403, this needs a token" in line for line in lines)


def test_without_tokens_users_of_the_machine_may_do_it(tmp_path: Path) -> None:
    """As they may all; a page of another site in a browser there may not."""
    flags = few(tmp_path)
    with (tmp_path / "few.yaml").open("a") as file:
        file.write("database: {sqlite: k.db}\nlinks: links.db\n")
    with serving(tmp_path, *flags) as server:
        assert server.get("/api/v1/tokens").json() == {"tokens": []}
        name = made_link(server, "none")
        url = f"{server.read}/api/v1/links/{name}"
        foreign = {"Origin": "https://elsewhere.example"}
        assert server.client.delete(url, headers=foreign).status_code == 403
        assert server.client.delete(url).status_code == 204
        assert f"DELETE /api/v1/links/{name} from 127.0.0.1, token none: 204" in server.log


def test_a_token_of_this_scope_is_made_as_others(tmp_path: Path) -> None:
    """It also lets a server start that others reach."""
    token, line = make_token("admin")
    assert "scopes: [admin]" in line
    flags = few(tmp_path)
    with (tmp_path / "few.yaml").open("a") as file:
        file.write(f"database: {{sqlite: k.db}}\ntrusted_proxies: [127.0.0.9]\ntokens:\n{line}")
    with serving(tmp_path, *flags) as server:
        answer = server.client.get(f"{server.read}/api/v1/server", headers=bearer(token))
        assert json.loads(answer.text)["token"] is True
