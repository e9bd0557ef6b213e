"""Wrong calls, other sources, floods, and the command itself."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from mcp import Client, StdioServerParameters, stdio_client

import kscope.assistant.asking
import kscope.assistant.server
import kscope.assistant.source
from kscope.assistant.answer import MOST_BYTES
from kscope.assistant.server import MOST_MESSAGE
from kscope.cli.source import ServerSource, source_of
from tests.assistant.asked import asked, cells, own
from tests.commands import command
from tests.databases import SQLiteFile
from tests.query.world import NOON, World, waits
from tests.serving import kscope as program
from tests.serving import serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from kscope.assistant.source import Source

DAY = {"start": "2026-11-23", "end": "2026-11-24"}


@pytest.fixture(scope="module")
def direct(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The file of a database with six off-CPU waits, see `world.waits`."""
    path = tmp_path_factory.mktemp("direct") / "kernelscope.db"
    world = World(SQLiteFile(path))
    try:
        world.insert("offcputime", waits())
    finally:
        world.close()
    return path


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("top", {}, "table: is missing: top needs table"),
        ("top", {"table": ""}, "table: is missing"),
        ("values", {"table": "offcputime"}, "column: is missing: values needs table and column"),
        ("top", {"table": "offcpu"}, "Did you mean 'offcputime'?"),
        ("top", {"table": "offcputime/../hosts"}, "is not the name of a table; `categories`"),
        ("values", {"table": "offcputime", "column": "a/b"}, "'a/b' is not the name of a column"),
        ("top", {"table": "offcputime", "limits": 3}, "top has no such argument"),
        ("top", {"table": "offcputime", "n": 501}, "n: '501' is not a whole number from 1 to 500"),
        ("top", {"table": "offcputime", "n": "many"}, "n: 'many' is not a whole number"),
        ("top", {"table": "offcputime", "n": 2.5}, "n: must be a text or a whole number"),
        ("top", {"table": "offcputime", "n": 10**40}, "is not a whole number from 1 to 500"),
        ("top", {"table": ["offcputime"]}, "table: must be a text or a whole number, not a list"),
        (
            "top",
            {"table": "offcputime", "filters": "process=x"},
            "filters: must be a list of texts",
        ),
        ("top", {"table": "offcputime", "filters": {"process": "x"}}, "filters: must be a list"),
        ("top", {"table": "offcputime", "filters": ["process"]}, "'process' is not column=value"),
        ("top", {"table": "offcputime", "filters": [["a"]]}, "filters: must be a text"),
        ("top", {"table": "offcputime", "filters": ["format=csv"]}, "answers are text"),
        ("top", {"table": "offcputime", "filters": ["n=5"]}, "n is a separate argument"),
        ("top", {"table": "offcputime", "filters": ["proces=x"]}, "Did you mean 'process'?"),
        ("top", {"table": "offcputime", "filters": ["elapsed__gte=soon"]}, "elapsed__gte: 'soon'"),
        ("top", {"table": "offcputime", "filters": ["process=\ud800"]}, "is not valid Unicode"),
        ("top", {"table": "offcputime", "filters": ["process=x"] * 999}, "filters: has 999 texts"),
        (
            "top",
            {"table": "offcputime", "filters": ["process=" + "x" * 61_000]},
            "bytes; use at most",
        ),
        ("top", {"table": "offcputime", "aggregate": "middle"}, "unknown aggregate 'middle'"),
        ("top", {"table": "offcputime", "from": "yesterday"}, "from: 'yesterday' is not a time"),
        (
            "top",
            {"table": "offcputime", "from": "now", "to": "now-1h"},
            "from: must be before 'to'",
        ),
        ("flamegraph", {"table": "pressure"}, "pressure"),
        ("changes", {"baseline": "range"}, "base.from: is missing"),
        ("changes", {"filters": ["nosuch=1"]}, "unknown parameter or column 'nosuch'"),
        ("categories", {"table": "nosuch"}, "table: unknown table 'nosuch'"),
        ("delete", {}, "there is no tool 'delete'. Known are: categories, changes"),
    ],
)
def test_a_wrong_call_says_what_is_wrong(
    source: Source, name: str, arguments: dict[str, Any], said: str
) -> None:
    """The argument, the fault and the fix, as the API has them; never a traceback."""
    assert said in asked(source, name, wrong=True, **arguments)


