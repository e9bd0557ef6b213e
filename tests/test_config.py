"""kernelscope.yaml: what it says, and everything that is wrong with it at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from kscope.config import (
    Address,
    MySQL,
    ProbeSettings,
    Settings,
    SQLite,
    Token,
    load_settings,
    parse_address,
    parse_settings,
)
from kscope.errors import DeclarationError, KscopeError

HASH = "0" * 64
FULL = f"""\
database:
  mysql: {{host: db.example, port: 3307, user: k, password_file: secret, database: ks}}
categories: [builtin, ./mine]
read: 0.0.0.0:80
ingest: "[::]:8081"
hosts: [kernelscope.example]
tokens:
  - {{name: agents, scopes: [ingest], sha256: "{HASH}"}}
max_body: 64MiB
max_connections: 5000
max_connections_per_address: 100
query_deadline: 1m
agent:
  server: https://kernelscope.example
  interval: 30s
  probes:
    offcputime: {{threshold: 5000}}
    runqlat: {{max_overhead: 0.5%}}
  max_overhead: 1%
  spool_bytes: 1MiB
  spool_age: 1d
  timeout: 5s
"""


def test_everything_that_can_be_said(tmp_path: Path) -> None:
    """Paths are relative to the file, the password comes from a file of its own."""
    (tmp_path / "secret").write_text("pass word\n")
    (tmp_path / "kernelscope.yaml").write_text(FULL)
    settings = load_settings(tmp_path / "kernelscope.yaml")
    assert settings.database == MySQL("db.example", 3307, "k", "pass word", "ks")
    assert settings.categories == ("builtin", tmp_path / "mine")
    assert (settings.read, settings.ingest) == (Address("0.0.0.0", 80), Address("::", 8081))
    assert settings.tokens == (Token("agents", HASH, ("ingest",)),)
    assert (settings.max_body, settings.query_deadline) == (64 * 2**20, 60)
    assert (settings.max_connections, settings.max_connections_per_address) == (5000, 100)
    assert settings.agent.probes == {
        "offcputime": ProbeSettings({"threshold": 5000}),
        "runqlat": ProbeSettings(max_overhead=0.005),
    }
    assert settings.agent.max_overhead == 0.01
    assert (settings.agent.spool_bytes, settings.agent.spool_age) == (2**20, 86400)
    assert settings.agent.timeout == 5
    assert settings.agent.interval == 30
    assert "pass word" not in repr(settings)


def test_an_empty_file_is_the_defaults(tmp_path: Path) -> None:
    assert parse_settings("", "kernelscope.yaml", tmp_path) == Settings()
    assert Settings().database == SQLite(Path("kernelscope.db"))


def test_all_mistakes_at_once(tmp_path: Path) -> None:
    """Sorted by line, each with its place and a hint."""
    text = """\
databse: {sqlite: k.db}
database: {sqlite: 5, mysql: {prt: 1}}
read: nowhere
max_body: big
query_deadline: 10
tokens:
  - {name: a, scopes: [write], sha256: "00"}
  - {scopes: read}
agent: {server: ftp://x, probes: {offcputime: 5000}}
"""
    with pytest.raises(DeclarationError) as caught:
        parse_settings(text, "kernelscope.yaml", tmp_path)
    assert str(caught.value).splitlines() == [
        "kernelscope.yaml:1: databse: unknown key. Did you mean 'database'?",
        "kernelscope.yaml:2: database: name one database: either sqlite or mysql",
        "kernelscope.yaml:2: database.mysql.prt: unknown key. Did you mean 'port'?",
        "kernelscope.yaml:2: database.sqlite: 5 is not a text; put it in quotes",
        "kernelscope.yaml:3: read: 'nowhere' is not an address such as 127.0.0.1:8080",
        "kernelscope.yaml:4: max_body: 'big' is not a size such as 32MiB",
        (
            "kernelscope.yaml:5: query_deadline: '10' is not a duration such as 90s, 15m, 12h, 14d,"
            " 4w or 2y"
        ),
        "kernelscope.yaml:7: tokens[0].scopes[0]: 'write' is not a scope; known: ingest, read",
        (
            "kernelscope.yaml:7: tokens[0].sha256: not the SHA-256 of a token; `kscope token` makes"
            " both"
        ),
        "kernelscope.yaml:8: tokens[1]: 'name' is missing",
        "kernelscope.yaml:8: tokens[1]: 'sha256' is missing",
        "kernelscope.yaml:8: tokens[1].scopes: write a list: [a, b]",
        (
            "kernelscope.yaml:9: agent.probes.offcputime: write the options as a mapping:"
            " {threshold: 5000}"
        ),
        (
            "kernelscope.yaml:9: agent.server: 'ftp://x' is not an address such as"
            " http://127.0.0.1:8081"
        ),
    ]


@pytest.mark.parametrize("text", ["- a\n", "5\n", "a: [\n", "read: &x 1\nhosts: *x\n"])
def test_what_is_no_mapping_is_refused(tmp_path: Path, text: str) -> None:
    """Any text gives problems with their place, never a traceback."""
    with pytest.raises(DeclarationError, match=r"kernelscope\.yaml"):
        parse_settings(text, "kernelscope.yaml", tmp_path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(KscopeError, match=r"none\.yaml: cannot be read"):
        load_settings(tmp_path / "none.yaml")


def test_addresses() -> None:
    """A port alone is loopback; a colon before it means every address, in so many words."""
    assert parse_address("8080") == Address("127.0.0.1", 8080)
    assert parse_address(":8080") == Address("0.0.0.0", 8080)
    assert str(parse_address("[::1]:0")) == "[::1]:0"
    for text in ("", "x", "1.2.3.4", "1.2.3.4:99999", "1.2.3.4:-1"):
        with pytest.raises(ValueError, match="is not an address"):
            parse_address(text)
