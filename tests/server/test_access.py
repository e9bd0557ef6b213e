"""Who may write and read: tokens, addresses, names."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.serving import ROOT, Serving, kscope, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ROW = {"process": "mysqld", "pid": 1234, "stack": "main;futex_wait", "elapsed": 5123}
BODY = {"hostname": "h", "offcputime": [ROW]}


def make_token(*scopes: str) -> tuple[str, str]:
    """Return a token and its line for the configuration, as `kscope token` prints them."""
    named = [word for scope in scopes for word in ("--scope", scope)]
    command = kscope("token", "--name", scopes[0], *named)
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.strip(), done.stderr[done.stderr.index("  - ") :]


@pytest.fixture(scope="module")
def tokens() -> dict[str, tuple[str, str]]:
    return {scope: make_token(scope) for scope in ("ingest", "read")}


@pytest.fixture(scope="module")
def guarded(
    tmp_path_factory: pytest.TempPathFactory, tokens: dict[str, tuple[str, str]]
) -> Iterator[Serving]:
    folder = tmp_path_factory.mktemp("guarded")
    config = folder / "kernelscope.yaml"
    lines = "".join(line for _, line in tokens.values())
    hosts = "hosts: [Scope.example.com]\n"
    config.write_text(f"database: {{sqlite: k.db}}\n{hosts}tokens:\n{lines}")
    assert not any(token in config.read_text() for token, _ in tokens.values())
    with serving(folder, "--config", config) as running:
        yield running


def test_each_side_asks_for_its_scope(guarded: Serving, tokens: dict[str, tuple[str, str]]) -> None:
    """A request gets 401 without a token, 403 with the other side's, 200 with its own."""
    writing, reading = ({"Authorization": f"Bearer {tokens[s][0]}"} for s in ("ingest", "read"))
    post, get = f"{guarded.ingest}/", f"{guarded.read}/api/v1/categories"
    client = guarded.client
    assert client.post(post, json=BODY).status_code == 401
    assert client.post(post, json=BODY, headers={"Authorization": "Bearer x"}).status_code == 401
    assert client.post(post, json=BODY, headers=reading).status_code == 403
    assert client.post(post, json=BODY, headers=writing).status_code == 200
    assert client.get(get).status_code == 401
    assert client.get(get, headers=writing).status_code == 403
    assert client.get(get, headers=reading).status_code == 200


def test_a_browser_is_asked_for_the_token(
    guarded: Serving, tokens: dict[str, tuple[str, str]]
) -> None:
    """With Basic the browser itself asks its user; the password is the token."""
    get = f"{guarded.read}/api/v1/categories"
    assert "Basic" in guarded.client.get(get).headers["www-authenticate"]
    assert guarded.client.get(get, auth=("anyone", tokens["read"][0])).status_code == 200
    assert guarded.client.get(get, auth=("anyone", "wrong")).status_code == 401


def test_health_needs_no_token(guarded: Serving) -> None:
    """A load balancer has none. /metrics tells more, and asks."""
    for side in (guarded.read, guarded.ingest):
        assert guarded.client.get(f"{side}/healthz").text == "ok\n"
        assert guarded.client.get(f"{side}/readyz").text == "ready\n"
        assert guarded.client.get(f"{side}/metrics").status_code == 401


@pytest.mark.parametrize("side", ["--read", "--ingest"])
def test_other_machines_are_not_served_by_mistake(tmp_path: Path, side: str) -> None:
    """An address that others reach needs tokens, or the word --insecure."""
    command = kscope("serve", "--sqlite", tmp_path / "k.db", side, "0.0.0.0:0")
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "kscope token --scope" in done.stderr
    assert "--insecure" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_foreign_name_does_not_lead_to_loopback(tmp_path: Path) -> None:
    """A site that resolves to 127.0.0.1 cannot read through its visitor's browser."""
    with serving(tmp_path) as server:
        url = f"{server.read}/api/v1/categories"
        refused = server.client.get(url, headers={"Host": "evil.example:8080"})
        assert refused.status_code == 403
        for host in ("localhost:8080", "127.0.0.1", "[::1]:8080", "10.0.2.2:8080"):
            assert server.client.get(url, headers={"Host": host}).status_code == 200


def test_names_are_checked_with_tokens_too(
    guarded: Serving, tokens: dict[str, tuple[str, str]]
) -> None:
    """Of the page, where the configuration lists its names. Agents may use any name of the server,
    and a load balancer none.
    """
    writing, reading = ({"Authorization": f"Bearer {tokens[s][0]}"} for s in ("ingest", "read"))
    url, client = f"{guarded.read}/api/v1/categories", guarded.client
    for name, status in (
        ("evil.example", 403),
        ("scope.example.com:8443", 200),
        ("SCOPE.example.com.", 200),
        ("127.0.0.1:1", 200),
    ):
        assert client.get(url, headers={"Host": name, **reading}).status_code == status
        health = client.get(f"{guarded.read}/healthz", headers={"Host": name})
        assert health.status_code == 200
    sent = client.post(f"{guarded.ingest}/", json=BODY, headers={"Host": "rows.lan", **writing})
    assert sent.status_code == 200


def test_no_answer_is_taken_for_something_else_or_by_another_site(guarded: Serving) -> None:
    """Pages, files, data, refusals and health: a browser sniffs no type, and embeds none of it."""
    answers = [
        *(
            guarded.client.get(f"{guarded.read}{path}")
            for path in ("/healthz", "/", "/nosuch", "/metrics")
        ),
        guarded.client.post(f"{guarded.ingest}/", json=BODY),
    ]
    for answer in answers:
        assert answer.headers["x-content-type-options"] == "nosniff", answer.url
        assert answer.headers["cross-origin-resource-policy"] == "same-origin", answer.url


def test_metrics_count_what_happened(tmp_path: Path) -> None:
    """Prometheus' text format, on both sides."""
    with serving(tmp_path) as server:
        server.post(BODY, Idempotency_Key="a")
        server.post(BODY, Idempotency_Key="a")
        server.send(b"{")
        text = server.get("/metrics").text
        for line in (
            "kscope_rows_stored_total 1",
            "kscope_batches_duplicate_total 1",
            "kscope_rows_waiting 0",
            'kscope_http_answers_total{listener="ingest",status="400"} 1',
        ):
            assert re.search(f"^{re.escape(line)}$", text, re.MULTILINE), text


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    """Say which, without a traceback."""
    with serving(tmp_path) as server:
        taken = httpx.URL(server.read).port
        command = kscope("serve", "--sqlite", tmp_path / "b.db", "--read", str(taken))
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert f"cannot listen on 127.0.0.1:{taken}" in done.stderr
    assert "Traceback" not in done.stderr
