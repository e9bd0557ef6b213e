"""Profilers that fleets already run push to a real server: the totals are those that they sent."""

from __future__ import annotations

import gzip
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest

from kscope.profiles.wire import fields
from kscope.server.http.tokens import token_hash
from tests.query.profile_proto import profile
from tests.receiving import receiving, rows
from tests.senders import installed
from tests.senders.recorder import Recorded, Recorder, recorder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from subprocess import CompletedProcess

    from tests.serving import Serving

HERE = Path(__file__).parent
TOKEN = "kscope_sender"
TOKENS = f"""\
tokens:
  - {{name: senders, scopes: [ingest], sha256: {token_hash(TOKEN)}}}
  - {{name: reader, scopes: [read, ingest], sha256: {token_hash("kscope_reader")}}}
"""
Run = tuple[Recorder, "CompletedProcess[str]"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with receiving(tmp_path_factory.mktemp("served"), TOKENS) as running:
        running.client.headers["Authorization"] = "Bearer kscope_reader"
        yield running


@pytest.fixture(scope="module")
def runs(server: Serving) -> Iterator[dict[str, Run]]:
    """All clients at once: they mostly wait for their own seconds to pass."""
    programs: dict[str, Callable[[str], CompletedProcess[str]]] = {
        "new": lambda url: installed.python(
            HERE / "busy.py", installed.python_package("pyroscope-io", "1.4.0"), url, "new", TOKEN
        ),
        "old": lambda url: installed.python(
            HERE / "busy.py", installed.python_package("pyroscope-io", "0.8.16"), url, "old", TOKEN
        ),
        "node": lambda url: installed.node(
            HERE / "busy.js",
            installed.node_package("@pyroscope/nodejs", "0.6.4"),
            url,
            "node",
            TOKEN,
        ),
    }

    def run(name: str) -> tuple[str, Run]:
        with recorder(server.ingest) as recorded:
            return name, (recorded, programs[name](recorded.url))

    with ThreadPoolExecutor() as pool:
        yield dict(pool.map(run, programs))


def profiles(recorded: Recorder) -> list[tuple[Recorded, Any]]:
    """Return each profile that was pushed, as protobuf reads it."""
    found = []
    for request in recorded.requests:
        for raw in _raws(request):
            message = profile()
            message.ParseFromString(gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw)
            found.append((request, message))
    return found


def _raws(request: Recorded) -> Iterator[bytes]:
    if request.path.startswith("/ingest"):
        yield request.body
        return
    for _, _, *series in fields(request.body):
        for number, _, *sample in fields(request.body, *series):
            for inner, _, start, end in fields(request.body, *sample) if number == 2 else ():
                if inner == 1:
                    yield request.body[start:end]


def nanoseconds(found: list[tuple[Recorded, Any]], kind: str = "cpu") -> int:
    """Return the sum of one type of samples."""
    total = 0
    for _, message in found:
        names = [message.string_table[each.type] for each in message.sample_type]
        if kind in names:
            place = names.index(kind)
            total += sum(sample.value[place] for sample in message.sample)
    return total


@pytest.mark.parametrize("name", ["new", "old"])
def test_pyroscope_io(server: Serving, runs: dict[str, Run], name: str) -> None:
    """1.4.0, which pushes protobuf, and 0.8.16, which has `/ingest`: each with its token."""
    recorded, done = runs[name]
    assert done.returncode == 0, done.stderr
    sent = profiles(recorded)
    assert sent
    assert {each.status for each in recorded.requests} == {200}
    start = {"new": "/push.v1.PusherService/Push", "old": "/ingest?"}[name]
    assert all(each.path.startswith(start) for each in recorded.requests)
    scheme = {"new": "Basic", "old": "Bearer"}[name]
    assert all(each.headers["authorization"].startswith(scheme) for each in recorded.requests)
    found = rows(server, "profile", process=name)
    total = sum(row["elapsed"] for row in found)
    assert total == nanoseconds(sent) // 1000
    assert sum(row["samples"] for row in found) == total // 10_000
    burnt = sum(row["elapsed"] for row in found if "burn" in row["stack"].split(";"))
    assert burnt > total * 0.8 > 0
    assert {row["hostname"] for row in found} == {"busy host"}
    assert all(row["pid"] and row["tid"] for row in found)


def test_pyroscope_nodejs(server: Serving, runs: dict[str, Run]) -> None:
    """CPU time of its wall profiles is stored; heaps, which no category takes, are refused."""
    recorded, done = runs["node"]
    assert done.returncode == 0, done.stderr
    sent = profiles(recorded)
    statuses = {
        ("inuse_space" in [*message.string_table], request.status) for request, message in sent
    }
    assert statuses == {(True, 422), (False, 200)}
    queries = [parse_qs(urlsplit(request.path).query) for request, _ in sent]
    assert {query["format"][0] for query in queries} == {"pprof"}
    found = rows(server, "profile", process="node")
    total = sum(row["elapsed"] for row in found)
    assert abs(total - nanoseconds(sent) / 1000) <= len(sent)
    burnt = sum(row["elapsed"] for row in found if ":burn:" in row["stack"])
    assert burnt > total / 3 > 0
    assert {row["hostname"] for row in found} == {"busy-node"}
    assert "no category takes inuse_objects/count, inuse_space/bytes" in server.log