def test_all_mistakes_are_named_at_once(source: Source) -> None:
    """One call is enough to correct them."""
    text = asked(source, "top", wrong=True, table="offcputime", n=0, nn=1, filters=["x"])
    assert [line.partition(":")[0] for line in text.splitlines()] == ["n", "nn", "filters"]


def test_numbers_and_truths_may_be_texts_or_not(source: Source) -> None:
    """An assistant writes `5`, `"5"`, `true` or leaves an argument empty."""
    found = [asked(source, "top", table="offcputime", n=n, **DAY) for n in (5, "5", 5.0)]
    assert len({text.partition("asked: ")[2] for text in found}) == 1
    text = asked(source, "compare", table="offcputime", normalised=True, value=None, **DAY)
    assert "asked: normalised=true" in text


def test_a_very_long_address_is_left_out(source: Source) -> None:
    """Filters of 50,000 bytes do not fill the answer."""
    filters = [f"process__in={','.join(f'name-{n}' for n in range(900))}", "hostname=db-1"]
    text = asked(source, "top", table="offcputime", filters=filters * 4, **DAY)
    assert len(text.encode()) < 3000
    assert "page: " not in text


def test_a_database_answers_without_a_server(direct: Path) -> None:
    """As `kscope query --sqlite` does; there is no page to link to."""
    source = source_of(None, None, direct, None)
    text = asked(source, "top", table="offcputime", by="process", **DAY)
    assert ["mysqld", "15 ms", "15000", "93.6%", "3"] in cells(text)
    assert "| web-001 (3 rows), web-002 (3 rows)" in text
    assert "page: " not in text
    assert "offcputime" in asked(source, "categories")
    assert "data types with rows: 1" in asked(source, "overview", **DAY)
    assert "Nothing unusual" in asked(source, "changes", **DAY)
    assert "markers: 0" in asked(source, "markers", **DAY)


def test_a_missing_database_is_an_error_of_the_call(tmp_path: Path) -> None:
    """The assistant reads why."""
    source = source_of(None, None, tmp_path / "none.db", None)
    assert "there is no such database" in asked(source, "top", wrong=True, table="offcputime")


def test_a_server_asks_for_a_token(tmp_path: Path) -> None:
    """Without the token of a reader each tool answers with the server's text."""
    token = "a-secret-token-of-a-reader"
    line = f"tokens:\n  - {{name: r, scopes: [read], sha256: {sha256(token.encode()).hexdigest()}}}"
    config = tmp_path / "kernelscope.yaml"
    config.write_text(f"database: {{sqlite: k.db}}\n{line}")
    (tmp_path / "token").write_text(token)
    with serving(tmp_path, "--config", config) as server:
        refused = server.get("/api/v1/categories").json()["detail"]
        source = source_of(server.read, None, None, None)
        for name in ("categories", "overview", "markers"):
            assert asked(source, name, wrong=True) == refused
        source = source_of(server.read, tmp_path / "token", None, None)
        assert "offcputime" in asked(source, "categories")


