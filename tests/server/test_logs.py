"""The log: text or lines of JSON, with an id for each request that its answer has as well."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import re
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from kscope.cli.logs import Escaping, JsonLines
from kscope.log_fields import with_fields
from kscope.server.http.log_throttle import ThrottledLog
from tests.server.test_tokens import bearer, made
from tests.serving import few, kscope, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.serving import Serving

WRONG = b'{"hostname": "h", "offcputime": [{"elapsed": "no"}]}'
ID = re.compile("[0-9a-f]{16}")
# Half a pair, a line's end with a forged record, and control characters for a terminal.
ODD = 'a\ud800 b\n{"level": "INFO"}\r\x1b[2J\u2028\x00 c'


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("logs")


@pytest.fixture(scope="module")
def token(folder: Path) -> str:
    file = folder / "tokens.yaml"
    return made(file, "--name", "db-1", "--scope", "ingest", "--scope", "read")


@pytest.fixture(scope="module")
def server(folder: Path, token: str) -> Iterator[Serving]:
    del token
    few(folder)
    config = folder / "few.yaml"
    config.write_text(f"{config.read_text()}tokens_file: tokens.yaml\nlog_format: json\n")
    arguments = ("--config", config, "--sqlite", folder / "l.db", "--verbose")
    with serving(folder, *arguments) as running:
        yield running


def records(server: Serving) -> list[dict[str, Any]]:
    lines = [line for line in server.log.splitlines() if not line.startswith(("page ", "ingest "))]
    return [json.loads(line) for line in lines]


def test_each_line_is_json_with_the_request_it_is_about(server: Serving, token: str) -> None:
    """Time, level, logger and message; of a request its id, its client and its token's name."""
    url = f"{server.ingest}/api/v1/ingest"
    refused = server.client.post(url, content=WRONG, headers=bearer(token))
    request = refused.headers["x-request-id"]
    assert ID.fullmatch(request)
    assert refused.json()["request"] == request
    found = records(server)
    assert all({"time", "level", "logger", "message"} <= each.keys() for each in found)
    assert all(re.fullmatch(r"[\d-]{10}T[\d:]{8}\.\d{3}Z", each["time"]) for each in found)
    ours = [each for each in found if each.get("request") == request]
    assert {each["logger"] for each in ours} == {"kscope.audit", "kscope.access"}
    assert {each["client"] for each in ours} == {"127.0.0.1"}
    assert {each["token"] for each in ours} == {"db-1"}
    access = next(each for each in ours if each["logger"] == "kscope.access")
    assert re.fullmatch(r"POST /api/v1/ingest: 422 in [\d.]+ ms", access["message"])


@pytest.mark.parametrize("given", ["from-nginx.1_2", "x" * 64])
def test_a_client_may_name_its_request(server: Serving, token: str, given: str) -> None:
    """A proxy logs the same id."""
    answer = server.client.get(
        f"{server.read}/api/v1/server", headers={**bearer(token), "X-Request-ID": given}
    )
    assert answer.headers.get_list("x-request-id") == [given]


@pytest.mark.parametrize("given", ["", "x" * 65, "a b", 'a"b', "a;b", "~", "é"])
def test_a_name_that_is_long_or_odd_is_replaced(server: Serving, given: str) -> None:
    """Of a request without a token as well."""
    answer = server.client.get(
        f"{server.read}/metrics", headers={"X-Request-ID": given.encode("latin-1")}
    )
    assert answer.status_code == 401
    assert ID.fullmatch(answer.headers["x-request-id"])
    assert answer.json()["request"] == answer.headers["x-request-id"]


def formatted(formatter: logging.Formatter, message: str, error: Exception | None = None) -> str:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter)
    log = logging.getLogger("kscope.formatted")
    log.propagate = False
    log.addHandler(handler)
    try:
        log.error("%s", message, exc_info=error)
    finally:
        log.removeHandler(handler)
    return stream.getvalue()


def test_a_line_of_json_holds_any_text() -> None:
    """It is one line of ASCII, which each reader of JSON takes, and it is bounded."""
    with with_fields(client=ODD * 100):
        line = formatted(JsonLines(), ODD * 10_000, ValueError(ODD * 10_000))
    assert line.count("\n") == 1
    assert line.isascii()
    assert len(line) < 1_000_000
    found = json.loads(line)
    assert found["message"].startswith("a\\ud800 b\n{")
    assert "ValueError" in found["error"]
    # No half of a pair is left, which strict readers refuse.
    json.dumps(found, ensure_ascii=False).encode()


def test_a_line_of_text_has_the_fields_and_no_forged_record() -> None:
    with with_fields(request="4f", client=ODD):
        text = formatted(Escaping("%(levelname)s %(message)s"), ODD * 1000)
    first, *rest = text.splitlines()
    assert first.startswith("ERROR a")
    assert all(line.startswith("    ") for line in rest)
    assert all(line.isprintable() for line in text.splitlines())
    assert "request=4f client=a" in text
    assert len(text) < 100_000


def test_a_line_about_many_events_has_the_fields_of_the_last() -> None:
    """Not those of the request that began the period."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines())
    log = logging.getLogger("kscope.many")
    log.propagate = False
    log.addHandler(handler)
    throttled = ThrottledLog(log, seconds=0.01)

    async def events() -> None:
        for request in "abc":
            with with_fields(request=request):
                throttled.warning(f"of {request}")
        while stream.getvalue().count("\n") < 2:  # noqa: ASYNC110 - a timer of the log
            await asyncio.sleep(0.01)

    asyncio.run(asyncio.wait_for(events(), 60))
    found = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [(each["message"], each["request"]) for each in found] == [
        ("of a", "a"),
        ("of c; 2 times in 0.01 s", "c"),
    ]


@pytest.mark.parametrize("way", ["--log-format", "log_format"])
def test_the_log_of_an_agent_is_json_too(way: str, tmp_path: Path) -> None:
    """By a flag, or by the configuration; the last line, why it failed, is for a person."""
    config = tmp_path / "agent.yaml"
    config.write_text("log_format: json\n" if way == "log_format" else "")
    flags = ["--replay", "bundled", "--history", "60", "--duration", "1"]
    flags += ["--server", "http://127.0.0.1:9", "--spool", str(tmp_path / "spool")]
    flags += ["--log-format", "json"] if way == "--log-format" else []
    done = subprocess.run(
        kscope("agent", "--config", config, "offcputime", *flags),
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=90,
    )  # fmt: skip
    lines = [json.loads(line) for line in done.stderr.splitlines()[:-1]]
    assert {"kscope.agent.agent", "kscope.client.sender"} <= {each["logger"] for each in lines}
    assert all({"time", "level", "message"} <= each.keys() for each in lines)
