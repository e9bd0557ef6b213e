"""kernelscope.yaml: what it says, and everything that is wrong with it at once."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
import yaml

from kscope.agent.engines import program
from kscope.config import (
    Address,
    ClickHouse,
    MySQL,
    ProbeSettings,
    ReceiverSettings,
    ReceiveSettings,
    Settings,
    SQLite,
    SymbolSettings,
    Token,
    load_settings,
    parse_address,
    parse_settings,
)
from kscope.errors import DeclarationError, KscopeError
from tests.children import bounded_run
from tests.commands import command
from tests.serving import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

HASH = "0" * 64
FULL = f"""\
database:
  mysql: {{host: db.example, port: 3307, user: k, password_file: secret, database: ks}}
categories: [builtin, ./mine]
read: 0.0.0.0:80
ingest: "[::]:8081"
hosts: [kernelscope.example]
base_path: /kernelscope
trusted_proxies: [127.0.0.1, "fd00::/8"]
workers: 4
tokens:
  - {{name: agents, scopes: [ingest], sha256: "{HASH}"}}
max_body: 64MiB
max_connections: 5000
max_connections_per_address: 100
query_deadline: 1m
symbols: {{debuginfod: [https://debuginfod.example/x], max_bytes: 2MiB, max_download: 1MiB}}
receive: {{otlp: {{hostname: web-001}}, pyroscope: }}
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
    """Paths are relative to the file, and the password is read from a separate file."""
    (tmp_path / "secret").write_text("pass word\n")
    (tmp_path / "kernelscope.yaml").write_text(FULL)
    settings = load_settings(tmp_path / "kernelscope.yaml")
    assert settings.database == MySQL("db.example", 3307, "k", "pass word", "ks")
    assert settings.categories == ("builtin", tmp_path / "mine")
    assert settings.workers == 4
    assert settings.base_path == "/kernelscope"
    assert [*map(str, settings.trusted_proxies)] == ["127.0.0.1/32", "fd00::/8"]
    assert (settings.read, settings.ingest) == (Address("0.0.0.0", 80), Address("::", 8081))
    assert settings.tokens == (Token("agents", HASH, ("ingest",)),)
    assert (settings.max_body, settings.query_deadline) == (64 * 2**20, 60)
    assert (settings.max_connections, settings.max_connections_per_address) == (5000, 100)
    assert settings.symbols == SymbolSettings(("https://debuginfod.example/x",), 2**21, 2**20)
    assert settings.receive == ReceiveSettings(ReceiverSettings("web-001"), ReceiverSettings())
    assert settings.agent.probes == {
        "offcputime": ProbeSettings({"threshold": 5000}),
        "runqlat": ProbeSettings(max_overhead=0.005),
    }
    assert settings.agent.max_overhead == 0.01
    assert (settings.agent.spool_bytes, settings.agent.spool_age) == (2**20, 86400)
    assert settings.agent.timeout == 5
    assert settings.agent.interval == 30
    assert "pass word" not in repr(settings)


def test_editors_check_a_file_against_the_published_schema() -> None:
    """It accepts what the commands accept, short forms included, and names each unknown key."""
    schema = json.loads((ROOT / "schema/kernelscope.schema.json").read_text())
    editor = jsonschema.Draft202012Validator(schema)
    shipped = (ROOT / "kernelscope.yaml").read_text()
    short = "categories: mine\nagent: {probes: {offcputime: , runqlat: {max_overhead: 1%}}}"
    for text in (FULL, shipped, short):
        assert [*editor.iter_errors(yaml.safe_load(text))] == []
    wrong = ("databse: {}", "database: {}", "database: {sqlite: a, mysql: {}}", "hosts: []")
    for text in (*wrong, "agent: {intervall: 5}", "max_connections: 0", "tokens: [{name: a}]"):
        assert [*editor.iter_errors(yaml.safe_load(text))] != []


def test_an_empty_file_is_the_defaults(tmp_path: Path) -> None:
    assert parse_settings("", "kernelscope.yaml", tmp_path) == Settings()
    assert Settings().database == SQLite(Path("kernelscope.db"))


def test_a_receiver_is_on_or_off(tmp_path: Path) -> None:
    """`true` is short for no settings of it."""
    for text, on in (("true", True), ("{}", True), ("", True), ("false", False)):
        settings = parse_settings(f"receive: {{otlp: {text}}}", "kernelscope.yaml", tmp_path)
        assert settings.receive == ReceiveSettings(ReceiverSettings() if on else None)


def test_all_mistakes_at_once(tmp_path: Path) -> None:
    """Sorted by line, each with its place and a hint."""
    text = """\
databse: {sqlite: k.db}
database: {sqlite: 5, mysql: {prt: 1}}
read: no:where
max_body: big
query_deadline: soon
tokens:
  - {name: a, scopes: [write], sha256: "00"}
  - {scopes: read}
agent: {server: ftp://x, probes: {offcputime: 5000}}
"""
    with pytest.raises(DeclarationError) as caught:
        parse_settings(text, "kernelscope.yaml", tmp_path)
    assert str(caught.value).splitlines() == [
        "kernelscope.yaml:1: databse: unknown key. Did you mean 'database'?",
        "kernelscope.yaml:2: database: needs exactly one of sqlite, mysql, clickhouse",
        "kernelscope.yaml:2: database.mysql.prt: unknown key. Did you mean 'port'?",
        "kernelscope.yaml:2: database.sqlite: must be text, not a number; put it in quotes",
        ("kernelscope.yaml:3: read: is not an address such as 127.0.0.1:8080 or [::1]:8080"),
        "kernelscope.yaml:4: max_body: is not a size such as 32MiB",
        (
            "kernelscope.yaml:5: query_deadline: is not a length of time such as 90, 500ms,"
            " 1.5s, 10m or 1h30m"
        ),
        "kernelscope.yaml:7: tokens[0].scopes[0]: is not a scope; known: ingest, read, admin",
        (
            "kernelscope.yaml:7: tokens[0].sha256: is not the SHA-256 of a token; `kscope token`"
            " makes both"
        ),
        "kernelscope.yaml:8: tokens[1]: 'name' is missing",
        "kernelscope.yaml:8: tokens[1]: 'sha256' is missing",
        (
            "kernelscope.yaml:8: tokens[1].scopes: must be a list, not text; start each entry with"
            " '- '"
        ),
        (
            "kernelscope.yaml:9: agent.probes.offcputime: must be a mapping (key: value), not a"
            " number"
        ),
        (
            "kernelscope.yaml:9: agent.server: is not an address such as"
            " http://127.0.0.1:8081, without a user or a password"
        ),
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "hosts: [no]",
            "hosts[0]: must be text, not false; YAML reads no as false: put it in quotes",
        ),
        ("read: 12:30", "read: YAML reads it as a number of base 60: put it in quotes"),
        (
            "max_body: 0644",
            "max_body: it is octal in YAML: write the number without the first 0, or put it in",
        ),
        ("agent: {timeout: 1:30}", "agent.timeout: YAML reads it as a number of base 60"),
        ("query_deadline: 12:30:45.5", "query_deadline: YAML reads it as a number of base"),
        ("database: {sqlite: ~}", "sqlite: must be text, not nothing; YAML reads ~ as nothing"),
        (
            "database: {sqlite: }",
            "sqlite: must be text, not nothing; add a value, or remove the key",
        ),
        ("database: {mysql: {user: on}}", "must be text, not true; YAML reads on as true: put it"),
        ("database: {mysql: {database: 2024-01-01}}", "YAML reads it as a date: put it in"),
        (
            "database: {mysql: {port: 1e3}}",
            "is not a port, a number from 1 to 65535; YAML reads it as text",
        ),
        ("database: {mysql: {password: 1234}}", "must be text, not a number; put it in quotes"),
        ("categories: [~nobody-of-that-name/mine]", "there is no such user; write the path"),
        ("database: {mysql: {password_file: folder}}", "folder: is a folder; it must be a regular"),
        ("database: {mysql: {password_file: long}}", "long: is larger than 4 KiB; is it the right"),
        ("ingest: 127.0.0.1:\u00b2", "is not an address such as 127.0.0.1:8080"),
        ("read: true", "read: must be text or a number, not true"),
        ("ingest: ~", "must be text or a number, not nothing; YAML reads ~ as nothing: put it in"),
        ("max_body: [1]", "max_body: must be text or a number, not a list"),
        ("agent: {timeout: {}}", "agent.timeout: must be text or a number, not a mapping"),
        ("read: &a 8080\ningest: *a", "aliases (*name) are not supported: write it out"),
        ("read: 8080\n---\nread: 8080", "a second document starts here; remove this '---'"),
        ("read: 8080\nread: 8081", "read: this key is already on line 1; keep one of them"),
        ("read: !!python/name:os.system 1", "a tag is not supported"),
    ],
)
def test_a_word_that_yaml_reads_in_its_own_way_is_told_with_its_cure(
    tmp_path: Path, text: str, problem: str
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "long").write_text("x" * 5000)
    with pytest.raises(DeclarationError) as caught:
        parse_settings(text, "kernelscope.yaml", tmp_path)
    [line] = str(caught.value).splitlines()
    assert problem in line
    assert line.startswith("kernelscope.yaml:")


def is_a_pipe(file: Path) -> None:
    os.mkfifo(file)


def is_a_folder(file: Path) -> None:
    file.mkdir()


def is_large(file: Path) -> None:
    with file.open("wb") as sparse:
        sparse.truncate(300 << 20)


def is_latin1(file: Path) -> None:
    file.write_bytes(b"hosts: [caf\xe9]")


@pytest.mark.parametrize("make", [is_a_pipe, is_a_folder, is_large, is_latin1])
def test_what_is_no_file_of_text_ends_the_command(tmp_path: Path, make: Any) -> None:
    """`kscope serve` neither waits for it nor reads all of it: exit code 2, and one line."""
    file = tmp_path / "kernelscope.yaml"
    make(file)
    run = command("serve", "--config", file)
    assert run.returncode == 2
    assert re.fullmatch(rf"{re.escape(str(file))}(:1)?: is .*\n", run.stderr)


# Every setting once, for `FLOODS` to take the place of each value in turn.
WHOLE = {
    "database": {
        "mysql": dict.fromkeys(
            ("host", "port", "user", "password", "password_file", "database"), "x"
        ),
        "clickhouse": {
            **dict.fromkeys(
                ("host", "port", "user", "password", "password_file", "database", "secure",
                 "ca_file", "cluster"), "x",
            ),
            "nodes": ["x"],
        },
    },
    "categories": ["x"], "ingest": "x", "read": "x", "hosts": ["x"], "workers": "x",
    "base_path": "x", "trusted_proxies": ["x"],
    "tokens": [{"name": "x", "sha256": "x", "scopes": ["x"], "expires": "x", "hosts": ["x"],
                "rows_per_minute": "x", "bytes_per_minute": "x"}],
    "tokens_file": "x", "accept": {"newest": "x", "oldest": "x"},
    "tls": {"certificate": "x", "key": "x", "client_ca": "x"},
    "max_body": "x", "query_deadline": "x", "links": "x", "max_connections": "x",
    "max_connections_per_address": "x", "new_stacks_per_hour": "x", "new_strings_per_hour": "x",
    "silent_after": "x", "log_format": "x",
    "symbols": {"debuginfod": ["x"], "max_bytes": "x", "max_download": "x"},
    "receive": {"otlp": {"hostname": "x"}, "pyroscope": {"hostname": "x"}},
    "agent": {
        **dict.fromkeys(
            ("server", "token_file", "ca_file", "certificate", "key", "interval", "timeout",
             "max_overhead", "spool", "spool_bytes", "spool_age"), "x",
        ),
        "probes": {"offcputime": {"max_overhead": "x", "cgroup": "x", "threshold": "x"}},
    },
}  # fmt: skip


def test_every_setting_is_flooded(tmp_path: Path) -> None:
    """No value of any setting costs more than its file does: 100 problems, short, in 100 MB."""
    (tmp_path / "whole.json").write_text(json.dumps(WHOLE))
    printed = bounded_run(FLOOD, tmp_path / "whole.json", ROOT, folder=tmp_path)
    *known, memory = printed.split()
    assert int(memory) < 200
    assert sorted(known) == sorted({name for name in _names(WHOLE) if name != "offcputime"})


SERVERS = (("database", "mysql"), ("database", "clickhouse"))
RECEIVERS = (("receive",), ("receive", "otlp"), ("receive", "pyroscope"))
PLACES = ((), ("database",), *SERVERS, ("symbols",), *RECEIVERS, ("agent",))


@pytest.mark.parametrize("place", PLACES)
def test_the_flood_has_every_setting(tmp_path: Path, place: tuple[str, ...]) -> None:
    """Each mapping names the keys that it knows: one that is added is added to the flood."""
    inner: Any = WHOLE
    for part in place:
        inner = inner[part]
    wrong = json.dumps(_within(place, {"zzzzzzzz": 1}))
    with pytest.raises(DeclarationError) as caught:
        parse_settings(wrong, "kernelscope.yaml", tmp_path)
    known = re.search(r"unknown key\. Known are: (.*)\.", str(caught.value))
    assert known
    assert set(known[1].split(", ")) - {"sqlite"} == set(inner)


def _within(place: tuple[str, ...], value: Any) -> Any:
    return {place[0]: _within(place[1:], value)} if place else value


def _names(value: Any) -> Iterator[str]:
    for name, inner in value.items() if isinstance(value, dict) else ():
        yield from (name, *_names(inner))
    for inner in value if isinstance(value, list) else ():
        yield from _names(inner)


FLOOD = """
import json, re
from pathlib import Path
from kscope.config import check_probes, parse_settings
from kscope.declare.files.catalog import load_catalog
from kscope.errors import DeclarationError
from tests.floods import CUT_SHORT, FLOODS, places, put

whole = json.loads(Path(sys.argv[1]).read_text())
catalog = load_catalog([Path(sys.argv[2]) / "categories"])
known = set()
for place in places(whole):
    for flood in (*FLOODS, *(CUT_SHORT if not known else ())):
        try:
            settings = parse_settings(put(whole, place, flood), "kernelscope.yaml", Path())
            check_probes(settings.agent, catalog)
        except DeclarationError as error:
            lines = str(error).splitlines()
            assert len(lines) <= 101, (place, len(lines))
            assert max(map(len, lines)) < 4000, (place, lines)
            assert all(line.startswith("kernelscope.yaml") for line in lines)
        assert peak() < 200, (place, peak())
    known |= {part for part in place if isinstance(part, str)}
print(*sorted(known - {"offcputime"}), peak())
"""


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
    for text in ("", "a b", ":", "x:", "1.2.3.4:-1", "[x]:1", "http://x:1", "::1:44444"):
        with pytest.raises(ValueError, match="is not an address"):
            parse_address(text)
    with pytest.raises(ValueError, match="is not a port, the last one is 65535"):
        parse_address("1.2.3.4:99999")


@pytest.mark.parametrize(
    ("text", "address"),
    [
        *(("::1", "[::1]:9"), ("[::1]", "[::1]:9"), ("::", "[::]:9"), ("0.0.0.0", "0.0.0.0:9")),
        *(("localhost", "localhost:9"), ("localhost:80", "localhost:80"), ("a-b.c", "a-b.c:9")),
    ],
)
def test_a_host_alone_has_the_usual_port(text: str, address: str) -> None:
    """With brackets or without."""
    assert str(parse_address(text, 9)) == address


def test_an_address_that_may_mean_two_things_is_refused() -> None:
    """With both ways to write it."""
    with pytest.raises(ValueError, match=r"write \[::1\]:8080 or \[::1:8080\]"):
        parse_address("::1:8080")


@pytest.mark.parametrize(
    ("given", "host", "port"),
    [
        *(("db:3307", "db", 3307), ("'[::1]:3307'", "::1", 3307), ("'::1'", "::1", 3306)),
        *(("db", "db", 3306), ("/run/my.sock", "/run/my.sock", 3306)),
    ],
)
def test_a_mysql_host_may_have_a_port(tmp_path: Path, given: str, host: str, port: int) -> None:
    """In the file as with --mysql."""
    text = f"database: {{mysql: {{host: {given}}}}}"
    database = parse_settings(text, "k", tmp_path).database
    assert isinstance(database, MySQL)
    assert (database.host, database.port) == (host, port)
    text = f"database: {{clickhouse: {{host: {given}}}}}"
    if not given.startswith("/"):
        chosen = parse_settings(text, "k", tmp_path).database
        assert isinstance(chosen, ClickHouse)
        assert (chosen.host, chosen.port) == (host, 8123 if port == 3306 else port)
    for bad in ("':3307'", "'db:x'", "'mysql://db'"):
        with pytest.raises(DeclarationError, match=r"database\.mysql\.host"):
            parse_settings(f"database: {{mysql: {{host: {bad}}}}}", "k", tmp_path)
    with pytest.raises(DeclarationError, match="the host names port 3307; leave one of them out"):
        parse_settings("database: {mysql: {host: 'db:3307', port: 3308}}", "k", tmp_path)


@pytest.mark.parametrize("make", [is_a_pipe, is_large, is_latin1])
def test_what_is_no_token_is_told(tmp_path: Path, make: Any) -> None:
    """Any command that sends a token neither waits for its file nor reads all of it."""
    file = tmp_path / "token"
    make(file)
    server = ("--server", "http://127.0.0.1:9", "--token-file", file)
    run = command("query", "offcputime", *server)
    assert run.returncode == 2
    fault = rf"{re.escape(str(file))}: holds no token: it is .*; `kscope token` makes one\n"
    assert re.fullmatch(fault, run.stderr)


@pytest.mark.parametrize("make", [is_a_pipe, is_a_folder, is_large, is_latin1])
def test_what_is_no_program_is_told(tmp_path: Path, make: Any) -> None:
    """Neither a probe's program nor a file that it includes."""
    file = tmp_path / "included.h"
    make(file)
    (tmp_path / "a.bpf.c").write_text('#include "included.h"\n')
    for path in (file, tmp_path / "a.bpf.c"):
        with pytest.raises(KscopeError, match=r"included\.h(:1)?: is "):
            program.read(path)
