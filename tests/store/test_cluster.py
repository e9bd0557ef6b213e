"""A cluster of two shards: the same answers as from one database, and an end that loses no row."""

from __future__ import annotations

import json
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from benchmarks.simulation.balancer import balancing
from kscope.client.endpoint import Endpoint
from kscope.client.payload import Payload
from kscope.client.payload_store import Memory
from kscope.client.sender import Sender
from kscope.query.parse.timerange import iso
from tests.serving import Serving, serving, start, stop

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import httpx

    from tests.old_clickhouse import OldCluster

pytestmark = [pytest.mark.clickhouse, pytest.mark.xdist_group("old clickhouse")]

SECOND = 1_000_000
# Long enough ago that sums replace rows, in the middle of a bucket's hour.
ROUNDS = 12
START = (int(time.time()) - 2 * 86400) // 3600 * 3600 * SECOND
SPAN = {"from": iso(START), "to": iso(START + 3600 * SECOND)}
# Outside of the time that questions are asked about.
EARLIER = iso(START - 3 * 86400 * SECOND)
HOSTS = [f"web-{number}" for number in range(8)]
PATIENCE = 90.0
CATEGORY = """\
table: {table}
columns:
  - {{name: process, type: string}}
  - {{name: stack, type: stack}}
  - {{name: elapsed, type: elapsed}}
  - {{name: count, type: count, default: 1}}
  - {{name: lengths, type: histogram, unit: us, default: []}}
rollup: {{5m: 30d}}
charts:
  - {{kind: flamegraph, value: elapsed, by: process, stack: stack}}
"""
QUESTIONS = {
    "flamegraph/waits": {"by": "process"},
    "top/waits": {"by": "hostname"},
    "timeseries/waits": {"by": "process", "points": "12"},
    "histogram/waits": {"value": "elapsed"},
    "heatmap/waits": {"value": "lengths"},
    "compare/waits": {"hostname": "web-1", "base.hostname": "web-2"},
    "rows/waits": {"order": "time", "limit": "500"},
    "values/waits/hostname": {},
    "search/waits": {"text": "b1"},
    "hosts/waits": {},
    "changes": {},
    "overview": {},
}
ELSEWHERE = {
    "top/waits": {"by": "process", "aggregate": "avg", "hostname__in": '["web-1","web-5"]'}
}
FILES = [("rows", "csv"), ("rows", "ndjson"), ("top", "csv"), ("flamegraph", "folded")]
VARYING = {"elapsed_ms", "source", "ids"}


def rows_of(host: str) -> list[dict[str, Any]]:
    number = HOSTS.index(host)
    return [
        {
            "time": iso(START + minute * 60 * SECOND + number),
            "process": f"p{(minute + number) % 4}",
            "stack": f"main;a;b{minute % 3}" if minute % 2 else "main;é",
            "elapsed": 1000 * minute + number,
            "count": minute % 3 + 1,
            "lengths": [0, minute, number],
        }
        for minute in range(number, 59, 3)
    ]


@dataclass
class World:
    """A server on the cluster and one on SQLite that have the same rows."""

    cluster: OldCluster
    database: str
    server: Serving
    alone: Serving
    folder: Path

    def hosts(self, shard: int) -> list[str]:
        """Return the hosts whose rows are on a shard, as its server says."""
        asked = "SELECT DISTINCT hostname FROM waits"
        return sorted(self.cluster.shards[shard].sql(asked, self.database).split())

    @contextmanager
    def without(self, shard: int) -> Iterator[None]:
        """Kill a shard for the length of the block; afterwards all rows are there again."""
        self.cluster.shards[shard].kill()
        try:
            yield
        finally:
            self.cluster.shards[shard].start()
        eventually(lambda: not answer(self.server, "top/waits", by="process")["meta"]["missing"])