class _Endless(BaseHTTPRequestHandler):
    """A server that answers with JSON without an end, or with a page."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        if "/categories" in self.path:
            self.wfile.write(b"<html>hello")
            return
        try:
            while True:
                self.wfile.write(b"[" * 65536)
        except OSError:
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def endless() -> Iterator[ServerSource]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Endless)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield ServerSource(f"http://127.0.0.1:{server.server_port}")
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_an_answer_of_another_server_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """In bytes, and in time; a page is no answer."""
    with endless() as source:
        assert "no answer of Kernelscope's read API" in asked(source, "categories", wrong=True)
        monkeypatch.setattr(kscope.assistant.source, "MOST_JSON", 1 << 20)
        text = asked(source, "top", wrong=True, table="offcputime")
        assert "the answer has more than 1 MiB; ask for a shorter range" in text
        monkeypatch.setattr(kscope.assistant.asking, "SECONDS", -1.0)
        assert "no answer within 60 seconds" in asked(source, "overview", wrong=True)


def test_a_server_that_never_answers_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """A call ends at its deadline, whatever the server does."""
    monkeypatch.setattr(kscope.assistant.server, "SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        source = ServerSource(f"http://127.0.0.1:{silent.getsockname()[1]}")
        assert "no answer within" in asked(source, "overview", wrong=True)


@pytest.fixture(scope="module")
def flooded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Source]:
    """100,000 rows of 5,000 processes with long names, and 100 stacks of 500 long frames."""
    path = tmp_path_factory.mktemp("flood") / "kernelscope.db"
    world = World(SQLiteFile(path))
    try:
        rows = [
            {
                "time": NOON + 1 + at % 3600 * 1_000_000,
                "hostname": f"host-{at // 10_000}",
                "process": f"{at % 5000}-" + "p" * 200,
                "pid": 1,
                "reason": "blocked",
                "stack": "",
                "elapsed": 1 + at % 7,
                "count": 1,
                "lengths": [],
            }
            for at in range(100_000)
        ]
        for at in range(100):
            frames = [f"{at}_{depth}_" + "f" * 100 for depth in range(500)]
            rows[at * 1000] |= {"stack": ";".join(frames), "elapsed": 1000}
        world.insert("offcputime", rows)
    finally:
        world.close()
    return source_of(None, None, path, None)


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("top", {"by": "process", "n": 500}),
        ("flamegraph", {"lines": 500}),
        ("rows", {"limit": 500, "order": "-elapsed"}),
        ("timeseries", {"points": 500, "n": 500}),
        ("values", {"column": "process", "n": 500}),
        ("compare", {"n": 500, "filters": ["base.hostname=host-1"]}),
    ],
)
def test_a_flood_is_a_bounded_answer(flooded: Source, name: str, more: dict[str, Any]) -> None:
    """The text has at most 32,000 bytes; it says what is left out, and how to ask for less."""
    text = asked(flooded, name, table="offcputime", **DAY, **more)
    assert len(text.encode()) <= MOST_BYTES
    assert "range: 2026-11-23T00:00:00Z to 2026-11-24T00:00:00Z" in text
    assert "more lines are left out" in own(text)
    assert "; ask" in own(text)


def test_the_command_speaks_mcp(direct: Path) -> None:
    """An assistant starts it, lists the tools, and calls one."""
    arguments = ["-m", "kscope", "mcp", "--sqlite", str(direct)]

    async def answer() -> str:
        started = stdio_client(StdioServerParameters(command=sys.executable, args=arguments))
        async with Client(started) as client:
            names = [each.name for each in (await client.list_tools()).tools]
            assert "flamegraph" in names
            asked_for = {"table": "offcputime", "from": "2026-11-23", "to": "2026-11-24"}
            (content,) = (await client.call_tool("flamegraph", asked_for)).content
            assert content.type == "text"
            return content.text

    assert "| 15 ms | 93.6% | 0 us |   mysqld → main → do_command |" in asyncio.run(answer())


def test_messages_are_bounded_and_an_end_is_an_end(direct: Path) -> None:
    """Noise, and a message of more than a mebibyte, are ignored; the next message is answered."""
    hello = {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "t", "version": "1"},
    }
    message = {"jsonrpc": "2.0", "id": 7, "method": "initialize", "params": hello}
    noise = b"no JSON\n" + b'{"jsonrpc": "2.0"' + b" " * (2 * MOST_MESSAGE) + b"}\n"
    run = subprocess.run(
        program("mcp", "--sqlite", direct),
        input=noise + json.dumps(message).encode() + b"\n",
        capture_output=True,
        timeout=60,
        check=True,
    )
    assert json.loads(run.stdout)["id"] == 7
    assert b"is ignored" in run.stderr
    assert b"Traceback" not in run.stderr


def test_the_extra_is_named_where_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command says what to install."""
    monkeypatch.delitem(sys.modules, "kscope.assistant.server", raising=False)
    monkeypatch.setitem(sys.modules, "mcp.server", None)
    run = command("mcp", "--sqlite", "any.db")
    assert run.returncode == 1
    assert "needs the Python package mcp: pip install 'kernelscope[mcp]'" in run.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--server", "ftp://x"), "it starts with http:// or https://"),
        (("--server", "http://x", "--sqlite", "y"), "ask either a --server or a database"),
        (("--token-file", "nosuch"), "the token's file"),
        (("--config", "nosuch.yaml"), "nosuch.yaml"),
    ],
)
def test_wrong_options_end_the_command(arguments: tuple[str, ...], said: str) -> None:
    """Before an assistant waits for an answer."""
    run = command("mcp", *arguments)
    assert run.returncode == 2
    assert said in run.stderr
