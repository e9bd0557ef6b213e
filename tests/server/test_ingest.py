"""Rows over HTTP into a real server, and what a person then sees in the database."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING

import pytest
import zstandard

from tests.databases import Database, scalar
from tests.serving import few, serving, start, stop

if TYPE_CHECKING:
    from pathlib import Path

    from tests.enginefixtures import Served

ROW = {"process": "mysqld", "pid": 1234, "stack": "main;work;futex_wait", "elapsed": 5123}
# The body of the 2016 client: stacks are leaf first.
SEED = {
    "hostname": "web-001",
    "time": "2026-11-23T02:46:15.288693Z",
    "stacks": ["futex_wait;do_work;main"],
    "offcputime": [{"process": "mysqld", "pid": 1234, "stack": 0, "elapsed": 5123}],
}


def rows(served: Served, host: str) -> list[list[str]]:
    return served.database.rows(
        "SELECT time, process, pid, reason, stack, elapsed, count FROM offcputime"
        f" WHERE hostname = '{host}' ORDER BY time"
    )


def test_the_seed_body_is_stored_and_shown_flat(served: Served) -> None:
    """The 2016 shape goes in; the view named after the category shows it, root first."""
    answer = served.server.send(json.dumps(SEED).encode())
    assert answer.status_code == 200
    assert answer.json() == {"stored": {"offcputime": 1}, "duplicate": False}
    assert rows(served, "web-001") == [
        ["2026-11-23 02:46:15.288693", "mysqld", "1234", "", "main;do_work;futex_wait", "5123", "1"]
    ]


def test_a_row_has_its_own_time_and_a_stack_as_text(served: Served) -> None:
    """Text instead of an index, an offset instead of UTC, values instead of defaults."""
    row = ROW | {"time": "2026-01-02T03:04:05+02:00", "reason": "blocked", "count": 7}
    served.server.post({"hostname": "own-time", "offcputime": [row]})
    assert rows(served, "own-time") == [
        ["2026-01-02 01:04:05.000000", "mysqld", "1234", "blocked", ROW["stack"], "5123", "7"]
    ]


def test_what_is_accepted_can_be_read(served: Served) -> None:
    """JSON Schema takes 1.0 for a whole number; so do the histogram, its heatmap and the rows."""
    body = {"hostname": "lengths", "offcputime": [ROW | {"lengths": [1.0, 2e1]}]}
    assert served.server.send(json.dumps(body).encode()).status_code == 200
    asked = {"hostname": "lengths", "from": "now-1h"}
    rows = served.server.get("/api/v1/rows/offcputime", **asked).json()
    assert rows["rows"][0][rows["columns"].index("lengths")] == [1, 20]
    heatmap = served.server.get("/api/v1/heatmap/offcputime", value="lengths", **asked)
    assert heatmap.status_code == 200
    assert "21" in heatmap.text


@pytest.mark.parametrize(
    ("encoding", "compress"), [("gzip", gzip.compress), ("zstd", zstandard.compress)]
)
def test_compressed_bodies(served: Served, encoding: str, compress: object) -> None:
    """Agents may send gzip or zstd."""
    body = json.dumps({"hostname": encoding, "offcputime": [ROW] * 3}).encode()
    assert callable(compress)
    assert served.server.send(compress(body), Content_Encoding=encoding).status_code == 200
    assert len(rows(served, encoding)) == 3


def test_a_batch_that_is_sent_twice_counts_once(served: Served) -> None:
    """The key belongs to the host: another host's batch of the same key is another batch."""
    body = {"hostname": "twice", "offcputime": [ROW, ROW]}
    first = served.server.post(body, Idempotency_Key="batch-1").json()
    again = served.server.post(body, Idempotency_Key="batch-1").json()
    served.server.post(body | {"hostname": "other"}, Idempotency_Key="batch-1")
    assert (first["duplicate"], again["duplicate"]) == (False, True)
    assert again["stored"] == {"offcputime": 2}
    assert len(rows(served, "twice")) == len(rows(served, "other")) == 2


def test_a_server_ends_on_request_and_starts_again(tmp_path: Path, database: Database) -> None:
    """Everything acknowledged is there after a restart, and new rows join it."""
    server = start(tmp_path, [*few(tmp_path), *database.options])
    server.post(SEED)
    assert stop(server) == 0
    assert "Traceback" not in server.log
    with serving(tmp_path, *few(tmp_path), *database.options) as again:
        again.post(SEED)
        assert scalar(database, "SELECT count(*) FROM offcputime") == 2