@pytest.fixture(scope="module")
def world(old_clickhouse: OldCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("cluster")
    (folder / "mine").mkdir()
    (folder / "mine" / "waits.yaml").write_text(CATEGORY.format(table="waits"))
    database = old_clickhouse.new_database()
    config = configured(folder, old_clickhouse, database)
    (folder / "alone").mkdir()
    sqlite: list[str | Path] = [
        "--sqlite",
        folder / "kernelscope.db",
        "--config",
        no_builtin(folder),
    ]
    with (
        serving(folder, "--config", config) as server,
        serving(folder / "alone", *sqlite) as alone,
    ):
        for host in HOSTS:
            for each in (server, alone):
                each.post(
                    {"hostname": host, "waits": rows_of(host)}, Idempotency_Key=f"first-{host}"
                )
        yield World(old_clickhouse, database, server, alone, folder)


def eventually(is_so: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def no_builtin(folder: Path) -> Path:
    path = folder / "alone.yaml"
    path.write_text(json.dumps({"categories": [str(folder / "mine")]}))
    return path


def configured(folder: Path, cluster: OldCluster, database: str, **changes: Any) -> Path:
    """Write a configuration whose categories are those of the folder `mine`."""
    found = json.loads(cluster.configuration(database))
    found["database"]["clickhouse"] |= changes
    path = folder / f"{'-'.join(['cluster', *changes])}.yaml"
    path.write_text(json.dumps({**found, "categories": [str(folder / "mine")]}))
    return path


def answer(server: Serving, question: str, **parameters: str) -> dict[str, Any]:
    response = server.get(f"/api/v1/{question}", **SPAN, **parameters)
    assert response.status_code == 200, (question, response.text)
    found: dict[str, Any] = response.json()
    return found


def bare(found: Any) -> Any:
    """Leave out what differs between any two answers to one question."""
    if isinstance(found, dict):
        return {name: bare(each) for name, each in found.items() if name not in VARYING}
    return [bare(each) for each in found] if isinstance(found, list) else found


def same_answers(one: Serving, other: Serving) -> None:
    for question, parameters in [*QUESTIONS.items(), *ELSEWHERE.items()]:
        asked = [answer(each, question, **parameters) for each in (one, other)]
        assert bare(asked[0]) == bare(asked[1]), question


def test_answers_as_one_database_does(world: World) -> None:
    assert world.hosts(0)
    assert world.hosts(1)
    assert sorted([*world.hosts(0), *world.hosts(1)]) == HOSTS
    same_answers(world.server, world.alone)


def test_takes_a_batch_once(world: World) -> None:
    for host in HOSTS:
        body = {"hostname": host, "waits": rows_of(host)}
        assert world.server.post(body, Idempotency_Key=f"first-{host}").json()["duplicate"]
    same_answers(world.server, world.alone)


def one_more(server: Serving, host: str, table: str = "waits") -> httpx.Response:
    """Send a row of an earlier day; under one key, so it is there once."""
    row = {"time": EARLIER, "process": "p", "stack": "main", "elapsed": 1}
    return server.send(
        json.dumps({"hostname": host, table: [row]}).encode(), Idempotency_Key=f"{table}-{host}"
    )


def counted(server: Serving, table: str = "waits") -> dict[str, int]:
    """Return the rows of each host that `one_more` has sent."""
    span = {"from": EARLIER, "to": SPAN["from"]}
    found = server.get(f"/api/v1/top/{table}", by="hostname", value="rows", n=100, **span).json()
    return {each["key"][0]: each["value"] for each in found["entries"]}


def test_lives_without_a_shard(world: World) -> None:
    there, gone = world.hosts(0), world.hosts(1)
    with world.without(1):
        for host in there:
            assert one_more(world.server, host).status_code == 200
        for host in gone:
            refused = one_more(world.server, host)
            assert refused.status_code == 503
            assert int(refused.headers["Retry-After"]) > 0
            assert refused.json()["detail"] == "shard 2 does not answer"
        tells_the_rest(world, there, "shard 2")
        for question, form in FILES:
            refused = world.server.get(f"/api/v1/{question}/waits", format=form, **SPAN)
            assert refused.status_code == 503
            assert "shard 2 does not answer" in refused.json()["detail"]
        assert world.server.get("/readyz").status_code == 200
        assert "kscope_shards_missing 1" in world.server.get("/metrics").text
    all_is_there(world)


def all_is_there(world: World) -> None:
    """Rows that were refused are taken, and questions are answered as if nothing had happened."""
    for host in HOSTS:
        for server in (world.server, world.alone):
            assert one_more(server, host).status_code == 200
    assert counted(world.server) == dict.fromkeys(HOSTS, 1)
    same_answers(world.server, world.alone)


def tells_the_rest(world: World, there: list[str], missing: str) -> None:
    """Questions are answered from the other shard, and each answer says so."""
    only = {"hostname__in": json.dumps(there)}
    for question, parameters in QUESTIONS.items():
        found = answer(world.server, question, **parameters)
        notice = {
            "level": "warning",
            "text": f"{missing} does not answer: the rows of its hosts are missing here",
        }
        if question != "values/waits/hostname":
            assert found["notices"].pop(0) == notice, question
        if "meta" not in found:
            assert question in ("changes", "overview")
            continue
        if question.startswith("compare"):
            assert found["meta"]["missing"] == found["base_meta"]["missing"] == [missing]
            continue
        assert found["meta"].pop("missing") == [missing]
        expected = answer(world.alone, question, **parameters, **only)
        expected["meta"].pop("missing")
        assert bare(found) == bare(expected), question


def test_the_named_server_dies(world: World) -> None:
    """Questions go to another one, and a server that starts asks another one for the shards."""
    first, second = (shard.host for shard in world.cluster.shards)
    config = configured(world.folder, world.cluster, world.database, nodes=[second, first])
    with world.without(0):
        tells_the_rest(world, world.hosts(1), "shard 1")
        (world.folder / "other").mkdir()
        with serving(world.folder / "other", "--config", config) as other:
            asked = [answer(each, "top/waits", by="hostname") for each in (other, world.server)]
            assert bare(asked[0]) == bare(asked[1])
            assert one_more(other, world.hosts(1)[0]).status_code == 200
    all_is_there(world)


def test_a_category_comes_while_a_shard_is_away(world: World) -> None:
    """Its tables are on both shards once both are there."""
    there, gone = world.hosts(0)[0], world.hosts(1)[0]
    with world.without(1):
        (world.folder / "mine" / "locks.yaml").write_text(CATEGORY.format(table="locks"))
        eventually(lambda: one_more(world.server, there, "locks").status_code == 200)
        assert one_more(world.server, gone, "locks").status_code == 503
        assert counted(world.server, "locks") == {there: 1}
    eventually(lambda: one_more(world.server, gone, "locks").status_code == 200)
    assert counted(world.server, "locks") == {there: 1, gone: 1}
    asked = "SELECT hostname FROM locks"
    found = [shard.sql(asked, world.database).split() for shard in world.cluster.shards]
    assert found == [[there], [gone]]


def test_a_shard_is_away_at_the_start(old_clickhouse: OldCluster, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "waits.yaml").write_text(CATEGORY.format(table="waits"))
    database = old_clickhouse.new_database()
    config = configured(tmp_path, old_clickhouse, database)
    old_clickhouse.shards[1].kill()
    try:
        server = start(tmp_path, ["--config", config])
        outcomes = {host: one_more(server, host).status_code for host in HOSTS}
        assert set(outcomes.values()) == {200, 503}
    finally:
        old_clickhouse.shards[1].start()
    try:
        eventually(lambda: all(one_more(server, host).status_code == 200 for host in HOSTS))
        assert counted(server) == dict.fromkeys(HOSTS, 1)
    finally:
        stop(server)


def test_a_server_is_killed_while_it_stores(old_clickhouse: OldCluster, tmp_path: Path) -> None:
    """Senders send again, to the other one of two servers: no row is lost, and none doubled."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "waits.yaml").write_text(CATEGORY.format(table="waits"))
    database = old_clickhouse.new_database()
    config = configured(tmp_path, old_clickhouse, database)
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()
    servers = [start(folder, ["--config", config]) for folder in folders]
    ports = [int(server.ingest.rpartition(":")[2]) for server in servers]
    stores = [Memory(lambda *_: None) for _ in HOSTS]
    try:
        with balancing([ports]) as (balancer,):
            url = f"http://127.0.0.1:{balancer.port}"
            senders = [Sender(store, Endpoint(url), longest=1.0) for store in stores]
            for host, store in zip(HOSTS, stores, strict=True):
                for number in range(ROUNDS):
                    row = {"time": EARLIER, "process": f"p{number}", "stack": "m", "elapsed": 1}
                    store.put(Payload.of("waits", {"hostname": host, "waits": [row] * 3}))
            for sender in senders:
                sender.start()
            eventually(lambda: sum(store.rows for store in stores) < 3 * ROUNDS * len(HOSTS) // 2)
            servers[0].process.kill()
            servers[0].process.wait()
            eventually(lambda: not any(store.rows for store in stores))
            for sender in senders:
                sender.stop(time.monotonic())
        assert counted(servers[1]) == dict.fromkeys(HOSTS, 3 * ROUNDS)
    finally:
        stop(servers[1])
